//! Whether the peer is still there, as far as it is heard.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Link;
use crate::wire::Message;

impl Link {
    /// A call was not answered in time, and nobody waits for it any more: asks whether the peer is
    /// still there.
    pub(crate) fn doubt(&self) {
        if crate::mesh::lock(&self.health).doubt() {
            // What came before the question is no answer to it.
            self.heard.store(false, Ordering::Relaxed);
            // A link that cannot be written to is about to close.
            let _ = self.lane.push(&Message::Ping(0));
        }
    }

    /// Whether anything has come from the peer since the last time this was asked.
    pub(crate) fn take_heard(&self) -> bool {
        let heard = self.heard.swap(false, Ordering::Relaxed);
        if heard {
            self.heard_at.store(self.age_ms(), Ordering::Relaxed);
        }
        heard
    }

    /// For how long nothing has come from the peer, as far as was asked.
    pub(crate) fn unheard(&self) -> Duration {
        let at = self.heard_at.load(Ordering::Relaxed);
        Duration::from_millis(self.age_ms().saturating_sub(at))
    }

    pub(super) fn age_ms(&self) -> u64 {
        millis(self.since.elapsed())
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
