#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Why the registry refuses.

/// A name that another value has. Nothing was registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name `{name}` is taken by a value of the type `{holder}`: choose another one, or drop \
     what was registered under it first"
)]
pub struct NameTaken {
    name: Box<str>,
    holder: &'static str,
}

impl NameTaken {
    pub(crate) fn new(name: &str, holder: &'static str) -> Self {
        Self { name: name.into(), holder }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Why a value of a [`Domain`](super::Domain) was not changed: what fails leaves no trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// There is none.
    #[error(
        "`{key}` in `{domain}` has no value: put one there first, for example with `put_new(..)` \
         where the service starts"
    )]
    Missing {
        /// The domain.
        domain: Box<str>,
        /// The key.
        key: Box<str>,
    },
    /// It is of another type.
    #[error("`{key}` in `{domain}` is of the type `{found}`, where `{expected}` was expected")]
    WrongType {
        /// The domain.
        domain: Box<str>,
        /// The key.
        key: Box<str>,
        /// The type of the value.
        found: &'static str,
        /// The type that it should have had.
        expected: &'static str,
    },
    /// The sum is less than `i64::MIN` or more than `i64::MAX`.
    #[error("`{key}` in `{domain}` is {value}: adding {by} to it is too much for an `i64`")]
    Overflow {
        /// The domain.
        domain: Box<str>,
        /// The key.
        key: Box<str>,
        /// The value.
        value: i64,
        /// What was to be added.
        by: i64,
    },
    /// The code that changes it has panicked.
    #[error("the update of `{key}` in `{domain}` panicked: {message}")]
    Panicked {
        /// The domain.
        domain: Box<str>,
        /// The key.
        key: Box<str>,
        /// The message of the panic, at most 1 KiB of it.
        message: String,
    },
    /// The value was put or removed meanwhile, by what does not wait: this or another update, from
    /// its inside, or the shutdown of the node. What the update made of the value is lost.
    #[error(
        "`{key}` in `{domain}` was put or removed while it was being updated: put and remove \
         nothing from inside an update"
    )]
    Overtaken {
        /// The domain.
        domain: Box<str>,
        /// The key.
        key: Box<str>,
    },
    /// An update of any value, in any registry, is running on this thread, and must not begin
    /// another change that may have to wait.
    #[error("`{key}` in `{domain}` cannot be changed from inside an update: do it after that")]
    Nested {
        /// The domain.
        domain: Box<str>,
        /// The key.
        key: Box<str>,
    },
}
