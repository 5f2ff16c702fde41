use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot::{self, error::RecvError};
use tokio::time::{Instant, timeout_at};

use super::{Failure, Phase, Request, Response, Term};
use crate::identity::NodeId;
use crate::limits;
use crate::mesh::Inner;
use crate::transport::link::{Link, Waiter};
use crate::wire::{Message, Status};

impl Inner {
    pub(crate) async fn call(self: &Arc<Self>, node: NodeId, request: Request) -> Response {
        let term = request.term;
        match self.ask(node, request).await {
            Ok(response) => response,
            Err(failure) => Response { result: Err(failure), load: None, term },
        }
    }

    async fn ask(self: &Arc<Self>, node: NodeId, request: Request) -> Result<Response, Failure> {
        let limit = self.limits.max_body;
        if request.body.len() > limit {
            return Err(Failure::RequestTooLarge { limit });
        }
        let term = request.term;
        let gone = || Failure::Unreachable("the connection has just closed".into());
        let link = match self.link(&node).filter(|link| link.lane.has_room()) {
            Some(link) => link,
            // It is long, and hardly any call needs it.
            None => Box::pin(self.ready_link(node, term)).await?,
        };
        let remaining = term.deadline().saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            return Err(Failure::Deadline { phase: Phase::Dial });
        }

        let (reply, answer) = oneshot::channel();
        let Request { method, key, body, moved, sent, leave_if_silent: leaves_if_silent, .. } =
            request;
        let waiter = Waiter { reply, leaves_if_silent, term, moved };
        let large = body.len() > limits::LANE_THRESHOLD;
        let id = link.calls().insert(waiter, large).ok_or_else(gone)?;
        link.expect(term.deadline());
        let pending = Pending { link: &link, id, term, handed_over: !large };
        let (room, extensions) = (term.room(), term.extensions());
        let message = Message::Request { id, method, key, remaining, room, extensions, body };
        if let Some(sent) = sent {
            sent.now();
        }
        if large {
            Ok(Box::pin(pending.send_and_wait(message, answer)).await)
        } else {
            link.lane.push(&message).map_err(|_| gone())?;
            Ok(pending.wait(answer).await)
        }
    }

    /// A link that takes requests, as soon as there is one.
    async fn ready_link(self: &Arc<Self>, node: NodeId, term: Term) -> Result<Arc<Link>, Failure> {
        let late = |_| Failure::Deadline { phase: Phase::Dial };
        let link = timeout_at(term.deadline(), self.link_for(node)).await;
        let link = link.map_err(late)??;
        let ready = timeout_at(term.deadline(), link.lane.ready()).await;
        let gone = |_| Failure::Unreachable("the connection has just closed".into());
        ready.map_err(late)?.map_err(gone)?;
        Ok(link)
    }

    async fn link_for(self: &Arc<Self>, node: NodeId) -> Result<Arc<Link>, Failure> {
        if let Some(link) = self.link(&node) {
            return Ok(link);
        }
        let addr = self.view.load().node(&node).map(|node| node.addr);
        let Some(addr) = addr else {
            return Err(Failure::Unreachable("no such node is alive in this cluster".into()));
        };
        if node == self.me().id {
            return Err(Failure::Unreachable("it is this node itself".into()));
        }
        self.link_to(node, addr).await.map_err(|error| Failure::Unreachable(error.to_string()))
    }

    pub(crate) fn on_reply(
        &self,
        link: &Arc<Link>,
        id: u64,
        load: u16,
        status: Status,
        body: Bytes,
    ) {
        let limit = self.limits.max_body;
        let result = match (status, body.len() > limit) {
            (Status::Done, true) => Err(Failure::ReplyTooLarge { limit }),
            (status, _) => outcome(status, body),
        };
        let (waiter, ours) = {
            let mut calls = link.calls();
            (calls.complete(id), calls.len())
        };
        link.note_load(load, ours);
        let Some(waiter) = waiter else {
            tracing::debug!(peer = %link.peer.id, id, "a reply came that nobody waits for");
            return;
        };
        waiter.end(result, Some(load));
    }

    /// The peer says that a request of ours may take longer.
    pub(crate) fn on_extend(&self, link: &Arc<Link>, id: u64, by: Duration) {
        let now = Instant::now();
        let extended = link.calls().find(id).map(|waiter| waiter.extend(by, now));
        match extended {
            Some(Ok(())) => {}
            Some(Err(refused)) => {
                tracing::debug!(peer = %link.peer.id, id, %refused, "a call is not extended");
            }
            None => {
                tracing::debug!(peer = %link.peer.id, id, "an extension came that nobody waits for");
            }
        }
    }
}

/// A request that has a number. Dropping it cancels the request unless its reply has come.
struct Pending<'a> {
    link: &'a Arc<Link>,
    id: u64,
    /// As it was when the request was sent.
    term: Term,
    /// The peer may have it, or get it. One that is not handed over as a whole is taken back with
    /// its stream, and there is nothing to cancel.
    handed_over: bool,
}

impl Pending<'_> {
    async fn send_and_wait(
        mut self,
        message: Message,
        mut answer: oneshot::Receiver<Response>,
    ) -> Response {
        let upload = self.link.send_alone(message);
        tokio::pin!(upload);
        tokio::select! {
            biased;
            answer = &mut answer => return self.took(answer),
            // A peer that refuses the body says so in its reply; a lost connection ends the wait.
            _ = &mut upload => {}
        }
        self.handed_over = true;
        self.wait(answer).await
    }

    /// Waits for the end of the request, which is its deadline at the latest: the link sees to it.
    async fn wait(self, answer: oneshot::Receiver<Response>) -> Response {
        let answer = answer.await;
        self.took(answer)
    }

    fn took(&self, answer: Result<Response, RecvError>) -> Response {
        let lost = |_| Response { result: Err(Failure::Disconnected), load: None, term: self.term };
        let response = answer.unwrap_or_else(lost);
        if matches!(response.result, Err(Failure::Deadline { phase: Phase::Run })) {
            self.cancel();
        }
        response
    }

    /// Tells the peer that nobody waits any more, if it has the request.
    fn cancel(&self) {
        if self.handed_over && !cfg!(mutant = "cancel_forgotten") {
            // On a closed link there is nothing left to cancel.
            let _ = self.link.lane.push(&Message::Cancel { id: self.id });
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        // The table is not locked any more when it does.
        let waited = self.link.calls().forget(self.id);
        if waited {
            self.cancel();
        }
    }
}

fn outcome(status: Status, body: Bytes) -> Result<Bytes, Failure> {
    let text = || String::from_utf8_lossy(body.get(..512).unwrap_or(&body)).into_owned();
    let size = |limit| usize::try_from(limit).unwrap_or(usize::MAX);
    Err(match status {
        Status::Done => return Ok(body),
        Status::Overloaded { retry_after } => Failure::Overloaded { retry_after },
        Status::UnknownMethod => Failure::UnknownMethod,
        Status::Incompatible { theirs } => Failure::Incompatible { theirs },
        Status::Draining => Failure::Draining,
        Status::Expired => Failure::Deadline { phase: Phase::Queue },
        Status::Denied => Failure::Denied,
        Status::Malformed => Failure::Malformed(text()),
        Status::RequestTooLarge { limit } => Failure::RequestTooLarge { limit: size(limit) },
        Status::ReplyTooLarge { limit } => Failure::ReplyTooLarge { limit: size(limit) },
        Status::Panicked => Failure::Panicked(text()),
        Status::Aborted => Failure::Aborted,
        Status::ReplyUnwritable => Failure::ReplyUnwritable(text()),
    })
}
