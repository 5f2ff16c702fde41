//! Why a service is not what it was asked to be.

use super::body::NotReady;
use super::status::Failure;

/// Why an operation on a service did not reach its goal.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LifecycleError {
    /// It failed, and is neither active nor paused. It is started again by itself, for as long as it
    /// is asked to be active.
    #[error("the service has failed: {0}")]
    Failed(Failure),
    /// The service has been stopped for good, or is about to be. Nothing was changed.
    #[error("the service has been stopped for good: start a new one")]
    Stopped,
    /// Somebody asked for something else before this was reached: the last request counts.
    #[error("somebody asked the service for something else meanwhile")]
    Superseded,
    /// These still have work at the end of the time given. The service goes on refusing new calls:
    /// drain it again, or stop it.
    #[error("the service is not drained: {}", NotReady::list(.0))]
    NotDrained(Vec<NotReady>),
    /// It was called in a hook of the same service, which would wait for itself. Nothing was
    /// changed.
    #[error("a hook cannot wait for its own service: spawn a task that does")]
    WithinHook,
}
