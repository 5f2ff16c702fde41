#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::record::{NodeRecord, NodeStatus};
use crate::identity::NodeId;

/// What a node knows of its cluster at one moment: the living members and their records.
///
/// A view never changes; the node publishes a new one with each piece of news.
#[derive(Clone, Debug, Default)]
pub struct View {
    nodes: Vec<NodeView>,
    providers: BTreeMap<u64, Vec<Provider>>,
    /// The record of a living node has not arrived.
    lacks: bool,
}

/// One living node.
#[derive(Clone, Debug)]
pub struct NodeView {
    /// The node.
    pub id: NodeId,
    /// Where it can be dialled.
    pub addr: SocketAddr,
    /// What it says of itself; none until its record has arrived.
    pub record: Option<Arc<NodeRecord>>,
}

/// A node that serves a method.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Provider {
    /// The node.
    pub node: NodeId,
    /// The shape of the method there.
    pub key: [u8; 8],
}

impl View {
    /// Puts the living members together with the records that are known of them.
    pub(crate) fn new(mut nodes: Vec<NodeView>) -> Self {
        nodes.sort_by_key(|node| node.id);
        let mut providers: BTreeMap<u64, Vec<Provider>> = BTreeMap::new();
        for node in &nodes {
            let Some(record) = &node.record else { continue };
            if record.status != NodeStatus::Serving {
                continue;
            }
            for method in record.services.iter().flat_map(|service| &service.methods) {
                let provider = Provider { node: node.id, key: method.key };
                providers.entry(method.id).or_default().push(provider);
            }
        }
        let lacks = nodes.iter().any(|node| node.record.is_none());
        Self { nodes, providers, lacks }
    }

    /// The living nodes, this one among them, in the order of their ids.
    pub fn nodes(&self) -> &[NodeView] {
        &self.nodes
    }

    /// One living node.
    pub fn node(&self, id: &NodeId) -> Option<&NodeView> {
        let at = self.nodes.binary_search_by_key(id, |node| node.id).ok()?;
        self.nodes.get(at)
    }

    /// The nodes that serve the method with this wire id and take calls, in the order of their
    /// ids.
    pub fn providers(&self, method: u64) -> &[Provider] {
        self.providers.get(&method).map_or(&[], Vec::as_slice)
    }

    /// Whether the record of each living node has arrived.
    pub fn is_complete(&self) -> bool {
        !self.lacks
    }
}
