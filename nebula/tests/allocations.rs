//! What a call that stays in the process costs in memory: one allocation, the future of the body.
//! Alone in its file, since the allocator counts for the whole process.

use std::alloc::System;
use std::hint::black_box;
use std::net::SocketAddr;

use macula::MemoryNetwork;
use nebula::prelude::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Counts.
#[service(global)]
pub trait Counter {
    /// The next number.
    #[api]
    async fn next(&self, after: u64) -> u64;
    /// The same, if there is time left.
    #[api]
    async fn left(&self, cx: &Context, after: u64) -> u64;
}

struct Up;

impl Counter for Up {
    async fn next(&self, after: u64) -> u64 {
        after + 1
    }

    async fn left(&self, cx: &Context, after: u64) -> u64 {
        after + u64::from(!cx.remaining().is_zero())
    }
}

/// How many allocations a call makes, at the least: what other threads do may only add to it.
async fn allocations(call: impl AsyncFn(u64) -> u64) -> usize {
    let mut least = usize::MAX;
    for n in 0..100 {
        let region = Region::new(ALLOCATOR);
        assert_eq!(black_box(call(n).await), n + 1);
        least = least.min(region.change().allocations);
    }
    least
}

#[tokio::test]
async fn a_local_call_that_is_ready_allocates_its_body_alone() {
    let alone = CounterClient::local(Up);
    assert_eq!(allocations(async |n| alone.next(n).await.unwrap()).await, 1);
    assert_eq!(allocations(async |n| alone.left(n).await.unwrap()).await, 1);
    let addr = SocketAddr::from(([10, 0, 0, 1], 1));
    let node = Node::builder("one").memory(MemoryNetwork::new(1), addr).cookie("allocations");
    let node = node.serve(Up).start().await.unwrap();
    let here = CounterClient::new(&node);
    assert_eq!(allocations(async |n| here.next(n).await.unwrap()).await, 1);
    assert_eq!(allocations(async |n| here.left(n).await.unwrap()).await, 1);
}
