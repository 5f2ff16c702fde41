//! Calls of each kind, again and again, leave nothing behind on the heap. Alone in its process, of
//! which the heap is counted; on a network in memory and a paused clock.

use std::alloc::System;
use std::time::Duration;

use nebula::nodes::Policy;
use nebula::prelude::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::time::{sleep, timeout};

#[path = "storms/keeper.rs"]
#[allow(dead_code)]
mod keeper;
#[path = "storms/site.rs"]
#[allow(dead_code)]
mod site;

use keeper::ShopClient;
use site::Site;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MS: Duration = Duration::from_millis(1);
const CALLS: usize = 80;
/// Enough that each of three connections has used all of its 64 streams for large messages, which
/// keep their buffers.
const LARGE: usize = 220;
/// What a call may leave: the nodes talk to each other all the time, and so the heap varies by a
/// kilobyte. What each call leaves behind is more, if it is twenty bytes.
const NOISE: isize = 20;
/// How often it is measured, if it seems to be more: what calls leave is left each time.
const TRIES: usize = 5;

/// Bytes in use. What is resized counts as allocated or freed by as much as it grows or shrinks.
fn in_use() -> isize {
    let stats = HEAP.stats();
    stats.bytes_allocated as isize - stats.bytes_deallocated as isize
}

/// How many more bytes are in use after so many calls, once as many were made before.
async fn grows(name: &str, calls: usize, site: &Site, call: impl AsyncFn(ShopClient)) {
    let shop =
        ShopClient::new(&site.client).with(|o| o.policy(Policy::RoundRobin).timeout(5000 * MS));
    let most = NOISE * calls as isize;
    let mut growth = Vec::new();
    while growth.len() <= TRIES && growth.get(1..).and_then(<[_]>::last).is_none_or(|g| *g >= most)
    {
        let before = in_use();
        for _ in 0..calls {
            call(shop.clone()).await;
        }
        // Whatever was put off is done by then.
        sleep(Duration::from_secs(10)).await;
        growth.push(in_use() - before);
    }
    println!("{name}: {growth:?} bytes more after each {calls} calls");
    assert!(growth.last() < Some(&most), "{name}: {calls} calls left {growth:?} bytes");
}

#[tokio::test(start_paused = true)]
async fn calls_leave_nothing_on_the_heap() {
    let site = Site::start(3).await;
    let now = Duration::ZERO;
    grows("large", LARGE, &site, async |shop| drop(shop.carry(vec![7; 100_000]).await)).await;
    grows("one", CALLS, &site, async |shop| drop(shop.look(1, now).await)).await;
    grows("hedged", CALLS, &site, async |shop| drop(shop.look(1, MS).hedge().await)).await;
    grows("all", CALLS, &site, async |shop| drop(shop.look(1, now).all().await)).await;
    grows("first", CALLS, &site, async |shop| drop(shop.look(1, now).first().await)).await;
    grows("quorum", CALLS, &site, async |shop| drop(shop.look(1, MS).quorum(majority()).await))
        .await;
    grows("finished", CALLS, &site, async |shop| drop(shop.write(1, MS).quorum(majority()).await))
        .await;
    let give_up = async |shop: ShopClient| {
        let given_up = timeout(MS, shop.write(1, 50 * MS).into_future()).await;
        assert!(given_up.is_err());
    };
    grows("given up", CALLS, &site, give_up).await;
    let late = async |shop: ShopClient| {
        let late = shop.write(1, 50 * MS).timeout(10 * MS).await;
        assert!(matches!(late, Err(CallError::Deadline(_))));
    };
    grows("late", CALLS, &site, late).await;
}
