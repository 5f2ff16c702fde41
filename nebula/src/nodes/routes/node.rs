//! A column of the map.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeSet;

use macula::identity::NodeId;
use serde::{Serialize, Serializer};

use crate::nodes::selector::short_name;

/// A node of a [`Routes`](super::Routes) map. Nodes that share a full name share a column.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RouteNode {
    /// The full name, or the beginning of the id of a node that has not said its name yet.
    pub name: String,
    /// Its tags, by its own word, or else by the topology.
    pub tags: BTreeSet<String>,
    /// How it fares.
    pub state: NodeState,
    /// Whether the topology names it; `None` without a topology.
    pub declared: Option<bool>,
    /// The living nodes of this name. Serializes as texts.
    #[serde(serialize_with = "as_texts")]
    pub ids: BTreeSet<NodeId>,
}

/// How a node of a map fares: of several under one name, the one that fares best.
///
/// Serializes as the name of the variant in small letters.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum NodeState {
    /// It is declared; nobody has looked whether it is there.
    Declared,
    /// It cannot be told: this node has not joined its cluster.
    Unknown,
    /// It is declared and not there.
    Down,
    /// It is shutting down, and takes no new calls.
    Draining,
    /// It is a member, and does not answer: it is asked last.
    Silent,
    /// It is there.
    Up,
    /// It is the node whose view the map is.
    Itself,
}

impl RouteNode {
    /// The part of the name before the `@`, or all of it.
    pub fn short_name(&self) -> &str {
        short_name(&self.name)
    }
}

impl NodeState {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Unknown => "unknown",
            Self::Down => "down",
            Self::Draining => "draining",
            Self::Silent => "silent",
            Self::Up => "up",
            Self::Itself => "itself",
        }
    }
}

impl Serialize for NodeState {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

fn as_texts<S: Serializer>(ids: &BTreeSet<NodeId>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(ids.iter().map(NodeId::to_string))
}
