//! The task that watches over the children of one plugin.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use macula::text::Safe;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::intensity::Intensity;
use super::spec::{Child, Children};
use super::supervisor::{End, GaveUp, Supervisor, Then};
use crate::service::input::panic_message;
use crate::service::lifecycle::after;

/// How long one that was aborted is waited for: it may block its thread, and never come to an end.
const ABORTED: Duration = Duration::from_secs(1);

/// Where it is said that the supervisor gives up.
type Owner = Box<dyn FnOnce(GaveUp) + Send>;

/// Starts all children, and spawns who watches over them.
pub(super) fn spawn(
    children: Children,
    intensity: Intensity,
    owner: Arc<str>,
    gave_up: Owner,
) -> RunningChildren {
    let Children { children, strategy, grace, .. } = children;
    let names = children.iter().map(|child| (Arc::clone(&child.name), child.restart));
    let supervisor = Supervisor::new(names, strategy, intensity);
    let count = children.len();
    let slots = children.into_iter().map(|child| Slot { child, run: 0, stop: None }).collect();
    let tasks = FuturesUnordered::new();
    let gave_up = Some(gave_up);
    let (backlog, hurry) = (VecDeque::new(), CancellationToken::new());
    let all = hurry.clone();
    let until = None;
    let mut driver =
        Driver { owner, supervisor, slots, tasks, backlog, grace, all, until, gave_up };
    for position in 0..count {
        driver.start(position);
    }
    let stop = CancellationToken::new();
    let task = (count > 0).then(|| Aborted(tokio::spawn(driver.run(stop.clone()))));
    RunningChildren { stop, hurry, task }
}

/// Children that run. Dropped, it aborts them.
pub(crate) struct RunningChildren {
    stop: CancellationToken,
    /// Tells all that are left to stop, at once.
    hurry: CancellationToken,
    task: Option<Aborted<()>>,
}

impl RunningChildren {
    /// Stops all of them, the last one first, each with its grace; those that are left after `limit`
    /// together, with one grace for all. If the future is dropped, those that are left are aborted.
    pub(crate) async fn stop(mut self, limit: Duration) {
        self.stop.cancel();
        let Some(task) = &mut self.task else { return };
        if timeout(limit, &mut task.0).await.is_err() {
            self.hurry.cancel();
            let _ = (&mut task.0).await;
        }
    }
}

impl fmt::Debug for RunningChildren {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningChildren").finish_non_exhaustive()
    }
}

struct Driver {
    /// The plugin, for the log.
    owner: Arc<str>,
    supervisor: Supervisor,
    slots: Vec<Slot>,
    tasks: FuturesUnordered<Run>,
    /// What ended while something else was waited for.
    backlog: VecDeque<Ended>,
    grace: Duration,
    /// What the tokens of all runs hang on.
    all: CancellationToken,
    /// Once all are to hurry: until when those have time that are left.
    until: Option<Instant>,
    gave_up: Option<Owner>,
}

/// A child, and its run if it has one.
struct Slot {
    child: Child,
    /// Counts the runs: the end of an earlier one is no news.
    run: u64,
    stop: Option<Stop>,
}

/// How a run is stopped.
struct Stop {
    token: CancellationToken,
    abort: tokio::task::AbortHandle,
}

/// The end of a run.
struct Ended {
    position: usize,
    run: u64,
    end: End,
}

impl Driver {
    async fn run(mut self, stop: CancellationToken) {
        loop {
            if !stop.is_cancelled()
                && let Some(ended) = self.backlog.pop_front()
            {
                self.ended(ended).await;
                continue;
            }
            let next = self.supervisor.next();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = self.tasks.next(), if !self.tasks.is_empty() => {
                    self.backlog.push_back(ended);
                }
                () = due(next) => {
                    for position in self.supervisor.due(Instant::now()) {
                        self.start(position);
                    }
                }
            }
        }
        for position in (0..self.slots.len()).rev() {
            self.stop(position).await;
        }
    }

    fn start(&mut self, position: usize) {
        let Some(slot) = self.slots.get_mut(position) else { return };
        slot.run += 1;
        let token = self.all.child_token();
        let made = catch_unwind(AssertUnwindSafe(|| (slot.child.run)(token.clone())));
        let body = made.unwrap_or_else(|panic| {
            let message = panicked(panic_message(panic));
            async { Err(message) }.boxed()
        });
        let task = tokio::spawn(contained(body));
        slot.stop = Some(Stop { token, abort: task.abort_handle() });
        self.tasks.push(Run { position, run: slot.run, task: Aborted(task) });
    }

    /// Does what follows from the end of a child, unless it was stopped by then.
    async fn ended(&mut self, Ended { position, run, end }: Ended) {
        let Some(slot) = self.slots.get_mut(position) else { return };
        if slot.run != run || slot.stop.take().is_none() {
            return;
        }
        let (owner, name) = (&self.owner, Arc::clone(&slot.child.name));
        match &end {
            Ok(()) => tracing::debug!(plugin = %owner, child = %name, "a child came to its end"),
            Err(why) => {
                tracing::warn!(plugin = %owner, child = %name, "a child failed: {}", Safe(why));
            }
        }
        match self.supervisor.ended(position, &end, Instant::now()) {
            Then::Nothing => {}
            Then::Stop(others) => {
                for other in others {
                    self.stop(other).await;
                }
            }
            Then::GiveUp(why) => {
                tracing::error!(plugin = %owner, "its children are given up: {why}");
                if let Some(owner) = self.gave_up.take() {
                    owner(why);
                }
            }
        }
    }

    /// Stops a child and waits until it has ended, as long as that is of use.
    async fn stop(&mut self, position: usize) {
        let Some(slot) = self.slots.get_mut(position) else { return };
        let Some(Stop { token, abort }) = slot.stop.take() else { return };
        let (run, name) = (slot.run, Arc::clone(&slot.child.name));
        token.cancel();
        let grace = self.grace();
        if timeout(grace, self.end_of(position, run)).await.is_ok() {
            return;
        }
        let owner = &self.owner;
        tracing::warn!(plugin = %owner, child = %name, "aborted, since it did not end in {grace:?}");
        abort.abort();
        if timeout(ABORTED, self.end_of(position, run)).await.is_err() {
            let owner = &self.owner;
            tracing::error!(plugin = %owner, child = %name, "left behind: it blocks its thread");
        }
    }

    /// How long one that is stopped now may take.
    fn grace(&mut self) -> Duration {
        if !self.all.is_cancelled() {
            return self.grace;
        }
        let until = *self.until.get_or_insert_with(|| after(self.grace));
        until.saturating_duration_since(Instant::now())
    }

    async fn end_of(&mut self, position: usize, run: u64) {
        let is_it = |ended: &Ended| (ended.position, ended.run) == (position, run);
        if self.backlog.iter().any(is_it) {
            return;
        }
        while let Some(ended) = self.tasks.next().await {
            if is_it(&ended) {
                return;
            }
            self.backlog.push_back(ended);
        }
    }
}

/// One run of a child. Dropped, it aborts it.
struct Run {
    position: usize,
    run: u64,
    task: Aborted<End>,
}

impl Future for Run {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Ended> {
        let joined = task::ready!(self.task.0.poll_unpin(task));
        let end = joined.unwrap_or_else(|_| Err("it was aborted".into()));
        Poll::Ready(Ended { position: self.position, run: self.run, end })
    }
}

/// A task that is aborted when nobody waits for it.
struct Aborted<T>(JoinHandle<T>);

impl<T> Drop for Aborted<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn contained(body: BoxFuture<'static, End>) -> End {
    let ended = AssertUnwindSafe(body).catch_unwind().await;
    ended.unwrap_or_else(|panic| Err(panicked(panic_message(panic))))
}

fn panicked(message: String) -> String {
    format!("it panicked: {message}")
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
