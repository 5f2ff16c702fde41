//! A service whose every node behaves as its test wants, and says what became of its calls.

use std::sync::Arc;
use std::time::Duration;

use nebula::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::site::PATIENCE;

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[error("{0} will not")]
pub struct Refused(pub String);

#[service(global)]
pub trait Desk {
    #[api(idempotent)]
    async fn act(&self) -> Result<String, Refused>;
    #[api]
    async fn write(&self) -> Result<String, Refused>;
    #[api(stragglers = "finish")]
    async fn finish(&self) -> Result<String, Refused>;
    #[api(max_concurrent = 1, queue = 1)]
    async fn narrow(&self) -> Result<String, Refused>;
    /// Takes so many bytes and gives so many back.
    #[api]
    async fn swap(&self, bytes: Vec<u8>, reply: usize) -> Vec<u8>;
    /// The name and the id of the node that asks, in text.
    #[api]
    async fn asker(&self, cx: &Context) -> Option<(String, String)>;
    #[api]
    async fn left(&self, cx: &Context) -> Duration;
    /// Hangs, and leaves a task behind that notices when nobody waits any more.
    #[api]
    async fn guard(&self, cx: &Context);
}

/// What a clerk does with a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mood {
    Answer,
    Refuse,
    Panic,
    /// Nothing until the mood changes.
    Wait,
}

/// How many calls came how far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Count {
    pub(crate) began: usize,
    pub(crate) ended: usize,
    /// Dropped before they ended.
    pub(crate) dropped: usize,
    /// Contexts that heard that nobody waits.
    pub(crate) cancelled: usize,
}

#[derive(Clone)]
pub(crate) struct Clerk(Arc<Inner>);

struct Inner {
    label: String,
    mood: watch::Sender<Mood>,
    count: watch::Sender<Count>,
}

impl Clerk {
    pub(crate) fn new(label: &str, mood: Mood) -> Self {
        let (mood, count) = (watch::Sender::new(mood), watch::Sender::new(Count::default()));
        Self(Arc::new(Inner { label: label.into(), mood, count }))
    }

    pub(crate) fn turn(&self, mood: Mood) {
        self.0.mood.send_replace(mood);
    }

    pub(crate) fn count(&self) -> Count {
        *self.0.count.borrow()
    }

    /// Waits until the counts are as wanted.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Count) -> bool) {
        let mut count = self.0.count.subscribe();
        let met = timeout(PATIENCE, count.wait_for(|count| holds(count))).await.is_ok();
        assert!(met, "{} never {what}: {:?}", self.0.label, self.count());
    }

    async fn work(&self) -> Result<String, Refused> {
        let Inner { label, mood, .. } = &*self.0;
        let mut call = Running::begin(self.0.clone());
        let mut changed = mood.subscribe();
        let mood = *changed.wait_for(|mood| *mood != Mood::Wait).await.unwrap();
        call.ended = true;
        match mood {
            Mood::Refuse => Err(Refused(label.clone())),
            Mood::Panic => panic!("{label} has a bad day"),
            Mood::Answer | Mood::Wait => Ok(label.clone()),
        }
    }
}

impl Desk for Clerk {
    async fn act(&self) -> Result<String, Refused> {
        self.work().await
    }

    async fn write(&self) -> Result<String, Refused> {
        self.work().await
    }

    async fn finish(&self) -> Result<String, Refused> {
        self.work().await
    }

    async fn narrow(&self) -> Result<String, Refused> {
        self.work().await
    }

    async fn swap(&self, bytes: Vec<u8>, reply: usize) -> Vec<u8> {
        let _ = (self.work().await, bytes);
        vec![7; reply]
    }

    async fn asker(&self, cx: &Context) -> Option<(String, String)> {
        cx.caller().map(|caller| (caller.name.to_string(), caller.id.to_string()))
    }

    async fn left(&self, cx: &Context) -> Duration {
        cx.remaining()
    }

    async fn guard(&self, cx: &Context) {
        let (cx, clerk) = (cx.clone(), self.clone());
        tokio::spawn(async move {
            cx.cancelled().await;
            clerk.0.count.send_modify(|count| count.cancelled += 1);
        });
        let _ = self.work().await;
    }
}

/// Counts a call.
struct Running {
    clerk: Arc<Inner>,
    ended: bool,
}

impl Running {
    fn begin(clerk: Arc<Inner>) -> Self {
        clerk.count.send_modify(|count| count.began += 1);
        Self { clerk, ended: false }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.clerk.count.send_modify(|count| match self.ended {
            true => count.ended += 1,
            false => count.dropped += 1,
        });
    }
}
