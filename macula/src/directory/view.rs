#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::record::{NodeRecord, NodeStatus};
use crate::identity::NodeId;

/// What a node knows of its cluster at one moment: the living members and their records.
///
/// A view never changes; the node publishes a new one with the news, which shares with the one before
/// whatever that news was not about.
#[derive(Clone, Debug, Default)]
pub struct View {
    nodes: Vec<NodeView>,
    /// Each list as long as no record of a node in it changes.
    providers: BTreeMap<u64, Arc<[Provider]>>,
    /// Living nodes whose records have not arrived.
    lacking: usize,
}

/// What has become of nodes since a view: nothing any more of those that are gone.
pub type Changes = BTreeMap<NodeId, Option<NodeView>>;

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
    /// The view that follows this one. It costs a copy of the list of nodes, and of the lists of those
    /// methods that the nodes in question serve or served; of all others nothing.
    pub fn after(&self, changes: Changes) -> Self {
        let mut touched: BTreeMap<u64, Vec<Provider>> = BTreeMap::new();
        for (id, after) in &changes {
            let before = self.node(id);
            let record = |node: &NodeView| node.record.clone();
            let (before, after) = (before.and_then(record), after.as_ref().and_then(record));
            let same = match (&before, &after) {
                (Some(before), Some(after)) => Arc::ptr_eq(before, after),
                (before, after) => before.is_none() && after.is_none(),
            };
            if same {
                continue;
            }
            for (method, _) in before.iter().flat_map(|record| served(record)) {
                touched.entry(method).or_default();
            }
            for (method, key) in after.iter().flat_map(|record| served(record)) {
                touched.entry(method).or_default().push(Provider { node: *id, key });
            }
        }
        let mut providers = self.providers.clone();
        for (method, new) in touched {
            // A node whose record is the same stands in no list that is made anew for its sake, but
            // may stand in one that is made anew for another's.
            let moved = |one: &Provider| {
                new.binary_search_by_key(&one.node, |new| new.node).is_ok()
                    || changes.get(&one.node).is_some_and(|after| !serves(after, method))
            };
            let old = self.providers(method).iter().filter(|one| !moved(one)).copied();
            let mut all: Vec<_> = old.chain(new.iter().copied()).collect();
            // Stable, and two runs that are sorted each: no more than a merge.
            all.sort_by_key(|provider| provider.node);
            match all.is_empty() {
                true => providers.remove(&method),
                false => providers.insert(method, all.into()),
            };
        }
        let mut nodes = Vec::with_capacity(self.nodes.len() + changes.len());
        let mut old = self.nodes.iter().peekable();
        for (id, after) in changes {
            while let Some(node) = old.next_if(|node| node.id < id) {
                nodes.push(node.clone());
            }
            old.next_if(|node| node.id == id);
            nodes.extend(after);
        }
        nodes.extend(old.cloned());
        let lacking = nodes.iter().filter(|node| node.record.is_none()).count();
        Self { nodes, providers, lacking }
    }

    /// A view of these nodes, of several with one id the last: for tests of what reads views.
    pub fn of(nodes: impl IntoIterator<Item = NodeView>) -> Self {
        Self::default().after(nodes.into_iter().map(|node| (node.id, Some(node))).collect())
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
        self.provider_list(method).map_or(&[], |list| list)
    }

    /// The same list as it is shared with other views: it is another one ([`Arc::ptr_eq`]) as soon as
    /// the record of a node that serves or served the method has changed, in whatever part, and as
    /// long as none has it stays the same. None if nobody serves the method.
    pub fn provider_list(&self, method: u64) -> Option<&Arc<[Provider]>> {
        self.providers.get(&method)
    }

    /// Whether the record of each living node has arrived.
    pub fn is_complete(&self) -> bool {
        self.lacking == 0
    }
}

/// The methods of a node that takes calls, by wire id, with their shapes.
fn served(record: &NodeRecord) -> impl Iterator<Item = (u64, [u8; 8])> {
    let serving = record.status == NodeStatus::Serving;
    let services = record.services.iter().filter(move |_| serving);
    services.flat_map(|service| &service.methods).map(|method| (method.id, method.key))
}

fn serves(node: &Option<NodeView>, method: u64) -> bool {
    let record = node.as_ref().and_then(|node| node.record.as_ref());
    record.is_some_and(|record| served(record).any(|(id, _)| id == method))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::record::{MethodRecord, ServiceRecord};
    use super::*;

    /// A node, with the methods that it serves, or without a record.
    fn node(n: u8, methods: Option<&[u64]>, status: NodeStatus) -> NodeView {
        let id = NodeId::from_bytes([n; 32]);
        let method = |id: &u64| MethodRecord { name: id.to_string(), id: *id, key: [n; 8] };
        let record = methods.map(|methods| NodeRecord {
            node: id,
            incarnation: 1,
            version: 1,
            name: n.to_string(),
            tags: BTreeSet::new(),
            addrs: Vec::new(),
            status,
            services: vec![ServiceRecord {
                name: "s".into(),
                methods: methods.iter().map(method).collect(),
                ..ServiceRecord::default()
            }],
            topology: None,
        });
        NodeView { id, addr: ([10, 0, 0, n], 1).into(), record: record.map(Arc::new) }
    }

    #[test]
    fn news_of_a_node_leaves_the_lists_of_others_alone() {
        let serving = |n, methods: &[u64]| node(n, Some(methods), NodeStatus::Serving);
        let first = View::of([serving(1, &[7, 8]), serving(2, &[8]), serving(3, &[9])]);
        let ids = |view: &View, method| -> Vec<u8> {
            view.providers(method).iter().map(|provider| provider.key[0]).collect()
        };
        assert_eq!(
            (ids(&first, 7), ids(&first, 8), ids(&first, 9)),
            (vec![1], vec![1, 2], vec![3])
        );
        let same = |view: &View, method| {
            let list = |view: &View| view.provider_list(method).cloned();
            list(&first).zip(list(view)).is_some_and(|(a, b)| Arc::ptr_eq(&a, &b))
        };
        let gone = first.after([(NodeId::from_bytes([2; 32]), None)].into());
        assert_eq!((ids(&gone, 7), ids(&gone, 8)), (vec![1], vec![1]));
        assert!(same(&gone, 7) && same(&gone, 9) && !same(&gone, 8));
        let more = first.after([(NodeId::from_bytes([4; 32]), Some(serving(4, &[9])))].into());
        assert_eq!(ids(&more, 9), [3, 4]);
        assert!(same(&more, 7) && same(&more, 8) && !same(&more, 9));
        // Another record of a node with the same methods may have another name.
        let anew = first.after([(NodeId::from_bytes([3; 32]), Some(serving(3, &[9])))].into());
        assert_eq!(ids(&anew, 9), [3]);
        assert!(!same(&anew, 9) && same(&anew, 8));
        let elsewhere = NodeView { addr: ([10, 9, 9, 9], 1).into(), ..first.nodes()[2].clone() };
        let moved = first.after([(elsewhere.id, Some(elsewhere.clone()))].into());
        assert!(same(&moved, 9));
        assert_eq!(moved.node(&elsewhere.id).unwrap().addr, elsewhere.addr);
    }

    fn nodes() -> impl Strategy<Value = NodeView> {
        let methods =
            prop::option::weighted(0.8, prop::sample::subsequence(vec![1_u64, 2, 3], 0..=3));
        let status = prop::sample::select(vec![NodeStatus::Serving, NodeStatus::Draining]);
        (0..12_u8, methods, status)
            .prop_map(|(n, methods, status)| node(n, methods.as_deref(), status))
    }

    proptest! {
        #[test]
        fn step_by_step_or_at_once_a_view_is_the_same(
            steps in prop::collection::vec(
                prop::collection::vec((nodes(), any::<bool>()), 0..5), 0..12),
        ) {
            let (mut stepped, mut all) = (View::default(), BTreeMap::new());
            for step in steps {
                let step = step.into_iter().map(|(node, stays)| (node.id, stays.then_some(node)));
                let changes: Changes = step.collect();
                for (id, after) in &changes {
                    match after {
                        Some(node) => all.insert(*id, node.clone()),
                        None => all.remove(id),
                    };
                }
                stepped = stepped.after(changes);
                let whole = View::of(all.values().cloned());
                let ids = |view: &View| view.nodes.iter().map(|node| node.id).collect::<Vec<_>>();
                prop_assert_eq!(ids(&stepped), ids(&whole));
                prop_assert_eq!(&stepped.providers, &whole.providers);
                prop_assert_eq!(stepped.lacking, whole.lacking);
                prop_assert!(stepped.nodes.iter().zip(&whole.nodes).all(|(a, b)| a.record == b.record));
            }
        }
    }
}
