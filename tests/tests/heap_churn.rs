//! Nodes that come and go leave nothing behind on the heap of those that stay. Alone in its process,
//! of which the heap is counted; on a network in memory and a paused clock.

use std::alloc::System;
use std::time::Duration;

use nebula::testing::{Cluster, TestNode};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::time::sleep;

#[path = "storms/keeper.rs"]
#[allow(dead_code)]
mod keeper;

use keeper::{Keeper, ShopClient};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How often a node goes and comes back before the heap is looked at.
const TIMES: usize = 4;
/// Longer than a connection or a record of the dead is kept. Tombstones last ten minutes, and foca's
/// memory of those that are gone for good a day: both are small.
const FORGOTTEN: Duration = Duration::from_secs(90);
/// What the heap may vary by, since nodes talk all the time. A connection that is kept is 30 KiB.
const NOISE: isize = 4 << 10;

/// Bytes in use. What is resized counts as allocated or freed by as much as it grows or shrinks.
fn in_use() -> isize {
    let stats = HEAP.stats();
    stats.bytes_allocated as isize - stats.bytes_deallocated as isize
}

/// How many more bytes are in use after a node has gone and come back so many times, once it had
/// done so before.
async fn grows(
    go: &mut TestNode,
    client: &TestNode,
    mut again: impl AsyncFnMut(&TestNode) -> TestNode,
) -> isize {
    let mut growth = 0;
    for _ in 0..2 {
        let before = in_use();
        for _ in 0..TIMES {
            *go = again(go).await;
            let shop = ShopClient::new(client);
            assert_eq!(shop.look(4, Duration::ZERO).to(go.id()).await, Ok(8));
        }
        sleep(FORGOTTEN).await;
        growth = in_use() - before;
    }
    growth
}

#[tokio::test(start_paused = true)]
async fn nodes_that_come_and_go_leave_nothing_on_the_heap() {
    let mut cluster = Cluster::new(1);
    let client = cluster.node("client").start().await;
    let _stay = cluster.node("stay").serve(Keeper::default()).start().await;
    let mut go = cluster.node("go").serve(Keeper::default()).start().await;
    cluster.settle().await;
    let cluster = &cluster;

    let mut times = 0;
    let back = grows(&mut go, &client, async |go| {
        times += 1;
        if times % 2 == 0 {
            cluster.shutdown(go).await.expect("nothing runs there");
        }
        // Who still runs is killed.
        let back = cluster.restart(go).await;
        cluster.settle().await;
        back
    });
    let back = back.await;
    let others = grows(&mut go, &client, async |go| {
        let back = cluster.restart_as_new(go).await;
        cluster.settle().await;
        back
    });
    let others = others.await;
    println!(
        "{back} bytes more after {TIMES} crashes and departures, {others} after as many crashes of \
         nodes that never come back"
    );
    assert!(back < NOISE, "{back}");
    // The two that stay remember a name, a number and a timer of each for a day.
    assert!(others < NOISE + 1024 * TIMES as isize, "{others}");
}
