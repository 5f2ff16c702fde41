//! One call to one node, and to the next if the first cannot answer.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::begun::Begun;
use super::leg::{self, Broken, Patience};
use super::roster::{Nobody, Roster, Wait};
use crate::call::ask::Ask;
use crate::call::heard::Heard;
use crate::call::local::Local;
use crate::call::retry::{Failed, FailoverMachine, Step};
use crate::call::unicast::Answer;
use crate::call::{ApiKey, Attempt, CallError, Executed, Log, NodeRef, Outcome, Path, Phase};
use crate::node::Node;
use crate::nodes::measures;
use crate::service::info::MethodInfo;
use crate::service::method::{Error, Method};

/// How an attempt ended.
pub(crate) enum Tried<M: Method> {
    Answered(Answer<M>),
    /// On another node, without a reply of the method.
    Broken(Broken),
    /// Here: this node's own service did not begin the call.
    Refused(CallError<Error<M>>),
}

impl<M: Method> Tried<M> {
    pub(crate) fn local(answer: Answer<M>) -> Self {
        match answer {
            Err(error @ (CallError::Overloaded { .. } | CallError::NoProvider(_))) => {
                Self::Refused(error)
            }
            answer => Self::Answered(answer),
        }
    }

    /// An attempt on `target`, of whose answer that is `heard` which stands beside it, if somebody asks
    /// for that.
    pub(crate) fn remote(made: leg::Made<M>, target: &NodeRef, heard: Option<&Heard>) -> Self {
        match made {
            Ok((reply, headers)) => {
                if let Some(heard) = heard {
                    heard.answered(target.clone(), headers);
                }
                Self::Answered(reply.map_err(CallError::App))
            }
            Err(broken) => Self::Broken(broken),
        }
    }

    /// What it says about another attempt; none if the call ends here, with whatever it gave.
    pub(crate) fn failed(&self) -> Option<Failed> {
        match self {
            Self::Answered(_) => None,
            Self::Broken(broken) if broken.ends_the_call() => None,
            Self::Broken(broken) => Some(broken.verdict()),
            Self::Refused(refused) => {
                let busy = match refused {
                    CallError::Overloaded { retry_after, .. } => Some(*retry_after),
                    _ => None,
                };
                Some(Failed { executed: Executed::No, again: false, busy })
            }
        }
    }
}

/// Asks one of the nodes that the call is for. When this node `refused` the call before, that was
/// its first attempt, and the others that are known now are next.
pub(crate) async fn run<M: Method>(
    node: Node,
    mut ask: Ask<'_, M>,
    refused: Option<CallError<Error<M>>>,
) -> Answer<M> {
    if refused.is_some() {
        ask.local = None;
    }
    let wait = if refused.is_some() { Wait::Never } else { Wait::Somebody };
    let roster = match Roster::find(&node, &mut ask, wait).await {
        Ok(roster) => roster,
        Err(_) if refused.is_some() => Roster::default(),
        Err(found) => return Err(nobody::<M>(found, Log::default())),
    };
    let call = Begun::new(&node, ask, roster);
    go_on(node, call, refused.map(Tried::Refused)).await
}

/// Goes on with a call, after an attempt that was `made` already, if there was one.
pub(crate) async fn go_on<M: Method>(
    node: Node,
    mut call: Begun<'_, M>,
    mut made: Option<Tried<M>>,
) -> Answer<M> {
    let method = call.ask.method;
    let mut log = Log::default();
    let candidates = call.order.len() + usize::from(made.is_some());
    let mut failover = FailoverMachine::new(candidates, M::INFO.is_idempotent());
    loop {
        let tried = match made.take() {
            Some(made) => Ok(made),
            None => {
                let Some(at) = call.order.next() else { return Err(CallError::Disconnected(log)) };
                attempt(&node, &mut call, at).await
            }
        };
        let tried = match tried {
            Ok(tried) => tried,
            Err(unsent) => return give_up::<M>(method, Tried::Answered(Err(unsent)), log),
        };
        let Some(failed) = tried.failed() else { return give_up(method, tried, log) };
        if let Tried::Broken(broken) = &tried {
            // What it was extended by and used of the budget holds for the next one.
            call.ask.term = broken.term;
        }
        let remaining = call.ask.term.deadline().saturating_duration_since(Instant::now());
        let rng = &mut call.draw(&node).rng;
        let step = failover.on_failure(failed, remaining, node.retries(), rng);
        if !matches!(step, Step::GiveUp) {
            measures::retried(node.name());
        }
        match step {
            Step::GiveUp => return give_up(method, tried, log),
            Step::TryNext => note(tried, &mut log),
            Step::StartOver { after } => {
                note(tried, &mut log);
                let roster = match Box::pin(look_again(&node, &mut call.ask, after)).await {
                    Ok(found) => found,
                    Err(found) => return Err(nobody::<M>(found, log)),
                };
                call.start_over(&node, roster);
                failover.recount(call.order.len());
            }
        }
    }
}

/// Waits before a call starts over, and finds whom it may go to then: the membership may know more.
pub(crate) async fn look_again<M: Method>(
    node: &Node,
    ask: &mut Ask<'_, M>,
    after: Duration,
) -> Result<Roster, Nobody> {
    let watch = ask.watch.clone();
    tokio::select! {
        biased;
        () = leg::cancelled(watch.as_ref()) => return Err(Nobody::Cancelled),
        () = tokio::time::sleep(after) => {}
    }
    // Also the one here that refused it before, in the form that it has now.
    ask.local = node.serving::<M::Api>(ask.method.service_name());
    Roster::find(node, ask, Wait::Somebody).await
}

async fn attempt<M: Method>(
    node: &Node,
    call: &mut Begun<'_, M>,
    at: usize,
) -> Result<Tried<M>, CallError<Error<M>>> {
    let Begun { ask, roster, arguments, .. } = call;
    match (&ask.local, roster.targets.get(at)) {
        // Finding the nodes may have taken all the time there was.
        _ if Instant::now() >= ask.term.deadline() => {
            Ok(Tried::Answered(Err(CallError::Deadline(Log::default()))))
        }
        (Some(served), _) if roster.itself == Some(at) => {
            let args = arguments.take(false)?;
            let times = (ask.started, ask.term);
            let (served, watch) = (Arc::clone(served), ask.watch.clone());
            let local = Local::<M>::new(served, Some(node.clone()), Some(args), times, watch);
            let local = local.with(ask.headers.clone()).heard(ask.heard.clone());
            let mut local = Box::new(local);
            let tried = Tried::local((&mut *local).await);
            arguments.give_back(local.take_args());
            Ok(tried)
        }
        (_, Some(target)) => {
            let body = arguments.encoded()?;
            let watch = ask.watch.as_ref();
            let moves_on = roster.targets.len() > 1;
            let headers = ask.headers.clone();
            let patience = Patience { term: ask.term, moved: None, moves_on, headers };
            let made = leg::remote::<M>(node, ask.method, target, body, patience, watch).await;
            Ok(Tried::remote(made, target, ask.heard.as_ref()))
        }
        (_, None) => Err(CallError::Disconnected(Log::default())),
    }
}

pub(crate) fn note<M: Method>(tried: Tried<M>, log: &mut Log) {
    match tried {
        Tried::Broken(broken) => log.push(broken.attempt),
        Tried::Refused(mut error) => {
            if let Some(made) = error.log_mut() {
                made.prepend(std::mem::take(log));
                *log = std::mem::take(made);
            }
        }
        Tried::Answered(answer) => {
            if let Some(made) = answer.err().as_mut().and_then(CallError::log_mut) {
                made.prepend(std::mem::take(log));
                *log = std::mem::take(made);
            }
        }
    }
}

pub(crate) fn give_up<M: Method>(method: &MethodInfo, tried: Tried<M>, log: Log) -> Answer<M> {
    match tried {
        Tried::Broken(broken) => Err(broken.into_error(method, log)),
        Tried::Refused(mut error) => {
            if let Some(made) = error.log_mut() {
                made.prepend(log);
                return Err(error);
            }
            match error {
                _ if log.executed() != Executed::No => Err(CallError::Disconnected(log)),
                CallError::NoProvider(why) => Err(CallError::NoProvider(why.asked(&log))),
                error => Err(error),
            }
        }
        Tried::Answered(Err(mut error)) => {
            if let Some(made) = error.log_mut() {
                made.prepend(log);
            }
            Err(error)
        }
        Tried::Answered(answer) => answer,
    }
}

/// Nobody is left to ask, after the attempts in `log`.
pub(crate) fn nobody<M: Method>(nobody: Nobody, mut log: Log) -> CallError<Error<M>> {
    let gone = |attempt: &Attempt| {
        matches!(attempt.outcome, Outcome::Draining | Outcome::NotServed | Outcome::Overloaded)
    };
    match nobody {
        Nobody::Cancelled => CallError::Cancelled(log),
        _ if !log.attempts().iter().all(gone) => CallError::Disconnected(log),
        Nobody::Why(why) | Nobody::Final(why) => CallError::NoProvider(why.asked(&log)),
        Nobody::Incompatible(NodeRef { id, name }, theirs) => {
            log.push(Attempt {
                node: Some(id),
                name,
                path: Path::Direct,
                phase: Phase::Resolve,
                elapsed: Duration::ZERO,
                outcome: Outcome::Incompatible,
                executed: Executed::No,
            });
            let ours = ApiKey::from_bytes(M::INFO.key());
            CallError::Incompatible { ours, theirs, log }
        }
    }
}
