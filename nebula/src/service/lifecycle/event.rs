//! What the machine in [`reconcile`](super::reconcile) is told, and what it says.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::body::Cause;
use super::status::{Admin, ServiceStatus};

/// A moment on both clocks: one to reckon with and one to tell people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) at: Instant,
    pub(crate) time: SystemTime,
}

/// What the machine is told.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The operator asks for something.
    SetAdmin(Admin, Arc<str>),
    /// The operator wants no new calls.
    Drain,
    /// The work of that name is done. A start that failed has been undone.
    Started(Result<(), Cause>),
    Stopped,
    /// No call runs any more, or the grace is over.
    Drained,
    /// Something that had been started gave up.
    ChildFailed(Cause),
    /// What the readiness hooks say.
    Ready(bool),
    /// [`Machine::retry_at`](super::reconcile::Machine::retry_at) has come.
    RetryDue,
    /// The service is to stop and to end.
    Shutdown(Arc<str>),
}

/// What takes time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Work {
    Start,
    Stop,
    Drain,
}

/// What the driver is to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// The status is another one from now on, and the hooks are called.
    Announce(Arc<ServiceStatus>, Arc<ServiceStatus>),
    /// The same without the hooks: what the service is has not changed.
    Publish(Arc<ServiceStatus>),
    /// Work begins.
    Begin(Work),
    /// The draining that is under way is not wanted any more.
    Cancel,
    Advertise,
    Withdraw,
    /// The last one.
    Finish,
}
