//! What a program of this crate usually names: `use nebula::prelude::*;`.
//!
//! No derive of another crate is here: a program depends on `serde` itself.

pub use crate::call::{
    Call, CallError, Entry, Executed, FirstError, QuorumError, Replies, Reply, Votes, at_least,
    available_majority, majority,
};
pub use crate::context::Context;
pub use crate::node::Node;
pub use crate::nodes::{Policy, Selector, Topology, node, tag};
pub use crate::status::{IntoStatus, Status};
pub use macula_macros::{IntoStatus, api, sel, service};
