//! What the peer says of its load.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::Link;
use super::pulse::millis;

/// For how long a load that was told is believed, in milliseconds.
const LOAD_HOLDS_MS: u64 = 2000;

impl Link {
    /// The peer has told its load, while it had so many calls of ours.
    pub(crate) fn note_load(&self, load: u16, ours: usize, now: Instant) {
        let ours = u16::try_from(ours).unwrap_or(u16::MAX);
        self.load.store(load, Ordering::Relaxed);
        self.foreign.store(load.saturating_sub(ours), Ordering::Relaxed);
        let age = millis(now.saturating_duration_since(self.since));
        self.load_at.store(age, Ordering::Relaxed);
    }

    /// The load that the peer told lately, and what of it was not ours. What it told long ago says
    /// nothing any more, and would keep callers away for as long as they stay away.
    pub(crate) fn recent_load(&self) -> (u16, u16) {
        let age = self.age_ms().saturating_sub(self.load_at.load(Ordering::Relaxed));
        if age >= LOAD_HOLDS_MS {
            return (0, 0);
        }
        (self.load.load(Ordering::Relaxed), self.foreign.load(Ordering::Relaxed))
    }
}
