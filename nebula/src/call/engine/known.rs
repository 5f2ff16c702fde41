//! Who can be asked for a method, as long as nothing changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use macula::directory::{Provider, View};

use crate::call::NodeRef;

/// A method: its wire id and its shape.
type Key = (u64, [u8; 8]);

/// The nodes that serve each method, found once for as long as none of them changes. A call that is
/// for anyone looks here first.
#[derive(Debug, Default)]
pub(crate) struct Known(ArcSwap<BTreeMap<Key, Found>>);

#[derive(Clone, Debug)]
struct Found {
    /// What it was found in.
    providers: Arc<[Provider]>,
    nodes: Arc<[NodeRef]>,
}

impl Known {
    /// Those that serve the method in this view, if they were found before.
    pub(crate) fn get(&self, view: &View, key: &Key) -> Option<Arc<[NodeRef]>> {
        let known = self.0.load();
        let found = known.get(key)?;
        let current = Arc::ptr_eq(&found.providers, view.provider_list(key.0)?);
        current.then(|| found.nodes.clone())
    }

    /// Keeps what was found. Of two calls that do so at once one may be forgotten, and is found
    /// again.
    pub(crate) fn put(&self, view: &View, key: Key, nodes: &Arc<[NodeRef]>) {
        let Some(providers) = view.provider_list(key.0).cloned() else { return };
        let mut next = BTreeMap::clone(&self.0.load());
        // What nobody serves any more is not to be kept for its sake.
        next.retain(|(method, _), _| view.provider_list(*method).is_some());
        next.insert(key, Found { providers, nodes: nodes.clone() });
        self.0.store(Arc::new(next));
    }
}

#[cfg(test)]
mod tests {
    use macula::directory::{MethodRecord, NodeRecord, NodeStatus, NodeView, ServiceRecord};
    use macula::identity::NodeId;

    use super::*;

    /// A node that serves these methods.
    fn serving(n: u8, methods: &[u64]) -> NodeView {
        let id = NodeId::from_bytes([n; 32]);
        let method = |id: &u64| MethodRecord { name: id.to_string(), id: *id, key: [0; 8] };
        let methods = methods.iter().map(method).collect();
        let service = ServiceRecord { name: "s".into(), methods, ..ServiceRecord::default() };
        let record = NodeRecord {
            node: id,
            incarnation: 1,
            version: 1,
            name: n.to_string(),
            tags: [].into(),
            addrs: Vec::new(),
            status: NodeStatus::Serving,
            services: vec![service],
            topology: None,
        };
        NodeView { id, addr: ([10, 0, 0, n], 1).into(), record: Some(Arc::new(record)) }
    }

    #[test]
    fn what_was_found_holds_until_one_of_those_nodes_changes() {
        let known = Known::default();
        let node = |n: u8| NodeRef { id: NodeId::from_bytes([n; 32]), name: "n".into() };
        let (one, two): (Arc<[_]>, Arc<[_]>) = ([node(1)].into(), [node(2)].into());
        let view = View::of([serving(1, &[1]), serving(2, &[2])]);
        let (first, second) = ((1, [0; 8]), (2, [9; 8]));
        assert_eq!(known.get(&view, &first), None);
        known.put(&view, first, &one);
        known.put(&view, second, &two);
        assert_eq!(known.get(&view, &(1, [9; 8])), None, "that is another shape");
        let later = view.clone();
        assert_eq!(known.get(&later, &first), Some(one));
        assert_eq!(known.get(&later, &second), Some(two.clone()));
        let anew = View::of([serving(2, &[2])]);
        assert_eq!(known.get(&anew, &second), None);
        assert_eq!(known.get(&anew, &first), None, "nobody serves it");
        known.put(&anew, second, &two);
        assert_eq!(known.get(&anew, &second), Some(two));
        assert_eq!(known.0.load().len(), 1, "nobody serves the other one any more");
        known.put(&anew, first, &[node(3)].into());
        assert_eq!(known.get(&anew, &first), None, "nobody can be found there");
    }
}
