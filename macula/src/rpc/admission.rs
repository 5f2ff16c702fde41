//! Who may run now, who waits, and who is sent away.
//!
//! Promise: never more than so many calls run at once, never more than so many wait, and waiting
//! calls start in the order they came. Refusing costs a counter and nothing else, so that it
//! stays cheap exactly when there is too much to do; what was refused has not run. A call that
//! would have to wait, and is not likely to be done in time then, is refused at once: nobody waits
//! for what will be of no use, and no place goes to a call that is cut off shortly after.
//!
//! Limits: how long calls hold their places is an estimate: the mean of those sampled lately, which
//! is one in sixteen, and more while the estimate sends calls away or is too old for it. The advice
//! when to come back is between a millisecond and ten seconds. A call that has its turn begins,
//! however little time it has left.

mod in_time;
mod places;
mod usual;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use places::{Joined, Places, Ticket};
use usual::Usual;

/// The largest number of calls that may run at once in one gate.
pub const MAX_CONCURRENT: usize = 1 << 20;

/// Of each 256 calls, the sixteen from this one on have their time taken. Reading a clock costs
/// about as much as entering.
const SAMPLED_FROM: u8 = 240;

/// A bound on the calls that run at once, with a bounded queue before it.
///
/// A gate may stand [`within`](Self::within) another one: then a call needs a place in both.
pub struct Gate {
    outer: Option<Arc<Gate>>,
    max_concurrent: usize,
    max_queued: usize,
    places: Places<Place>,
    /// How long calls hold their places.
    held: Usual,
}

impl Gate {
    /// A gate for `max_concurrent` running calls (1 to [`MAX_CONCURRENT`]; numbers outside are
    /// taken to the nearer end) and `queue` waiting ones. A queue of zero refuses at once.
    pub fn new(max_concurrent: usize, queue: usize) -> Arc<Self> {
        Self::behind(None, max_concurrent, queue)
    }

    /// The same behind `outer`, which bounds several gates together: a call runs when it has a
    /// place here and there. It waits in one queue at a time, first here. When it comes to the
    /// other at once, it is refused if that one is full, or if calls do not wait here; when it has
    /// waited here before, it waits there too, so that the queue of `outer` may exceed its bound by
    /// the places of this gate.
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
            places: Places::new(max_concurrent, SAMPLED_FROM),
            held: Usual::default(),
        })
    }

    /// Asks for a place, for a call that waits as long as it takes. Allocates only when the call
    /// has to wait.
    pub fn enter(self: &Arc<Self>) -> Entry {
        self.enter_if(|_, _| true)
    }

    /// The same for a call with so much time `left`, which is asked for only if it would have to
    /// wait: it is refused if its expected wait, a quarter of it, and the mean time that calls hold
    /// their places come to more than that. Where that mean alone is more, only the wait counts:
    /// the handler may move the deadline once it runs, and not before.
    ///
    /// Nobody is refused for what fewer than eight samples say, nor if no time is left at all,
    /// which is for the caller to notice.
    pub fn enter_for(self: &Arc<Self>, left: impl Fn() -> Duration) -> Entry {
        self.enter_if(|wait, held| {
            let left = left();
            left.is_zero() || usual::fits(wait, held, left)
        })
    }

    /// Asks for a place. `fits` says whether to wait so long for it and hold it for so long then.
    fn enter_if(self: &Arc<Self>, fits: impl Fn(Duration, Duration) -> bool) -> Entry {
        let waiting = match self.take_or_join(None, &fits) {
            Joined::Free => return self.enter_outer(fits),
            Joined::Queued(ticket) => Waiting { gate: Arc::clone(self), ticket },
            Joined::Full => return self.refuse(),
        };
        Entry::Queued(
            async move {
                let place = waiting.turn().await;
                if let Some(outer) = &place.gate.outer
                    && let Joined::Queued(ticket) = outer.take_or_join_anyway()
                {
                    Waiting { gate: Arc::clone(outer), ticket }.turn().await.keep();
                }
                place.permit()
            }
            .boxed(),
        )
    }

    /// Takes a place if one is free, here and in the gate around this one; otherwise nothing
    /// happens. For who may be done before anything else happens: it counts no reference.
    #[inline]
    pub fn pass(self: &Arc<Self>) -> Option<Pass<'_>> {
        let taken = self.places.take_counted()?;
        if let Some(outer) = &self.outer
            && !outer.places.take()
        {
            self.give_back();
            return None;
        }
        Some(Pass { gate: self, since: sampled(taken), kept: false })
    }

    /// A place here and in the gate around this one becomes free, held since `since` if sampled.
    #[inline]
    fn leave(self: &Arc<Self>, since: Option<Instant>) {
        if let Some(since) = since {
            self.sample(since.elapsed());
        }
        self.give_back();
        if let Some(outer) = &self.outer {
            outer.give_back();
        }
    }

    #[cold]
    fn sample(&self, held: Duration) {
        self.held.add(held);
        if let Some(outer) = &self.outer {
            outer.held.add(held);
        }
    }

    /// Goes on with a place in this gate to the one around it.
    fn enter_outer(self: &Arc<Self>, fits: impl Fn(Duration, Duration) -> bool) -> Entry {
        let Some(outer) = &self.outer else {
            return Entry::Admitted(Permit::new(Arc::clone(self)));
        };
        let joined = match self.max_queued {
            // Its calls do not wait, here or there.
            0 if outer.places.take() => Joined::Free,
            0 => Joined::Full,
            _ => outer.take_or_join(Some(self), fits),
        };
        let waiting = match joined {
            Joined::Free => return Entry::Admitted(Permit::new(Arc::clone(self))),
            Joined::Queued(ticket) => Waiting { gate: Arc::clone(outer), ticket },
            Joined::Full => {
                self.give_back();
                return outer.refuse();
            }
        };
        let place = Place::new(self);
        Entry::Queued(
            async move {
                waiting.turn().await.keep();
                place.permit()
            }
            .boxed(),
        )
    }

    /// A place, if one is free, or a seat in the queue, if the call `fits`: one of `inner`, if any.
    fn take_or_join(
        &self,
        inner: Option<&Self>,
        fits: impl Fn(Duration, Duration) -> bool,
    ) -> Joined<Place> {
        if self.places.take() {
            return Joined::Free;
        }
        if self.queued() < self.max_queued && !self.is_in_time(inner, fits) {
            return Joined::Full;
        }
        self.places.join(self.max_queued)
    }

    /// The same for a call that has waited before: it is not refused.
    fn take_or_join_anyway(&self) -> Joined<Place> {
        if self.places.take() { Joined::Free } else { self.places.join(usize::MAX) }
    }

    #[inline]
    fn give_back(self: &Arc<Self>) {
        self.places.give_back(|| Place::new(self), Place::keep);
    }

    fn refuse(&self) -> Entry {
        Entry::Refused { retry_after: self.retry_after() }
    }

    /// How many calls hold a place.
    pub fn running(&self) -> usize {
        self.places.running()
    }

    /// How many calls wait for one.
    pub fn queued(&self) -> usize {
        self.places.waiting()
    }

    /// Waits until no call holds a place or waits for one. Calls that enter meanwhile are waited
    /// for, too.
    pub async fn idle(&self) {
        self.places.idle().await;
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
        let since = sampled(gate.places.taken());
        Self { gate, since }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.leave(self.since);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}

/// The same as a [`Permit`], of a gate that is borrowed.
pub struct Pass<'g> {
    gate: &'g Arc<Gate>,
    since: Option<Instant>,
    kept: bool,
}

/// When a call began, if it is one of those whose time is taken, by how many came until it.
#[inline]
fn sampled(taken: u8) -> Option<Instant> {
    (taken >= SAMPLED_FROM).then(Instant::now)
}

impl Pass<'_> {
    /// The permit for the same place.
    pub fn keep(mut self) -> Permit {
        self.kept = true;
        Permit { gate: Arc::clone(self.gate), since: self.since }
    }
}

impl Drop for Pass<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.kept {
            self.gate.leave(self.since);
        }
    }
}

impl fmt::Debug for Pass<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pass")
    }
}

/// A place in the queue, left when dropped.
struct Waiting {
    gate: Arc<Gate>,
    ticket: Ticket<Place>,
}

impl Waiting {
    async fn turn(mut self) -> Place {
        match (&mut self.ticket.turn).await {
            Ok(place) => place,
            // Its sender goes only with this future.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !cfg!(mutant = "queue_seat_kept") {
            self.gate.places.leave(self.ticket.number);
        }
    }
}

/// A place that no permit stands for yet: given back when dropped.
struct Place {
    gate: Arc<Gate>,
    kept: bool,
}

impl Place {
    fn new(gate: &Arc<Gate>) -> Self {
        Self { gate: Arc::clone(gate), kept: false }
    }

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
        if !self.kept && !cfg!(mutant = "permit_leaked") {
            self.gate.give_back();
        }
    }
}

#[cfg(test)]
mod tests;
