#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! A value of any type, and what type that is.

use std::any::{Any, type_name};
use std::fmt;
use std::sync::Arc;

/// A value as the registry keeps it.
#[derive(Clone)]
pub(crate) struct Held {
    value: Arc<dyn Any + Send + Sync>,
    type_name: &'static str,
}

impl Held {
    pub(crate) fn new<T: Send + Sync + 'static>(value: Arc<T>) -> Self {
        Self { value, type_name: type_name::<T>() }
    }

    /// The value, if it is of this type.
    pub(crate) fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        Arc::clone(&self.value).downcast().ok()
    }

    pub(crate) fn type_name(&self) -> &'static str {
        self.type_name
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_name)
    }
}
