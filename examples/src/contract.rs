//! What the quickstart's servers offer: an ordinary trait.

use nebula::prelude::*;
use serde::{Deserialize, Serialize};

use crate::zones::{CorrectionError, Zone};

/// Questions about the time zones of the world, and corrections of the answers.
#[service(global)]
pub trait TimeZones {
    /// The zones that overlap a country, given by its code of two letters in either case.
    #[api(idempotent)]
    async fn zones_of(&self, country: String) -> Vec<Zone>;

    /// The zone whose named place is nearest to these degrees of latitude and longitude.
    #[api(idempotent)]
    async fn nearest(&self, lat: f64, lon: f64) -> Result<Zone, ZoneError>;

    /// Reads the data file again, which drops corrections. The number of zones.
    #[api]
    async fn reload(&self) -> Result<u64, ZoneError>;

    /// Sets the comment of a zone. The revision of the table, which stays as it is when the zone
    /// has this comment already: that is why making a correction twice does no harm.
    #[api(idempotent, timeout = "2s")]
    async fn correct(&self, zone: String, comment: String) -> Result<u64, ZoneError>;
}

/// Why a question has no answer. The table is unchanged.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, thiserror::Error)]
pub enum ZoneError {
    /// The coordinates do not exist.
    #[error("there is no place at latitude {lat}, longitude {lon}")]
    NoPlace {
        /// Degrees, as asked.
        lat: f64,
        /// Degrees, as asked.
        lon: f64,
    },
    /// The correction was refused.
    #[error("the correction was refused: {0}")]
    Correction(String),
    /// The data file cannot be loaded; the old table stays in use.
    #[error("the table stays as it was: {0}")]
    Data(String),
}

impl From<CorrectionError> for ZoneError {
    fn from(error: CorrectionError) -> Self {
        Self::Correction(error.to_string())
    }
}
