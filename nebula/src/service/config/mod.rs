//! The configuration of a service and of its plugins.
//!
//! Promise: it is typed, and checked as a whole before anything changes; readers see all of one
//! configuration or all of the next; what is wrong is said with its key, the layer that gave it,
//! its value and what was expected.
//!
//! Protocol: each [`Section`] (the service, each plugin) brings its type, its defaults and its
//! rules. Each layer is read into a [`Given`], whose values know where they come from. The
//! [`ConfigCell`] keeps the layers apart ([`layers`]); a change is planned, for which all layers are
//! folded anew and read ([`reader`]), and then committed. The plan says which sections are
//! affected, so that only those are told, and only what asks for it is restarted.
//!
//! Limits: 1 MiB a text, 32 keys in each other, 10 000 values a layer. Integers are those of TOML:
//! from `i64::MIN` to `i64::MAX`.

mod cell;
mod environment;
mod error;
mod fault;
mod file;
mod given;
mod invalid;
mod key;
mod layer;
mod layers;
mod node;
mod patch;
mod reader;
mod schema;
mod section;
mod shown;
mod state;
#[cfg(test)]
mod tests;
mod text;
mod unused;
mod watched;

pub(crate) use cell::ConfigCell;
pub use error::ConfigError;
pub(crate) use error::Part;
pub(crate) use file::read_file;
pub(crate) use given::Given;
pub use invalid::Invalid;
pub use layer::{Layer, Origin};
pub use patch::Patch;
pub use schema::Schema;
pub(crate) use section::{AnyConfig, Section};
pub(crate) use state::{Change, Sections};
pub use watched::Watched;
