//! Whether calls go over a link.

use std::sync::atomic::{AtomicUsize, Ordering};
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

    /// Nothing is under way in either direction: no call, nothing that may become one, no question.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_quiet() && self.calls().len() == 0
    }

    /// Lets no request of ours begin here any more, unless something is under way in either direction:
    /// true then. Requests of the peer may still begin.
    pub(crate) fn shut_if_idle(&self) -> bool {
        self.is_quiet() && self.calls().close_if_empty()
    }

    /// A long message of the peer begins to arrive, and has arrived when this is dropped.
    pub(crate) fn arrives(&self) -> Arriving<'_> {
        self.arriving.fetch_add(1, Ordering::SeqCst);
        Arriving(&self.arriving)
    }

    fn is_quiet(&self) -> bool {
        self.serving.load(Ordering::SeqCst) == 0
            && self.arriving.load(Ordering::SeqCst) == 0
            && self.questions.is_empty()
    }
}

/// A long message that is on its way.
pub(crate) struct Arriving<'l>(&'l AtomicUsize);

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
