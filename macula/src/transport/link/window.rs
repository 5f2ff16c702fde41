//! How much may be on the way to a peer at once.
//!
//! What is on the way stands in queues before what comes after it, on whatever stream: a short
//! request waits for all of a long body that was sent before. So only as much is sent without an
//! acknowledgement as a fast network carries in the time of a round trip.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::time::Duration;

/// The least and the most that is on the way, in bytes.
const LEAST: u64 = 256 << 10;
const MOST: u64 = 10 << 20;
/// What the fastest network carries that it is reckoned with: ten gigabits a second.
const BYTES_A_MICRO: u64 = 1250;
/// For how many measurements the shortest round trip holds: half a minute.
const HOLDS: u32 = 600;

/// The shortest round trip lately: a longer one may be the fault of what is on the way itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    shortest: Duration,
    since: u32,
    set: u64,
}

impl Window {
    pub(super) fn new(trip: Duration) -> Self {
        Self { shortest: trip, since: 0, set: 0 }
    }

    /// The round trip was measured again: how many bytes may be on the way, if that is news.
    pub(super) fn measured(&mut self, trip: Duration) -> Option<u64> {
        self.since += 1;
        if trip <= self.shortest || self.since > HOLDS {
            (self.shortest, self.since) = (trip, 0);
        }
        let micros = u64::try_from(self.shortest.as_micros()).unwrap_or(u64::MAX);
        let bytes = micros.saturating_mul(BYTES_A_MICRO).clamp(LEAST, MOST);
        (std::mem::replace(&mut self.set, bytes) != bytes).then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_follows_the_shortest_round_trip_lately() {
        let mut window = Window::new(MS / 10);
        assert_eq!(window.measured(MS / 10), Some(LEAST));
        for _ in 0..HOLDS {
            assert_eq!(window.measured(50 * MS), None);
        }
        // The path is another one.
        assert_eq!(window.measured(50 * MS), Some(MOST));
        assert_eq!(window.measured(2 * MS), Some(2000 * BYTES_A_MICRO));
    }
}
