//! Nodes of a vote that count by different topologies: two such majorities need not share a node.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::fmt;

use macula::directory::View;
use macula::identity::NodeId;

use super::super::{NodeRef, QuorumError};
use crate::nodes::TopologyHash;
use crate::nodes::conflict::hash_of;

/// How many topologies a sentence names beside this node's.
const MAX_NAMED: usize = 3;

/// By which topologies the nodes of a vote count that do not agree.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Disagreement {
    ours: Option<TopologyHash>,
    theirs: Vec<(NodeRef, TopologyHash)>,
}

impl Disagreement {
    /// Of a vote that the node `itself` holds by the topology `ours`; `None` if it and those of the
    /// targets that have a topology have the same one.
    pub(crate) fn among(
        ours: Option<TopologyHash>,
        targets: &[NodeRef],
        itself: &NodeId,
        view: &View,
    ) -> Option<Self> {
        let others = targets.iter().filter(|target| target.id != *itself);
        Self::of(ours, others.filter_map(|node| Some((node.clone(), hash_of(view, &node.id)?))))
    }

    fn of(
        ours: Option<TopologyHash>,
        others: impl Iterator<Item = (NodeRef, TopologyHash)>,
    ) -> Option<Self> {
        let mut theirs: Vec<_> = others.collect();
        let (_, first) = theirs.first()?;
        let one = ours.unwrap_or(*first);
        if theirs.iter().all(|(_, hash)| *hash == one) {
            return None;
        }
        // Without one here, nobody can be said to be right.
        theirs.retain(|(_, hash)| Some(*hash) != ours);
        Some(Self { ours, theirs })
    }
}

impl<T, E> From<Disagreement> for QuorumError<T, E> {
    fn from(Disagreement { ours, theirs }: Disagreement) -> Self {
        Self::TopologyMismatch { ours, theirs }
    }
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self.ours, &self.theirs, f)
    }
}

/// One sentence with a node for each topology, and with `{:#}` a line for each node.
pub(crate) fn write(
    ours: Option<TopologyHash>,
    theirs: &[(NodeRef, TopologyHash)],
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    f.write_str("a majority was refused before any call: ")?;
    match ours {
        Some(ours) => write!(f, "this node counts by the topology {ours}, and ")?,
        None => f.write_str("the targeted nodes count by different topologies, ")?,
    }
    let mut named: Vec<&(NodeRef, TopologyHash)> = Vec::new();
    for other in theirs {
        if named.len() < MAX_NAMED && named.iter().all(|(_, hash)| *hash != other.1) {
            named.push(other);
        }
    }
    for (index, (node, hash)) in named.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(f, "{comma}{node} by {hash}")?;
    }
    if let more @ 1.. = theirs.len().saturating_sub(named.len()) {
        let nodes = if more == 1 { "node" } else { "nodes" };
        write!(f, " ({more} more {nodes})")?;
    }
    f.write_str("; give all nodes the same one, when they start or by `Node::reload_topology`")?;
    if f.alternate() {
        for (node, hash) in theirs {
            write!(f, "\n  {node}: {hash}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::reply::tests::node;

    fn of(ours: Option<u8>, theirs: &[u8]) -> Option<Disagreement> {
        let hash = |byte| TopologyHash::from_bytes([byte; 8]);
        let others = theirs.iter().zip(1..).map(|(byte, number)| (node(number), hash(*byte)));
        Disagreement::of(ours.map(hash), others)
    }

    #[test]
    fn more_than_one_topology_is_a_disagreement() {
        for (ours, theirs) in
            [(None, &[][..]), (None, &[1]), (None, &[1, 1]), (Some(1), &[]), (Some(1), &[1, 1])]
        {
            assert_eq!(of(ours, theirs), None, "{ours:?} {theirs:?}");
        }
        let nodes = |found: Option<Disagreement>| {
            let theirs = found.unwrap().theirs.into_iter();
            theirs.map(|(node, _)| node.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(nodes(of(Some(1), &[1, 2, 1, 3])), ["n2@h", "n4@h"]);
        assert_eq!(nodes(of(None, &[1, 2])), ["n1@h", "n2@h"]);
    }

    #[test]
    fn the_sentence_names_each_topology_and_what_to_do() {
        let end = "; give all nodes the same one, when they start or by `Node::reload_topology`";
        let found = of(Some(1), &[2]).unwrap();
        let sentence = format!(
            "a majority was refused before any call: this node counts by the topology \
             0101010101010101, and n1@h by 0202020202020202{end}"
        );
        assert_eq!(found.to_string(), sentence);
        assert_eq!(format!("{found:#}"), format!("{sentence}\n  n1@h: 0202020202020202"));
        let error = QuorumError::<()>::from(found);
        assert_eq!(error.to_string(), sentence);

        let sentence = of(None, &[2, 2, 3, 4, 5, 5]).unwrap().to_string();
        assert_eq!(
            sentence,
            format!(
                "a majority was refused before any call: the targeted nodes count by different \
                 topologies, n1@h by 0202020202020202, n3@h by 0303030303030303, n4@h by \
                 0404040404040404 (3 more nodes){end}"
            )
        );
    }
}
