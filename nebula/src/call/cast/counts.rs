//! What has become of one-way calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::call::CallError;
use crate::call::unicast::Answer;
use crate::service::info::MethodInfo;
use crate::service::method::Method;

/// How many one-way calls a node has made since it started: see [`Call::cast`](crate::Call::cast).
/// Those that have begun and neither were answered nor failed are under way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct CastCounts {
    /// Those that got on their way.
    pub begun: u64,
    /// Those of them that the method answered, with a value or with its own error.
    pub answered: u64,
    /// Those of them of which no answer came: refused, lost, panicked, over time, or given up when
    /// the node stopped.
    pub failed: u64,
}

/// The same, as it is kept.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    begun: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    pub(crate) fn read(&self) -> CastCounts {
        // Ends are read before beginnings, so that none seems to end that has not begun.
        let (answered, failed) = (self.answered.load(Relaxed), self.failed.load(Relaxed));
        CastCounts { begun: self.begun.load(Relaxed), answered, failed }
    }
}

/// One call that is counted, whatever its end; nothing is counted without a node.
pub(crate) struct OneWay {
    counts: Option<Arc<Counts>>,
    method: &'static MethodInfo,
    open: bool,
}

impl OneWay {
    pub(crate) fn new(counts: Option<Arc<Counts>>, method: &'static MethodInfo) -> Self {
        Self { counts, method, open: false }
    }

    /// It is on its way.
    pub(crate) fn begins(&mut self) {
        self.open = true;
        if let Some(counts) = &self.counts {
            counts.begun.fetch_add(1, Relaxed);
        }
    }

    /// It has come to this end.
    pub(crate) fn ends<M: Method>(mut self, answer: Answer<M>) {
        let failure = match answer.map_err(CallError::split) {
            Ok(_) | Err(Ok(_)) => None,
            Err(Err(failure)) => Some(failure),
        };
        match failure {
            None => {
                self.open = false;
                if let Some(counts) = &self.counts {
                    counts.answered.fetch_add(1, Relaxed);
                }
            }
            Some(error) => {
                let (service, method) = (self.method.service_name(), self.method.method_name());
                tracing::debug!(service, method, %error, "a one-way call failed");
            }
        }
    }
}

impl Drop for OneWay {
    fn drop(&mut self) {
        if let (true, Some(counts)) = (self.open, &self.counts) {
            counts.failed.fetch_add(1, Relaxed);
        }
    }
}
