//! The requests of the peer that are under way here: each can be cancelled, from its admission until
//! its reply has been sent.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::{Link, Violation};

/// How many cancellations are remembered that came before their requests, or just after their
/// replies had left, which is not told apart. Only what travels alone can be overtaken, at most 64
/// requests at a time, and is long, so that many would have to be answered and given up at once to
/// crowd one out. It would run then in vain, as if it had not been cancelled.
const OVERTAKEN: usize = 1024;

impl Link {
    /// None once the link is closed.
    pub(super) fn running(&self) -> MutexGuard<'_, Option<BTreeMap<u64, CancellationToken>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a request of the peer that goes on, so that it can be cancelled.
    pub(crate) fn begin(&self, id: u64, cancel: CancellationToken) -> Result<(), Violation> {
        let mut running = self.running();
        let Some(running) = running.as_mut() else {
            cancel.cancel();
            return Ok(());
        };
        if self.take_cancelled(id) {
            cancel.cancel();
            return Ok(());
        }
        match running.insert(id, cancel) {
            None => Ok(()),
            Some(earlier) => {
                earlier.cancel();
                Err(Violation::RepeatedRequest)
            }
        }
    }

    /// Registers a request whose reply is being sent, so that it can still be cancelled.
    pub(crate) fn keep(&self, id: u64, cancel: CancellationToken) {
        match self.running().as_mut() {
            Some(_) if self.take_cancelled(id) => cancel.cancel(),
            Some(running) => drop(running.insert(id, cancel)),
            None => cancel.cancel(),
        }
    }

    /// Counts the bytes of a reply that waits to be sent on a stream of its own.
    pub(crate) fn unsent(self: &Arc<Self>, bytes: usize) -> Unsent {
        self.unsent.fetch_add(bytes, Ordering::Relaxed);
        Unsent { link: self.clone(), bytes }
    }

    pub(crate) fn end(&self, id: u64) {
        if let Some(running) = self.running().as_mut() {
            running.remove(&id);
        }
    }

    pub(crate) fn cancel(&self, id: u64) {
        // Held while the cancellation is noted, so that it cannot fall between looking and beginning.
        let mut running = self.running();
        let token = running.as_mut().and_then(|running| running.remove(&id));
        match token {
            Some(token) => token.cancel(),
            // It came before, and has ended.
            None if !travels_alone(id) => {}
            None => {
                let mut cancelled = crate::mesh::lock(&self.cancelled);
                if cancelled.len() == OVERTAKEN {
                    cancelled.pop_front();
                }
                cancelled.push_back(id);
            }
        }
    }

    /// Whether the peer gave this request up before it came, which is forgotten then.
    pub(crate) fn take_cancelled(&self, id: u64) -> bool {
        if !travels_alone(id) {
            return false;
        }
        let mut cancelled = crate::mesh::lock(&self.cancelled);
        let at = cancelled.iter().position(|known| *known == id);
        at.is_some_and(|at| cancelled.remove(at).is_some())
    }
}

/// Whether a request of this number comes on a stream of its own, and not in the order of the lane.
const fn travels_alone(id: u64) -> bool {
    id % 2 == 1
}

/// A reply that waits to be sent.
pub(crate) struct Unsent {
    link: Arc<Link>,
    bytes: usize,
}

impl Unsent {
    /// The bytes of all that wait on the link.
    pub(crate) fn total(&self) -> usize {
        self.link.unsent.load(Ordering::Relaxed)
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.link.unsent.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
