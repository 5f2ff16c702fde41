use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot::{self, error::RecvError};
use tokio::time::Instant;

use super::{Failure, Phase, Request, Response, Term};
use crate::identity::NodeId;
use crate::limits;
use crate::mesh::Inner;
use crate::transport::link::{Link, Waiter};
use crate::wire::Message;

/// A request to one node. It is sent at the first poll, and cancelled if this is dropped before the
/// reply has come.
///
/// It is written by hand to be small: with a link at hand and a body that fits the lane, there is
/// nothing to wait for but the reply.
pub(crate) struct Calling(State);

enum State {
    Start(Arc<Inner>, NodeId, Request),
    Waits(Pending, oneshot::Receiver<Response>),
    /// A link must be found first, or the body goes on a stream of its own.
    Longer(BoxFuture<'static, Response>),
    Over,
}

impl Calling {
    pub(crate) fn new(inner: Arc<Inner>, node: NodeId, request: Request) -> Self {
        Self(State::Start(inner, node, request))
    }
}

impl Future for Calling {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        loop {
            let response = match &mut self.0 {
                State::Start(..) => {
                    let State::Start(inner, node, request) =
                        std::mem::replace(&mut self.0, State::Over)
                    else {
                        continue;
                    };
                    let term = request.term;
                    match begin(inner, node, request) {
                        Ok(next) => self.0 = next,
                        Err(failure) => return Poll::Ready(failed(failure, term)),
                    }
                    continue;
                }
                State::Waits(pending, answer) => {
                    let answer = ready!(answer.poll_unpin(cx));
                    pending.took(answer)
                }
                State::Longer(longer) => ready!(longer.poll_unpin(cx)),
                State::Over => return Poll::Pending,
            };
            self.0 = State::Over;
            return Poll::Ready(response);
        }
    }
}

fn failed(failure: Failure, term: Term) -> Response {
    Response { result: Err(failure), load: None, term }
}

/// Sends the request if that is possible at once.
fn begin(inner: Arc<Inner>, node: NodeId, request: Request) -> Result<State, Failure> {
    let limit = inner.limits.max_body;
    if request.body.len() > limit {
        return Err(Failure::RequestTooLarge { limit });
    }
    match inner.link(&node).filter(|link| link.lane.has_room()) {
        Some(link) => send(link, request),
        None => Ok(State::Longer(Box::pin(async move {
            let term = request.term;
            let sent = inner.ready_link(node, term).await.and_then(|link| send(link, request));
            match sent {
                Ok(sent) => Calling(sent).await,
                Err(failure) => failed(failure, term),
            }
        }))),
    }
}

/// Sends the request on this link.
fn send(link: Arc<Link>, request: Request) -> Result<State, Failure> {
    let Request { method, key, body, term, moved, sent, leave_if_silent } = request;
    let remaining = term.deadline().saturating_duration_since(Instant::now());
    if remaining.is_zero() {
        return Err(Failure::Deadline { phase: Phase::Dial });
    }
    let gone = || Failure::Unreachable("the connection has just closed".into());
    let (reply, answer) = oneshot::channel();
    let waiter = Waiter { reply, leaves_if_silent: leave_if_silent, term, moved };
    let large = body.len() > limits::LANE_THRESHOLD;
    let id = link.calls().insert(waiter, large).ok_or_else(gone)?;
    link.note_use();
    link.expect(term.deadline());
    let mut pending = Pending { link, id, term, handed_over: !large };
    let (room, extensions) = (term.room(), term.extensions());
    let message = Message::Request { id, method, key, remaining, room, extensions, body };
    if let Some(sent) = sent {
        sent.now();
    }
    if large {
        return Ok(State::Longer(Box::pin(pending.send_and_wait(message, answer))));
    }
    if pending.link.lane.push(&message).is_err() {
        pending.handed_over = false;
        return Err(gone());
    }
    Ok(State::Waits(pending, answer))
}

/// A request that has a number. Dropping it cancels the request unless its reply has come.
struct Pending {
    link: Arc<Link>,
    id: u64,
    /// As it was when the request was sent.
    term: Term,
    /// The peer may have it, or get it. One that is not handed over as a whole is taken back with
    /// its stream, and there is nothing to cancel.
    handed_over: bool,
}

impl Pending {
    async fn send_and_wait(
        mut self,
        message: Message,
        mut answer: oneshot::Receiver<Response>,
    ) -> Response {
        let link = self.link.clone();
        let upload = link.send_alone(message);
        tokio::pin!(upload);
        tokio::select! {
            biased;
            answer = &mut answer => return self.took(answer),
            // A peer that refuses the body says so in its reply; a lost connection ends the wait.
            _ = &mut upload => {}
        }
        self.handed_over = true;
        let answer = answer.await;
        self.took(answer)
    }

    /// The request has ended, at its deadline at the latest: the link sees to that.
    fn took(&self, answer: Result<Response, RecvError>) -> Response {
        let lost = |_| Response { result: Err(Failure::Disconnected), load: None, term: self.term };
        answer.unwrap_or_else(lost)
    }

    /// Tells the peer that nobody waits any more, if it has the request.
    fn cancel(&self) {
        if self.handed_over && !cfg!(mutant = "cancel_forgotten") {
            // On a closed link there is nothing left to cancel.
            let _ = self.link.lane.push(&Message::Cancel { id: self.id });
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // The table is not locked any more when it does.
        let waited = self.link.calls().forget(self.id);
        if waited {
            self.cancel();
        }
    }
}

#[cfg(test)]
mod tests;
