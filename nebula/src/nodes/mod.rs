//! What is known of the nodes, and how some of them are chosen.
//!
//! A [`Topology`] says which nodes are configured, a [`Nodes`] snapshot which ones are there now
//! and how they fare, a [`Selector`] which of them a call is for, and a [`Policy`] which of those
//! is asked first.

mod balance;
pub(crate) mod callers;
pub(crate) mod choices;
pub(crate) mod conflict;
pub(crate) mod info;
pub(crate) mod inspect;
mod instances;
pub(crate) mod known;
pub(crate) mod live;
pub(crate) mod measures;
mod outlier;
pub(crate) mod parse;
pub(crate) mod policy;
mod rendezvous;
mod routes;
pub(crate) mod runtime;
pub(crate) mod sample;
pub(crate) mod selector;
pub(crate) mod snapshot;
mod text;
pub(crate) mod topology;
pub(crate) mod trouble;
mod unknown;
mod version;

pub use conflict::TopologyConflict;
pub use info::{NodeFacts, NodeInfo};
pub(crate) use instances::Profile;
pub use instances::{DiscoveryWatch, InstanceMethod, MissingServices, ServiceInstance};
pub use known::{IntoSelector, NodeName, Tag};
pub use parse::{SelectorFault, SelectorParseError, parse};
pub use policy::{Policy, UnknownPolicy};
pub use rendezvous::StickyKey;
pub use routes::{
    Coloured, NodeState, Route, RouteCell, RouteMethod, RouteNode, Routes, RoutesWatch, Sort,
};
pub use runtime::Runtime;
pub use selector::{Selector, node, tag};
pub use snapshot::{Nodes, NodesIter};
pub use topology::{Topology, TopologyError, TopologyHash};
pub use unknown::UnknownInSelector;
pub(crate) use unknown::closest;
pub(crate) use version::is_version;
pub use version::{BadVersion, VersionRequirement};
