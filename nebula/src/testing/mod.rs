//! A cluster in a test: many nodes in one process, faults at will, and no waiting. For the feature
//! `testing`.
//!
//! # Promise
//! The nodes are those of a program: the same code, the same QUIC, TLS and membership. Below them
//! are a network in memory ([`MemoryNetwork`]) and tokio's paused clock, so that a minute in which
//! nothing happens takes no time. Faults take hold at once, between whichever nodes they are said
//! for.
//!
//! ```
//! use nebula::prelude::*;
//! use nebula::testing::{self, ms};
//!
//! #[service(global)]
//! pub trait Users {
//!     #[api(idempotent)]
//!     async fn find(&self, id: u64) -> Option<String>;
//! }
//!
//! struct Store;
//! impl Users for Store {
//!     async fn find(&self, id: u64) -> Option<String> {
//!         Some(format!("user {id}"))
//!     }
//! }
//!
//! testing::run(7, async |mut cluster| {
//!     let db = cluster.node("db@h1").tags(["db"]).serve(Store).start().await;
//!     let web = cluster.node("web@h2").start().await;
//!     cluster.link(&db, &web).loss(0.1).delay(ms(20));
//!     let users = UsersClient::new(&web);
//!     assert_eq!(users.find(42).await, Ok(Some("user 42".into())));
//!
//!     cluster.partition(&[&db], &[&web]);
//!     assert!(users.find(42).await.is_err());
//!     cluster.repair();
//!     cluster.settle().await;
//!     assert!(users.find(42).await.is_ok());
//! });
//! ```
//!
//! # What a seed repeats
//! Everything that this module leaves to chance comes from the seed of the cluster: the keys of the
//! nodes, what the nodes of calls leave to chance, and what becomes of each datagram: under
//! the same faults the n-th datagram from one node to another fares the same in every run. How
//! many datagrams there are, and when, is *not* repeated to the letter: TLS and QUIC draw keys and
//! connection ids from the operating system, and membership and gossip choose their partners and
//! pauses freely. A test must hold for every such run; a failure prints the seed, with which a run
//! is alike, not equal.
//!
//! # What is not real
//! - **A pause is silence.** [`Cluster::pause`] stops what a node sends and holds what it is sent,
//!   which is what others notice of a stopped process. The node itself goes on: its timers run,
//!   its handlers too, and it sees everybody else fall silent. (A process that really stands still
//!   is tested with processes and SIGSTOP.)
//! - **A crash stops what the library runs**: tasks, connections, handlers at their next await. What
//!   a handler has spawned by itself is a task of the test, and lives on.
//! - **A wrong clock shows at a start alone.** Calls carry the time that is left, never the time of
//!   day. That is read once in the life of a node, for the number that tells this life from the
//!   ones before; [`Cluster::clock_ahead`] and [`Cluster::clock_behind`] are about that number.
//!   Clocks that run too fast or too slowly are not offered: there is one virtual clock.
//! - **Real work takes no virtual time.** However long a computation takes, the clock moves only
//!   when all tasks wait; it does not while `spawn_blocking` runs something.
//!
//! # Limits
//! One thread, and all nodes of a cluster in it; tens of nodes, not thousands. 4096 datagrams wait
//! at a node, on their way included.
//!
//! [`MemoryNetwork`]: macula::MemoryNetwork

mod builder;
mod cluster;
mod links;
mod machine;
mod node;
mod settle;

use std::time::Duration;

pub use builder::TestNodeBuilder;
pub use cluster::Cluster;
pub use links::Links;
pub use node::TestNode;

/// So many milliseconds.
pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Runs a test on a cluster of its own, in a runtime of its own whose clock is paused: what
/// `#[tokio::test(start_paused = true)]` and [`Cluster::new`] do together, for a plain `#[test]`.
///
/// # Panics
/// When the test does, and inside another runtime.
pub fn run<T>(seed: u64, test: impl AsyncFnOnce(Cluster) -> T) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = match builder.enable_all().start_paused(true).build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("the system gives no runtime for a test: {error}"),
    };
    runtime.block_on(async { test(Cluster::new(seed)).await })
}
