//! The deadlines of all requests of a link, kept by one timer.
//!
//! A timer for each request would be made and dropped once a call, and hardly any ever fires. This
//! one knows a time before which no request is late. It looks at that time who is late, and takes
//! the earliest deadline that is left for the next: with calls that have five seconds, it looks
//! once in five seconds, however many they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use tokio::sync::Notify;
use tokio::time::{Duration, Instant, sleep_until};

use super::Link;
use crate::rpc::{Failure, Phase};
use crate::wire::Message;

/// There is no deadline.
const NEVER: u64 = u64::MAX;

/// When the next look is due.
#[derive(Debug)]
pub(super) struct Clock {
    origin: Instant,
    /// In nanoseconds since the origin.
    due: AtomicU64,
    sooner: Notify,
}

impl Clock {
    pub(super) fn new(origin: Instant) -> Self {
        Self { origin, due: AtomicU64::new(NEVER), sooner: Notify::new() }
    }

    /// A request must end at `deadline`.
    fn expect(&self, deadline: Instant) {
        let nanos = deadline.saturating_duration_since(self.origin).as_nanos();
        let nanos = u64::try_from(nanos).unwrap_or(NEVER);
        if nanos < self.due.fetch_min(nanos, SeqCst) {
            self.sooner.notify_one();
        }
    }

    fn due(&self) -> Option<Instant> {
        let nanos = self.due.load(SeqCst);
        (nanos != NEVER).then(|| self.origin + Duration::from_nanos(nanos))
    }
}

impl Link {
    /// A request of ours is under way that must end at `deadline`.
    pub(crate) fn expect(&self, deadline: Instant) {
        self.clock.expect(deadline);
    }

    /// Ends requests whose deadline has passed, until the link is closed.
    pub(super) async fn keep_time(self: Arc<Self>) {
        loop {
            let sooner = self.clock.sooner.notified();
            let due = self.clock.due();
            let look = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.closed.cancelled() => return,
                () = sooner => {}
                () = look => self.end_late(),
            }
        }
    }

    fn end_late(&self) {
        // Whoever comes from here on says when it is due; who was there before is looked at.
        self.clock.due.store(NEVER, SeqCst);
        let now = Instant::now();
        let (late, next) = {
            let mut calls = self.calls();
            let late = calls.end_if(
                |waiter| waiter.term.deadline() <= now,
                |waiter| waiter.end(Err(Failure::Deadline { phase: Phase::Run }), None),
            );
            (late, calls.waiters().map(|waiter| waiter.term.deadline()).min())
        };
        if let Some(next) = next {
            self.clock.expect(next);
        }
        if late.is_empty() {
            return;
        }
        for (id, waker) in late {
            // Whoever waits may never look again, and the peer may have more time for it by now.
            if !cfg!(mutant = "late_call_not_cancelled") {
                // On a closed link there is nothing left to cancel.
                let _ = self.lane.push(&Message::Cancel { id });
            }
            waker.wake();
        }
        // Perhaps the peer is not there any more.
        self.doubt();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_is_due_at_the_earliest_and_told_of_nothing_later() {
        let start = Instant::now();
        let clock = Clock::new(start);
        assert_eq!(clock.due(), None);
        clock.expect(start + 5 * SECOND);
        assert_eq!(clock.due(), Some(start + 5 * SECOND));
        // That was news; what is later is not.
        clock.sooner.notified().await;
        clock.expect(start + 7 * SECOND);
        let told = tokio::time::timeout(SECOND, clock.sooner.notified()).await;
        assert!(told.is_err());
        clock.expect(start + SECOND);
        clock.sooner.notified().await;
        assert_eq!(clock.due(), Some(start + SECOND));
    }
}
