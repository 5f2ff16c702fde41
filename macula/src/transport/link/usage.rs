//! Whether calls go over a link.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Link;

impl Link {
    /// A call goes over it, in either direction.
    pub(crate) fn note_use(&self) {
        self.used.store(true, Ordering::Relaxed);
    }

    /// For how long no call has gone over it, as far as was asked: the time of a call is the time of
    /// the first question after it.
    pub(crate) fn unused(&self) -> Duration {
        if self.used.swap(false, Ordering::Relaxed) || !self.is_idle() {
            self.used_at.store(self.age_ms(), Ordering::Relaxed);
        }
        let at = self.used_at.load(Ordering::Relaxed);
        Duration::from_millis(self.age_ms().saturating_sub(at))
    }

    /// Lets no request of ours begin here any more, unless one is under way in either direction: true
    /// then. Requests of the peer may still begin.
    pub(crate) fn shut_if_idle(&self) -> bool {
        self.serving.load(Ordering::SeqCst) == 0 && self.calls().close_if_empty()
    }
}
