//! An implementation whose bodies can be made to wait, panic, count and call others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use nebula::Context;
use tokio::sync::Semaphore;

use crate::contract::{Alias, PutError, User, Users, UsersClient};

/// Ids that make `find` misbehave.
pub(crate) const PANICS: u64 = 1000;
pub(crate) const NEVER: u64 = 1001;
pub(crate) const BUSY: u64 = 1002;

#[derive(Clone)]
pub(crate) struct Store(pub(crate) Arc<Probe>);

#[derive(Default)]
pub(crate) struct Probe {
    pub(crate) running: AtomicUsize,
    pub(crate) most: AtomicUsize,
    pub(crate) dropped: AtomicUsize,
    pub(crate) next: Option<UsersClient>,
    pub(crate) tokens: Option<tokio::sync::mpsc::UnboundedSender<Context>>,
    pub(crate) turn: Option<Semaphore>,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn of(probe: Probe) -> Self {
        Self(Arc::new(probe))
    }
}

pub(crate) fn ada(id: u64) -> User {
    User { id, name: "Ada".into() }
}

/// Counts the bodies that are alive, and those that have gone.
struct Alive<'p>(&'p Probe);

impl<'p> Alive<'p> {
    fn new(probe: &'p Probe) -> Self {
        let running = probe.running.fetch_add(1, SeqCst) + 1;
        probe.most.fetch_max(running, SeqCst);
        Self(probe)
    }
}

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
        self.0.dropped.fetch_add(1, SeqCst);
    }
}

impl Users for Store {
    async fn find(&self, id: u64) -> Option<User> {
        let _alive = Alive::new(&self.0);
        match id {
            PANICS => panic!("the index is broken"),
            NEVER => std::future::pending().await,
            BUSY => loop {
                tokio::task::consume_budget().await;
            },
            0 => None,
            _ => Some(ada(id)),
        }
    }

    async fn put(&self, user: User) -> Alias<()> {
        let _alive = Alive::new(&self.0);
        if let Some(turn) = &self.0.turn {
            turn.acquire().await.unwrap().forget();
        }
        if user.id == 0 { Err(PutError::ReadOnly) } else { Ok(()) }
    }

    async fn remaining(&self, cx: &Context, depth: u64) -> Duration {
        let _alive = Alive::new(&self.0);
        if let Some(tokens) = &self.0.tokens {
            tokens.send(cx.clone()).unwrap();
        }
        match &self.0.next {
            Some(next) if depth > 0 => {
                let left = next.remaining(depth - 1).timeout(Duration::from_secs(60)).await;
                left.unwrap_or(Duration::MAX)
            }
            _ => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                cx.remaining()
            }
        }
    }
}
