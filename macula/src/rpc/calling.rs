use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, poll_fn};
use tokio::time::Instant;

use super::{Failure, Headers, Phase, Request, Response, Term};
use crate::identity::NodeId;
use crate::limits;
use crate::mesh::Inner;
use crate::transport::link::{Link, Waiter};
use crate::wire::Message;

// Written by hand to be small: with a link at hand and a body that fits the lane, there is nothing
// to wait for but the reply.
/// A request to one node. It is sent at the first poll, and cancelled if this is dropped before the
/// reply has come.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Calling(State);

enum State {
    Start(Arc<Inner>, NodeId, Request),
    Waits(Pending),
    /// A link must be found first, or the body goes on a stream of its own.
    Longer(BoxFuture<'static, Response>),
    /// It could not be sent.
    Unsent(Response),
    Over,
}

impl Calling {
    pub(crate) fn new(inner: Arc<Inner>, node: NodeId, request: Request) -> Self {
        Self(State::Start(inner, node, request))
    }

    /// Whether it is sent, and the waker that it was given will be woken at its end: until then
    /// there is nothing to poll for.
    pub fn is_sent(&self) -> bool {
        matches!(self.0, State::Waits(_))
    }

    /// When it ends at the latest, as its handler may have moved that; none if it has not been sent,
    /// or has ended.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.0 {
            State::Waits(pending) => {
                let calls = pending.link.calls();
                calls.peek(pending.id).map(|waiter| waiter.term.deadline())
            }
            _ => None,
        }
    }

    /// One that is sent already, if that is possible at once, which is `now`. `waker` is woken when
    /// there is something to poll for.
    pub(crate) fn sent(
        inner: &Arc<Inner>,
        node: NodeId,
        request: Request,
        now: Instant,
        waker: &Waker,
    ) -> Self {
        let term = request.term;
        let begun = begin(inner, node, request, now, waker);
        Self(begun.unwrap_or_else(|failure| State::Unsent(failed(failure, term))))
    }
}

impl fmt::Debug for Calling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calling").field("is_sent", &self.is_sent()).finish_non_exhaustive()
    }
}

impl Future for Calling {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        loop {
            let response = match &mut self.0 {
                State::Waits(pending) => ready!(pending.poll(cx)),
                State::Longer(longer) => ready!(longer.poll_unpin(cx)),
                State::Over => return Poll::Pending,
                State::Start(..) | State::Unsent(_) => {
                    match std::mem::replace(&mut self.0, State::Over) {
                        State::Unsent(response) => return Poll::Ready(response),
                        State::Start(inner, node, request) => {
                            *self = Self::sent(&inner, node, request, Instant::now(), cx.waker());
                        }
                        _ => {}
                    }
                    if self.is_sent() {
                        return Poll::Pending;
                    }
                    continue;
                }
            };
            self.0 = State::Over;
            return Poll::Ready(response);
        }
    }
}

fn failed(failure: Failure, term: Term) -> Response {
    Response { result: Err(failure), headers: Headers::new(), load: None, term }
}

/// Sends the request if that is possible at once.
fn begin(
    inner: &Arc<Inner>,
    node: NodeId,
    request: Request,
    now: Instant,
    waker: &Waker,
) -> Result<State, Failure> {
    let limit = inner.limits.max_body;
    if request.body.len() > limit {
        return Err(Failure::RequestTooLarge { limit });
    }
    if let Some(link) = inner.link(&node).filter(|link| link.lane.has_room()) {
        return send(link, request, now, waker);
    }
    let inner = inner.clone();
    Ok(State::Longer(Box::pin(async move {
        let term = request.term;
        let link = inner.ready_link(node, term).await;
        match link.and_then(|link| send(link, request, Instant::now(), Waker::noop())) {
            Ok(sent) => Calling(sent).await,
            Err(failure) => failed(failure, term),
        }
    })))
}

/// Sends the request on this link.
fn send(link: Arc<Link>, request: Request, now: Instant, waker: &Waker) -> Result<State, Failure> {
    let Request { method, key, body, headers, term, moved, sent, leave_if_silent } = request;
    let remaining = term.deadline().saturating_duration_since(now);
    if remaining.is_zero() {
        return Err(Failure::Deadline { phase: Phase::Dial });
    }
    let gone = || Failure::Unreachable("the connection has just closed".into());
    let waiter = Waiter { leaves_if_silent: leave_if_silent, term, moved };
    let large = body.len() > limits::LANE_THRESHOLD;
    let id = link.calls().insert(waiter, large, waker.clone()).ok_or_else(gone)?;
    link.note_use();
    link.expect(term.deadline());
    let mut pending = Pending { link, id, term, handed_over: !large, ended: false };
    let (room, extensions) = (term.room(), term.extensions());
    let message = Message::Request { id, method, key, remaining, room, extensions, headers, body };
    if let Some(sent) = sent {
        sent.now();
    }
    if large {
        return Ok(State::Longer(Box::pin(pending.send_and_wait(message))));
    }
    if pending.link.lane.push(&message).is_err() {
        pending.handed_over = false;
        return Err(gone());
    }
    Ok(State::Waits(pending))
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
    /// Its reply has been handed out.
    ended: bool,
}

impl Pending {
    /// The request has ended, at its deadline at the latest: the link sees to that.
    fn poll(&mut self, cx: &Context<'_>) -> Poll<Response> {
        let ended = ready!(self.link.calls().poll(self.id, cx.waker()));
        self.ended = true;
        let lost = || failed(Failure::Disconnected, self.term);
        Poll::Ready(ended.unwrap_or_else(lost))
    }

    async fn send_and_wait(mut self, message: Message) -> Response {
        let link = self.link.clone();
        let upload = link.send_alone(message);
        tokio::pin!(upload);
        tokio::select! {
            biased;
            response = poll_fn(|cx| self.poll(cx)) => return response,
            // A peer that refuses the body says so in its reply; a lost connection ends the wait.
            _ = &mut upload => {}
        }
        self.handed_over = true;
        poll_fn(|cx| self.poll(cx)).await
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
        let waited = !self.ended && self.link.calls().forget(self.id);
        if waited {
            self.cancel();
        }
    }
}

#[cfg(test)]
mod tests;
