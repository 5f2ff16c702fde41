//! What the servers offer: methods that may run twice, and methods that must not.

use std::time::Duration;

use nebula::prelude::*;
use serde::{Deserialize, Serialize};

/// Every method that takes the number of a call leaves a line when it begins, and answers twice
/// that number, so that a reply to another call shows.
#[service(global)]
pub trait Ledger {
    /// May run twice.
    #[api(idempotent)]
    async fn find(&self, call: u64) -> u64;

    /// May run twice, and takes its time.
    #[api(idempotent)]
    async fn find_slowly(&self, call: u64, wait: Duration) -> u64;

    /// Must not run twice.
    #[api]
    async fn add(&self, call: u64) -> u64;

    /// Must not run twice, and takes its time.
    #[api]
    async fn add_slowly(&self, call: u64, wait: Duration) -> u64;

    /// Must not run twice, takes its time, and runs eight times at once, with sixteen that wait.
    #[api(max_concurrent = 8, queue = 16)]
    async fn add_narrowly(&self, call: u64, wait: Duration) -> u64;

    /// Fails when `amount` is over 100.
    #[api]
    async fn spend(&self, call: u64, amount: u64) -> Result<u64, Overdrawn>;

    /// Panics.
    #[api]
    async fn break_down(&self, call: u64) -> u64;

    /// Who answers.
    #[api(idempotent)]
    async fn whoami(&self, cx: &Context) -> Who;

    /// The same bytes in the opposite order.
    #[api(idempotent)]
    async fn reversed(&self, bytes: Vec<u8>) -> Vec<u8>;
}

/// The method's own error.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[error("{amount} is more than there is")]
pub struct Overdrawn {
    /// What was asked for.
    pub amount: u64,
}

/// One that answers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Who {
    /// The name of the book.
    pub name: String,
    /// The process.
    pub pid: u32,
    /// The name of the node that asked, as far as it is known.
    pub caller: Option<String>,
}
