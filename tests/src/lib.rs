//! A cluster of real processes to be hurt in tests, and an oracle that knows what really ran.
//!
//! [`Site`] is one cluster's own realm, cookie and directory. Its servers are [`Process`]es of the
//! program `node`, which serve a [`Book`]; each call that a book executes leaves a line in a file,
//! which survives the process. [`Traffic`] makes calls and keeps their [`Outcome`]s, and
//! [`Site::judge`] compares the two.

mod book;
mod contract;
mod lifeline;
mod oracle;
mod patience;
mod process;
mod site;
mod traffic;

pub use book::Book;
pub use contract::{Ledger, LedgerClient, Overdrawn, Who};
pub use lifeline::Lifeline;
pub use oracle::{Outcome, judge};
pub use patience::{PATIENCE, until};
pub use process::{Frozen, Process};
pub use site::Site;
pub use traffic::{Traffic, Work};
