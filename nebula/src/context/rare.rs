//! What a call has that few have, kept apart so that the others carry no more than a pointer.

use std::any::Any;
use std::sync::Arc;

use crate::trace::TraceContext;

/// Made when there is something to keep.
#[derive(Clone, Default)]
pub(super) struct Rare {
    /// The span in which this node serves the call, if it shows one.
    pub(super) span: Option<TraceContext>,
    /// What plugins have left, one of each type.
    left: Vec<Arc<dyn Any + Send + Sync>>,
}

impl Rare {
    pub(super) fn leave<T: Send + Sync + 'static>(&mut self, value: T) {
        self.left.retain(|known| !known.as_ref().is::<T>());
        self.left.push(Arc::new(value));
    }

    pub(super) fn left<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.left.iter().find_map(|known| known.as_ref().downcast_ref())
    }

    pub(super) fn has_left(&self) -> bool {
        !self.left.is_empty()
    }
}
