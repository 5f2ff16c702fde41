//! Where the service of one name is found on a node, whenever it comes, changes and goes.
//!
//! A client looks here at every call. The first form of the first service that comes is found by a
//! load; what replaces it costs a reference count more, since it may be replaced in turn while it
//! is looked at.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwapOption;

use super::served::Served;

const EMPTY: u8 = 0;
const FIRST: u8 = 1;
const LATER: u8 = 2;

/// The place of one service.
#[derive(Default)]
pub(crate) struct Slot {
    /// Which of the two is here.
    state: AtomicU8,
    first: OnceLock<Arc<Served>>,
    later: ArcSwapOption<Served>,
    /// Held while it changes.
    changing: Mutex<()>,
}

/// A service that is looked at.
pub(crate) enum Found<'s> {
    First(&'s Arc<Served>),
    Later(Arc<Served>),
}

impl Slot {
    /// What is here now.
    #[inline]
    pub(crate) fn get(&self) -> Option<Found<'_>> {
        match self.state.load(Ordering::Acquire) {
            FIRST => self.first.get().map(Found::First),
            LATER => self.later.load_full().map(Found::Later),
            _ => None,
        }
    }

    /// The same, if it takes calls.
    #[inline]
    pub(crate) fn open(&self) -> Option<Found<'_>> {
        self.get().filter(|served| !served.is_closed())
    }

    /// The same, if it is the service of the generated client `S`, and not one of the same name.
    #[inline]
    pub(crate) fn of<S: 'static>(&self) -> Option<Found<'_>> {
        self.get().filter(|served| served.is::<S>())
    }

    /// Puts a service here in place of what is here.
    pub(crate) fn put(&self, served: Arc<Served>) {
        let _changing = lock(&self.changing);
        match self.first.set(Arc::clone(&served)) {
            Ok(()) => self.state.store(FIRST, Ordering::Release),
            Err(_) => {
                self.later.store(Some(served));
                self.state.store(LATER, Ordering::Release);
            }
        }
    }

    /// Takes away what is here.
    pub(crate) fn clear(&self) {
        let _changing = lock(&self.changing);
        self.state.store(EMPTY, Ordering::Release);
        self.later.store(None);
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Slot").field(&self.get().as_deref()).finish()
    }
}

impl Found<'_> {
    /// Keeps it.
    pub(crate) fn keep(self) -> Arc<Served> {
        match self {
            Self::First(served) => Arc::clone(served),
            Self::Later(served) => served,
        }
    }
}

impl Deref for Found<'_> {
    type Target = Arc<Served>;

    #[inline]
    fn deref(&self) -> &Arc<Served> {
        match self {
            Self::First(served) => served,
            Self::Later(served) => served,
        }
    }
}

/// The places of all services of a node, by wire name. A place that was asked for stays.
#[derive(Debug, Default)]
pub(crate) struct Slots(Mutex<BTreeMap<String, Arc<Slot>>>);

impl Slots {
    /// The place of this name, whether or not anything is there. There are as many as the program
    /// has names of services, for nobody else asks.
    pub(crate) fn slot(&self, service: &str) -> Arc<Slot> {
        let mut slots = lock(&self.0);
        if let Some(slot) = slots.get(service) {
            return Arc::clone(slot);
        }
        Arc::clone(slots.entry(service.to_owned()).or_default())
    }

    /// What is served under this name now.
    pub(crate) fn served(&self, service: &str) -> Option<Arc<Served>> {
        lock(&self.0).get(service)?.get().map(Found::keep)
    }

    /// All that is served now, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Served>> {
        lock(&self.0).values().filter_map(|slot| slot.get()).map(Found::keep).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
