//! What a configuration is made of, as code says it.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::Table;

use super::error::{ConfigError, Part};
use super::invalid::Invalid;
use super::section::{Merge, Section};

type Make = Box<dyn FnOnce(&Part) -> Result<Section, ConfigError> + Send + Sync>;

/// A configuration to be: a type that serde reads and writes, the values that hold where no layer
/// says anything, and rules of its own.
///
/// ```
/// use nebula::config::{Invalid, Schema};
///
/// #[derive(serde::Deserialize, serde::Serialize)]
/// struct Store {
///     decimals: u8,
/// }
///
/// let schema = Schema::checked(Store { decimals: 2 }, |store| match store.decimals {
///     0..=12 => Ok(()),
///     _ => Err(Invalid::new("decimals", "there are at most 12")),
/// });
/// # drop(schema);
/// ```
pub struct Schema {
    make: Make,
    merge: Option<Merge>,
}

impl Schema {
    /// One whose type says all there is to say.
    pub fn new<C>(defaults: C) -> Self
    where
        C: DeserializeOwned + Serialize + Send + Sync + 'static,
    {
        let make = move |part: &Part| Section::new(part, &defaults, None);
        Self { make: Box::new(make), merge: None }
    }

    /// One that `check` must accept as well, in whole and before it is in force.
    pub fn checked<C>(
        defaults: C,
        check: impl Fn(&C) -> Result<(), Invalid> + Send + Sync + 'static,
    ) -> Self
    where
        C: DeserializeOwned + Serialize + Send + Sync + 'static,
    {
        let make = move |part: &Part| Section::new(part, &defaults, Some(Box::new(check)));
        Self { make: Box::new(make), merge: None }
    }

    /// Merges a layer in its own way: from what is there and what the layer says it makes what
    /// becomes of the two, which is final; `None` for the usual way, key by key.
    pub fn merged(
        mut self,
        merge: impl Fn(&Table, &Table) -> Result<Option<Table>, String> + Send + Sync + 'static,
    ) -> Self {
        self.merge = Some(Arc::new(merge));
        self
    }

    pub(crate) fn section(self, part: &Part) -> Result<Section, ConfigError> {
        let section = (self.make)(part)?;
        Ok(match self.merge {
            Some(merge) => section.merging(merge),
            None => section,
        })
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}
