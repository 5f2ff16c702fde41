//! What it costs a node to be knocked at: by addresses that nobody is at, and by crowds that never
//! come to the point. The heap is that of the process, so the tests run one after the other; each on
//! a network in memory and a paused clock.

#[path = "doors/crowd.rs"]
mod crowd;
#[path = "doors/log.rs"]
mod log;
#[path = "hostile/rude.rs"]
#[allow(dead_code)]
mod rude;
#[path = "doors/spoofed.rs"]
mod spoofed;
#[path = "hostile/victim.rs"]
#[allow(dead_code)]
mod victim;

use std::alloc::System;
use std::env;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::sync::{Mutex, MutexGuard};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Held by the test that runs.
static ALONE: Mutex<()> = Mutex::const_new(());

async fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().await
}

/// Bytes in use. What is resized counts as allocated or freed by as much as it grows or shrinks.
fn in_use() -> isize {
    let stats = HEAP.stats();
    stats.bytes_allocated as isize - stats.bytes_deallocated as isize
}

/// How many peers knock: the number in `CHAOS_PEERS`, or else the usual one.
fn peers(usual: usize) -> usize {
    match env::var("CHAOS_PEERS") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("CHAOS_PEERS: {text:?} is no number")),
        Err(_) => usual,
    }
}
