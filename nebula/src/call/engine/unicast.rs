//! One call to one node, and to the next if the first cannot answer.

use std::sync::Arc;

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::time::Instant;

use super::leg::{self, Broken};
use super::roster::{Nobody, Roster};
use crate::call::local::Local;
use crate::call::retry::{Failed, FailoverMachine, Step};
use crate::call::unicast::{Answer, Ask};
use crate::call::{ApiKey, CallError, Executed, Log};
use crate::node::Node;
use crate::service::method::{Error, Method};
use crate::service::wire::Args;

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

/// Asks one of the nodes that the call is for; `log` holds attempts made before.
pub(crate) async fn run<M: Method>(node: Node, mut ask: Ask<'_, M>, mut log: Log) -> Answer<M> {
    let mut roster = Roster::find(&node, &mut ask).await.map_err(nobody::<M>)?;
    node.retries().deposit();
    let mut rng = SmallRng::from_rng(&mut rand::rng());
    let mut order = roster.order(&node, &mut rng).into_iter();
    let mut failover = FailoverMachine::new(order.len(), M::INFO.is_idempotent());
    let mut arguments = Arguments::new(ask.args.take());
    loop {
        let Some(at) = order.next() else { return Err(CallError::Disconnected(log)) };
        let (failed, tried) = match attempt(&node, &mut ask, &roster, at, &mut arguments).await? {
            answered @ Tried::Answered(_) => return give_up(answered, log),
            Tried::Broken(broken) => (broken.verdict(), Tried::Broken(broken)),
            refused => (Failed { executed: Executed::No, again: None }, refused),
        };
        let remaining = ask.deadline.saturating_duration_since(Instant::now());
        match failover.on_failure(failed, remaining, node.retries(), &mut rng) {
            Step::GiveUp => return give_up(tried, log),
            Step::TryNext => note(tried, &mut log),
            Step::StartOver { after } => {
                tokio::time::sleep(after).await;
                // The membership may know more by now.
                match Roster::find(&node, &mut ask).await {
                    Ok(found) => roster = found,
                    Err(_) => return give_up(tried, log),
                }
                note(tried, &mut log);
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
        (Some(served), _) if roster.itself == Some(at) => {
            let args = arguments.take(roster.targets.len() > 1)?;
            let times = (ask.started, ask.deadline);
            let (served, watch) = (Arc::clone(served), ask.watch.clone());
            let local = Local::<M>::new(served, Some(node.clone()), Some(args), times, watch);
            Ok(Tried::local(local.await))
        }
        (_, Some(target)) => {
            let body = arguments.encoded()?;
            let watch = ask.watch.as_ref();
            let made = leg::remote::<M>(node, target, body, ask.deadline, watch).await;
            Ok(Tried::remote(made))
        }
        (_, None) => Err(CallError::Protocol(Log::default())),
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
        Tried::Answered(_) => {}
    }
}

pub(crate) fn give_up<M: Method>(tried: Tried<M>, log: Log) -> Answer<M> {
    match tried {
        Tried::Broken(broken) => Err(broken.into_error::<M>(log)),
        Tried::Refused(mut error) => {
            if let Some(made) = error.log_mut() {
                made.prepend(log);
            } else if log.executed() != Executed::No {
                return Err(CallError::Disconnected(log));
            }
            Err(error)
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

pub(crate) fn nobody<M: Method>(nobody: Nobody) -> CallError<Error<M>> {
    match nobody {
        Nobody::Why(why) => CallError::NoProvider(why),
        Nobody::Incompatible(theirs) => {
            let ours = ApiKey::from_bytes(M::INFO.key());
            CallError::Incompatible { ours, theirs, log: Log::default() }
        }
    }
}

/// The arguments of a call: as they were given until they are needed, encoded once.
pub(crate) struct Arguments<M: Method> {
    args: Option<M::Args>,
    body: Option<Bytes>,
}

impl<M: Method> Arguments<M> {
    pub(crate) fn new(args: Option<M::Args>) -> Self {
        Self { args, body: None }
    }

    /// For a local attempt; `again` keeps a copy for another one.
    pub(crate) fn take(&mut self, again: bool) -> Result<M::Args, CallError<Error<M>>> {
        if again {
            self.encoded()?;
        }
        let decoded = || M::Args::decode(self.body.as_deref()?).ok();
        self.args.take().or_else(decoded).ok_or_else(|| CallError::Protocol(Log::default()))
    }

    /// For an attempt elsewhere.
    pub(crate) fn encoded(&mut self) -> Result<Bytes, CallError<Error<M>>> {
        if let Some(body) = &self.body {
            return Ok(body.clone());
        }
        let mut out = Vec::new();
        let written = self.args.as_ref().map(|args| args.encode(&mut out));
        match written {
            Some(Ok(())) => Ok(self.body.insert(out.into()).clone()),
            // The value refuses to be written: nothing was sent.
            Some(Err(_)) | None => Err(CallError::Protocol(Log::default())),
        }
    }
}
