//! How nodes find each other: seeds, and the runtime directory of one machine.

mod driver;
pub(crate) mod local;
mod seed;

pub use driver::{Joining, Tried};
pub use local::LocalError;

pub(crate) use driver::join;
pub(crate) use seed::Seed;
