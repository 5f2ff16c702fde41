//! All nodes that are known, at one moment.
//!
//! Promise: reading does no I/O and never waits; the snapshot does not change under its reader;
//! what its iterators give is owned, so a closure may return one. A node that is configured but
//! was never heard of is not in it; one that never sent a sample is, without the sample.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::cmp::Reverse;
use std::fmt;
use std::iter::FusedIterator;
use std::ops::Range;
use std::sync::Arc;

use macula::identity::NodeId;

use super::info::NodeInfo;
use super::selector::Selector;

/// The nodes that are known, sorted by full name and then by id. A clone is one reference count.
///
/// ```
/// # use nebula::nodes::{NodeInfo, Nodes};
/// fn emptiest(nodes: Nodes) -> Option<NodeInfo> {
///     nodes.connected().min_by_key(|node| node.memory_permille())
/// }
/// # assert!(emptiest(Nodes::new(Vec::new())).is_none());
/// ```
#[derive(Clone)]
pub struct Nodes(Arc<Inner>);

struct Inner {
    by_name: Box<[NodeInfo]>,
    /// Positions in `by_name`, sorted by the id found there.
    by_id: Box<[usize]>,
}

impl Nodes {
    /// A snapshot of these nodes. Of several with the same id the first one is kept.
    pub fn new(mut nodes: Vec<NodeInfo>) -> Self {
        nodes.sort_by_key(NodeInfo::id);
        nodes.dedup_by_key(|node| node.id());
        nodes.sort_by(|a, b| a.name().cmp(b.name()).then_with(|| a.id().cmp(&b.id())));
        let by_name = nodes.into_boxed_slice();
        let mut by_id: Box<[usize]> = (0..by_name.len()).collect();
        by_id.sort_by_key(|i| by_name[*i].id());
        Self(Arc::new(Inner { by_name, by_id }))
    }

    /// How many nodes are known, connected or not.
    pub fn len(&self) -> usize {
        self.0.by_name.len()
    }

    /// Whether no node is known.
    pub fn is_empty(&self) -> bool {
        self.0.by_name.is_empty()
    }

    /// All nodes.
    pub fn iter(&self) -> NodesIter {
        NodesIter { nodes: self.clone(), left: 0..self.len() }
    }

    /// The nodes that membership holds for alive and reachable, draining ones among them.
    pub fn connected(&self) -> impl Iterator<Item = NodeInfo> + use<> {
        self.chosen(NodeInfo::connected)
    }

    /// The nodes that carry a tag, connected or not.
    pub fn with_tag(&self, tag: &str) -> impl Iterator<Item = NodeInfo> + use<> {
        let tag = tag.to_owned();
        self.chosen(move |node| node.has_tag(&tag))
    }

    /// The nodes that a selector means, connected or not.
    pub fn matching(&self, selector: &Selector) -> impl Iterator<Item = NodeInfo> + use<> {
        let selector = selector.clone();
        self.chosen(move |node| node.matches(&selector))
    }

    /// The nodes of which `chosen` is true. Only those are cloned.
    fn chosen<F: Fn(&NodeInfo) -> bool>(
        &self,
        chosen: F,
    ) -> impl Iterator<Item = NodeInfo> + use<F> {
        let Self(inner) = self.clone();
        (0..inner.by_name.len()).filter_map(move |i| {
            let node = &inner.by_name[i];
            chosen(node).then(|| node.clone())
        })
    }

    /// The node with this id.
    pub fn get(&self, id: NodeId) -> Option<NodeInfo> {
        let Inner { by_name, by_id } = &*self.0;
        let place = by_id.binary_search_by_key(&id, |i| by_name[*i].id()).ok()?;
        Some(by_name[by_id[place]].clone())
    }

    /// The node with this full name. Nothing keeps two nodes from taking the same name: of those
    /// it is the connected one, and then the one with the lowest id. For all nodes of a short name
    /// see [`matching`](Self::matching) with [`node`](super::node).
    pub fn by_name(&self, name: &str) -> Option<NodeInfo> {
        let all = &self.0.by_name;
        let from = all.partition_point(|node| node.name() < name);
        let of_name = all[from..].iter().take_while(|node| node.name() == name);
        of_name.min_by_key(|node| Reverse(node.connected())).cloned()
    }
}

impl fmt::Debug for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&*self.0.by_name).finish()
    }
}

impl IntoIterator for Nodes {
    type Item = NodeInfo;
    type IntoIter = NodesIter;

    fn into_iter(self) -> NodesIter {
        self.iter()
    }
}

impl IntoIterator for &Nodes {
    type Item = NodeInfo;
    type IntoIter = NodesIter;

    fn into_iter(self) -> NodesIter {
        self.iter()
    }
}

/// The nodes of a snapshot, which it keeps alive.
#[derive(Clone, Debug)]
pub struct NodesIter {
    nodes: Nodes,
    left: Range<usize>,
}

impl Iterator for NodesIter {
    type Item = NodeInfo;

    fn next(&mut self) -> Option<NodeInfo> {
        self.left.next().map(|i| self.nodes.0.by_name[i].clone())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl DoubleEndedIterator for NodesIter {
    fn next_back(&mut self) -> Option<NodeInfo> {
        self.left.next_back().map(|i| self.nodes.0.by_name[i].clone())
    }
}

impl ExactSizeIterator for NodesIter {}

impl FusedIterator for NodesIter {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodes::{NodeFacts, Runtime, node, tag};

    fn id(byte: u8) -> NodeId {
        NodeId::from_bytes([byte; 32])
    }

    fn info(byte: u8, name: &str, tags: &[&str], connected: bool) -> NodeInfo {
        let tags = tags.iter().map(|tag| tag.to_string()).collect();
        NodeInfo::new(NodeFacts { tags, connected, ..NodeFacts::new(id(byte), name) })
    }

    fn sample() -> Nodes {
        Nodes::new(vec![
            info(4, "web@h2", &["web", "edge"], true),
            info(3, "db@h2", &["db"], true),
            info(9, "db@h1", &["db"], false),
            info(5, "db@h1", &["db", "edge"], false),
            info(7, "db@h1", &["db"], true),
        ])
    }

    fn ids(nodes: impl Iterator<Item = NodeInfo>) -> Vec<u8> {
        nodes.map(|node| node.id().as_bytes()[0]).collect()
    }

    #[test]
    fn is_sorted_by_name_and_id_whatever_the_order_it_was_given() {
        assert_eq!(ids(sample().iter()), [5, 7, 9, 3, 4]);
        let reversed = Nodes::new(sample().iter().rev().collect());
        assert_eq!(ids(reversed.iter()), [5, 7, 9, 3, 4]);
        assert_eq!((sample().len(), sample().iter().len()), (5, 5));
        assert!(!sample().is_empty() && Nodes::new(vec![]).is_empty());
    }

    #[test]
    fn a_node_is_found_by_id_and_by_full_name() {
        let nodes = sample();
        for byte in [3, 4, 5, 7, 9] {
            assert_eq!(nodes.get(id(byte)).unwrap().id(), id(byte));
        }
        assert!(nodes.get(id(6)).is_none());
        assert_eq!(nodes.by_name("db@h1").unwrap().id(), id(7), "the connected one");
        assert_eq!(nodes.by_name("web@h2").unwrap().id(), id(4));
        assert!(nodes.by_name("db").is_none() && nodes.by_name("zz").is_none());
    }

    #[test]
    fn an_id_is_listed_once() {
        let twice = Nodes::new(vec![info(1, "b", &[], true), info(1, "a", &[], true)]);
        assert_eq!(twice.len(), 1);
        assert_eq!(twice.get(id(1)).unwrap().name(), "b");
    }

    #[test]
    fn the_iterators_choose() {
        let nodes = sample();
        assert_eq!(ids(nodes.connected()), [7, 3, 4]);
        assert_eq!(ids(nodes.with_tag("edge")), [5, 4]);
        assert_eq!(ids(nodes.matching(&(node("db") & !tag("edge")))), [7, 9, 3]);
        assert!(ids(nodes.matching(&!Selector::any())).is_empty());
    }

    #[test]
    fn what_they_give_outlives_the_snapshot() {
        fn choose<I: IntoIterator<Item = NodeInfo>>(f: impl FnOnce(Nodes) -> I) -> Vec<u8> {
            ids(f(sample()).into_iter())
        }
        assert_eq!(choose(|nodes| nodes), [5, 7, 9, 3, 4]);
        assert_eq!(choose(|nodes| nodes.connected()), [7, 3, 4]);
        assert_eq!(choose(|nodes| nodes.with_tag(&String::from("web"))), [4]);
        assert_eq!(choose(|nodes| nodes.matching(&tag("web"))), [4]);
    }

    #[test]
    fn the_least_memory_is_found_among_those_that_are_known() {
        let with_memory = |byte, memory_used| {
            let runtime = Runtime { memory_used, memory_total: 100, ..Runtime::default() };
            let facts = NodeFacts::new(id(byte), "n");
            NodeInfo::new(NodeFacts { runtime: Some(runtime), ..facts })
        };
        let silent = info(1, "n", &[], true);
        let nodes = Nodes::new(vec![silent, with_memory(2, 90), with_memory(3, 80)]);
        let best = nodes.connected().min_by_key(|n| n.memory_permille());
        assert_eq!(best.unwrap().id(), id(3));
    }
}
