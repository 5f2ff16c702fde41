//! nebula

pub mod call;
#[cfg_attr(not(test), expect(dead_code, reason = "the node that refuses to start is to come"))]
mod error;
pub mod nodes;
pub mod service;

pub use error::Error;

/// What a program of this crate returns: a value, or an [`Error`] that explains itself.
pub type Result<T, E = Error> = std::result::Result<T, E>;
