#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! How a call to one node fails.
//!
//! Promise: every error says whether the method ran (`No`, `Yes`, or `Unknown`, never a guess) and
//! what was tried. `Display` is one sentence a person can act on; `{:#}` adds the attempts.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use macula::text::Safe;

use crate::Status;

use super::api_key::ApiKey;
use super::attempt::{Attempt, Executed, Outcome};
use super::log::Log;
use super::why::{NoTarget, Why};

/// How a call failed. `E` is the method's own error; [`Infallible`] if it returns no `Result`.
///
/// At most 32 bytes while `E` is small. An `E` with `Debug + Display` makes it a
/// [`std::error::Error`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CallError<E = Infallible> {
    /// The method ran and returned `Err(E)`. `Display` is that of `E`.
    App(E),
    /// There was nobody to ask. The method did not run.
    NoProvider(Why),
    /// The deadline passed, or the method took longer than its service allows. Whether it ran is in
    /// the log.
    Deadline(Log),
    /// The call was given up before its answer came. Whether the method ran is in the log.
    Cancelled(Log),
    /// The connection was lost or never came about. Whether the method ran is in the log.
    Disconnected(Log),
    /// The node had no room for the call, or none soon enough, and it did not run there.
    Overloaded {
        /// When to try again at the earliest.
        retry_after: Duration,
        /// What was tried.
        log: Log,
    },
    /// The node serves another shape of the method, which did not run there.
    Incompatible {
        /// The caller's key of the method.
        ours: ApiKey,
        /// The serving node's.
        theirs: ApiKey,
        /// What was tried.
        log: Log,
    },
    /// The node does not let this caller in; the method did not run there.
    Denied(Log),
    /// The arguments (the method did not run) or the reply (it ran) are over the limit: the log
    /// says which.
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
        /// What was tried.
        log: Log,
    },
    /// The method ran and panicked. What it had changed by then stays changed.
    Panicked {
        /// The panic's message.
        message: Box<str>,
        /// What was tried.
        log: Log,
    },
    /// The arguments (or a header) could not be written here or read there, or the reply not be
    /// written there or read here: the outcome of the last attempt says which. Whether the method ran is in the
    /// log.
    Protocol(Log),
}

impl<E> CallError<E> {
    /// Whether the method ran on any node asked. `No` is a proof: the call may be made again.
    pub fn executed(&self) -> Executed {
        match self {
            Self::App(_) | Self::Panicked { .. } => Executed::Yes,
            Self::NoProvider(_) => Executed::No,
            // A refusal says `No` of its own node only: an attempt before it may have run.
            Self::Deadline(log)
            | Self::Cancelled(log)
            | Self::Disconnected(log)
            | Self::Overloaded { log, .. }
            | Self::Incompatible { log, .. }
            | Self::Denied(log)
            | Self::TooLarge { log, .. }
            | Self::Protocol(log) => log.executed(),
        }
    }

    /// What was tried, oldest first; empty for [`App`](Self::App),
    /// [`NoProvider`](Self::NoProvider) and calls that were over or cancelled before anything was sent.
    pub fn attempts(&self) -> &[Attempt] {
        self.log().map_or(&[], Log::attempts)
    }

    /// The method's own error as `Ok`, any other as `Err`.
    ///
    /// # Errors
    ///
    /// The call's failure, when it is not the method's own error.
    pub fn split(self) -> Result<E, CallError> {
        Err(match self {
            Self::App(error) => return Ok(error),
            Self::NoProvider(why) => CallError::NoProvider(why),
            Self::Deadline(log) => CallError::Deadline(log),
            Self::Cancelled(log) => CallError::Cancelled(log),
            Self::Disconnected(log) => CallError::Disconnected(log),
            Self::Overloaded { retry_after, log } => CallError::Overloaded { retry_after, log },
            Self::Incompatible { ours, theirs, log } => {
                CallError::Incompatible { ours, theirs, log }
            }
            Self::Denied(log) => CallError::Denied(log),
            Self::TooLarge { limit, log } => CallError::TooLarge { limit, log },
            Self::Panicked { message, log } => CallError::Panicked { message, log },
            Self::Protocol(log) => CallError::Protocol(log),
        })
    }

    /// The method's own error, or the call's failure turned into one.
    pub fn into_app(self) -> E
    where
        E: From<CallError>,
    {
        self.split().unwrap_or_else(E::from)
    }

    /// Changes the type of the method's own error, for instance to that of a wider enum.
    pub fn map_app<F>(self, map: impl FnOnce(E) -> F) -> CallError<F> {
        match self.split() {
            Ok(error) => CallError::App(map(error)),
            Err(error) => error.widen(),
        }
    }

    /// Of [`Denied`](Self::Denied): what the plugin that refused the call said, if it did.
    pub fn denial(&self) -> Option<&Status> {
        let Self::Denied(log) = self else { return None };
        log.attempts().iter().rev().find_map(|attempt| match &attempt.outcome {
            Outcome::Denied(status) => status.as_ref(),
            _ => None,
        })
    }

    /// The log of what was tried, unless the variant has none.
    pub(crate) fn log(&self) -> Option<&Log> {
        match self {
            Self::App(_) | Self::NoProvider(_) => None,
            Self::Deadline(log)
            | Self::Cancelled(log)
            | Self::Disconnected(log)
            | Self::Overloaded { log, .. }
            | Self::Incompatible { log, .. }
            | Self::Denied(log)
            | Self::TooLarge { log, .. }
            | Self::Panicked { log, .. }
            | Self::Protocol(log) => Some(log),
        }
    }

    /// Of `TooLarge`: whether the reply is meant, and not the arguments.
    pub(crate) fn reply_is_too_large(&self) -> bool {
        match self.attempts().last().map(|attempt| &attempt.outcome) {
            Some(Outcome::ReplyTooLarge) => true,
            Some(Outcome::RequestTooLarge) => false,
            _ => self.executed() == Executed::Yes,
        }
    }

    /// The same to write to, for a driver that puts earlier attempts in front.
    pub(crate) fn log_mut(&mut self) -> Option<&mut Log> {
        match self {
            Self::App(_) | Self::NoProvider(_) => None,
            Self::Deadline(log)
            | Self::Cancelled(log)
            | Self::Disconnected(log)
            | Self::Overloaded { log, .. }
            | Self::Incompatible { log, .. }
            | Self::Denied(log)
            | Self::TooLarge { log, .. }
            | Self::Panicked { log, .. }
            | Self::Protocol(log) => Some(log),
        }
    }
}

impl CallError {
    /// The same failure as that of a method which has an error of its own.
    pub fn widen<E>(self) -> CallError<E> {
        match self {
            Self::App(never) => match never {},
            Self::NoProvider(why) => CallError::NoProvider(why),
            Self::Deadline(log) => CallError::Deadline(log),
            Self::Cancelled(log) => CallError::Cancelled(log),
            Self::Disconnected(log) => CallError::Disconnected(log),
            Self::Overloaded { retry_after, log } => CallError::Overloaded { retry_after, log },
            Self::Incompatible { ours, theirs, log } => {
                CallError::Incompatible { ours, theirs, log }
            }
            Self::Denied(log) => CallError::Denied(log),
            Self::TooLarge { limit, log } => CallError::TooLarge { limit, log },
            Self::Panicked { message, log } => CallError::Panicked { message, log },
            Self::Protocol(log) => CallError::Protocol(log),
        }
    }
}

impl<E> From<NoTarget> for CallError<E> {
    fn from(NoTarget(why): NoTarget) -> Self {
        Self::NoProvider(why)
    }
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, E::fmt)
    }
}

impl<E> CallError<E> {
    /// The sentence of a call's failure; nothing for the method's own error.
    pub(crate) fn sentence(&self) -> impl fmt::Display {
        fmt::from_fn(|f| self.write(f, |_, _| Ok(())))
    }

    fn write(
        &self,
        f: &mut fmt::Formatter<'_>,
        own: impl FnOnce(&E, &mut fmt::Formatter<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let log = match self {
            Self::App(error) => return own(error, f),
            Self::NoProvider(why) => return fmt::Display::fmt(why, f),
            _ => self.log(),
        };
        let node = Safe(log.and_then(Log::last_name).unwrap_or("the node asked"));
        let ran = self.executed();
        match self {
            Self::App(_) | Self::NoProvider(_) => {}
            Self::Deadline(log) if log.ends_with(&Outcome::Overran) => write!(
                f,
                "the method took longer on {node} than the service there allows, and was stopped{}",
                advice(ran)
            )?,
            Self::Deadline(_) => match log.and_then(Log::last_name) {
                Some(_) => write!(
                    f,
                    "no answer from {node} before the deadline, and the method {ran}: give it \
                     more time with `.timeout(..)`{}",
                    advice(ran)
                )?,
                None => f.write_str(
                    "the deadline passed before anything was sent, so the method did not run: \
                     give it more time with `.timeout(..)`",
                )?,
            },
            Self::Cancelled(_) => write!(
                f,
                "the call was cancelled before an answer came, and the method {ran}{}",
                advice(ran)
            )?,
            Self::Disconnected(_) => {
                write!(f, "the connection to {node} failed, and the method {ran}{}", advice(ran))?
            }
            Self::Overloaded { retry_after, .. } => write!(
                f,
                "{node} is overloaded, and the method {ran}: try again in {retry_after:?}{}",
                advice(ran)
            )?,
            Self::Incompatible { ours, theirs, .. } => write!(
                f,
                "{node} serves another shape of this method (ours {ours}, theirs {theirs}), and \
                 it {ran}: build both sides from the same contract"
            )?,
            Self::Denied(_) => match self.denial() {
                Some(status) => {
                    write!(f, "{node} refuses the call, and the method {ran}: {status}")?
                }
                None => write!(
                    f,
                    "{node} does not let this caller in, and the method {ran}: ask whoever runs \
                     it for permission"
                )?,
            },
            Self::TooLarge { limit, .. } => write!(
                f,
                "the {} more than {limit} bytes, and the method {ran}: split the data, or raise \
                 the limit on both sides",
                if self.reply_is_too_large() { "reply is" } else { "arguments are" },
            )?,
            Self::Panicked { message, .. } => write!(
                f,
                "the method panicked on {node}: {}; mend it there, and check what it had changed by \
                 then",
                Safe(message)
            )?,
            Self::Protocol(log) => match log.attempts().last().map(|attempt| &attempt.outcome) {
                Some(Outcome::Unwritable(why)) => {
                    write!(f, "the call cannot be sent, and the method {ran}: {}", Safe(why))?
                }
                Some(Outcome::Unreadable(why)) => write!(
                    f,
                    "{node} could not read the arguments, and the method {ran}: {}; run the \
                     same release on both sides{}",
                    Safe(why),
                    advice(ran)
                )?,
                Some(Outcome::Untaken(why)) => write!(
                    f,
                    "{node} does not take these arguments, and the method {ran}: {}",
                    Safe(why)
                )?,
                Some(Outcome::ReplyUnwritable(why)) => write!(
                    f,
                    "{node} could not write the reply, and the method {ran}: {}; mend its \
                     `Serialize`{}",
                    Safe(why),
                    advice(ran)
                )?,
                _ => write!(
                    f,
                    "the answer of {node} could not be understood, and the method {ran}: run the \
                     same release on both sides{}",
                    advice(ran)
                )?,
            },
        }
        match log {
            Some(log) if f.alternate() => fmt::Display::fmt(log, f),
            _ => Ok(()),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for CallError<E> {}

/// What to mind before calling again.
fn advice(ran: Executed) -> &'static str {
    match ran {
        Executed::No => "; calling again is safe",
        Executed::Yes => "; check what it did before calling again",
        Executed::Unknown => "; calling again is safe only if running twice is harmless",
    }
}

#[cfg(test)]
mod tests;
