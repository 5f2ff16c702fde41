//! Why a plugin does not let a call through.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use macula::rpc::Fault;
use macula::text::Safe;

use crate::Status;
use crate::call::{CallError, Log, Outcome, Why};

/// Why a plugin ends a call without a reply of the method.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// The caller may not do this: [`CallError::Denied`](crate::CallError::Denied). The status
    /// travels to the caller as it is, cut to 4 KiB.
    Denied(Status),
    /// Not now: [`CallError::Overloaded`](crate::CallError::Overloaded). The call goes on to
    /// another node if there is one.
    Overloaded {
        /// When it may be worth while to ask again.
        retry_after: Duration,
    },
    /// Not here: the call goes on to another node if there is one.
    Unavailable(String),
    /// Its time is over: [`CallError::Deadline`](crate::CallError::Deadline), also of a call that has
    /// been executed; the error says which.
    Expired,
    /// The plugin itself failed: [`CallError::Denied`](crate::CallError::Denied) with an internal
    /// error, as the method has not run; [`CallError::Panicked`](crate::CallError::Panicked) if it
    /// has.
    Failed(String),
}

impl Refusal {
    /// The caller may not do this, and why: `forbidden`.
    pub fn denied(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Denied(Status::forbidden(reason))
    }

    /// The same for a caller elsewhere. Only of a call that has not been executed may it be said
    /// that it was refused.
    pub(crate) fn into_fault(self, executed: bool) -> Fault {
        match self {
            Self::Expired if executed => Fault::Overran,
            refusal if executed => Fault::Panicked(refusal.after_the_method()),
            Self::Denied(status) => Fault::Denied(status.to_bytes().into()),
            Self::Failed(message) => Fault::Denied(broken(message).to_bytes().into()),
            Self::Overloaded { retry_after } => Fault::Overloaded { retry_after },
            Self::Unavailable(_) => Fault::Draining,
            Self::Expired => Fault::Expired,
        }
    }

    /// The same for a caller in this process, of a call that has not been executed: `log` says what
    /// came of it, and `nobody` why there was nobody to ask.
    pub(crate) fn into_error<E>(
        self,
        log: impl FnOnce(Outcome) -> Log,
        nobody: impl FnOnce(&str) -> Why,
    ) -> CallError<E> {
        match self {
            Self::Denied(status) => CallError::Denied(log(Outcome::Denied(Some(status)))),
            Self::Overloaded { retry_after } => {
                CallError::Overloaded { retry_after, log: log(Outcome::Overloaded) }
            }
            Self::Unavailable(reason) => CallError::NoProvider(nobody(&reason)),
            Self::Expired => CallError::Deadline(log(Outcome::TimedOut)),
            Self::Failed(message) => CallError::Denied(log(Outcome::Denied(Some(broken(message))))),
        }
    }

    /// What it comes to once the method has run: nothing that could be tried again.
    pub(crate) fn after_the_method(&self) -> String {
        let why = match self {
            Self::Denied(status) => status.to_string(),
            Self::Overloaded { .. } => "overloaded".to_owned(),
            Self::Unavailable(reason) | Self::Failed(reason) => reason.clone(),
            Self::Expired => "its time was over".to_owned(),
        };
        format!("a plugin refused the reply: {why}")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(status) => status.fmt(f),
            Self::Overloaded { retry_after } => {
                write!(f, "too many calls: try again after {retry_after:?}")
            }
            Self::Unavailable(reason) => write!(f, "not available here: {}", Safe(reason)),
            Self::Expired => f.write_str("the time of the call is over"),
            Self::Failed(message) => write!(f, "the plugin failed: {}", Safe(message)),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Denied(status)
    }
}

/// The status of a call that did not get past a plugin which failed.
fn broken(message: String) -> Status {
    Status::new("internal_error", 500, message).internal()
}
