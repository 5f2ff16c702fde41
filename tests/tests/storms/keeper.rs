//! A service of which is known at every moment how many of its bodies run.

use std::sync::Arc;
use std::time::Duration;

use nebula::prelude::*;
use tokio::sync::watch;
use tokio::time::sleep;

/// How many bodies run at once, and how many calls wait, of each method.
pub(crate) const PLACES: usize = 8;
pub(crate) const SEATS: usize = 16;

#[service(global)]
pub trait Shop {
    /// Twice the number, after a while.
    #[api(idempotent, max_concurrent = 8, queue = 16)]
    async fn read(&self, call: u64, wait: Duration) -> u64;
    /// The same, if it must not run twice.
    #[api(max_concurrent = 8, queue = 16)]
    async fn write(&self, call: u64, wait: Duration) -> u64;
    /// The same, without a bound that is reached here.
    #[api(idempotent)]
    async fn look(&self, call: u64, wait: Duration) -> u64;
    /// The same bytes.
    #[api(idempotent)]
    async fn carry(&self, bytes: Vec<u8>) -> Vec<u8>;
}

/// What has become of the bodies on a node.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) running: usize,
    /// The most that ran at once.
    pub(crate) most: usize,
    pub(crate) began: usize,
    pub(crate) ended: usize,
}

#[derive(Clone, Default)]
pub(crate) struct Keeper(Arc<watch::Sender<Count>>);

impl Keeper {
    pub(crate) fn count(&self) -> Count {
        *self.0.borrow()
    }

    /// The count, to wait for what it becomes.
    pub(crate) fn watch(&self) -> watch::Receiver<Count> {
        self.0.subscribe()
    }

    async fn work(&self, call: u64, wait: Duration) -> u64 {
        let body = Body::begin(&self.0);
        if !wait.is_zero() {
            sleep(wait).await;
        }
        body.0.send_modify(|count| count.ended += 1);
        call * 2
    }
}

impl Shop for Keeper {
    async fn read(&self, call: u64, wait: Duration) -> u64 {
        self.work(call, wait).await
    }

    async fn write(&self, call: u64, wait: Duration) -> u64 {
        self.work(call, wait).await
    }

    async fn look(&self, call: u64, wait: Duration) -> u64 {
        self.work(call, wait).await
    }

    async fn carry(&self, bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }
}

/// Counts a body for as long as it is there.
struct Body<'k>(&'k watch::Sender<Count>);

impl<'k> Body<'k> {
    fn begin(count: &'k watch::Sender<Count>) -> Self {
        count.send_modify(|count| {
            count.began += 1;
            count.running += 1;
            count.most = count.most.max(count.running);
        });
        Self(count)
    }
}

impl Drop for Body<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| count.running -= 1);
    }
}
