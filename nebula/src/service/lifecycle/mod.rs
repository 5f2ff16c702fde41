//! The life of a service: what it is asked to be, what it is, and how it gets from one to the other.
//!
//! Promise: see [`reconcile`], which decides. [`driver`] carries it out, a task for each service,
//! over the seam [`body`]; [`handle`] is what others hold. The status lies in a [`cell`], which is
//! read without a lock.
//!
//! Limits: all hooks are bounded in time ([`handle::Settings`]) and their panics are contained; so
//! are the commands that wait. What a hook may not do is wait for its own service, which is an
//! error and not a deadlock.

mod backoff;
pub(crate) mod body;
pub(crate) mod cell;
mod drain;
mod driver;
mod error;
mod event;
pub(crate) mod handle;
pub(crate) mod hooks;
mod reconcile;
mod status;

pub use body::NotReady;
pub(crate) use drain::after;
pub use error::LifecycleError;
pub use status::{Admin, Failure, Running, ServiceStatus, UnknownStatus};
