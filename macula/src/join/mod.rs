//! How nodes find each other: seeds, and the runtime directory of one machine.

pub(crate) mod local;
