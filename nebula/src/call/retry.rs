#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Whether a call that failed on one node is tried on the next.
//!
//! Promise: a method that is not idempotent is never tried again once it ran or may have run, so
//! it runs at most once. The rule: *not executed* → the next candidate; *unknown* → the next
//! candidate for idempotent methods only; *executed* → never, where a body that began and was
//! stopped before it returned counts as *unknown*. Limits: the retries of all calls are
//! a share of the traffic, those of one call are at most [`MAX_ATTEMPTS`], and none starts after
//! the deadline.
//!
//! Attempts on different nodes follow one another at once. Starting over with the same nodes waits
//! for anything up to 10 ms, 20 ms and so on up to 500 ms ("full jitter"), and besides as long as an
//! overloaded node among them asked for. A call with too little
//! time left for that ends with what it was told, and so does one that every node refused as
//! overloaded: its caller should hear of that at once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rand::{Rng, RngExt};

use super::attempt::Executed;

/// The most attempts one call makes, the first included.
pub(crate) const MAX_ATTEMPTS: u32 = 32;

/// The most to wait before starting over the first time; it doubles each time …
const BACKOFF_BASE: Duration = Duration::from_millis(10);
/// … up to this.
const BACKOFF_CAP: Duration = Duration::from_millis(500);

/// What a failed attempt says about another one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Failed {
    /// Whether the method ran in it.
    pub(crate) executed: Executed,
    /// Whether the same node is worth another try. A call does not come back for one that denies
    /// the caller, serves another shape, has a limit that the arguments exceed, or is overloaded.
    pub(crate) again: bool,
    /// How long an overloaded node asked to be spared: what another node makes start over waits as
    /// long.
    pub(crate) busy: Option<Duration>,
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Try the next candidate now.
    TryNext,
    /// All were tried: wait, then start with the first one again.
    StartOver {
        /// How long to wait; it ends before the deadline.
        after: Duration,
    },
    /// The last failure is the call's.
    GiveUp,
}

/// One call's way through its candidates.
#[derive(Clone, Debug)]
pub(crate) struct FailoverMachine {
    candidates: usize,
    /// Candidates of this round that were not tried.
    left: usize,
    idempotent: bool,
    attempts: u32,
    round: u32,
    /// Whether a node of this round is worth another try.
    again: bool,
    /// The shortest time that an overloaded node of this round asked for.
    busy: Option<Duration>,
}

impl FailoverMachine {
    /// A call whose first attempt goes to the first of so many candidates.
    pub(crate) fn new(candidates: usize, idempotent: bool) -> Self {
        let left = candidates.saturating_sub(1);
        Self { candidates, left, idempotent, attempts: 1, round: 0, again: false, busy: None }
    }

    /// The candidates of the round that begins are others than before.
    pub(crate) fn recount(&mut self, candidates: usize) {
        self.candidates = candidates;
        self.left = candidates.saturating_sub(1);
    }

    /// Whether there is a candidate of this round that was not tried.
    pub(crate) fn has_next(&self) -> bool {
        self.left > 0
    }

    /// Takes the next candidate, and a retry from the budget, while another attempt goes on; false
    /// if there is none, or it would be too many.
    pub(crate) fn hedge(&mut self, budget: &RetryBudget) -> bool {
        let granted = || budget.withdraw() || cfg!(mutant = "hedge_is_free");
        let fine = self.left > 0 && self.attempts < MAX_ATTEMPTS && granted();
        if fine {
            self.left -= 1;
            self.attempts += 1;
        }
        fine
    }

    /// An attempt failed, whatever follows.
    pub(crate) fn note(&mut self, failed: Failed) {
        self.again |= failed.again;
        self.busy = match (self.busy, failed.busy) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    /// The attempt under way failed, with `remaining` left until the deadline. A step other than
    /// `GiveUp` has taken one retry from the budget.
    pub(crate) fn on_failure(
        &mut self,
        failed: Failed,
        remaining: Duration,
        budget: &RetryBudget,
        rng: &mut impl Rng,
    ) -> Step {
        self.note(failed);
        if !may_retry(failed.executed, self.idempotent)
            || self.attempts >= MAX_ATTEMPTS
            || remaining.is_zero()
        {
            return Step::GiveUp;
        }
        let step = if self.left > 0 {
            Step::TryNext
        } else {
            if !self.again {
                return Step::GiveUp;
            }
            // Those that were told the same time do not come back together, either.
            let after = self.busy.unwrap_or_default().saturating_add(backoff(self.round, rng));
            if after >= remaining {
                return Step::GiveUp;
            }
            Step::StartOver { after }
        };
        if !budget.withdraw() {
            return Step::GiveUp;
        }
        self.attempts += 1;
        match step {
            Step::TryNext => self.left -= 1,
            _ => {
                self.left = self.candidates.saturating_sub(1);
                self.round += 1;
                (self.again, self.busy) = (false, None);
            }
        }
        step
    }
}

/// The retry rule, without its limits.
pub(crate) fn may_retry(executed: Executed, idempotent: bool) -> bool {
    match executed {
        Executed::No => true,
        Executed::Unknown => idempotent || cfg!(mutant = "retries_what_may_have_run"),
        Executed::Yes => false,
    }
}

/// How long to wait before starting over for the `round`th time, counted from 0: anything between
/// zero and 10 ms, 20 ms, 40 ms … 500 ms ("full jitter": callers that failed together do not come
/// back together).
pub(crate) fn backoff(round: u32, rng: &mut impl Rng) -> Duration {
    let doubled = BACKOFF_BASE.saturating_mul(2_u32.saturating_pow(round));
    let most = doubled.min(BACKOFF_CAP).as_micros() as u64;
    Duration::from_micros(rng.random_range(0..=most))
}

/// Keeps the retries of all calls a share of the traffic, so that they cannot multiply the load of
/// a cluster that is failing.
///
/// A bucket of tokens: each call puts in `ratio` of one, each retry takes one out. It holds at
/// most the reserve, and starts full: after n calls at most `reserve + ratio × n` retries were
/// granted. Shared by reference; no lock.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    /// In thousandths of a token, as are the next two.
    tokens: AtomicU32,
    deposit: u32,
    cap: u32,
}

const TOKEN: u32 = 1000;

impl RetryBudget {
    /// `permille` retries per thousand calls, and `reserve` retries at once. A permille over 1000
    /// is taken as 1000, a reserve of 0 as 1, and one over a million as a million.
    pub(crate) fn new(permille: u32, reserve: u32) -> Self {
        let cap = reserve.clamp(1, 1_000_000) * TOKEN;
        Self { tokens: AtomicU32::new(cap), deposit: permille.min(TOKEN), cap }
    }

    /// A call makes its first attempt.
    pub(crate) fn deposit(&self) {
        let add = |tokens: u32| {
            (tokens < self.cap).then(|| tokens.saturating_add(self.deposit).min(self.cap))
        };
        // An error means that the bucket is full, the usual case, which writes nothing.
        let _ = self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Takes out one retry; false if there is none.
    pub(crate) fn withdraw(&self) -> bool {
        let take = |tokens: u32| match tokens.checked_sub(TOKEN) {
            None if cfg!(mutant = "retry_budget_is_endless") => Some(0),
            left => left,
        };
        self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

impl Default for RetryBudget {
    /// One retry for five calls, and ten at once.
    fn default() -> Self {
        Self::new(200, 10)
    }
}

#[cfg(test)]
mod tests;
