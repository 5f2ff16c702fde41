//! Who may run now, who waits, and who is sent away.
//!
//! Promise: never more than so many calls run at once, never more than so many wait, and waiting
//! calls start in the order they came. Refusing costs a counter and nothing else, so that it
//! stays cheap exactly when there is too much to do; what was refused has not run.
//!
//! Limits: the advice when to come back is an estimate from the calls sampled lately (one in
//! sixteen), between a millisecond and ten seconds.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// The largest number of calls that may run at once in one gate.
pub const MAX_CONCURRENT: usize = 1 << 20;

/// One call in this many has its time taken. Reading a clock costs about as much as entering.
const SAMPLE_EVERY: usize = 16;

/// The estimate moves by one part in this many with each sample.
const SMOOTHING: u64 = 8;

/// What a call that nobody has measured yet is taken to last.
const UNMEASURED: Duration = Duration::from_millis(50);

const RETRY_MIN: Duration = Duration::from_millis(1);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// A bound on the calls that run at once, with a bounded queue before it.
pub struct Gate {
    max_concurrent: usize,
    max_queued: usize,
    places: Semaphore,
    queued: AtomicUsize,
    entered: AtomicUsize,
    left: AtomicUsize,
    /// Smoothed time that a call holds its place, in nanoseconds; zero before the first sample.
    held_ns: AtomicU64,
}

impl Gate {
    /// A gate for `max_concurrent` running calls (1 to [`MAX_CONCURRENT`]; numbers outside are
    /// taken to the nearer end) and `queue` waiting ones. A queue of zero refuses at once.
    pub fn new(max_concurrent: usize, queue: usize) -> Arc<Self> {
        let max_concurrent = max_concurrent.clamp(1, MAX_CONCURRENT);
        Arc::new(Self {
            max_concurrent,
            max_queued: queue,
            places: Semaphore::new(max_concurrent),
            queued: AtomicUsize::new(0),
            entered: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
            held_ns: AtomicU64::new(0),
        })
    }

    /// Asks for a place. Allocates only when the call has to wait.
    pub fn enter(self: &Arc<Self>) -> Entry {
        if let Ok(place) = self.places.try_acquire() {
            place.forget();
            return Entry::Admitted(Permit::new(Arc::clone(self)));
        }
        let joined = self.queued.fetch_update(Relaxed, Relaxed, |queued| {
            (queued < self.max_queued).then_some(queued + 1)
        });
        if joined.is_err() {
            return Entry::Refused { retry_after: self.retry_after() };
        }
        let waiting = Waiting(Arc::clone(self));
        Entry::Queued(
            async move {
                // The semaphore is never closed, so the only answer is a place.
                if let Ok(place) = waiting.0.places.acquire().await {
                    place.forget();
                }
                Permit::new(Arc::clone(&waiting.0))
            }
            .boxed(),
        )
    }

    /// How many calls hold a place.
    pub fn running(&self) -> usize {
        // Read in this order, a call that ends in between counts as running rather than as less
        // than none.
        let left = self.left.load(Relaxed);
        self.entered.load(Relaxed).saturating_sub(left)
    }

    /// How many calls wait for one.
    pub fn queued(&self) -> usize {
        self.queued.load(Relaxed)
    }

    /// Waits until every place is free and nobody waits before this call. Calls that enter
    /// meanwhile stand behind it.
    pub async fn idle(&self) {
        let all = u32::try_from(self.max_concurrent).unwrap_or(u32::MAX);
        drop(self.places.acquire_many(all).await);
    }

    /// When a place is likely to be free for one more: the queue before it and itself, each for
    /// the usual time, shared by all places.
    fn retry_after(&self) -> Duration {
        let held = match self.held_ns.load(Relaxed) {
            0 => UNMEASURED,
            nanoseconds => Duration::from_nanos(nanoseconds),
        };
        let ahead = u32::try_from(self.queued() + 1).unwrap_or(u32::MAX);
        let places = u32::try_from(self.max_concurrent).unwrap_or(u32::MAX);
        (held.saturating_mul(ahead) / places).clamp(RETRY_MIN, RETRY_MAX)
    }

    fn sample(&self, held: Duration) {
        let held = u64::try_from(held.as_nanos()).unwrap_or(u64::MAX).max(1);
        // Samples that race lose one of the two, which an estimate can bear.
        let next = match self.held_ns.load(Relaxed) {
            0 => held,
            known => known - known / SMOOTHING + held / SMOOTHING,
        };
        self.held_ns.store(next.max(1), Relaxed);
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("running", &self.running())
            .field("max_concurrent", &self.max_concurrent)
            .field("queued", &self.queued())
            .field("max_queued", &self.max_queued)
            .finish()
    }
}

/// What a gate says to one call.
pub enum Entry {
    /// It may run, as long as it holds the permit.
    Admitted(Permit),
    /// It has a place in the queue, and leaves it when the future is dropped.
    Queued(BoxFuture<'static, Permit>),
    /// It must go away, and may come back after a while.
    Refused {
        /// When a place is likely to be free.
        retry_after: Duration,
    },
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admitted(permit) => f.debug_tuple("Admitted").field(permit).finish(),
            Self::Queued(_) => f.write_str("Queued"),
            Self::Refused { retry_after } => {
                f.debug_struct("Refused").field("retry_after", retry_after).finish()
            }
        }
    }
}

/// A place in a gate, given back when dropped.
pub struct Permit {
    gate: Arc<Gate>,
    since: Option<Instant>,
}

impl Permit {
    fn new(gate: Arc<Gate>) -> Self {
        let sampled = gate.entered.fetch_add(1, Relaxed).is_multiple_of(SAMPLE_EVERY);
        Self { gate, since: sampled.then(Instant::now) }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(since) = self.since {
            self.gate.sample(since.elapsed());
        }
        self.gate.left.fetch_add(1, Relaxed);
        self.gate.places.add_permits(1);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}

/// A place in the queue.
struct Waiting(Arc<Gate>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    fn admitted(gate: &Arc<Gate>) -> Permit {
        match gate.enter() {
            Entry::Admitted(permit) => permit,
            other => panic!("{other:?}"),
        }
    }

    fn queued(gate: &Arc<Gate>) -> BoxFuture<'static, Permit> {
        match gate.enter() {
            Entry::Queued(waiting) => waiting,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn places_then_the_queue_in_order_then_refusal() {
        let gate = Gate::new(1, 2);
        let running = admitted(&gate);
        let (mut first, mut second) = (queued(&gate), queued(&gate));
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        assert!(matches!(gate.enter(), Entry::Refused { .. }));
        assert_eq!((gate.running(), gate.queued()), (1, 2));
        drop(running);
        assert!(poll!(&mut second).is_pending());
        let running = first.await;
        assert_eq!((gate.running(), gate.queued()), (1, 1));
        drop(running);
        drop(second.await);
        assert_eq!((gate.running(), gate.queued()), (0, 0));
    }

    #[tokio::test]
    async fn leaving_the_queue_frees_the_place() {
        let gate = Gate::new(1, 1);
        let running = admitted(&gate);
        let mut left = queued(&gate);
        assert!(poll!(&mut left).is_pending());
        drop(left);
        let mut next = queued(&gate);
        // Polled or not, what is dropped neither takes nor loses a place.
        drop(queued_after(&gate, &mut next).await);
        drop(running);
        drop(next.await);
        drop(admitted(&gate));
    }

    async fn queued_after(gate: &Arc<Gate>, waiting: &mut BoxFuture<'static, Permit>) -> Entry {
        assert!(poll!(waiting).is_pending());
        let entry = gate.enter();
        assert!(matches!(entry, Entry::Refused { .. }));
        entry
    }

    #[tokio::test(start_paused = true)]
    async fn the_advice_follows_the_time_that_calls_take() {
        let gate = Gate::new(1, 0);
        let refused = |gate: &Arc<Gate>| match gate.enter() {
            Entry::Refused { retry_after } => retry_after,
            other => panic!("{other:?}"),
        };
        let running = admitted(&gate);
        assert_eq!(refused(&gate), UNMEASURED);
        tokio::time::advance(Duration::from_secs(2)).await;
        drop(running);
        let running = admitted(&gate);
        assert_eq!(refused(&gate), Duration::from_secs(2));
        drop(running);
    }

    #[tokio::test]
    async fn idle_waits_for_the_last_call() {
        let gate = Gate::new(3, 1);
        let (one, two) = (admitted(&gate), admitted(&gate));
        {
            let idle = gate.idle();
            tokio::pin!(idle);
            assert!(poll!(&mut idle).is_pending());
            drop(one);
            assert!(poll!(&mut idle).is_pending());
            drop(two);
            idle.await;
        }
        drop(admitted(&gate));
    }
}
