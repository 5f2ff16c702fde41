//! Who can be asked for a method, as long as nothing changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use macula::directory::View;

use crate::call::NodeRef;

/// A method: its wire id and its shape.
type Key = (u64, [u8; 8]);

/// The nodes that serve each method, found once for each view of the cluster. A call that is for
/// anyone looks here first.
#[derive(Debug, Default)]
pub(crate) struct Known(ArcSwap<Found>);

#[derive(Clone, Debug, Default)]
struct Found {
    /// What it was found in.
    view: Arc<View>,
    nodes: BTreeMap<Key, Arc<[NodeRef]>>,
}

impl Known {
    /// Those that serve the method in this view, if they were found before.
    pub(crate) fn get(&self, view: &Arc<View>, key: &Key) -> Option<Arc<[NodeRef]>> {
        let found = self.0.load();
        let nodes = found.nodes.get(key).filter(|_| Arc::ptr_eq(&found.view, view));
        nodes.cloned()
    }

    /// Keeps what was found. Of two calls that do so at once one may be forgotten, and is found
    /// again.
    pub(crate) fn put(&self, view: &Arc<View>, key: Key, nodes: &Arc<[NodeRef]>) {
        let found = self.0.load();
        let mut next = match Arc::ptr_eq(&found.view, view) {
            true => Found::clone(&found),
            false => Found { view: view.clone(), nodes: BTreeMap::new() },
        };
        next.nodes.insert(key, nodes.clone());
        self.0.store(Arc::new(next));
    }
}

#[cfg(test)]
mod tests {
    use macula::identity::NodeId;

    use super::*;

    #[test]
    fn another_view_makes_it_forget() {
        let (known, view) = (Known::default(), Arc::new(View::default()));
        let node = |n: u8| NodeRef { id: NodeId::from_bytes([n; 32]), name: "n".into() };
        let (one, two): (Arc<[_]>, Arc<[_]>) = ([node(1)].into(), [node(2)].into());
        assert_eq!(known.get(&view, &(1, [0; 8])), None);
        known.put(&view, (1, [0; 8]), &one);
        known.put(&view, (1, [9; 8]), &two);
        assert_eq!(known.get(&view, &(1, [0; 8])), Some(one));
        assert_eq!(known.get(&view, &(1, [9; 8])), Some(two.clone()));
        let next = Arc::new(View::default());
        assert_eq!(known.get(&next, &(1, [9; 8])), None);
        known.put(&next, (2, [0; 8]), &two);
        assert_eq!(known.get(&view, &(1, [9; 8])), None);
        assert_eq!(known.get(&next, &(2, [0; 8])), Some(two));
    }
}
