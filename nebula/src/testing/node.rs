use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::cluster::Shared;
use crate::node::Node;

/// A node of a [`Cluster`](super::Cluster), as its test holds it: a [`Node`], and a name for the
/// machine that it runs on, for the methods of the cluster.
///
/// `UsersClient::new(&db)` takes it, and `Node::from(&db)` gives what a program holds. Dropping it
/// stops nothing. After a restart the handles and clients of the life before stay as dead as it
/// is, and still mean the machine: `cluster.kill(&db)` is about whatever runs there now.
#[derive(Clone)]
pub struct TestNode {
    pub(super) node: Node,
    pub(super) place: usize,
    pub(super) shared: Arc<Shared>,
}

impl Deref for TestNode {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl AsRef<Node> for TestNode {
    fn as_ref(&self) -> &Node {
        &self.node
    }
}

impl From<TestNode> for Node {
    fn from(node: TestNode) -> Self {
        node.node
    }
}

impl From<&TestNode> for Node {
    fn from(node: &TestNode) -> Self {
        node.node.clone()
    }
}

impl fmt::Debug for TestNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestNode").field("node", &self.node).finish_non_exhaustive()
    }
}
