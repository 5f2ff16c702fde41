//! A configuration that is watched.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::error::Part;
use super::state::{State, typed};

/// The version of one whose service has ended.
pub(super) const ENDED: u64 = u64::MAX;

/// The configuration of a service or a plugin, now and after each change.
///
/// It outlives the service, and does not keep it alive. A clone has seen what the original has.
pub struct Watched<C> {
    state: Arc<ArcSwap<State>>,
    version: watch::Receiver<u64>,
    part: Part,
    seen: Arc<C>,
}

impl<C: Send + Sync + 'static> Watched<C> {
    pub(super) fn new(
        state: Arc<ArcSwap<State>>,
        version: watch::Receiver<u64>,
        part: Part,
    ) -> Option<Self> {
        let seen = typed(&state.load(), &part)?;
        Some(Self { state, version, part, seen })
    }

    /// What is in force now under the name of the service or plugin, whoever has it: also once another
    /// plugin is in the place of this one. Once there is none of this type any more, as the plugin was
    /// taken out, the last one. Never waits; a change that is seen by this is still announced by
    /// [`changed`](Self::changed).
    pub fn current(&self) -> Arc<C> {
        typed(&self.state.load(), &self.part).unwrap_or_else(|| self.seen.clone())
    }

    /// Waits until another configuration is in force than the last one that this gave, or at first
    /// than that of the moment it was made. Of several changes in a row the last one is given.
    /// `None` once the service has ended. Changes of other sections wake nobody.
    ///
    /// May be dropped while it waits: nothing is lost.
    pub async fn changed(&mut self) -> Option<Arc<C>> {
        loop {
            // Before the look, so that a change after it is announced.
            let ended = *self.version.borrow_and_update() == ENDED;
            let now = self.current();
            if !Arc::ptr_eq(&now, &self.seen) {
                self.seen = now.clone();
                return Some(now);
            }
            if ended || self.version.changed().await.is_err() {
                return None;
            }
        }
    }
}

impl<C> Clone for Watched<C> {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            version: self.version.clone(),
            part: self.part.clone(),
            seen: self.seen.clone(),
        }
    }
}

impl<C> fmt::Debug for Watched<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("part", &self.part).finish_non_exhaustive()
    }
}
