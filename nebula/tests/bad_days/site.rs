//! A cluster of its own for each test.

use std::cell::{Cell, OnceCell};
use std::net::SocketAddr;
use std::time::Duration;

use macula::MemoryNetwork;
use nebula::{Node, NodeBuilder};
use tokio::time::timeout;

use crate::desk::Clerk;

/// How long a test waits for what must come; only a failure takes that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A network without any other cluster on it.
pub(crate) struct Site {
    pub(crate) network: MemoryNetwork,
    next: Cell<u8>,
    seed: OnceCell<SocketAddr>,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self { network: MemoryNetwork::new(7), next: Cell::new(1), seed: OnceCell::new() }
    }

    /// An address that nobody has yet.
    pub(crate) fn addr(&self) -> SocketAddr {
        let host = self.next.get();
        self.next.set(host + 1);
        SocketAddr::from(([10, 0, 0, host], 7000))
    }

    /// A node at `addr` that knows nobody.
    pub(crate) fn stranger(&self, name: &str, addr: SocketAddr) -> NodeBuilder {
        let node = Node::builder(name).memory(self.network.clone(), addr);
        node.realm("bad-days").cookie("of these tests")
    }

    /// A node that joins the first one of this site.
    pub(crate) fn node(&self, name: &str) -> NodeBuilder {
        let addr = self.addr();
        let node = self.stranger(name, addr);
        let seed = *self.seed.get_or_init(|| addr);
        if seed == addr { node } else { node.seed(seed.to_string()) }
    }

    pub(crate) async fn serve(&self, name: &str, clerk: &Clerk) -> Node {
        self.node(name).serve(clerk.clone()).start().await.unwrap()
    }

    pub(crate) async fn client(&self) -> Node {
        self.node("client").start().await.unwrap()
    }
}

/// Waits until these nodes are the whole cluster, and each knows what all of them say.
pub(crate) async fn met(nodes: &[&Node]) {
    for node in nodes {
        let mut news = node.mesh().watch_view();
        let wait = async {
            loop {
                let view = node.mesh().view();
                if view.nodes().len() == nodes.len() && view.is_complete() {
                    return;
                }
                news.changed().await.unwrap();
            }
        };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{node:?} knows too few"));
    }
}
