//! `cargo run --release -- micro`: what happens without any network, in nanoseconds and
//! allocations.

use std::alloc::System;
use std::hint::black_box;

use bench::Failure;
use bench::local::{
    Counter, CounterClient, SELECTORS, Up, best, chained, nanoseconds, node, thousand,
};
use nebula::prelude::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What a call through a pointer gives.
type Boxed = std::pin::Pin<Box<dyn Future<Output = u64> + Send>>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let alone = CounterClient::local(Up);
    if std::env::args().nth(1).is_some_and(|word| word == "allocations") {
        println!("{}", allocations(async |n| alone.next(n).await.unwrap_or(0)).await);
        return Ok(());
    }
    let node = node().await?;
    let here = CounterClient::new(&node);

    println!("| what | takes | allocations | target |");
    println!("|---|---:|---:|---|");
    selectors();
    let read = best(1_000_000, || {
        black_box(node.nodes());
    });
    println!("| snapshot read, `node.nodes()` | {read:?} | 0 | ≤ 25 ns |");

    let boxed: Box<dyn Fn(u64) -> Boxed> =
        Box::new(|after| Box::pin(async move { Up.next(after).await }));
    row("the method itself", async |n| Up.next(n).await).await;
    row("the method itself, boxed", async |n| boxed(n).await).await;
    row("`CounterClient::local(..)`, a ready method", async |n| alone.next(n).await.unwrap_or(0))
        .await;
    row("served by the calling node, a ready method", async |n| here.next(n).await.unwrap_or(0))
        .await;
    for (before, wraps, what) in [
        (0, false, "in a chain without plugins"),
        (1, false, "through one `before` hook; target: ≤ 10 ns more"),
        (7, false, "through seven `before` hooks; target: ≤ 100 ns more"),
        (0, true, "through one `around` hook"),
    ] {
        let node = chained(before, wraps).await?;
        let here = CounterClient::new(&node);
        row(&format!("served here, {what}"), async |n| here.next(n).await.unwrap_or(0)).await;
    }
    Ok(())
}

/// A selector over a snapshot of a thousand nodes.
fn selectors() {
    let nodes = thousand();
    for text in SELECTORS {
        let selector: Selector = text.parse().unwrap_or_else(|_| Selector::any());
        let took = best(200, || {
            black_box(nodes.matching(&selector).count());
        });
        let region = Region::new(ALLOCATOR);
        black_box(nodes.matching(&selector).count());
        let allocated = region.change().allocations;
        let text = text.replace('|', "\\|");
        println!("| `{text}` over 1000 nodes | {took:.1?} | {allocated} | ≤ 20 µs |");
    }
}

async fn row(what: &str, call: impl AsyncFn(u64) -> u64) {
    let took = nanoseconds(&call).await;
    let allocated = allocations(call).await;
    println!("| {what} | {took:.1} ns | {allocated} | |");
}

/// How many allocations a call makes; the least of many, since other tasks allocate too.
async fn allocations(call: impl AsyncFn(u64) -> u64) -> usize {
    let mut least = usize::MAX;
    for n in 0..100 {
        let region = Region::new(ALLOCATOR);
        black_box(call(n).await);
        least = least.min(region.change().allocations);
    }
    least
}
