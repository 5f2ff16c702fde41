//! What it costs a node to be knocked at: by addresses that nobody is at, by crowds that never
//! come to the point, and by members that never come to an end. The heap is that of the process, so the tests run one after the other; each on
//! a network in memory and a paused clock.

#[path = "doors/crowd.rs"]
mod crowd;
#[path = "doors/flood.rs"]
mod flood;
#[path = "hostile/frames.rs"]
#[allow(dead_code)]
mod frames;
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

/// How many peers knock.
fn peers(usual: usize) -> usize {
    tier("CHAOS_PEERS", usual)
}

/// How many streams or cancellations come.
fn many(usual: usize) -> usize {
    tier("CHAOS_FLOOD", usual)
}

/// The number in this variable of the environment, or else the usual one.
fn tier(variable: &str, usual: usize) -> usize {
    match env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}: {text:?} is no number")),
        Err(_) => usual,
    }
}
