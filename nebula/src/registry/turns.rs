//! Values that several threads change, one after the other.
//!
//! The lock is held for a look or a swap, never while code of the application runs. Who changes a
//! value by such code has the turn of that value instead, for which others who would write it wait
//! and readers do not. A thread has one turn at most and waits for none while it has one, so no two
//! wait for each other.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::held::Held;
use super::values::Values;

thread_local! {
    /// Whether this thread has a turn, with whatever registry.
    static HAS_TURN: Cell<bool> = const { Cell::new(false) };
}

/// The values, and who waits for a turn.
#[derive(Default)]
pub(crate) struct Turns {
    values: Mutex<Values>,
    /// Some turn has.
    ended: Condvar,
}

/// A turn, until it is dropped.
#[must_use]
pub(crate) struct Turn<'t> {
    turns: &'t Turns,
    domain: &'t str,
    key: &'t str,
    number: u64,
    /// It ends in the thread in which it began.
    thread: PhantomData<*const ()>,
}

impl Turns {
    /// The values, as they are now.
    pub(crate) fn now(&self) -> MutexGuard<'_, Values> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The values once nobody is about to change this one. A thread that has a turn does not wait.
    pub(crate) fn settled(&self, domain: &str, key: &str) -> MutexGuard<'_, Values> {
        let values = self.now();
        if has_turn() {
            return values;
        }
        self.ended
            .wait_while(values, |values| values.is_changing(domain, key))
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn of a value, if there is one. The thread must have none.
    pub(crate) fn begin<'t>(&'t self, domain: &'t str, key: &'t str) -> Option<(Held, Turn<'t>)> {
        debug_assert!(!has_turn());
        let (value, number) = self.settled(domain, key).begin(domain, key)?;
        HAS_TURN.set(true);
        Some((value, Turn { turns: self, domain, key, number, thread: PhantomData }))
    }
}

impl Turn<'_> {
    /// Ends it with a new value. `false` if the turn was overtaken, and nothing has changed.
    pub(crate) fn commit(self, value: Held) -> bool {
        let Self { turns, domain, key, number, .. } = self;
        let left = turns.now().commit(domain, key, number, value);
        // What is left over is dropped after that, where the thread may write again.
        drop(self);
        left.is_ok()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.now().end(self.domain, self.key, self.number);
        self.turns.ended.notify_all();
        HAS_TURN.set(false);
    }
}

/// Whether this thread has a turn.
pub(crate) fn has_turn() -> bool {
    HAS_TURN.get()
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.now().fmt(f)
    }
}
