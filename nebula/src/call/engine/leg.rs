//! One attempt of a call on one node.

use std::sync::Arc;

use bytes::Bytes;
use macula::rpc::{Failure, Headers, Moved, Request, Response, Sent, Term};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Status;
use crate::call::retry::Failed;
use crate::call::{ApiKey, Attempt, CallError, Executed, Log, NodeRef, Outcome, Path, Phase, Why};
use crate::node::Node;
use crate::nodes::measures;
use crate::nodes::trouble::Verdict;
use crate::service::info::MethodInfo;
use crate::service::input::contained;
use crate::service::method::{Error, Method, Value};
use crate::service::shape::ShapeOf;
use crate::service::whole;
use crate::trace::call::asks;

/// How an attempt ended that brought no reply of the method.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) attempt: Attempt,
    /// What it leaves of the call's time for another attempt.
    pub(crate) term: Term,
    pub(crate) end: End,
}

/// What it makes of the call if nobody else is asked.
#[derive(Debug)]
pub(crate) enum End {
    Failure(Failure),
    Cancelled,
    /// The reply does not decode.
    Garbled,
}

/// The reply of a method: its value, or its own error.
pub(crate) type Reply<M> = Result<Value<M>, Error<M>>;

/// What an attempt brought: the reply with what went back beside it, or none.
pub(crate) type Made<M, B = Broken> = Result<(Reply<M>, Headers), B>;

/// How long an attempt waits.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    pub(crate) term: Term,
    /// Where others read by how much its deadline has moved.
    pub(crate) moved: Option<Moved>,
    /// Somebody else can be asked: a node that falls silent is not waited for any longer, if the
    /// method may run twice.
    pub(crate) moves_on: bool,
    /// What is sent along with the arguments.
    pub(crate) headers: Headers,
}

/// Asks `target` over the mesh, and waits for its reply.
pub(crate) async fn remote<M: Method>(
    node: &Node,
    method: &'static MethodInfo,
    target: &NodeRef,
    body: Bytes,
    patience: Patience,
    watch: Option<&CancellationToken>,
) -> Made<M> {
    asks(&target.name);
    let (began, moved) = (Instant::now(), patience.moved.unwrap_or_default());
    // Only who may be cancelled asks for it.
    let sent = watch.is_some().then(Sent::default);
    let request = Request {
        method: method.wire_id(),
        key: method.key(),
        body,
        term: patience.term,
        headers: patience.headers,
        moved: Some(moved.clone()),
        sent: sent.clone(),
        leave_if_silent: patience.moves_on && M::INFO.is_idempotent(),
    };
    let cancelled_in = |phase, executed| {
        let attempt = attempt(target, began, phase, Outcome::Cancelled, executed);
        measures::failed(node.name(), &attempt.outcome);
        Broken { attempt, term: patience.term, end: End::Cancelled }
    };
    if watch.is_some_and(CancellationToken::is_cancelled) {
        return Err(cancelled_in(Phase::Resolve, Executed::No));
    }
    let (who, times) = ((target.id, &*target.name), (began, patience.term.deadline(), Some(moved)));
    let watched = node.live().trouble().watch(node.choices(), who, times);
    let response: Response = tokio::select! {
        biased;
        response = node.mesh().call_to(target.id, request) => response,
        () = cancelled(watch) => {
            return Err(match sent.is_some_and(|sent| sent.yet()) {
                true => cancelled_in(Phase::Run, Executed::Unknown),
                false => cancelled_in(Phase::Dial, Executed::No),
            });
        }
    };
    watched.ends(verdict(&response.result), response.term.deadline());
    ended::<M>(target, began, response).map_err(|broken| {
        measures::failed(node.name(), &broken.attempt.outcome);
        *broken
    })
}

/// What the response to an attempt that `began` then is to its call.
pub(crate) fn ended<M: Method>(
    target: &NodeRef,
    began: Instant,
    response: Response,
) -> Made<M, Box<Broken>> {
    let Response { result, headers, term, .. } = response;
    let attempt = |phase, outcome, executed| attempt(target, began, phase, outcome, executed);
    match result {
        Ok(bytes) => match contained(|| whole::read(&bytes, M::Shape::decode)) {
            Ok(reply) => Ok((M::Shape::split(reply), headers)),
            Err(reason) => {
                let outcome = Outcome::Malformed(reason.into());
                let attempt = attempt(Phase::Reply, outcome, Executed::Yes);
                Err(Box::new(Broken { attempt, term, end: End::Garbled }))
            }
        },
        Err(failure) => {
            let (phase, executed) = (phase(&failure), executed(failure.executed()));
            let attempt = attempt(phase, outcome(&failure), executed);
            Err(Box::new(Broken { attempt, term, end: End::Failure(failure) }))
        }
    }
}

/// An attempt on `target` that `began` then and has ended now.
pub(crate) fn attempt(
    target: &NodeRef,
    began: Instant,
    phase: Phase,
    outcome: Outcome,
    executed: Executed,
) -> Attempt {
    let (node, name) = (Some(target.id), Arc::clone(&target.name));
    Attempt { node, name, path: Path::Direct, phase, elapsed: began.elapsed(), outcome, executed }
}

/// What the end of an attempt says about the node: whether it can be relied on to answer.
pub(crate) fn verdict(result: &Result<Bytes, Failure>) -> Verdict {
    use macula::rpc::Phase;
    match result {
        Ok(_)
        | Err(
            Failure::Panicked(_)
            | Failure::Overran
            | Failure::ReplyTooLarge { .. }
            | Failure::ReplyUnwritable(_),
        ) => Verdict::Answered,
        // This word comes only where the clock here is the later one. Mostly it is not, and a wait
        // in a queue there is a deadline like any other: whoever keeps calls waiting for longer
        // than their callers wait is passed over.
        Err(Failure::Deadline { phase: Phase::Queue }) => Verdict::Neither,
        Err(
            Failure::Unreachable(_)
            | Failure::Disconnected
            | Failure::Silent
            | Failure::Deadline { .. },
        ) => Verdict::Failed,
        Err(_) => Verdict::Neither,
    }
}

/// Resolves when the call is cancelled, if ever.
pub(crate) async fn cancelled(watch: Option<&CancellationToken>) {
    match watch {
        Some(token) => token.cancelled().await,
        None => std::future::pending().await,
    }
}

/// What a method is called, and the shape in which it was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub(crate) service: &'a str,
    pub(crate) method: &'a str,
    pub(crate) key: [u8; 8],
}

impl Named<'static> {
    fn of(info: &MethodInfo) -> Self {
        Self { service: info.service_name(), method: info.method_name(), key: info.key() }
    }
}

impl Broken {
    /// Whether the call ends here, whoever else could be asked: nobody waits for it any more, or
    /// it is too large to be sent to anybody.
    pub(crate) fn ends_the_call(&self) -> bool {
        let too_large = matches!(self.end, End::Failure(Failure::RequestTooLarge { .. }));
        too_large || matches!(self.end, End::Cancelled)
    }

    /// What the end of this attempt says about another one.
    pub(crate) fn verdict(&self) -> Failed {
        let mut executed = self.attempt.executed;
        let mut busy = None;
        let again = match &self.end {
            End::Failure(failure) => match failure {
                Failure::Unreachable(_)
                | Failure::Disconnected
                | Failure::Silent
                | Failure::UnknownMethod
                | Failure::Parted { .. }
                | Failure::Draining => true,
                Failure::Aborted => {
                    // It began and did not end, like a call whose node died.
                    executed = Executed::Unknown;
                    true
                }
                Failure::Overloaded { retry_after } => {
                    busy = Some(*retry_after);
                    false
                }
                _ => false,
            },
            End::Cancelled | End::Garbled => false,
        };
        Failed { executed, again, busy }
    }

    /// The error of a call that ends here, with the attempts made before.
    pub(crate) fn into_error<E>(self, method: &MethodInfo, log: Log) -> CallError<E> {
        self.into_error_of(&Named::of(method), log)
    }

    /// The same of a method that is known by its names.
    pub(crate) fn into_error_of<E>(self, method: &Named<'_>, mut log: Log) -> CallError<E> {
        let name = Arc::clone(&self.attempt.name);
        log.push(self.attempt);
        let withdrawn = |log: &Log, reason| {
            let why = Why::new(method.service, method.method).asked(log);
            CallError::NoProvider(why.because(&name, reason))
        };
        let failure = match self.end {
            End::Failure(failure) => failure,
            End::Cancelled => return CallError::Cancelled(log),
            End::Garbled => return CallError::Protocol(log),
        };
        let ours = ApiKey::from_bytes(method.key);
        match failure {
            Failure::Deadline { .. } | Failure::Overran => CallError::Deadline(log),
            Failure::Overloaded { retry_after } => CallError::Overloaded { retry_after, log },
            Failure::Incompatible { theirs } => {
                CallError::Incompatible { ours, theirs: ApiKey::from_bytes(theirs), log }
            }
            Failure::UnknownMethod if log.executed() == Executed::No => {
                withdrawn(&log, "no longer serves it")
            }
            Failure::Draining if log.executed() == Executed::No => {
                withdrawn(&log, "takes no calls now")
            }
            Failure::Denied(_) => CallError::Denied(log),
            Failure::RequestTooLarge { limit } | Failure::ReplyTooLarge { limit } => {
                CallError::TooLarge { limit, log }
            }
            Failure::Panicked(message) => CallError::Panicked { message: message.into(), log },
            Failure::Malformed(_) | Failure::ReplyUnwritable(_) => CallError::Protocol(log),
            _ => CallError::Disconnected(log),
        }
    }
}

pub(crate) fn executed(executed: macula::rpc::Executed) -> Executed {
    match executed {
        macula::rpc::Executed::No => Executed::No,
        macula::rpc::Executed::Yes => Executed::Yes,
        macula::rpc::Executed::Unknown => Executed::Unknown,
    }
}

pub(crate) fn phase(failure: &Failure) -> Phase {
    match failure.phase() {
        macula::rpc::Phase::Dial => Phase::Dial,
        macula::rpc::Phase::Queue => Phase::Queue,
        macula::rpc::Phase::Run => Phase::Run,
        macula::rpc::Phase::Reply => Phase::Reply,
    }
}

pub(crate) fn outcome(failure: &Failure) -> Outcome {
    match failure {
        Failure::Unreachable(why) => Outcome::Unreachable(why.as_str().into()),
        Failure::Deadline { .. } => Outcome::TimedOut,
        Failure::Overloaded { .. } => Outcome::Overloaded,
        Failure::UnknownMethod => Outcome::NotServed,
        Failure::Incompatible { .. } => Outcome::Incompatible,
        Failure::Draining => Outcome::Draining,
        Failure::Parted { .. } => Outcome::Unreachable(failure.to_string().into()),
        Failure::Denied(why) => Outcome::Denied(Status::from_bytes(why).ok()),
        Failure::Malformed(why) => Outcome::Unreadable(why.as_str().into()),
        Failure::RequestTooLarge { .. } => Outcome::RequestTooLarge,
        Failure::ReplyTooLarge { .. } => Outcome::ReplyTooLarge,
        Failure::Panicked(_) => Outcome::Panicked,
        Failure::Overran => Outcome::Overran,
        Failure::ReplyUnwritable(why) => Outcome::ReplyUnwritable(why.as_str().into()),
        failure => Outcome::Reset(failure.to_string().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::tests::attempt as made;
    use crate::service::info::{MethodInfo, ServiceInfo};
    use crate::service::method::Service;
    use crate::service::shape::Shape;

    struct Users;
    struct Find;

    impl Service for Users {
        const INFO: &'static ServiceInfo = &ServiceInfo::new("Users", &[Find::INFO]);
    }

    impl Method for Find {
        type Api = Users;
        type Args = ();
        type Reply = u8;
        type Shape = Shape<false>;
        const INFO: &'static MethodInfo = &MethodInfo::new("Users", "find", "()->u8");
    }

    fn leg_of(failure: Failure) -> Broken {
        let attempt = Attempt {
            outcome: outcome(&failure),
            executed: executed(failure.executed()),
            ..made("db@h1", Executed::No)
        };
        let term = Term::fixed(Instant::now());
        Broken { attempt, term, end: End::Failure(failure) }
    }

    fn error(failure: Failure, before: Log) -> CallError {
        leg_of(failure).into_error(Find::INFO, before)
    }

    #[test]
    fn who_is_held_for_dead_is_told_so_and_may_call_again() {
        let failure = Failure::Parted { held_for_dead: true };
        let error = error(failure.clone(), Log::default());
        assert_eq!(error.executed(), Executed::No);
        let text = format!("{error:#}");
        assert!(text.contains("the node held this one for dead"), "{text}");
        assert!(leg_of(failure).verdict().again);
    }

    #[test]
    fn what_a_node_says_with_a_denial_is_kept() {
        let status = Status::forbidden("not at night");
        for (said, status, shown) in [
            (status.to_bytes(), Some(status), "denied: forbidden (403): not at night"),
            (vec![3, 0xff], None, "denied"),
        ] {
            let failure = Failure::Denied(said.into());
            assert!(!leg_of(failure.clone()).verdict().again, "it is for the caller to know");
            let error = error(failure, Log::default());
            assert!(matches!(error, CallError::Denied(_)));
            assert_eq!(error.executed(), Executed::No);
            assert_eq!(error.denial(), status.as_ref());
            assert_eq!(error.attempts()[0].outcome.to_string(), shown);
        }
    }

    #[test]
    fn who_withdrew_the_method_leaves_nobody_to_ask() {
        let before = |executed| Log::from(made("db@h2", executed));
        for (failure, reason) in [
            (Failure::UnknownMethod, "no longer serves it"),
            (Failure::Draining, "takes no calls now"),
        ] {
            let text = format!("{:#}", error(failure.clone(), before(Executed::No)));
            assert!(text.contains(&format!("\n  db@h1: {reason}")), "{text}");
            assert!(text.contains("\n  db@h2: unreachable"), "{text}");
            // An earlier attempt may have run: that is not to be lost.
            let unknown = error(failure, before(Executed::Unknown));
            assert!(matches!(unknown, CallError::Disconnected(_)));
            assert_eq!(unknown.executed(), Executed::Unknown);
        }
    }
}
