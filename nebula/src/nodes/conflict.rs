//! Which nodes go by another topology than this one.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fmt;

use macula::directory::{NodeStatus, View};
use macula::identity::NodeId;

use super::topology::TopologyHash;
use crate::call::NodeRef;

/// How many nodes are remembered that have been spoken of.
const REMEMBERED: usize = 16_384;

/// A living node that goes by another topology than this one, so that the two count majorities
/// differently. `Display` is one sentence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TopologyConflict {
    /// The other node.
    pub node: NodeRef,
    /// The hash of this node's topology.
    pub ours: TopologyHash,
    /// The hash of the other node's topology.
    pub theirs: TopologyHash,
}

impl fmt::Display for TopologyConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, ours, theirs } = self;
        write!(f, "{node} goes by the topology {theirs}, and this node by {ours}")
    }
}

/// The hash of the topology that a living node goes by, as far as that is known.
pub(crate) fn hash_of(view: &View, node: &NodeId) -> Option<TopologyHash> {
    let record = view.node(node)?.record.as_ref()?;
    record.topology.map(TopologyHash::from_bytes)
}

/// The nodes that take calls and go by another topology than the node `itself`, by name.
pub(crate) fn conflicts(view: &View, itself: &NodeId) -> Vec<TopologyConflict> {
    let Some(ours) = hash_of(view, itself) else { return Vec::new() };
    let records = view.nodes().iter().filter_map(|node| node.record.as_deref());
    let mut found: Vec<_> = records
        .filter(|record| record.status == NodeStatus::Serving)
        .filter_map(|record| {
            let theirs = record.topology.map(TopologyHash::from_bytes)?;
            let node = NodeRef { id: record.node, name: record.name.as_str().into() };
            (theirs != ours).then_some(TopologyConflict { node, ours, theirs })
        })
        .collect();
    found.sort_by(|a, b| (&a.node.name, a.node.id).cmp(&(&b.node.name, b.node.id)));
    found
}

/// The conflicts that have been spoken of: by node, its hash and this node's.
#[derive(Debug, Default)]
pub(crate) struct Spoken(BTreeMap<NodeId, (TopologyHash, TopologyHash)>);

impl Spoken {
    /// Those of `conflicts`, which are all there are now, that have not been spoken of. A node
    /// of which it is not `known` by what it goes is remembered, lest one that comes and goes is
    /// spoken of each time; one that has come to agree is not.
    pub(crate) fn news<'a>(
        &mut self,
        conflicts: &'a [TopologyConflict],
        known: impl Fn(&NodeId) -> bool,
    ) -> Vec<&'a TopologyConflict> {
        let now: BTreeMap<_, _> =
            conflicts.iter().map(|found| (found.node.id, (found.theirs, found.ours))).collect();
        let crowded = self.0.len() + now.len() > REMEMBERED;
        self.0.retain(|node, _| now.contains_key(node) || !crowded && !known(node));
        let news = conflicts
            .iter()
            .filter(|found| self.0.get(&found.node.id) != Some(&(found.theirs, found.ours)))
            .collect();
        self.0.extend(now);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict(node: u8, ours: u8, theirs: u8) -> TopologyConflict {
        let id = NodeId::from_bytes([node; 32]);
        let node = NodeRef { id, name: format!("n{node}@h").into() };
        let hash = |byte| TopologyHash::from_bytes([byte; 8]);
        TopologyConflict { node, ours: hash(ours), theirs: hash(theirs) }
    }

    #[test]
    fn both_hashes_are_named() {
        assert_eq!(
            conflict(1, 2, 3).to_string(),
            "n1@h goes by the topology 0303030303030303, and this node by 0202020202020202"
        );
    }

    #[test]
    fn each_pair_of_hashes_of_a_node_is_spoken_of_once() {
        let mut spoken = Spoken::default();
        let both = [conflict(1, 2, 3), conflict(2, 2, 4)];
        let alive = |_: &NodeId| true;
        assert_eq!(spoken.news(&both, alive), both.iter().collect::<Vec<_>>());
        assert!(spoken.news(&both, alive).is_empty());
        // Another topology here, or there.
        let ours = [conflict(1, 5, 3), conflict(2, 2, 4)];
        assert_eq!(spoken.news(&ours, alive), [&ours[0]]);
        let theirs = [conflict(1, 5, 3), conflict(2, 2, 6)];
        assert_eq!(spoken.news(&theirs, alive), [&theirs[1]]);
        // One is gone for a while, and comes back as it was.
        let gone = |node: &NodeId| *node != theirs[1].node.id;
        assert!(spoken.news(&theirs[..1], gone).is_empty());
        assert!(spoken.news(&theirs, alive).is_empty());
        // It agreed for a while.
        assert!(spoken.news(&theirs[..1], alive).is_empty());
        assert_eq!(spoken.news(&theirs, alive), [&theirs[1]]);
    }
}
