//! Calls to one of many nodes, of which a few are looked at.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use macula::MemoryNetwork;
use nebula::prelude::*;
use tokio::time::sleep;

const SERVERS: u8 = 20;

/// What nodes are asked here.
#[service(global)]
pub trait Count {
    /// Counts on, and must not do so twice for one call.
    #[api]
    async fn more(&self) -> u64;
}

#[derive(Clone, Debug, Default)]
struct Counter(Arc<AtomicU64>);

impl Count for Counter {
    async fn more(&self) -> u64 {
        self.0.fetch_add(1, SeqCst) + 1
    }
}

/// A node that asks, and many that count.
async fn cluster() -> (Node, Vec<(Node, Counter)>) {
    let network = MemoryNetwork::new(1);
    let addr = |n: u8| SocketAddr::from(([10, 0, 0, n], 1));
    let builder = |n: u8| {
        let builder = Node::builder(format!("n{n:02}")).cookie("of these tests");
        builder.memory(network.clone(), addr(n))
    };
    let web = builder(0).start().await.unwrap();
    let mut servers = Vec::new();
    for n in 1..=SERVERS {
        let counter = Counter::default();
        let builder = builder(n).seed(addr(0).to_string()).serve(counter.clone());
        servers.push((builder.start().await.unwrap(), counter));
    }
    let known = || CountClient::new(&web).more().available_nodes().len();
    while known() != servers.len() {
        sleep(Duration::from_millis(20)).await;
    }
    (web, servers)
}

#[tokio::test(start_paused = true)]
async fn all_get_their_share() {
    let (web, servers) = cluster().await;
    let client = CountClient::new(&web);
    for policy in [Policy::LocalFirst, Policy::LeastLoaded, Policy::Random] {
        servers.iter().for_each(|(_, counter)| counter.0.store(0, SeqCst));
        for _ in 0..40 * u64::from(SERVERS) {
            client.more().policy(policy).await.unwrap();
        }
        let shares: Vec<_> = servers.iter().map(|(_, counter)| counter.0.load(SeqCst)).collect();
        // Six standard deviations of what chance leaves.
        assert!(shares.iter().all(|share| share.abs_diff(40) < 38), "{policy}: {shares:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_that_takes_calls_is_found() {
    let (web, servers) = cluster().await;
    let client = CountClient::new(&web);
    let (last, counter) = &servers[7];
    // The news has not travelled when the call is made.
    for (node, _) in servers.iter().filter(|(node, _)| node.id() != last.id()) {
        node.mesh().drain();
    }
    assert_eq!(client.more().available_nodes().len(), servers.len());
    client.more().await.unwrap();
    assert_eq!(counter.0.load(SeqCst), 1);
}
