#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! The failures of calls as statuses.
//!
//! The sentence of a failed call names nodes, tags and services, which are nobody's business
//! outside. So a stranger gets the usual sentence of the code instead; `executed` in the data
//! (`no`, `yes` or `unknown`) says to both whether the method ran.

use std::fmt::Display;
use std::time::Duration;

use super::into::IntoStatus;
use super::value::Status;
use crate::Error;
use crate::call::{CallError, Executed, FirstError, NoTarget, QuorumError, Replies};

/// The method's own status, else one that says what happened: nobody to ask or no connection is
/// `service_not_available`, a passed deadline `timeout`, a refusal `too_many_requests` (with
/// `retry_after` in whole seconds), `forbidden` or `too_large`. Two sides that do not understand each
/// other and a panic are internal.
impl<E: IntoStatus> IntoStatus for CallError<E> {
    fn status(&self) -> Status {
        match self {
            Self::App(error) => error.status(),
            // The plugin that refused it has said it better.
            other if other.denial().is_some() => of_call(other),
            other => of_call(other).saying(other.sentence()),
        }
    }

    fn shown(&self) -> Option<Status> {
        match self {
            Self::App(error) => error.shown(),
            other => Some(of_call(other)).filter(Status::is_public),
        }
    }
}

/// `service_not_available`.
impl IntoStatus for NoTarget {
    fn status(&self) -> Status {
        unavailable(Executed::No).saying(self)
    }

    fn shown(&self) -> Option<Status> {
        Some(unavailable(Executed::No))
    }
}

/// The status of the methods' own errors if all nodes that were asked, and waited for, gave one of
/// the same code; else `service_not_available`.
impl<T, E: IntoStatus + Display> IntoStatus for FirstError<T, E> {
    fn status(&self) -> Status {
        match unanimous_of_first(self) {
            Some(error) => error.status(),
            None => of_first(self).saying(self),
        }
    }

    fn shown(&self) -> Option<Status> {
        match unanimous_of_first(self) {
            Some(error) => error.shown(),
            None => Some(of_first(self)),
        }
    }
}

/// The status of the methods' own errors if all nodes that were asked, and waited for, gave one of
/// the same code; else `timeout` or `service_not_available`. A quorum of 0 is internal.
impl<T, E: IntoStatus + Display> IntoStatus for QuorumError<T, E> {
    fn status(&self) -> Status {
        match unanimous_of_quorum(self) {
            Some(error) => error.status(),
            None => of_quorum(self).saying(self),
        }
    }

    fn shown(&self) -> Option<Status> {
        match unanimous_of_quorum(self) {
            Some(error) => error.shown(),
            None => Some(of_quorum(self)).filter(Status::is_public),
        }
    }
}

/// Internal: which kind of error it was, it does not say any more.
impl IntoStatus for Error {
    fn status(&self) -> Status {
        Status::internal_error(self.to_string())
    }
}

/// What `?` does in a function that returns a [`Status`]: nothing is withheld yet.
impl<E: IntoStatus> From<CallError<E>> for Status {
    fn from(error: CallError<E>) -> Self {
        error.status()
    }
}

impl<T, E: IntoStatus + Display> From<FirstError<T, E>> for Status {
    fn from(error: FirstError<T, E>) -> Self {
        error.status()
    }
}

impl<T, E: IntoStatus + Display> From<QuorumError<T, E>> for Status {
    fn from(error: QuorumError<T, E>) -> Self {
        error.status()
    }
}

impl From<NoTarget> for Status {
    fn from(error: NoTarget) -> Self {
        error.status()
    }
}

/// With the usual sentences.
fn of_call<E>(error: &CallError<E>) -> Status {
    let internal = |code: &'static str| Status::new(code, 500, "").internal();
    let status = match error {
        CallError::App(_) => Status::internal_error(""),
        CallError::NoProvider(_) | CallError::Disconnected(_) => Status::service_not_available(""),
        CallError::Deadline(_) => Status::timeout(""),
        CallError::Cancelled(_) => Status::cancelled(""),
        CallError::Overloaded { retry_after, .. } => {
            Status::too_many_requests("").with("retry_after", seconds(*retry_after))
        }
        CallError::Denied(_) => error.denial().cloned().unwrap_or_else(|| Status::forbidden("")),
        CallError::TooLarge { limit, .. } if error.reply_is_too_large() => {
            internal("reply_too_large").with("limit", limit)
        }
        CallError::TooLarge { limit, .. } => Status::too_large("").with("limit", limit),
        CallError::Incompatible { .. } => internal("incompatible"),
        CallError::Panicked { .. } => internal("panicked"),
        CallError::Protocol(_) => internal("protocol"),
    };
    said(status, error.executed())
}

fn of_first<T, E>(error: &FirstError<T, E>) -> Status {
    unavailable(match error {
        FirstError::NoTarget(_) => Executed::No,
        FirstError::NoSuccess(replies) => executed(replies),
    })
}

fn of_quorum<T, E>(error: &QuorumError<T, E>) -> Status {
    match error {
        QuorumError::Unreachable { required: 0, .. } => {
            said(Status::internal_error(""), Executed::No)
        }
        QuorumError::Unreachable { .. }
        | QuorumError::NoTarget(_)
        | QuorumError::TopologyMismatch { .. } => unavailable(Executed::No),
        QuorumError::NotReached(replies) => unavailable(executed(replies)),
        QuorumError::Deadline(replies) => said(Status::timeout(""), executed(replies)),
    }
}

fn unavailable(executed: Executed) -> Status {
    said(Status::service_not_available(""), executed)
}

fn said(status: Status, executed: Executed) -> Status {
    let executed = match executed {
        Executed::No => "no",
        Executed::Yes => "yes",
        Executed::Unknown => "unknown",
    };
    status.with("executed", executed)
}

/// Whole seconds, as HTTP wants them: never less than was asked for, and one at least.
fn seconds(time: Duration) -> u64 {
    let more = u64::from(time.subsec_nanos() > 0);
    time.as_secs().saturating_add(more).max(1)
}

fn executed<T, E>(replies: &Replies<T, E>) -> Executed {
    replies.iter().fold(Executed::No, |so_far, entry| {
        so_far.or(entry.result.as_ref().map_or_else(CallError::executed, |_| Executed::Yes))
    })
}

fn unanimous_of_first<T, E: IntoStatus>(error: &FirstError<T, E>) -> Option<&E> {
    match error {
        FirstError::NoTarget(_) => None,
        FirstError::NoSuccess(replies) => unanimous(replies),
    }
}

fn unanimous_of_quorum<T, E: IntoStatus>(error: &QuorumError<T, E>) -> Option<&E> {
    match error {
        QuorumError::NotReached(replies) => unanimous(replies),
        _ => None,
    }
}

/// The first of the methods' own errors if there are no others and no successes, and all have one
/// code. A success would be hidden by it, and with it that something changed. Who was not waited
/// for any more has no say.
fn unanimous<T, E: IntoStatus>(replies: &Replies<T, E>) -> Option<&E> {
    let mut first: Option<(&E, Status)> = None;
    for entry in replies {
        match (&entry.result, &first) {
            (Err(CallError::Cancelled(_)), _) => {}
            (Err(CallError::App(error)), None) => first = Some((error, error.status())),
            (Err(CallError::App(error)), Some((_, status)))
                if error.status().code() == status.code() => {}
            _ => return None,
        }
    }
    first.map(|(error, _)| error)
}
