//! Who calls from elsewhere: the verified identities of nodes, as handlers are told them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use macula::directory::NodeRecord;
use macula::identity::NodeId;

use crate::context::Caller;
use crate::node::{Node, WeakNode};

/// What the names and tags of callers are; clones mean the same.
#[derive(Clone, Default)]
pub(crate) struct Callers(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Those that were alive when the node last looked at the news.
    known: ArcSwap<BTreeMap<NodeId, Arc<Caller>>>,
    /// Where the others are looked for, once it is there.
    node: OnceLock<WeakNode>,
}

impl Callers {
    /// Those that are alive now.
    pub(crate) fn store(&self, known: BTreeMap<NodeId, Arc<Caller>>) {
        self.0.known.store(Arc::new(known));
    }

    /// The node that they call.
    pub(crate) fn of(&self, node: &Node) {
        let _ = self.0.node.set(node.downgrade());
    }

    /// What is known of this one. One whose record is still on its way is known by its id alone.
    pub(crate) fn get(&self, id: NodeId) -> Arc<Caller> {
        self.0.known.load().get(&id).cloned().unwrap_or_else(|| self.look_for(id))
    }

    /// The table comes after the news, and has nobody who calls after the news of his end.
    #[cold]
    fn look_for(&self, id: NodeId) -> Arc<Caller> {
        let node = self.0.node.get().and_then(WeakNode::upgrade);
        match node.and_then(|node| node.mesh().record(&id)) {
            Some(record) => caller(&record),
            None => Arc::new(Caller { id, name: "".into(), tags: [].into() }),
        }
    }
}

/// A node as its record names it.
pub(crate) fn caller(record: &NodeRecord) -> Arc<Caller> {
    Arc::new(Caller {
        id: record.node,
        name: record.name.as_str().into(),
        tags: record.tags.iter().map(|tag| tag.as_str().into()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whom_the_table_lacks_is_known_by_its_record() {
        let builder = crate::Node::builder("a").tag("web").cookie("of this test");
        let network = macula::MemoryNetwork::new(1);
        let node = builder.memory(network, "10.0.0.1:1".parse().unwrap()).start().await.unwrap();
        let callers = node.callers();
        let known = callers.get(node.id());
        assert_eq!((&*known.name, known.tags.len()), ("a", 1));
        callers.store(BTreeMap::new());
        assert_eq!(callers.get(node.id()), known);
        let stranger = NodeId::from_bytes([7; 32]);
        assert_eq!((callers.get(stranger).id, &*callers.get(stranger).name), (stranger, ""));
    }
}
