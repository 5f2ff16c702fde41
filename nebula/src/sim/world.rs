#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::{Arguments, Write};
use std::time::Duration;

use futures_util::FutureExt;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::time::Instant;

/// Microseconds since the world began.
pub(super) type Time = u64;

/// A millisecond.
pub(super) const MS: Time = 1000;
/// A second.
pub(super) const SECOND: Time = 1000 * MS;

/// Time, chance, and what is still to happen: by its time, and of one time in the order in which
/// it was planned. The paused clock of tokio goes with it, since some machines read that.
pub(super) struct World<E> {
    now: Time,
    origin: Instant,
    planned: u64,
    order: BinaryHeap<Reverse<(Time, u64)>>,
    events: BTreeMap<u64, E>,
    pub(super) rng: SmallRng,
    /// What happened, a line each, if anybody wants to know.
    trace: Option<String>,
}

impl<E> World<E> {
    /// A new one, in paused time; with a trace if it is to be kept.
    pub(super) fn new(seed: u64, traced: bool) -> Self {
        Self {
            now: 0,
            origin: present(),
            planned: 0,
            order: BinaryHeap::new(),
            events: BTreeMap::new(),
            rng: SmallRng::seed_from_u64(seed),
            trace: traced.then(String::new),
        }
    }

    pub(super) fn now(&self) -> Time {
        self.now
    }

    /// The present as the machines are told of it.
    pub(super) fn instant(&self) -> Instant {
        self.origin + Duration::from_micros(self.now)
    }

    /// Plans an event and gives its number.
    pub(super) fn plan(&mut self, after: Time, event: E) -> u64 {
        let number = self.planned;
        self.planned += 1;
        self.order.push(Reverse((self.now + after, number)));
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
                self.pass(at);
                return Some(event);
            }
        }
        self.pass(end);
        None
    }

    fn pass(&mut self, to: Time) {
        if to > self.now {
            let passes = Duration::from_micros(to - self.now);
            // It has passed with the first poll; the second would only give way to other tasks.
            let _ = tokio::time::advance(passes).now_or_never();
            self.now = to;
        }
    }

    /// Adds a line to the trace: microseconds, then what happened.
    pub(super) fn line(&mut self, what: Arguments<'_>) {
        if let Some(text) = &mut self.trace {
            writeln!(text, "{} {what}", self.now).unwrap();
        }
    }

    /// All lines.
    pub(super) fn trace(&self) -> &str {
        self.trace.as_deref().unwrap_or_default()
    }
}

#[expect(clippy::disallowed_methods, reason = "an `Instant` has no other source")]
fn present() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::super::seeds::in_paused_time;
    use super::*;

    #[test]
    fn events_come_by_time_and_then_by_number_and_the_clock_goes_along() {
        in_paused_time(|| {
            let mut world = World::new(0, false);
            world.plan(5, "c");
            world.plan(3, "a");
            let off = world.plan(4, "x");
            world.plan(3, "b");
            world.cancel(off);
            let mut seen = Vec::new();
            while let Some(event) = world.next(6) {
                assert_eq!(world.instant(), present());
                seen.push((world.now(), event));
            }
            assert_eq!(seen, [(3, "a"), (3, "b"), (5, "c")]);
            assert_eq!((world.now(), world.instant()), (6, present()));
        });
    }
}
