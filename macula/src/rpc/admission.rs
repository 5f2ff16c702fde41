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
use tokio::sync::{Semaphore, SemaphorePermit};
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
///
/// A gate may stand [`within`](Self::within) another one: then a call needs a place in both.
pub struct Gate {
    outer: Option<Arc<Gate>>,
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
        Self::behind(None, max_concurrent, queue)
    }

    /// The same behind `outer`, which bounds several gates together: a call runs when it has a
    /// place here and there. It waits in one queue at a time, first here. When it comes to the
    /// other at once, it is refused if that one is full; when it has waited here before, it waits
    /// there too, so that the queue of `outer` may exceed its bound by the places of this gate.
    ///
    /// Of `outer` itself only its own bound counts, not one that it stands behind.
    pub fn within(outer: &Arc<Self>, max_concurrent: usize, queue: usize) -> Arc<Self> {
        Self::behind(Some(Arc::clone(outer)), max_concurrent, queue)
    }

    fn behind(outer: Option<Arc<Self>>, max_concurrent: usize, queue: usize) -> Arc<Self> {
        let max_concurrent = max_concurrent.clamp(1, MAX_CONCURRENT);
        Arc::new(Self {
            outer,
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
        if !self.take() {
            let Some(waiting) = Waiting::join(self) else { return self.refuse() };
            let gate = Arc::clone(self);
            return Entry::Queued(
                async move {
                    let place = waiting.place().await;
                    if let Some(outer) = &gate.outer
                        && !outer.take()
                    {
                        Waiting::join_anyway(outer).place().await.keep();
                    }
                    place.permit()
                }
                .boxed(),
            );
        }
        let Some(outer) = self.outer.as_ref().filter(|outer| !outer.take()) else {
            return Entry::Admitted(Permit::new(Arc::clone(self)));
        };
        let place = Place { gate: Arc::clone(self), kept: false };
        let Some(waiting) = Waiting::join(outer) else { return outer.refuse() };
        Entry::Queued(
            async move {
                waiting.place().await.keep();
                place.permit()
            }
            .boxed(),
        )
    }

    /// Takes a place if one is free.
    fn take(&self) -> bool {
        self.places.try_acquire().map(SemaphorePermit::forget).is_ok()
    }

    fn refuse(&self) -> Entry {
        Entry::Refused { retry_after: self.retry_after() }
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

/// A place in a gate and in the one around it, given back when dropped.
pub struct Permit {
    gate: Arc<Gate>,
    since: Option<Instant>,
}

impl Permit {
    fn new(gate: Arc<Gate>) -> Self {
        let sampled = gate.entered.fetch_add(1, Relaxed).is_multiple_of(SAMPLE_EVERY);
        if let Some(outer) = &gate.outer {
            outer.entered.fetch_add(1, Relaxed);
        }
        Self { gate, since: sampled.then(Instant::now) }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        for gate in std::iter::once(&self.gate).chain(&self.gate.outer) {
            if let Some(since) = self.since {
                gate.sample(since.elapsed());
            }
            gate.left.fetch_add(1, Relaxed);
            gate.places.add_permits(1);
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}

/// A place in the queue.
struct Waiting(Arc<Gate>);

impl Waiting {
    /// Joins the queue unless it is full.
    fn join(gate: &Arc<Gate>) -> Option<Self> {
        let joined = gate.queued.fetch_update(Relaxed, Relaxed, |queued| {
            (queued < gate.max_queued).then_some(queued + 1)
        });
        joined.is_ok().then(|| Self(Arc::clone(gate)))
    }

    fn join_anyway(gate: &Arc<Gate>) -> Self {
        gate.queued.fetch_add(1, Relaxed);
        Self(Arc::clone(gate))
    }

    async fn place(self) -> Place {
        // The semaphore is never closed, so the only answer is a place.
        if let Ok(place) = self.0.places.acquire().await {
            place.forget();
        }
        Place { gate: Arc::clone(&self.0), kept: false }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Relaxed);
    }
}

/// A place that no permit stands for yet: given back when dropped.
struct Place {
    gate: Arc<Gate>,
    kept: bool,
}

impl Place {
    /// The permit for this place, and for one in the gate around it that is taken already.
    fn permit(self) -> Permit {
        let permit = Permit::new(Arc::clone(&self.gate));
        self.keep();
        permit
    }

    /// Leaves the place taken.
    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.kept {
            self.gate.places.add_permits(1);
        }
    }
}

#[cfg(test)]
mod tests;
