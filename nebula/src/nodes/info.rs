//! What is known of one node at one moment.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use macula::identity::NodeId;

use super::runtime::Runtime;
use super::selector::{Selector, short_name};

/// What is known of one node, as of the [`Nodes`](super::Nodes) snapshot it comes from.
///
/// Reading one does no I/O, and a clone is one reference count. How old a figure may be before it
/// is no longer believed is for the reader to judge, from [`last_seen`](Self::last_seen).
#[derive(Clone)]
pub struct NodeInfo(Arc<NodeFacts>);

/// What a [`NodeInfo`] is made of: for whoever keeps the snapshot, and for tests of closures that
/// choose nodes.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NodeFacts {
    /// The key that nobody else has.
    pub id: NodeId,
    /// The full name, such as `db-1@host`, or a name without any `@`.
    pub name: String,
    /// The tags the node carries.
    pub tags: BTreeSet<String>,
    /// Whether membership holds it for alive and reachable.
    pub connected: bool,
    /// Whether it is shutting down: it finishes its calls and refuses new ones.
    pub draining: bool,
    /// Whether it is the node that asks.
    pub is_self: bool,
    /// How old the sample was when the snapshot was taken.
    pub last_seen: Option<Duration>,
    /// The last sample, if there ever was one.
    pub runtime: Option<Runtime>,
    /// The last load it reported: how many calls of other nodes ran and waited there.
    pub load: Option<u16>,
    /// The names of the services it offers to the cluster.
    pub services: BTreeSet<String>,
}

impl NodeFacts {
    /// A connected node of this full name, of which nothing else is known.
    pub fn new(id: NodeId, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
            tags: BTreeSet::new(),
            connected: true,
            draining: false,
            is_self: false,
            last_seen: None,
            runtime: None,
            load: None,
            services: BTreeSet::new(),
        }
    }
}

impl NodeInfo {
    /// What the orderings say of a node they know nothing of: more than any node that is known.
    const UNKNOWN: u32 = 1001;

    /// Puts facts into their shared form.
    pub fn new(facts: NodeFacts) -> Self {
        Self(Arc::new(facts))
    }

    /// The key that nobody else has.
    pub fn id(&self) -> NodeId {
        self.0.id
    }

    /// The full name, such as `db-1@host`, or a name without any `@`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The part of the name before the `@`, or all of it.
    pub fn short_name(&self) -> &str {
        short_name(&self.0.name)
    }

    /// The part of the name behind the `@`, if it has one.
    pub fn host(&self) -> Option<&str> {
        self.0.name.split_once('@').map(|(_, host)| host)
    }

    /// The tags the node carries.
    pub fn tags(&self) -> &BTreeSet<String> {
        &self.0.tags
    }

    /// Whether the node carries this tag.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.0.tags.contains(tag)
    }

    /// Whether the selector means this node.
    pub fn matches(&self, selector: &Selector) -> bool {
        selector.matches(&self.0.name, &self.0.tags)
    }

    /// Whether membership holds it for alive and reachable. A draining node still is.
    pub fn connected(&self) -> bool {
        self.0.connected
    }

    /// Whether it is shutting down: it finishes its calls and refuses new ones.
    pub fn draining(&self) -> bool {
        self.0.draining
    }

    /// Whether it is the node that asks.
    pub fn is_self(&self) -> bool {
        self.0.is_self
    }

    /// How old the sample was when the snapshot was taken, or `None` if there never was one.
    pub fn last_seen(&self) -> Option<Duration> {
        self.0.last_seen
    }

    /// The last sample, whatever its age, or `None` if there never was one.
    pub fn runtime(&self) -> Option<&Runtime> {
        self.0.runtime.as_ref()
    }

    /// The last load it reported: a plain count of the calls of other nodes that ran and waited
    /// there. It comes with each reply to this node, so it may be newer than
    /// [`runtime`](Self::runtime); `None` without a connection.
    pub fn load(&self) -> Option<u16> {
        self.0.load
    }

    /// The names of the services it offers to the cluster, sorted.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.0.services.iter().map(String::as_str)
    }

    /// Memory in use on its machine, in thousandths (0 to 1000). 1001 if that is not known, so
    /// that `min_by_key` never prefers a node that nothing is known of.
    pub fn memory_permille(&self) -> u32 {
        self.runtime().and_then(Runtime::memory_permille).unwrap_or(Self::UNKNOWN)
    }

    /// How busy the processors of its machine are, in thousandths of all of them (0 to 1000).
    /// 1001 if that is not known, so that `min_by_key` never prefers a node that nothing is known
    /// of.
    pub fn cpu_permille(&self) -> u32 {
        let measured = self.runtime().filter(|runtime| runtime.memory_total > 0);
        measured.map_or(Self::UNKNOWN, |runtime| runtime.cpu_permille.min(1000).into())
    }
}

impl fmt::Debug for NodeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodes::{node, tag};

    fn id() -> NodeId {
        NodeId::from_bytes([7; 32])
    }

    #[test]
    fn a_name_has_two_parts_or_one() {
        let info = NodeInfo::new(NodeFacts::new(id(), "db-1@h1"));
        assert_eq!((info.short_name(), info.host()), ("db-1", Some("h1")));
        let info = NodeInfo::new(NodeFacts::new(id(), "db-1"));
        assert_eq!((info.name(), info.short_name(), info.host()), ("db-1", "db-1", None));
    }

    #[test]
    fn a_node_of_which_nothing_is_known_is_never_preferred() {
        let unknown = NodeInfo::new(NodeFacts::new(id(), "a"));
        assert_eq!((unknown.memory_permille(), unknown.cpu_permille()), (1001, 1001));
        assert_eq!((unknown.last_seen(), unknown.load()), (None, None));

        let unmeasured =
            NodeFacts { runtime: Some(Runtime::default()), ..NodeFacts::new(id(), "b") };
        let unmeasured = NodeInfo::new(unmeasured);
        assert_eq!((unmeasured.memory_permille(), unmeasured.cpu_permille()), (1001, 1001));

        let full =
            Runtime { cpu_permille: 1000, memory_used: 9, memory_total: 9, ..Runtime::default() };
        let full = NodeInfo::new(NodeFacts { runtime: Some(full), ..NodeFacts::new(id(), "c") });
        assert_eq!((full.memory_permille(), full.cpu_permille()), (1000, 1000));
        let best = [unknown, unmeasured, full].into_iter().min_by_key(NodeInfo::memory_permille);
        assert_eq!(best.unwrap().name(), "c");
    }

    #[test]
    fn is_chosen_by_its_name_and_tags() {
        let tags = ["db".to_owned(), "eu".to_owned()].into();
        let info = NodeInfo::new(NodeFacts { tags, ..NodeFacts::new(id(), "db-1@h1") });
        assert!(info.has_tag("db") && !info.has_tag("us"));
        assert!(info.matches(&(tag("db") & node("db-1") & !tag("us"))));
        assert!(!info.matches(&!node("db-1@h1")));
    }

    #[test]
    fn services_are_listed_in_order() {
        let services = ["b".to_owned(), "a".to_owned()].into();
        let info = NodeInfo::new(NodeFacts { services, ..NodeFacts::new(id(), "n") });
        assert_eq!(info.services().collect::<Vec<_>>(), ["a", "b"]);
    }
}
