//! What is known of the nodes, and how some of them are chosen.
//!
//! A [`Topology`] says which nodes are configured, a [`Nodes`] snapshot which ones are there now
//! and how they fare, a [`Selector`] which of them a call is for, and a [`Policy`] which of those
//! is asked first.

mod balance;
pub(crate) mod choices;
pub(crate) mod info;
pub(crate) mod live;
mod outlier;
pub(crate) mod parse;
pub(crate) mod policy;
mod rendezvous;
pub(crate) mod runtime;
pub(crate) mod sample;
pub(crate) mod selector;
pub(crate) mod snapshot;
pub(crate) mod topology;
pub(crate) mod trouble;
mod unknown;

pub use info::{NodeFacts, NodeInfo};
pub use parse::{SelectorFault, SelectorParseError, parse};
pub use policy::{Policy, UnknownPolicy};
pub use rendezvous::StickyKey;
pub use runtime::Runtime;
pub use selector::{Selector, node, tag};
pub use snapshot::{Nodes, NodesIter};
pub use topology::{Topology, TopologyError};
pub use unknown::UnknownInSelector;
