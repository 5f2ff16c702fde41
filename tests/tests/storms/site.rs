//! A cluster on a network of its own.

use std::net::SocketAddr;
use std::time::Duration;

use macula::MemoryNetwork;
use nebula::Node;
use tokio::time::{sleep, timeout};

use crate::keeper::Keeper;

/// How long a test waits for what must come, on its paused clock.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Site {
    pub(crate) network: MemoryNetwork,
    pub(crate) servers: Vec<(Node, Keeper)>,
    pub(crate) client: Node,
}

impl Site {
    /// So many servers and a client that know each other.
    pub(crate) async fn start(servers: u8) -> Self {
        let network = MemoryNetwork::new(7);
        let addr = |n: u8| SocketAddr::from(([10, 0, 0, n], 7000));
        let node = |n: u8, name: String| {
            let node = Node::builder(name).memory(network.clone(), addr(n)).seed("10.0.0.1:7000");
            node.realm("storms").cookie("of these tests").random_seed(u64::from(n))
        };
        let mut started = Vec::new();
        for n in 1..=servers {
            let keeper = Keeper::default();
            let server = node(n, format!("s{n}")).serve(keeper.clone()).start().await.unwrap();
            started.push((server, keeper));
        }
        let client = node(99, "client".into()).start().await.unwrap();
        let site = Self { network: network.clone(), servers: started, client };
        for node in site.nodes() {
            until("all know all", || {
                let view = node.mesh().view();
                view.nodes().len() == site.servers.len() + 1 && view.is_complete()
            })
            .await;
        }
        site
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.servers.iter().map(|(node, _)| node).chain([&self.client])
    }
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}
