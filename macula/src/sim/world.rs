#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::Instant;

use super::trace::Trace;

/// Microseconds since the world began.
pub(super) type Time = u64;

/// A millisecond.
pub(super) const MS: Time = 1000;
/// A second, which is also the probe period of membership.
pub(super) const SECOND: Time = 1000 * MS;

/// Time, chance, and what is still to happen: by its time, and of one time in the order in which
/// it was planned.
pub(super) struct World<E> {
    now: Time,
    origin: Instant,
    planned: u64,
    order: BinaryHeap<Reverse<(Time, u64)>>,
    events: BTreeMap<u64, E>,
    pub(super) rng: StdRng,
    pub(super) trace: Trace,
}

impl<E> World<E> {
    pub(super) fn new(seed: u64, trace: Trace) -> Self {
        Self {
            now: 0,
            origin: origin(),
            planned: 0,
            order: BinaryHeap::new(),
            events: BTreeMap::new(),
            rng: StdRng::seed_from_u64(seed),
            trace,
        }
    }

    pub(super) fn now(&self) -> Time {
        self.now
    }

    /// The present as the machines are told of it.
    pub(super) fn instant(&self) -> Instant {
        self.origin + Duration::from_micros(self.now)
    }

    /// A moment that a machine named, rounded up.
    pub(super) fn time_of(&self, moment: Instant) -> Time {
        let after = moment.saturating_duration_since(self.origin);
        Time::try_from(after.as_nanos().div_ceil(1000)).unwrap()
    }

    /// Plans an event and gives its number.
    pub(super) fn plan(&mut self, at: Time, event: E) -> u64 {
        let number = self.planned;
        self.planned += 1;
        self.order.push(Reverse((at.max(self.now), number)));
        self.events.insert(number, event);
        number
    }

    /// Calls an event off.
    pub(super) fn cancel(&mut self, number: u64) {
        self.events.remove(&number);
    }

    /// The next event before `end`; if there is none, time has come to `end`.
    pub(super) fn next(&mut self, end: Time) -> Option<E> {
        while let Some(Reverse((at, number))) = self.order.peek().copied() {
            if at >= end {
                break;
            }
            self.order.pop();
            if let Some(event) = self.events.remove(&number) {
                self.now = at;
                return Some(event);
            }
        }
        self.now = end;
        None
    }
}

#[expect(clippy::disallowed_methods, reason = "an `Instant` has no other source; any will do")]
fn origin() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_by_number() {
        let mut world = World::new(0, Trace::default());
        world.plan(5, "c");
        world.plan(3, "a");
        let off = world.plan(4, "x");
        world.plan(3, "b");
        world.cancel(off);
        let mut seen = Vec::new();
        while let Some(event) = world.next(6) {
            seen.push((world.now(), event));
        }
        assert_eq!(seen, [(3, "a"), (3, "b"), (5, "c")]);
        assert_eq!(world.now(), 6);
        world.plan(1, "late");
        assert_eq!((world.next(7), world.now()), (Some("late"), 6));
        let moment = world.instant() + Duration::from_nanos(1500);
        assert_eq!(world.time_of(moment), world.now() + 2);
    }
}
