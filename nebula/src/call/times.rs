//! When a call began, and when and by what it ends.

use std::time::Duration;

use macula::rpc::{Headers, Term};
use tokio::time::Instant;

use super::options::Options;
use super::unary::Call;
use super::{Attempt, CallError, Log, Outcome, Why, written};
use crate::context::{Context, Inherited};
use crate::service::method::Method;

/// When a call began, and when and by what it ends.
pub(crate) struct Times {
    started: Instant,
    term: Term,
    /// In which headers the trace around it stands, if there is one.
    handed: Headers,
    /// Nobody wanted it any more before it began.
    given_up: bool,
}

impl Times {
    /// The times of a call that begins now. The clock is read once, here, and for most calls that
    /// stay in this process never again.
    // Whoever else begins a call of the method, the usual one has this in its own frame.
    #[inline(always)]
    pub(crate) fn of<M: Method>(call: &Call<'_, M>) -> Self {
        let Call { shared, options, .. } = call;
        let usual = shared.limits(M::INFO);
        let said = usual.unless(options);
        let limits = said.as_ref().unwrap_or(usual);
        let inherited = Inherited::now();
        let within = shared.within.as_ref();
        let started = Instant::now();
        let outer = inherited.as_ref().map(|inherited| inherited.deadline);
        let outer = [outer, within.map(Context::deadline)];
        let term = limits.term(started, outer.into_iter().flatten().min());
        let given_up = inherited.as_ref().is_some_and(|inherited| inherited.cancelled)
            || within.is_some_and(|within| within.token().is_cancelled());
        let handed = match within {
            Some(within) => within.handed(),
            None => inherited.map_or_else(Headers::new, |inherited| inherited.handed),
        };
        Self { started, term, handed, given_up }
    }

    /// The same where that is no matter of a few instructions.
    #[inline(never)]
    pub(crate) fn apart<M: Method>(call: &Call<'_, M>) -> Self {
        Self::of(call)
    }

    /// When it began.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// When it must end, as things stand at its beginning.
    pub(crate) fn term(&self) -> Term {
        self.term
    }

    /// What goes with the call: what is written on it, and the trace around it.
    #[inline]
    pub(crate) fn headers<M: Method>(&self, call: &Call<'_, M>) -> Headers {
        written::headers(&call.shared.options, &call.options, &self.handed)
    }

    /// Why nothing of the call may be sent or run, if it was over before it began.
    #[inline]
    pub(crate) fn refused(&self) -> Option<CallError> {
        match self.term.deadline() <= self.started {
            _ if self.given_up => Some(CallError::Cancelled(Log::default())),
            true => Some(CallError::Deadline(Log::default())),
            false => None,
        }
    }
}

/// Why a call cannot be sent: an interceptor has refused it, or what is written on it cannot be.
#[inline(always)]
pub(crate) fn unsendable<M: Method>(call: &Call<'_, M>) -> Option<CallError> {
    let (client, options) = (&call.shared.options, &call.options);
    if client.is_plain() && options.is_plain() {
        return None;
    }
    let method = call.shared.method(M::INFO);
    let names = (method.service_name(), method.method_name());
    refused(options, names).or_else(|| written::fault(client, options).map(unwritten))
}

/// What the caller gets of a call that an interceptor has refused.
#[inline(never)]
pub(crate) fn refused<E>(options: &Options, names: (&str, &str)) -> Option<CallError<E>> {
    let nobody = |reason: &str| Why::new(names.0, names.1).fault(reason);
    Some(options.refusal()?.clone().into_error(not_sent, nobody))
}

#[cold]
fn unwritten(why: String) -> CallError {
    CallError::Protocol(not_sent(Outcome::Unwritable(why.into())))
}

/// What is known of a call of which nothing was sent.
fn not_sent(outcome: Outcome) -> Log {
    Attempt::unsent(None, Duration::ZERO, outcome).into()
}
