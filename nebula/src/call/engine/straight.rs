//! The usual call: somebody else serves the method, who is known and connected, and answers.
//!
//! It is written by hand, since each call pays for what stands here. Whatever is unusual goes on in
//! [`unicast`](super::unicast), with what has been found until then.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use macula::rpc::{Calling, Request, Response};
use tokio::time::Instant;

use super::begun::Begun;
use super::leg;
use super::roster::Roster;
use super::unicast::{self, Tried};
use crate::call::ask::{Ask, Targets};
use crate::call::unicast::Answer;
use crate::call::{CallError, Log};
use crate::node::Node;
use crate::nodes::measures;
use crate::nodes::trouble::{Ended, Verdict};
use crate::service::method::Method;
use crate::trace::call::asks;

/// A call whose first attempt is under way to another node, and which nobody can cancel but by
/// dropping it.
pub(crate) struct Straight<'a, M: Method> {
    node: &'a Node,
    /// None once it has ended or goes on elsewhere.
    begun: Option<Begun<'a, M>>,
    /// Whom of the roster it asks.
    at: usize,
    began: Instant,
    /// This attempt tries whether an ejected node is back.
    tries: bool,
    calling: Calling,
}

/// How a call that has been begun goes on.
pub(crate) enum Next<'a, M: Method> {
    Ended(Answer<M>),
    Straight(Box<Straight<'a, M>>),
    Longer(BoxFuture<'a, Answer<M>>),
}

/// Begins a call: sends it, if it is clear whom it is for.
pub(crate) fn begin<'a, M: Method>(
    node: &'a Node,
    mut ask: Ask<'a, M>,
    task: &Context<'_>,
) -> Next<'a, M> {
    let chooses = matches!(ask.targets, Targets::Pick(_));
    let found = match ask.watch {
        None => Roster::now(node, &mut ask),
        Some(_) => None,
    };
    let roster = match found {
        Some(Ok(roster)) => roster,
        Some(Err(nobody)) => {
            return Next::Ended(Err(unicast::nobody::<M>(nobody, Log::default())));
        }
        None => return Next::Longer(unicast::run(node.clone(), ask, None).boxed()),
    };
    let mut begun = Begun::new(node, ask, roster);
    // A closure of the application takes the time it takes.
    let began = if chooses { Instant::now() } else { begun.ask.started };
    let first = begun.order.peek().filter(|at| begun.roster.itself != Some(*at));
    let Some((at, target)) = first.and_then(|at| Some((at, begun.roster.targets.get(at)?))) else {
        return Next::Longer(unicast::go_on(node.clone(), begun, None).boxed());
    };
    if began >= begun.ask.term.deadline() {
        return Next::Ended(Err(CallError::Deadline(Log::default())));
    }
    asks(&target.name);
    let id = target.id;
    let _ = begun.order.next();
    let body = match begun.arguments.encoded_for_one() {
        Ok(body) => body,
        Err(unsent) => return Next::Ended(Err(unsent)),
    };
    let request = Request {
        method: begun.ask.method.wire_id(),
        key: begun.ask.method.key(),
        body,
        term: begun.ask.term,
        headers: begun.ask.headers.clone(),
        moved: None,
        sent: None,
        leave_if_silent: begun.roster.targets.len() > 1 && M::INFO.is_idempotent(),
    };
    let tries = node.live().trouble().begins(&id, began);
    let calling = node.mesh().call_now(id, request, began, task.waker());
    Next::Straight(Box::new(Straight { node, begun: Some(begun), at, began, tries, calling }))
}

impl<'a, M: Method> Straight<'a, M> {
    /// Whether there is nothing to poll for before the task is woken.
    pub(crate) fn is_sent(&self) -> bool {
        self.calling.is_sent()
    }

    /// Ready with the answer, or with what goes on instead.
    pub(crate) fn poll(
        &mut self,
        task: &mut Context<'_>,
    ) -> Poll<Result<Answer<M>, BoxFuture<'a, Answer<M>>>> {
        let response = ready!(Pin::new(&mut self.calling).poll(task));
        Poll::Ready(self.ends(response))
    }

    fn ends(&mut self, response: Response) -> Result<Answer<M>, BoxFuture<'a, Answer<M>>> {
        self.note(leg::verdict(&response.result), response.term.deadline());
        let Some(begun) = self.begun.take() else {
            return Ok(Err(CallError::Disconnected(Log::default())));
        };
        let Some(target) = begun.roster.targets.get(self.at) else {
            return Ok(Err(CallError::Disconnected(Log::default())));
        };
        let made = leg::ended::<M>(target, self.began, response).map_err(|broken| {
            measures::failed(self.node.name(), &broken.attempt.outcome);
            *broken
        });
        match Tried::remote(made, target, begun.ask.heard.as_ref()) {
            Tried::Answered(answer) => Ok(answer),
            tried => Err(unicast::go_on(self.node.clone(), begun, Some(tried)).boxed()),
        }
    }

    fn note(&self, verdict: Verdict, deadline: Instant) {
        let Some(begun) = &self.begun else { return };
        let Some(target) = begun.roster.targets.get(self.at) else { return };
        let attempt = Ended { node: target.id, began: self.began, deadline, tries: self.tries };
        self.node.live().trouble().ended(self.node.choices(), &target.name, attempt, verdict);
    }
}

impl<M: Method> Drop for Straight<'_, M> {
    /// Dropped before its end it says nothing of the node, unless its deadline has passed.
    fn drop(&mut self) {
        let Some(begun) = &self.begun else { return };
        // The node may have extended it.
        let deadline = self.calling.deadline().unwrap_or(begun.ask.term.deadline());
        let late = Instant::now() >= deadline;
        self.note(if late { Verdict::Failed } else { Verdict::Neither }, deadline);
    }
}
