//! Whether a connected peer still answers, judged while calls wait for it or a ping does.
//!
//! A process that was killed or stopped leaves its connection standing for seconds. Membership
//! finds it, but slowly, since it must be sure; a call only needs to know that it is worth asking
//! somebody else. So, while calls wait and nothing at all is heard, the peer is pinged, and one
//! that does not answer falls silent: it is chosen last, and calls that may run twice move on. A
//! ping wants an answer even when the calls have ended meanwhile, by deadlines that were short.
//! Time is counted in ticks that this process really ran, so that a pause of our own is not held
//! against the peer.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::time::Duration;

/// How often [`Health::tick`] is to be called.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// Ticks without a sound before a ping: 150 ms.
const PING_AFTER: u32 = 3;
/// Ticks without a sound before silence, on a short path: 500 ms.
const SILENT_AFTER: u32 = 10;
/// A silent peer is pinged once in so many ticks, so that its return is noticed: 1 s.
const RETRY_EVERY: u32 = 20;

/// The state of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Health {
    quiet: u32,
    silent: bool,
}

/// What is to be done after a tick.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pulse {
    Fine,
    Ping,
    FellSilent,
    Recovered,
}

impl Health {
    /// A call ended by its deadline. True if the peer is to be pinged now; what is heard from here
    /// on counts as its answer.
    pub(crate) fn doubt(&mut self) -> bool {
        let asks = !self.silent && self.quiet < PING_AFTER;
        if asks {
            self.quiet = PING_AFTER;
        }
        asks
    }

    /// One tick has passed: `waiting`, calls are waiting for the peer; `heard`, something has
    /// come from it since the last tick; `round_trip`, the measured one of the path.
    pub(crate) fn tick(&mut self, waiting: bool, heard: bool, round_trip: Duration) -> Pulse {
        if heard {
            self.quiet = 0;
            let recovered = std::mem::take(&mut self.silent);
            return if recovered { Pulse::Recovered } else { Pulse::Fine };
        }
        if self.silent {
            self.quiet = self.quiet.wrapping_add(1);
            return if self.quiet.is_multiple_of(RETRY_EVERY) { Pulse::Ping } else { Pulse::Fine };
        }
        if !waiting && self.quiet < PING_AFTER {
            self.quiet = 0;
            return Pulse::Fine;
        }
        self.quiet += 1;
        let four_trips = round_trip.as_millis() * 4 / TICK.as_millis();
        let silent_after = SILENT_AFTER.max(u32::try_from(four_trips).unwrap_or(200).min(200));
        if self.quiet == PING_AFTER {
            Pulse::Ping
        } else if self.quiet > silent_after {
            self.silent = true;
            self.quiet = 0;
            Pulse::FellSilent
        } else {
            Pulse::Fine
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(1);

    fn ticks(health: &mut Health, n: u32, waiting: bool, trip: Duration) -> Vec<Pulse> {
        (0..n).map(|_| health.tick(waiting, false, trip)).filter(|p| *p != Pulse::Fine).collect()
    }

    #[test]
    fn a_peer_that_says_nothing_is_pinged_once_and_then_silent() {
        let mut health = Health::default();
        assert_eq!(ticks(&mut health, 11, true, SHORT), [Pulse::Ping, Pulse::FellSilent]);
        assert_eq!(ticks(&mut health, 40, false, SHORT), [Pulse::Ping, Pulse::Ping]);
        assert_eq!(health.tick(false, true, SHORT), Pulse::Recovered);
        assert_eq!(health.tick(false, true, SHORT), Pulse::Fine);
    }

    #[test]
    fn nobody_waiting_means_nothing_to_judge() {
        assert_eq!(ticks(&mut Health::default(), 1000, false, SHORT), []);
    }

    #[test]
    fn a_ping_wants_an_answer_whether_or_not_anybody_waits() {
        let mut health = Health::default();
        assert_eq!(ticks(&mut health, 3, true, SHORT), [Pulse::Ping]);
        assert_eq!(ticks(&mut health, 8, false, SHORT), [Pulse::FellSilent]);
        let mut health = Health::default();
        assert!(health.doubt());
        assert!(!health.doubt(), "it has been asked");
        assert_eq!(ticks(&mut health, 8, false, SHORT), [Pulse::FellSilent]);
        assert!(!health.doubt(), "it is asked now and then");
        let mut health = Health::default();
        assert!(health.doubt());
        assert_eq!(health.tick(false, true, SHORT), Pulse::Fine);
        assert_eq!(ticks(&mut health, 100, false, SHORT), []);
    }

    #[test]
    fn any_sound_starts_the_count_again() {
        let mut health = Health::default();
        for _ in 0..20 {
            assert_eq!(ticks(&mut health, 9, true, SHORT), [Pulse::Ping]);
            assert_eq!(health.tick(true, true, SHORT), Pulse::Fine);
        }
    }

    #[test]
    fn a_long_path_is_given_four_round_trips() {
        let mut health = Health::default();
        let long = Duration::from_millis(500);
        assert_eq!(ticks(&mut health, 40, true, long), [Pulse::Ping]);
        assert_eq!(health.tick(true, false, long), Pulse::FellSilent);
    }
}
