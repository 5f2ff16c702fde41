//! The services and the clusters of these tests.

use std::net::SocketAddr;
use std::time::Duration;

use macula::MemoryNetwork;
use nebula::prelude::*;
use nebula::{NodeBuilder, Topology};
use tokio::time::{Instant, sleep};

/// A method for each way of saying where it is.
#[service(global)]
pub(crate) trait Shop {
    /// For the nodes of a tag.
    #[api(on = "&db")]
    async fn put(&self) -> u8;
    /// For one node.
    #[api(on = "@db2")]
    async fn pin(&self) -> u8;
    /// For anyone.
    #[api]
    async fn any(&self) -> u8;
}

/// Serves all of it.
pub(crate) struct Counter;

impl Shop for Counter {
    async fn put(&self) -> u8 {
        1
    }

    async fn pin(&self) -> u8 {
        2
    }

    async fn any(&self) -> u8 {
        3
    }
}

/// Another shape of the same method.
pub(crate) mod other {
    use nebula::prelude::*;

    /// `any` counts further.
    #[service(global)]
    pub(crate) trait Shop {
        /// For anyone.
        #[api]
        async fn any(&self) -> u16;
    }

    /// Serves all of it.
    pub(crate) struct Counter;

    impl Shop for Counter {
        async fn any(&self) -> u16 {
            3
        }
    }
}

/// Is told to nobody.
#[service]
pub(crate) trait Private {
    /// For callers in this process.
    #[api]
    async fn look(&self) -> u8;
}

impl Private for Counter {
    async fn look(&self) -> u8 {
        4
    }
}

/// A cluster, and the number of nodes in it so far.
pub(crate) struct Cluster(pub(crate) MemoryNetwork, u16);

impl Cluster {
    pub(crate) fn new() -> Self {
        Self(MemoryNetwork::new(1), 0)
    }

    /// A cluster whose first node there is nobody to answer for.
    pub(crate) fn without_a_first() -> Self {
        Self(MemoryNetwork::new(1), 1)
    }

    pub(crate) fn builder(&mut self, name: &str) -> NodeBuilder {
        self.1 += 1;
        let addr = |port| SocketAddr::from(([10, 0, 0, 1], port));
        let builder = Node::builder(name).cookie("of these tests");
        let builder = builder.memory(self.0.clone(), addr(self.1));
        if self.1 > 1 { builder.seed(addr(1).to_string()) } else { builder }
    }
}

/// `self@h1` with db and cache, `db2@h2` and `db3@h3` with db, and `web@h4` with web.
pub(crate) fn topology() -> Topology {
    let topology = Topology::new().node("self@h1", ["db", "cache"]).unwrap();
    let topology = topology.node("db2@h2", ["db"]).unwrap();
    topology.node("db3@h3", ["db"]).unwrap().node("web@h4", ["web"]).unwrap()
}

/// Waits until it holds, ten seconds at most.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let late = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < late, "never: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until `node` knows what each of `count` nodes serves.
pub(crate) async fn assembled(node: &Node, count: usize) {
    until("assembled", || {
        let view = node.mesh().view();
        view.nodes().len() == count && view.is_complete()
    })
    .await;
}
