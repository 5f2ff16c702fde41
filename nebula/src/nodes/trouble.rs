//! Follows how the attempts of calls end, and tells which nodes are passed over: the
//! [`Outliers`] of a node, with a lock that is taken only while some node is in trouble.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use macula::identity::NodeId;
use macula::rpc::Moved;
use macula::text::Safe;
use tokio::time::Instant;

use super::choices::Choices;
use super::outlier::{Outliers, jitter};
use super::policy::Candidate;

/// An attempt that was given less time than this before its deadline says nothing about a node.
const FAIR: Duration = Duration::from_millis(10);
/// An attempt whose deadline is noticed so late was held up here: this process stood still.
const HELD_UP: Duration = Duration::from_millis(500);

/// The nodes that failed calls of this one.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    /// How many there are: read without the lock.
    count: AtomicUsize,
    outliers: Mutex<Outliers>,
}

/// How an attempt ended, as far as it says something about its node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// The method ran to an end there and the answer came.
    Answered,
    /// The node could not be reached, fell silent, was lost or let the deadline pass.
    Failed,
    /// Nothing either way: it refused, or nobody waited any more.
    Neither,
}

/// An attempt that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) node: NodeId,
    pub(crate) began: Instant,
    /// When it had to end.
    pub(crate) deadline: Instant,
    /// What [`Trouble::begins`] said of it.
    pub(crate) tries: bool,
}

impl Trouble {
    /// An attempt on another node begins, and ends at `deadline` at the latest, or later by what
    /// its handler has moved it.
    pub(crate) fn watch<'a>(
        &'a self,
        choices: &'a Choices,
        (node, name): (NodeId, &'a str),
        (began, deadline, moved): (Instant, Instant, Option<Moved>),
    ) -> Watched<'a> {
        let tries = self.begins(&node, began);
        Watched { trouble: self, choices, node, name, began, deadline, moved, tries, ended: false }
    }

    /// An attempt on another node begins. True if it is the one that tries whether an ejected node
    /// is back: its end must be told to [`ended`](Self::ended), whatever it is.
    pub(crate) fn begins(&self, node: &NodeId, began: Instant) -> bool {
        self.any() && self.lock().begins(node, began)
    }

    /// The attempt on the node of this name has ended, which it had to do at the deadline.
    pub(crate) fn ended(&self, choices: &Choices, name: &str, attempt: Ended, verdict: Verdict) {
        let Ended { node, began, deadline, tries } = attempt;
        if verdict != Verdict::Failed && !tries && !self.any() {
            // It says nothing, like nearly all. The clock is not even looked at.
            return;
        }
        let now = Instant::now();
        let fair = deadline.saturating_duration_since(began) >= FAIR
            && now.saturating_duration_since(deadline) < HELD_UP;
        match verdict {
            Verdict::Failed if now >= deadline && !fair => {}
            Verdict::Answered if self.any() => {
                if self.change(|outliers| outliers.succeeded(&node)) {
                    tracing::info!(name = %Safe(name), %node, "a node answers calls again");
                }
            }
            Verdict::Failed => {
                let drawn = || jitter(&mut choices.jitter());
                let failed = |outliers: &mut Outliers| outliers.failed(node, began, now, drawn);
                if let Some(time) = self.change(failed) {
                    tracing::warn!(
                        name = %Safe(name), %node, ?time,
                        "calls to a node failed in a row: it is asked after the others for a while"
                    );
                }
            }
            Verdict::Answered | Verdict::Neither => {}
        }
        if tries {
            self.lock().tried(&node, began);
        }
    }

    /// Puts those of a call's candidates under suspicion that are passed over.
    pub(crate) fn pass_over(&self, candidates: &mut [Candidate], now: Instant) {
        if self.any() {
            self.lock().pass_over(candidates, now);
        }
    }

    /// Forgets the nodes that are not there any more.
    pub(crate) fn retain(&self, alive: impl Fn(&NodeId) -> bool) {
        if self.any() {
            self.change(|outliers| outliers.retain(alive));
        }
    }

    fn any(&self) -> bool {
        self.count.load(Relaxed) > 0
    }

    fn change<T>(&self, change: impl FnOnce(&mut Outliers) -> T) -> T {
        let mut outliers = self.lock();
        let changed = change(&mut outliers);
        self.count.store(outliers.len(), Relaxed);
        changed
    }

    fn lock(&self) -> MutexGuard<'_, Outliers> {
        self.outliers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt under way. Dropped before its end it says nothing, unless its deadline has passed:
/// who waits for several attempts drops them all at once then.
#[derive(Debug)]
pub(crate) struct Watched<'a> {
    trouble: &'a Trouble,
    choices: &'a Choices,
    node: NodeId,
    name: &'a str,
    began: Instant,
    deadline: Instant,
    moved: Option<Moved>,
    /// It is the one that tries whether an ejected node is back.
    tries: bool,
    ended: bool,
}

impl Watched<'_> {
    /// The attempt has ended, which it had to do at `deadline`.
    pub(crate) fn ends(mut self, verdict: Verdict, deadline: Instant) {
        self.deadline = deadline;
        self.end(verdict);
    }

    fn end(&mut self, verdict: Verdict) {
        self.ended = true;
        let Self { node, began, deadline, tries, .. } = *self;
        let attempt = Ended { node, began, deadline, tries };
        self.trouble.ended(self.choices, self.name, attempt, verdict);
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.deadline += self.moved.as_ref().map(Moved::by).unwrap_or_default();
            let late = Instant::now() >= self.deadline;
            self.end(if late { Verdict::Failed } else { Verdict::Neither });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Has two attempts of `given` end after `took`, and tells whether that is held against the node.
    async fn counts(given: Duration, took: Duration, end: Option<Verdict>) -> bool {
        let (trouble, choices) = (Trouble::default(), Choices::new(Some(7)));
        let node = NodeId::from_bytes([1; 32]);
        for _ in 0..2 {
            let began = Instant::now();
            let watched = trouble.watch(&choices, (node, "db"), (began, began + given, None));
            advance(took).await;
            match end {
                Some(verdict) => watched.ends(verdict, began + given),
                None => drop(watched),
            }
        }
        let other = NodeId::from_bytes([2; 32]);
        let candidate =
            |node| Candidate { node, itself: false, load: 0, trip: None, suspect: false };
        let mut candidates = [candidate(node), candidate(other)];
        trouble.pass_over(&mut candidates, Instant::now());
        assert!(!candidates[1].suspect);
        candidates[0].suspect
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_counts_and_what_was_given_up_does_not() {
        let given = 100 * MS;
        assert!(counts(given, MS, Some(Verdict::Failed)).await);
        assert!(!counts(given, MS, Some(Verdict::Neither)).await);
        assert!(!counts(given, MS, Some(Verdict::Answered)).await);
        assert!(!counts(given, 99 * MS, None).await);
        assert!(counts(given, given, None).await, "all are dropped at the deadline");
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_counts_if_there_was_time_and_this_process_did_not_stand_still() {
        let fails = Some(Verdict::Failed);
        assert!(!counts(9 * MS, 9 * MS, fails).await);
        assert!(counts(10 * MS, 10 * MS, fails).await);
        assert!(counts(9 * MS, MS, fails).await, "it failed before the deadline");
        assert!(!counts(100 * MS, 700 * MS, fails).await);
    }
}
