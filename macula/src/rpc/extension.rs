#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! How a call comes to have more time than it was given at first: the arithmetic.
//!
//! Promise: a deadline only ever moves later, at most as often as the caller allows, and never by
//! more in all than the room the caller gives. Both ends of a call keep a [`Term`] and reckon
//! alike, so neither has to believe the other. What is granted is a whole number of
//! microseconds, which is what the wire carries, so that both ends come to the same sum.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{MAX_EXTENSIONS, MAX_TIME_LEFT};

/// When a call must end, and how much later it may come to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Term {
    deadline: Instant,
    /// In microseconds: a term is copied with every call.
    room: u64,
    left: u32,
}

/// Why a call got no more time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotExtended {
    /// The call has ended, or nobody waits for it any more.
    #[error("the call is over")]
    Over,
    /// Less than a microsecond was asked for.
    #[error("no time was asked for")]
    Nothing,
    /// It was extended as often as its caller allows.
    #[error("all extensions of the call are used")]
    Spent,
    /// Its deadline is the latest that its caller allows.
    #[error("the call has all the time that its caller allows")]
    Latest,
}

impl Term {
    /// A call that must end at `deadline`, which may move later by `room` in all (24 hours at
    /// most, whole microseconds count) in so many steps (1000 at most).
    #[inline]
    pub fn new(deadline: Instant, room: Duration, extensions: u32) -> Self {
        let room = micros(room.min(MAX_TIME_LEFT));
        Self { deadline, room, left: extensions.min(MAX_EXTENSIONS) }
    }

    /// A call that must end at `deadline`, whatever it asks for.
    pub fn fixed(deadline: Instant) -> Self {
        Self::new(deadline, Duration::ZERO, 0)
    }

    /// When the call must end, as things stand.
    #[inline]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// By how much the deadline can still move.
    pub fn room(&self) -> Duration {
        Duration::from_micros(self.room)
    }

    /// How many extensions are left.
    pub fn extensions(&self) -> u32 {
        self.left
    }

    /// Moves the deadline later by as much of `by` as there is room for, which spends one
    /// extension, and says by how much.
    ///
    /// # Errors
    ///
    /// Says why it does not move; then nothing is spent.
    pub fn extend(&mut self, by: Duration, now: Instant) -> Result<Duration, NotExtended> {
        let asked = micros(by.min(MAX_TIME_LEFT));
        if now >= self.deadline {
            return Err(NotExtended::Over);
        }
        if asked == 0 {
            return Err(NotExtended::Nothing);
        }
        if self.left == 0 {
            return Err(NotExtended::Spent);
        }
        let granted = asked.min(self.room);
        if granted == 0 {
            return Err(NotExtended::Latest);
        }
        self.left -= 1;
        self.room -= if cfg!(mutant = "extended_beyond_the_cap") { 0 } else { granted };
        let granted = Duration::from_micros(granted);
        self.deadline += granted;
        Ok(granted)
    }
}

#[inline]
fn micros(duration: Duration) -> u64 {
    duration.as_secs() * 1_000_000 + u64::from(duration.subsec_micros())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[expect(clippy::disallowed_methods, reason = "any point in time will do")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn each_refusal_says_why_and_costs_nothing() {
        let now = start();
        let mut term = Term::new(now + 10 * MS, 15 * MS, 2);
        let before = term;
        assert_eq!(term.extend(Duration::ZERO, now), Err(NotExtended::Nothing));
        assert_eq!(term.extend(Duration::from_nanos(999), now), Err(NotExtended::Nothing));
        assert_eq!(term.extend(MS, now + 10 * MS), Err(NotExtended::Over));
        assert_eq!(term, before);
        assert_eq!(term.extend(10 * MS, now), Ok(10 * MS));
        assert_eq!(term.extend(10 * MS, now + 19 * MS), Ok(5 * MS), "what room there is");
        assert_eq!((term.deadline(), term.extensions()), (now + 25 * MS, 0));
        assert_eq!(term.extend(MS, now), Err(NotExtended::Spent));
        let mut cramped = Term::new(now + MS, Duration::from_nanos(999), 5);
        assert_eq!(cramped.extend(MS, now), Err(NotExtended::Latest));
        assert_eq!(Term::fixed(now + MS).extend(MS, now), Err(NotExtended::Spent));
    }

    #[test]
    fn what_a_peer_names_is_bounded() {
        let now = start();
        let mut term = Term::new(now + MS, Duration::MAX, u32::MAX);
        assert_eq!((term.room(), term.extensions()), (MAX_TIME_LEFT, MAX_EXTENSIONS));
        assert_eq!(term.extend(Duration::MAX, now), Ok(MAX_TIME_LEFT));
        assert_eq!(term.extend(MS, now), Err(NotExtended::Latest));
    }

    proptest! {
        /// Whatever is asked and when: the deadline moves by the sum of what was granted, never
        /// past the room, never more often than allowed, and never once it has passed.
        #[test]
        fn a_term_keeps_its_bounds(
            room in 0_u64..5_000_000_000,
            budget in 0_u32..20,
            asked in prop::collection::vec((0_u64..2_000_000_000, 0_u64..200_000_000), 0..60),
        ) {
            let first = start() + 100 * MS;
            let mut now = start();
            let mut term = Term::new(first, Duration::from_nanos(room), budget);
            let (mut sum, mut times) = (Duration::ZERO, 0);
            for (by, pause) in asked {
                now += Duration::from_nanos(pause);
                let (by, before) = (Duration::from_nanos(by), term);
                match term.extend(by, now) {
                    Ok(granted) => {
                        prop_assert!(!granted.is_zero() && granted <= by);
                        prop_assert_eq!(granted.subsec_nanos() % 1000, 0);
                        prop_assert!(now < before.deadline());
                        (sum, times) = (sum + granted, times + 1);
                    }
                    Err(_) => prop_assert_eq!(term, before),
                }
                prop_assert_eq!(term.deadline(), first + sum);
                prop_assert!(sum <= Duration::from_nanos(room));
                prop_assert_eq!(term.extensions(), budget - times);
            }
        }

        /// Both ends of a call reckon alike: what the end that runs it grants, the end that asked
        /// grants too, though its own clock started a little earlier.
        #[test]
        fn two_ends_agree(
            room in 0_u64..1_000_000_000,
            budget in 0_u32..10,
            asked in prop::collection::vec(0_u64..400_000_000, 0..20),
        ) {
            let now = start();
            let mut caller = Term::new(now + 100 * MS, Duration::from_nanos(room), budget);
            let told = Duration::from_micros(caller.room().as_micros() as u64);
            let mut server = Term::new(now + 103 * MS, told, caller.extensions());
            for by in asked {
                if let Ok(granted) = server.extend(Duration::from_nanos(by), now) {
                    prop_assert_eq!(caller.extend(granted, now), Ok(granted));
                }
            }
            prop_assert_eq!(server.deadline() - 3 * MS, caller.deadline());
        }
    }
}
