//! A cluster of real processes to be hurt in tests, and an oracle that knows what really ran.
//!
//! [`Site`] is one cluster's own realm, cookie and directory. Its servers are [`Process`]es of the
//! program `node`, which serve a [`Book`]; each call that a book executes leaves a line in a file,
//! which survives the process. [`Traffic`] makes calls and keeps their [`Outcome`]s, and
//! [`Site::judge`] compares the two. [`Load`] makes them at a steady rate, and [`Figures`] tells how
//! long they took.
//!
//! [`Ops`] manage the ledger of a server that was started with [`Site::serve_version`].
//!
//! What each process learned about who is there is in [`Members`].
//!
//! [`Five`] is a cluster of five servers, each with a [`Store`] too, for calls to several nodes;
//! with a [`Relay`] between them their network can be cut.

mod book;
mod contract;
mod figures;
mod five;
mod heap;
mod home;
mod lifeline;
mod load;
mod members;
mod ops;
mod oracle;
mod patience;
mod process;
mod relay;
mod site;
mod store;
mod tier;
mod traffic;

pub use book::Book;
pub use contract::{Ledger, LedgerClient, Overdrawn, Who};
pub use figures::{Figures, row};
pub use five::{Five, topology};
pub use heap::{heap_file, heap_kib};
pub use home::home;
pub use lifeline::Lifeline;
pub use load::Load;
pub use members::{Members, Seen};
pub use ops::{Desk, Ops, OpsClient};
pub use oracle::{Outcome, executions, judge};
pub use patience::{PATIENCE, until};
pub use process::{Frozen, Process};
pub use relay::Relay;
pub use site::Site;
pub use store::{Gate, Mark, Replica, ReplicaClient, Store};
pub use tier::tier;
pub use traffic::{Traffic, Work};
