//! What a gate expects of those who would have to wait.

use std::time::Duration;

use super::{Gate, SAMPLED_FROM, usual};

/// After so many calls without a sample, what is known sends nobody away.
pub(super) const STALE_AFTER: u8 = 64;

/// What a call that nobody has measured yet is taken to last.
pub(super) const UNMEASURED: Duration = Duration::from_millis(50);

const RETRY_MIN: Duration = Duration::from_millis(1);
const RETRY_MAX: Duration = Duration::from_secs(10);

impl Gate {
    /// Whether a call would be done in time if it waited, or whether too little is known to say.
    pub(super) fn is_in_time(
        &self,
        inner: Option<&Self>,
        fits: impl Fn(Duration, Duration) -> bool,
    ) -> bool {
        if (STALE_AFTER..SAMPLED_FROM).contains(&self.places.taken()) {
            self.held.doubt();
        }
        let in_time = self.held.sure().map(|held| {
            // Whoever has its turn here keeps its place while it waits for the gate around this.
            let beyond = self.outer.as_ref().map_or(Duration::ZERO, |outer| outer.wait());
            let turn = usual::turn(held.saturating_add(beyond), self.queued(), self.max_concurrent);
            let held = inner.and_then(|inner| inner.held.sure()).unwrap_or(held);
            fits(turn.saturating_add(beyond), held) || cfg!(mutant = "all_wait")
        });
        if in_time != Some(true) {
            // Somebody is sent away for what is known, or is not since too little is: learn more.
            inner.into_iter().chain([self]).for_each(|gate| gate.places.recount(SAMPLED_FROM));
        }
        in_time.unwrap_or(true)
    }

    /// Until one more would have its turn, as far as that is known.
    fn wait(&self) -> Duration {
        let full = self.running() >= self.max_concurrent;
        let held = self.held.sure().filter(|_| full).unwrap_or_default();
        usual::turn(held, self.queued(), self.max_concurrent)
    }

    /// When a place is likely to be free for one more: the queue before it and itself, each for
    /// the usual time, shared by all places.
    pub(super) fn retry_after(&self) -> Duration {
        let held = self.held.guess().unwrap_or(UNMEASURED);
        usual::turn(held, self.queued(), self.max_concurrent).clamp(RETRY_MIN, RETRY_MAX)
    }
}
