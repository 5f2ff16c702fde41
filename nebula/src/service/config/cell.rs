//! The configuration of an instance, as it is now.
//!
//! Promise: readers see all of one configuration or all of the next, without waiting. A change is
//! planned, which checks all of it and changes nothing, and then committed in one step; a plan
//! whose ground has shifted in the meantime is refused.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use toml::Table;

use super::error::{ConfigError, Part};
use super::section::AnyConfig;
use super::state::{Change, Outcome, Sections, State, typed};
use super::unused::UnusedKey;
use super::watched::{ENDED, Watched};

/// Holds what is in force; shared by an instance and its plugins.
pub(crate) struct ConfigCell {
    state: Arc<ArcSwap<State>>,
    /// Of the state, or [`ENDED`].
    version: watch::Sender<u64>,
}

/// A change that was checked and can be committed.
pub(crate) struct Planned {
    base: Arc<State>,
    next: Arc<State>,
    changed: Vec<Part>,
    unused: Vec<UnusedKey>,
}

/// A change that was made and can be taken back.
pub(crate) struct Committed {
    before: Arc<State>,
    now: Arc<State>,
}

impl ConfigCell {
    /// The first configuration, of these sections and all layers there are at the start.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn new(changes: Vec<Change>) -> Result<Self, ConfigError> {
        let Outcome { state, unused, .. } = State::empty().plan(changes)?;
        unused.iter().for_each(warn);
        let version = watch::Sender::new(state.version);
        Ok(Self { state: Arc::new(ArcSwap::from_pointee(state)), version })
    }

    /// What would become of these changes, made together.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong. Nothing has changed.
    pub(crate) fn plan(&self, changes: Vec<Change>) -> Result<Planned, ConfigError> {
        let base = self.state.load_full();
        let Outcome { state, changed, unused } = base.plan(changes)?;
        Ok(Planned { base, next: Arc::new(state), changed, unused })
    }

    /// Puts a plan in force and wakes who watches.
    ///
    /// # Errors
    ///
    /// [`Stale`](ConfigError::Stale) if there was another change since it was made. Nothing has
    /// changed.
    pub(crate) fn commit(&self, planned: Planned) -> Result<Committed, ConfigError> {
        let Planned { base, next, unused, .. } = planned;
        self.swap(&base, &next)?;
        unused.iter().for_each(warn);
        Ok(Committed { before: base, now: next })
    }

    /// Puts back what was in force before a change, if that change was the last one.
    ///
    /// # Errors
    ///
    /// [`Stale`](ConfigError::Stale) if there was another change since. Nothing has changed.
    pub(crate) fn roll_back(&self, committed: Committed) -> Result<(), ConfigError> {
        let Committed { before, now } = committed;
        // The version rises all the same, as it says what is the latest.
        self.swap(&now, &Arc::new(before.again(now.version + 1)))
    }

    /// Tells who watches that nothing changes any more.
    pub(crate) fn end(&self) {
        self.version.send_replace(ENDED);
    }

    /// The configuration of a section, if it has one of this type. Never waits.
    pub(crate) fn get<C: Send + Sync + 'static>(&self, part: &Part) -> Option<Arc<C>> {
        typed(&self.state.load(), part)
    }

    /// The same of whatever type it has.
    pub(crate) fn value(&self, part: &Part) -> Option<AnyConfig> {
        self.state.load().value(part).cloned()
    }

    /// The table of a section, after all layers. There may be secrets in it.
    pub(crate) fn table(&self, part: &Part) -> Option<Table> {
        self.state.load().table(part)
    }

    /// The sections there are.
    pub(crate) fn sections(&self) -> Sections {
        self.state.load().sections().clone()
    }

    /// Watches a section, if it has a configuration of this type.
    pub(crate) fn watch<C: Send + Sync + 'static>(&self, part: &Part) -> Option<Watched<C>> {
        Watched::new(self.state.clone(), self.version.subscribe(), part.clone())
    }

    fn swap(&self, base: &Arc<State>, next: &Arc<State>) -> Result<(), ConfigError> {
        let found = self.state.compare_and_swap(base, next.clone());
        if !Arc::ptr_eq(&found, base) {
            return Err(ConfigError::Stale);
        }
        // Of two that commit at once, the later may be the first to get here.
        self.version.send_if_modified(|version| {
            let rises = *version < next.version;
            *version = next.version.max(*version);
            rises
        });
        Ok(())
    }
}

impl Planned {
    /// The sections that were there before, and say something else now: who must be told.
    pub(crate) fn changed(&self) -> &[Part] {
        &self.changed
    }

    #[cfg(test)]
    /// The keys of the change that nobody has a use for, and that were not there before. They are
    /// logged when it is committed.
    pub(crate) fn unused(&self) -> &[UnusedKey] {
        &self.unused
    }

    #[cfg(test)]
    /// The configuration of a section as it is.
    pub(crate) fn before(&self, part: &Part) -> Option<&AnyConfig> {
        self.base.value(part)
    }

    #[cfg(test)]
    /// The configuration of a section as it will be.
    pub(crate) fn after(&self, part: &Part) -> Option<&AnyConfig> {
        self.next.value(part)
    }
}

fn warn(key: &UnusedKey) {
    tracing::warn!(key = %key.key, "{key}");
}

impl fmt::Debug for ConfigCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.state.load().version;
        f.debug_struct("ConfigCell").field("version", &version).finish_non_exhaustive()
    }
}

impl fmt::Debug for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planned").field("changed", &self.changed).finish_non_exhaustive()
    }
}

impl fmt::Debug for Committed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Committed").field("version", &self.now.version).finish_non_exhaustive()
    }
}
