//! What is known of the nodes, and how some of them are chosen.

pub(crate) mod balance;
pub(crate) mod info;
pub(crate) mod parse;
pub(crate) mod sample;
pub(crate) mod selector;
pub(crate) mod snapshot;
pub(crate) mod topology;
