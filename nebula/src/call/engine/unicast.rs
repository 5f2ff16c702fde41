//! One call to one node, and to the next if the first cannot answer.

use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::time::Instant;

use super::arguments::Arguments;
use super::leg::{self, Broken, Patience};
use super::roster::{Nobody, Roster, Wait};
use crate::call::local::Local;
use crate::call::retry::{Failed, FailoverMachine, Step};
use crate::call::unicast::{Answer, Ask};
use crate::call::{ApiKey, Attempt, CallError, Executed, Log, Outcome};
use crate::node::Node;
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

    pub(crate) fn remote(made: Result<leg::Reply<M>, Broken>) -> Self {
        match made {
            Ok(reply) => Self::Answered(reply.map_err(CallError::App)),
            Err(broken) => Self::Broken(broken),
        }
    }
}

/// Asks one of the nodes that the call is for. When this node `refused` the call before, it goes
/// to the others that are known now, and is the answer if there is none.
pub(crate) async fn run<M: Method>(
    node: Node,
    mut ask: Ask<'_, M>,
    refused: Option<CallError<Error<M>>>,
) -> Answer<M> {
    let mut log = refused.as_ref().and_then(CallError::log).cloned().unwrap_or_default();
    let wait = if refused.is_some() { Wait::Never } else { Wait::Somebody };
    let mut roster = match (Roster::find(&node, &mut ask, wait).await, refused) {
        (Ok(roster), Some(refused)) => {
            node.retries().deposit();
            if !node.retries().withdraw() {
                return Err(refused);
            }
            roster
        }
        (Ok(roster), None) => {
            node.retries().deposit();
            roster
        }
        (Err(_), Some(refused)) => return Err(refused),
        (Err(found), None) => return Err(nobody::<M>(found, log)),
    };
    let mut rng = SmallRng::from_rng(&mut rand::rng());
    let mut order = roster.order(&node, &mut rng).into_iter();
    let mut failover = FailoverMachine::new(order.len(), M::INFO.is_idempotent());
    let mut arguments = Arguments::new(&node, ask.started, ask.args.take());
    loop {
        let Some(at) = order.next() else { return Err(CallError::Disconnected(log)) };
        let tried = match attempt(&node, &mut ask, &roster, at, &mut arguments).await {
            Ok(tried) => tried,
            Err(unsent) => return give_up::<M>(Tried::Answered(Err(unsent)), log),
        };
        let failed = match &tried {
            Tried::Answered(_) => return give_up(tried, log),
            Tried::Broken(broken) if broken.ends_the_call() => return give_up(tried, log),
            Tried::Broken(broken) => {
                // What it was extended by and used of the budget holds for the next one.
                ask.term = broken.term;
                broken.verdict()
            }
            Tried::Refused(_) => Failed { executed: Executed::No, again: None },
        };
        let remaining = ask.term.deadline().saturating_duration_since(Instant::now());
        match failover.on_failure(failed, remaining, node.retries(), &mut rng) {
            Step::GiveUp => return give_up(tried, log),
            Step::TryNext => note(tried, &mut log),
            Step::StartOver { after } => {
                note(tried, &mut log);
                let watch = ask.watch.clone();
                tokio::select! {
                    biased;
                    () = leg::cancelled(watch.as_ref()) => return Err(CallError::Cancelled(log)),
                    () = tokio::time::sleep(after) => {}
                }
                // The membership may know more by now.
                match Roster::find(&node, &mut ask, Wait::Somebody).await {
                    Ok(found) => roster = found,
                    Err(found) => return Err(nobody::<M>(found, log)),
                }
                order = roster.order(&node, &mut rng).into_iter();
                failover.recount(order.len());
            }
        }
    }
}

async fn attempt<M: Method>(
    node: &Node,
    ask: &mut Ask<'_, M>,
    roster: &Roster,
    at: usize,
    arguments: &mut Arguments<M>,
) -> Result<Tried<M>, CallError<Error<M>>> {
    match (&ask.local, roster.targets.get(at)) {
        // Finding the nodes may have taken all the time there was.
        _ if Instant::now() >= ask.term.deadline() => {
            Ok(Tried::Answered(Err(CallError::Deadline(Log::default()))))
        }
        (Some(served), _) if roster.itself == Some(at) => {
            let args = arguments.take(roster.targets.len() > 1)?;
            let times = (ask.started, ask.term);
            let (served, watch) = (Arc::clone(served), ask.watch.clone());
            let local = Local::<M>::new(served, Some(node.clone()), Some(args), times, watch);
            Ok(Tried::local(local.await))
        }
        (_, Some(target)) => {
            let body = arguments.encoded()?;
            let watch = ask.watch.as_ref();
            let moves_on = roster.targets.len() > 1;
            let patience = Patience { term: ask.term, moved: None, moves_on };
            let made = leg::remote::<M>(node, target, body, patience, watch).await;
            Ok(Tried::remote(made))
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

pub(crate) fn give_up<M: Method>(tried: Tried<M>, log: Log) -> Answer<M> {
    match tried {
        Tried::Broken(broken) => Err(broken.into_error::<M>(log)),
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
pub(crate) fn nobody<M: Method>(nobody: Nobody, log: Log) -> CallError<Error<M>> {
    let gone = |attempt: &Attempt| {
        matches!(attempt.outcome, Outcome::Draining | Outcome::NotServed | Outcome::Overloaded)
    };
    match nobody {
        Nobody::Cancelled => CallError::Cancelled(log),
        _ if !log.attempts().iter().all(gone) => CallError::Disconnected(log),
        Nobody::Why(why) | Nobody::Final(why) => CallError::NoProvider(why.asked(&log)),
        Nobody::Incompatible(theirs) => {
            let ours = ApiKey::from_bytes(M::INFO.key());
            CallError::Incompatible { ours, theirs, log }
        }
    }
}
