//! What `validate` says of a configuration it does not take.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

/// A configuration of the right type that makes no sense: which key, and why.
///
/// The error that is made of it adds where the value was given, and the value.
///
/// ```
/// use nebula::config::Invalid;
///
/// struct Store { decimals: u8 }
///
/// fn validate(store: &Store) -> Result<(), Invalid> {
///     match store.decimals {
///         0..=12 => Ok(()),
///         _ => Err(Invalid::new("decimals", "there are at most 12")),
///     }
/// }
/// assert!(validate(&Store { decimals: 13 }).is_err());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invalid {
    pub(super) key: String,
    pub(super) message: String,
}

impl Invalid {
    /// The key, as in `pool.sizes[2]` and without the section of the plugin around it, and a
    /// sentence without a capital letter or a full stop. It is shown as it is: leave secrets out.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }

    /// No one key is to blame.
    pub fn whole(message: impl Into<String>) -> Self {
        Self::new("", message)
    }
}
