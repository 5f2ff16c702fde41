//! What holds a place under a key.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use super::groups::Groups;

/// A value that is one of those under a key, until this is dropped.
///
/// It is gone from there before it is dropped; others may hold the value for longer than that. What
/// is never dropped, such as the argument of [`std::mem::forget`], stays.
#[must_use = "the value is taken away once this is dropped"]
pub struct Added<T> {
    value: Arc<T>,
    key: Box<str>,
    number: u64,
    groups: Arc<Mutex<Groups>>,
}

impl<T> Added<T> {
    /// For a value that has just been added and is known by the number.
    pub(crate) fn new(value: Arc<T>, key: &str, number: u64, groups: &Arc<Mutex<Groups>>) -> Self {
        Self { value, key: key.into(), number, groups: Arc::clone(groups) }
    }

    /// The key.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl<T> Deref for Added<T> {
    type Target = Arc<T>;

    fn deref(&self) -> &Arc<T> {
        &self.value
    }
}

impl<T> Drop for Added<T> {
    fn drop(&mut self) {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        // Not the last of the value: that is dropped after this, with nothing locked.
        groups.remove(&self.key, self.number);
    }
}

impl<T: fmt::Debug> fmt::Debug for Added<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Added").field("key", &self.key).field("value", &self.value).finish()
    }
}
