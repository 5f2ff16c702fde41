//! A configuration that code hands over.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::fmt;

use serde::Serialize;
use toml::Table;

use super::error::ConfigError;
use super::layer::{Layer, Origin};
use super::node::Node;
use super::text;

/// Some values of a configuration, which are put over those that are there: a text in TOML, a
/// [`Table`], or any value that serde can write as a table.
///
/// Tables are merged key by key, to any depth; arrays and all else are replaced. The sections of
/// plugins are below `plugins`. At most 1 MiB of text, 32 keys in each other and 10 000 values.
///
/// ```
/// use nebula::config::{ConfigError, Patch};
///
/// #[derive(serde::Serialize)]
/// struct Store {
///     decimals: Option<u8>,
///     currency: Option<String>,
/// }
///
/// # fn main() -> Result<(), ConfigError> {
/// let text: Patch = "decimals = 4\n[plugins.rate_limit]\nper_second = 500".into();
/// let typed = Patch::of(&Store { decimals: Some(4), currency: None })?;
/// # Ok(())
/// # }
/// ```
///
/// `Debug` does not show the values, as there may be secrets among them.
#[derive(Clone)]
pub struct Patch(Inner);

#[derive(Clone)]
enum Inner {
    Text(String),
    Table(Table),
}

impl Patch {
    /// The values of a struct or a map; those that are `None` are not given.
    ///
    /// # Errors
    ///
    /// What TOML has no form for: anything but a table with keys that are strings, integers over
    /// `i64::MAX`, and `None` in an array.
    pub fn of(value: &impl Serialize) -> Result<Self, ConfigError> {
        let table = Table::try_from(value).map_err(|error| ConfigError::Unwritable {
            what: "the patch of a configuration".to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self(Inner::Table(table)))
    }

    pub(super) fn into_node(self, layer: Layer) -> Result<Node, ConfigError> {
        match self.0 {
            Inner::Text(text) => text::parse(&text, &|line| Origin::in_text(layer, line)),
            Inner::Table(table) => {
                let origin = Origin::whole(layer);
                Node::from_value(table.into(), &origin)
                    .map_err(|bound| ConfigError::of_bound(bound, origin))
            }
        }
    }
}

impl From<&str> for Patch {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Patch {
    fn from(text: String) -> Self {
        Self(Inner::Text(text))
    }
}

impl From<Table> for Patch {
    fn from(table: Table) -> Self {
        Self(Inner::Table(table))
    }
}

impl fmt::Debug for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patch").finish_non_exhaustive()
    }
}
