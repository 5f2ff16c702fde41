//! What a call that stays in the process costs in memory: one allocation, the future of the body;
//! with plugins, what those need that are around it.
//! Alone in its file, since the allocator counts for the whole process.

use std::alloc::System;
use std::borrow::Cow;
use std::hint::black_box;
use std::net::SocketAddr;

use macula::MemoryNetwork;
use nebula::plugin::{Around, Finished, Inbound, Plugin, Refusal};
use nebula::prelude::*;
use nebula::{NodeBuilder, Service, plugin};
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

fn node(name: &str) -> NodeBuilder {
    let addr = SocketAddr::from(([10, 0, 0, 1], 1));
    Node::builder(name).memory(MemoryNetwork::new(1), addr).cookie("allocations")
}

#[tokio::test]
async fn a_local_call_that_is_ready_allocates_its_body_alone() {
    let alone = CounterClient::local(Up);
    assert_eq!(allocations(async |n| alone.next(n).await.unwrap()).await, 1);
    assert_eq!(allocations(async |n| alone.left(n).await.unwrap()).await, 1);
    let node = node("one").serve(Up).start().await.unwrap();
    let here = CounterClient::new(&node);
    assert_eq!(allocations(async |n| here.next(n).await.unwrap()).await, 1);
    assert_eq!(allocations(async |n| here.left(n).await.unwrap()).await, 1);
}

/// What goes back beside a reply costs those alone who say it: a lease of the call, and the headers.
#[tokio::test]
async fn a_call_beside_which_nothing_goes_back_allocates_nothing_for_it() {
    #[service(global)]
    trait Odd {
        #[api]
        async fn say(&self, cx: &Context, after: u64) -> u64;
        #[api]
        async fn hear(&self, cx: &Context, after: u64) -> u64;
    }
    struct Says;
    impl Odd for Says {
        async fn say(&self, cx: &Context, after: u64) -> u64 {
            cx.reply_header("odd", "yes").unwrap();
            after + 1
        }

        async fn hear(&self, cx: &Context, after: u64) -> u64 {
            assert!(cx.reply_headers().is_empty());
            after + 1
        }
    }
    let node = node("three").serve(Says).start().await.unwrap();
    let here = OddClient::new(&node);
    assert_eq!(allocations(async |n| here.hear(n).await.unwrap()).await, 1);
    assert_eq!(allocations(async |n| here.say(n).await.unwrap()).await, 4);
    let node = self::node("four").start().await.unwrap();
    Service::new(Up).plugin(Hears).start_on(&node).await.unwrap();
    let here = CounterClient::new(&node);
    assert_eq!(allocations(async |n| here.next(n).await.unwrap()).await, 1);
}

/// A plugin that reads what goes back.
struct Hears;

#[plugin]
impl Plugin for Hears {
    fn after(&self, call: &mut Finished<'_>) {
        assert!(call.context().reply_headers().is_empty());
    }
}

/// A plugin without hooks on calls.
struct Quiet;

#[plugin]
impl Plugin for Quiet {
    async fn stop(&self, _: &plugin::Host) -> nebula::Result<()> {
        Ok(())
    }
}

/// Looks at the beginnings of calls, and not at their arguments, which would be written down first
/// where the call may be made elsewhere. `0` is its name.
struct Before(&'static str);

#[plugin]
impl Plugin for Before {
    fn name(&self) -> Cow<'static, str> {
        self.0.into()
    }

    fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
        black_box(call.method());
        Ok(())
    }
}

/// Looks at their ends.
struct After;

#[plugin]
impl Plugin for After {
    fn after(&self, call: &mut Finished<'_>) {
        black_box(call.reply::<u64>());
    }
}

/// Is around them.
struct Wraps(&'static str);

#[plugin]
impl Plugin for Wraps {
    fn name(&self) -> Cow<'static, str> {
        self.0.into()
    }

    async fn around(&self, mut call: Around<'_>) -> Result<(), Refusal> {
        call.next().await
    }
}

/// A hook that is not there costs nothing, one that looks at the beginning allocates nothing; what
/// outlasts the beginning has one box for the whole call, and each `around` hook one of its own, with
/// one for the method below them.
#[tokio::test]
async fn hooks_allocate_what_they_must() {
    let with = async |plugins: fn(Service) -> Service| {
        let node = node("two").start().await.unwrap();
        plugins(Service::new(Up)).start_on(&node).await.unwrap();
        let here = CounterClient::new(&node);
        allocations(async |n| here.next(n).await.unwrap()).await
    };
    assert_eq!(with(|service| service).await, 1);
    assert_eq!(with(|service| service.plugin(Quiet)).await, 1);
    assert_eq!(with(|service| service.plugin(Before("a"))).await, 1);
    let seven = with(|service| {
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        names.into_iter().fold(service, |service, name| service.plugin(Before(name)))
    });
    assert_eq!(seven.await, 1);
    assert_eq!(with(|service| service.plugin(After)).await, 1);
    assert_eq!(with(|service| service.plugin(Wraps("a"))).await, 3);
    assert_eq!(with(|service| service.plugin(Wraps("a")).plugin(Wraps("b"))).await, 4);
    assert_eq!(with(|service| service.plugin(Wraps("a")).plugin(After)).await, 3);
}
