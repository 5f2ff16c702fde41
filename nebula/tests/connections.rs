//! Connections that no calls need are ended, in good order, and made again when calls need them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use macula::{Limits, MemberEvent, MemoryNetwork};
use nebula::prelude::*;
use tokio::task::JoinSet;
use tokio::time::sleep;

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

/// The shortest time for which a connection must be unused before it is ended.
const UNUSED: Duration = Duration::from_secs(3);

/// Nodes that keep so few connections, each of which counts its calls.
async fn cluster(network: &MemoryNetwork, nodes: u8, kept: usize) -> Vec<(Node, Counter)> {
    let addr = |n: u8| SocketAddr::from(([10, 0, 0, n], 1));
    let mut limits = Limits::default();
    (limits.kept_connections, limits.unused_connection_time) = (kept, UNUSED);
    let mut all = Vec::new();
    for n in 0..nodes {
        let (builder, counter) = (Node::builder(format!("n{n}")), Counter::default());
        let builder = builder.cookie("of these tests").memory(network.clone(), addr(n));
        let builder = builder.limits(limits.clone()).serve(counter.clone());
        let builder = if n == 0 { builder } else { builder.seed(addr(0).to_string()) };
        all.push((builder.start().await.unwrap(), counter));
    }
    for (node, _) in &all {
        while node.mesh().view().nodes().len() != all.len() || !node.mesh().view().is_complete() {
            sleep(Duration::from_millis(50)).await;
        }
    }
    all
}

fn most_and_mean(nodes: &[(Node, Counter)]) -> (usize, usize) {
    let each = nodes.iter().map(|(node, _)| node.mesh().connections());
    (each.clone().max().unwrap(), each.sum::<usize>() / nodes.len())
}

#[tokio::test(start_paused = true)]
async fn a_node_keeps_few_connections_and_calls_whom_it_likes() {
    let nodes = cluster(&MemoryNetwork::new(1), 40, 8).await;
    sleep(4 * UNUSED).await;
    let mut watched: Vec<_> = nodes.iter().map(|(node, _)| node.mesh().watch_members()).collect();
    let mut done = 0;
    for round in 1..=15 {
        let mut calls = JoinSet::new();
        for (n, (node, _)) in nodes.iter().enumerate() {
            let to = nodes[(n + 7 * round) % nodes.len()].0.id();
            let client = CountClient::new(node);
            calls.spawn(async move { client.more().to(to).await });
        }
        while let Some(called) = calls.join_next().await {
            called.unwrap().unwrap();
            done += 1;
        }
        sleep(Duration::from_secs(1)).await;
        // A second brings two probes and two calls, and a connection lasts for four.
        let (most, mean) = most_and_mean(&nodes);
        assert!(most <= 30 && mean <= 20, "{most} at most, {mean} in the mean, of 39");
    }
    let counted: u64 = nodes.iter().map(|(_, counter)| counter.0.load(SeqCst)).sum();
    assert_eq!(counted, done);
    sleep(4 * UNUSED).await;
    let (most, mean) = most_and_mean(&nodes);
    assert!(most <= 18 && mean <= 12, "{most} at most, {mean} in the mean, without calls");
    let ended = nodes.iter().map(|(node, _)| node.mesh().traffic().unused).sum::<u64>();
    assert!(ended > 500, "{ended} ended");
    for watched in &mut watched {
        while let Ok(event) = watched.try_recv() {
            assert!(!matches!(event, MemberEvent::Down(_)), "the end of a connection is no death");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_calls_stays_and_one_without_goes() {
    let nodes = cluster(&MemoryNetwork::new(2), 2, 0).await;
    let [(web, _), (server, _)] = &nodes[..] else { panic!("two nodes") };
    let client = CountClient::new(web);
    let ended = || web.mesh().traffic().unused + server.mesh().traffic().unused;
    client.more().to(server.id()).await.unwrap();
    let before = ended();
    for _ in 0..100 {
        sleep(UNUSED / 3).await;
        client.more().to(server.id()).await.unwrap();
    }
    assert_eq!(ended(), before, "it is in use");
    sleep(2 * UNUSED).await;
    assert!(ended() > before, "nobody uses it");
}

/// What is sent on a connection that is just being ended has not run, and is sent again on another.
#[tokio::test(start_paused = true)]
async fn a_call_that_races_with_the_end_of_its_connection_is_made_once() {
    let network = MemoryNetwork::new(3);
    let nodes = cluster(&network, 2, 0).await;
    let [(web, _), (server, counter)] = &nodes[..] else { panic!("two nodes") };
    // So long on the way, one call in ten meets the end on its way.
    network.delay(Duration::from_millis(100));
    sleep(3 * UNUSED).await;
    let client = CountClient::new(web);
    for n in 1..=300 {
        let told = client.more().to(server.id()).await;
        assert_eq!(told.unwrap_or_else(|error| panic!("call {n}: {error:#}")), n);
        sleep(UNUSED - Duration::from_millis(100) + Duration::from_millis(n * 7919 % 2200)).await;
    }
    assert_eq!(counter.0.load(SeqCst), 300);
    let ended = web.mesh().traffic().unused + server.mesh().traffic().unused;
    assert!(ended > 100, "{ended} ended");
}

/// What takes long to arrive.
#[service(global)]
pub trait Store {
    /// Says how much it was.
    #[api(timeout = "20s")]
    async fn keep(&self, what: Vec<u8>) -> u64;
}

#[derive(Clone, Debug, Default)]
struct Shelf;

impl Store for Shelf {
    async fn keep(&self, what: Vec<u8>) -> u64 {
        what.len() as u64
    }
}

/// The connection does not end while they arrive.
#[tokio::test(start_paused = true)]
async fn a_call_whose_arguments_take_long_is_made_once() {
    let network = MemoryNetwork::new(4);
    let addr = |n: u8| SocketAddr::from(([10, 0, 0, n], 1));
    let mut limits = Limits::default();
    (limits.kept_connections, limits.unused_connection_time) = (0, UNUSED);
    let builder = |n: u8| {
        let builder = Node::builder(format!("n{n}")).cookie("of these tests");
        builder.memory(network.clone(), addr(n)).limits(limits.clone())
    };
    let server = builder(0).serve_as::<StoreClient>(Shelf).start().await.unwrap();
    let web = builder(1).seed(addr(0).to_string()).start().await.unwrap();
    let client = StoreClient::new(&web);
    client.keep(vec![0; 10]).to(server.id()).await.unwrap();
    // Some eight seconds, of the twenty that the call has.
    network.faults(|_| macula::Faults::none().delay(Duration::from_millis(10)).bandwidth(125_000));
    let kept = client.keep(vec![1; 1_000_000]).to(server.id()).await;
    assert_eq!(kept.unwrap_or_else(|error| panic!("{error:#}")), 1_000_000);
}
