//! `cargo run --release -- micro`: what happens without any network, in nanoseconds. Each figure is
//! the best of several rounds, since other work on the machine only ever adds to it.

use std::alloc::System;
use std::collections::BTreeSet;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use macula::MemoryNetwork;
use macula::identity::NodeId;
use nebula::nodes::{NodeFacts, NodeInfo, Nodes};
use nebula::prelude::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::Failure;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROUNDS: usize = 15;

#[service(global)]
pub trait Counter {
    #[api(idempotent)]
    async fn next(&self, after: u64) -> u64;
}

struct Up;

impl Counter for Up {
    async fn next(&self, after: u64) -> u64 {
        after + 1
    }
}

pub async fn run() -> Result<(), Failure> {
    let addr = SocketAddr::from(([10, 0, 0, 1], 1));
    let node = Node::builder("bench").memory(MemoryNetwork::new(1), addr).cookie("micro");
    let node = node.serve(Up).start().await?;

    println!("| what | takes | allocations | target |");
    println!("|---|---:|---:|---|");
    selectors();
    let read = best(1_000_000, || {
        black_box(node.nodes());
    });
    println!("| snapshot read, `node.nodes()` | {read:?} | 0 | ≤ 25 ns |");

    let boxed: Box<dyn Fn(u64) -> std::pin::Pin<Box<dyn Future<Output = u64> + Send>>> =
        Box::new(|after| Box::pin(async move { Up.next(after).await }));
    row("the method itself", async |n| Up.next(n).await).await;
    row("the method itself, boxed", async |n| boxed(n).await).await;
    let alone = CounterClient::local(Up);
    row("`CounterClient::local(..)`, a ready method", async |n| alone.next(n).await.unwrap_or(0))
        .await;
    let here = CounterClient::new(&node);
    row("served by the calling node, a ready method", async |n| here.next(n).await.unwrap_or(0))
        .await;
    Ok(())
}

/// A selector over a snapshot of a thousand nodes.
fn selectors() {
    let nodes = (0..1000_u32).map(|n| {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        let mut facts = NodeFacts::new(NodeId::from_bytes(id), format!("node-{n}@host-{}", n % 50));
        let tags = [["db", "web", "cache"][n as usize % 3], ["eu", "us"][n as usize % 2]];
        facts.tags = tags.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
        NodeInfo::new(facts)
    });
    let nodes = Nodes::new(nodes.collect());
    for text in ["&db", "&db &eu !@node-7", "(&db | &cache) !&us !@\"node-7@host-7\""] {
        let selector: Selector = text.parse().unwrap_or_else(|_| Selector::any());
        let took = best(200, || {
            black_box(nodes.matching(&selector).count());
        });
        let region = Region::new(ALLOCATOR);
        black_box(nodes.matching(&selector).count());
        let allocated = region.change().allocations;
        println!("| `{}` over 1000 nodes | {took:.1?} | {allocated} | ≤ 20 µs |", text.replace('|', "\\|"));
    }
}

/// The shortest time of one repetition.
fn best(repetitions: u32, mut work: impl FnMut()) -> Duration {
    let round = |work: &mut dyn FnMut()| {
        let began = Instant::now();
        (0..repetitions).for_each(|_| work());
        began.elapsed() / repetitions
    };
    (0..ROUNDS).map(|_| round(&mut work)).min().unwrap_or_default()
}

async fn row(what: &str, call: impl AsyncFn(u64) -> u64) {
    const CALLS: u64 = 300_000;
    let mut took = Duration::MAX;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for n in 0..CALLS {
            black_box(call(black_box(n)).await);
        }
        took = took.min(began.elapsed());
    }
    let nanoseconds = took.as_nanos() as f64 / CALLS as f64;
    let mut allocations = usize::MAX;
    for n in 0..100 {
        let region = Region::new(ALLOCATOR);
        black_box(call(n).await);
        allocations = allocations.min(region.change().allocations);
    }
    println!("| {what} | {nanoseconds:.1} ns | {allocations} | |");
}
