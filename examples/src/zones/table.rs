//! The table, and the questions it answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::row::{self, Fault, excerpt};
use super::{CorrectionError, ParseError};

/// The longest comment a correction may set, in characters.
pub const MAX_COMMENT: usize = 200;

/// A time zone and the place it is named after.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Zone {
    /// Its name, as in the environment variable `TZ`: `Europe/Berlin`.
    pub name: String,
    /// ISO 3166 codes of the countries it overlaps, that of the named place first.
    pub countries: Vec<String>,
    /// Latitude of the named place in degrees, north is positive.
    pub lat: f64,
    /// Longitude of the named place in degrees, east is positive.
    pub lon: f64,
    /// What tells this zone from the others of its country.
    pub comment: Option<String>,
}

/// Time zones in the order of their file: at least one, every name once.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    zones: Vec<Zone>,
}

impl Table {
    /// Reads text of the form of `zone1970.tab`: lines that start with `#` are comments, every
    /// other line is a row.
    ///
    /// # Errors
    /// The first line that is malformed or names a zone again; a table without a row.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::parse_named(text, "table")
    }

    /// As [`Table::parse`], for text from `file`, which errors then name.
    ///
    /// # Errors
    /// Those of [`Table::parse`].
    pub fn parse_named(text: &str, file: &str) -> Result<Self, ParseError> {
        let at = |line: usize, fault: Fault| ParseError {
            file: file.to_owned(),
            line,
            column: fault.column,
            expected: fault.expected,
            found: fault.found,
        };
        let mut zones: Vec<Zone> = Vec::new();
        let mut lines_by_name = BTreeMap::new();
        for (line, row) in (1..).zip(text.lines()).filter(|(_, row)| !row.starts_with('#')) {
            let zone = row::parse(row).map_err(|fault| at(line, fault))?;
            if let Some(earlier) = lines_by_name.insert(zone.name.clone(), line) {
                let found = format!("{}, which line {earlier} has too", excerpt(&zone.name));
                let expected = "a name that no other line has";
                return Err(at(line, Fault { column: row::NAME, expected, found }));
            }
            zones.push(zone);
        }
        if zones.is_empty() {
            let fault =
                Fault { column: 1, expected: "at least one row", found: "the end".to_owned() };
            return Err(at(text.lines().count() + 1, fault));
        }
        Ok(Self { zones })
    }

    /// The number of zones, at least 1.
    #[allow(clippy::len_without_is_empty, reason = "a table is never empty")]
    pub fn len(&self) -> usize {
        self.zones.len()
    }

    /// All zones, in the order of the file.
    pub fn zones(&self) -> &[Zone] {
        &self.zones
    }

    /// The zone of this name, which is compared exactly.
    pub fn zone(&self, name: &str) -> Option<Zone> {
        self.zones.iter().find(|zone| zone.name == name).cloned()
    }

    /// The zones that overlap `country`, a code of two letters in either case, in the order of the
    /// file. None for a code that the table does not have.
    pub fn zones_of(&self, country: &str) -> Vec<Zone> {
        let overlaps =
            |zone: &&Zone| zone.countries.iter().any(|code| code.eq_ignore_ascii_case(country));
        self.zones.iter().filter(overlaps).cloned().collect()
    }

    /// The zone whose named place is nearest on the great circle. Of places equally far, the first
    /// in the file. `None` if the coordinates (degrees) are not on Earth: latitude beyond ±90,
    /// longitude beyond ±180, or not a number.
    pub fn nearest(&self, lat: f64, lon: f64) -> Option<Zone> {
        if !(-90.0..=90.0).contains(&lat) || !(-180.0..=180.0).contains(&lon) {
            return None;
        }
        let distance = |zone: &Zone| haversine((lat, lon), (zone.lat, zone.lon));
        self.zones.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).cloned()
    }

    /// Sets the comment of the zone `name`. Answers whether that changed anything, so that the same
    /// correction may be made twice.
    ///
    /// # Errors
    /// There is no such zone; the comment is empty, longer than [`MAX_COMMENT`] or holds control
    /// characters, which would break the form of the file.
    pub fn correct(&mut self, name: &str, comment: &str) -> Result<bool, CorrectionError> {
        let length = comment.chars().take(MAX_COMMENT + 1).count();
        if length == 0 || length > MAX_COMMENT || comment.chars().any(char::is_control) {
            return Err(CorrectionError::BadComment { limit: MAX_COMMENT });
        }
        let zone = self
            .zones
            .iter_mut()
            .find(|zone| zone.name == name)
            .ok_or_else(|| CorrectionError::UnknownZone(name.to_owned()))?;
        if zone.comment.as_deref() == Some(comment) {
            return Ok(false);
        }
        zone.comment = Some(comment.to_owned());
        Ok(true)
    }
}

/// The haversine of the central angle between two places in degrees. It rises with the distance, so
/// comparing needs neither the arc nor the radius.
fn haversine((lat_a, lon_a): (f64, f64), (lat_b, lon_b): (f64, f64)) -> f64 {
    let (phi_a, phi_b) = (lat_a.to_radians(), lat_b.to_radians());
    let half = |angle: f64| (angle / 2.0).sin().powi(2);
    half(phi_b - phi_a) + phi_a.cos() * phi_b.cos() * half((lon_b - lon_a).to_radians())
}

#[cfg(test)]
mod tests;
