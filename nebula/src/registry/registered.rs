//! What holds a name.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use super::names::Names;

/// A value that has a name, until this is dropped.
///
/// The name is free before the value is dropped; others may hold the value for longer than that.
/// What is never dropped, such as the argument of [`std::mem::forget`], keeps its name.
#[must_use = "the name is free again once this is dropped"]
pub struct Registered<T> {
    value: Arc<T>,
    name: Box<str>,
    names: Arc<Mutex<Names>>,
}

impl<T> Registered<T> {
    /// For a value that has just been given the name.
    pub(crate) fn new(value: Arc<T>, name: &str, names: &Arc<Mutex<Names>>) -> Self {
        Self { value, name: name.into(), names: Arc::clone(names) }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<T> Deref for Registered<T> {
    type Target = Arc<T>;

    fn deref(&self) -> &Arc<T> {
        &self.value
    }
}

impl<T> Drop for Registered<T> {
    fn drop(&mut self) {
        // Not the last of the value: that is dropped after this, with nothing locked.
        self.names.lock().unwrap_or_else(PoisonError::into_inner).free(&self.name);
    }
}

impl<T: fmt::Debug> fmt::Debug for Registered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered").field("name", &self.name).field("value", &self.value).finish()
    }
}
