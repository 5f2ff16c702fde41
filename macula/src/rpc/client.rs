use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Failure, Phase, Request, Response};
use crate::identity::NodeId;
use crate::limits;
use crate::mesh::Inner;
use crate::transport::link::{Link, Waiter};
use crate::wire::{Message, Status};

impl Inner {
    pub(crate) async fn call(self: &Arc<Self>, node: NodeId, request: Request) -> Response {
        match self.ask(node, request).await {
            Ok(response) => response,
            Err(failure) => Response { result: Err(failure), load: None },
        }
    }

    async fn ask(self: &Arc<Self>, node: NodeId, request: Request) -> Result<Response, Failure> {
        let limit = self.limits.max_body;
        if request.body.len() > limit {
            return Err(Failure::RequestTooLarge { limit });
        }
        let late = Failure::Deadline { phase: Phase::Dial };
        let linked = timeout_at(request.deadline, self.link_for(node)).await;
        let link = linked.map_err(|_| late.clone())??;
        let gone = || Failure::Unreachable("the connection has just closed".into());
        let ready = timeout_at(request.deadline, link.lane.ready()).await;
        ready.map_err(|_| late.clone())?.map_err(|_| gone())?;
        let remaining = request.deadline.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            return Err(late);
        }

        let (reply, answer) = oneshot::channel();
        let waiter = Waiter { reply, leaves_if_silent: request.leave_if_silent };
        let id = link.calls().insert(waiter).ok_or_else(gone)?;
        let pending = Pending { link: &link, id };
        let large = request.body.len() > limits::LANE_THRESHOLD;
        let (method, key, body) = (request.method, request.key, request.body);
        let message = Message::Request { id, method, key, remaining, body };
        if large {
            pending.send_and_wait(message, answer, request.deadline).await
        } else {
            link.lane.push(&message).map_err(|_| gone())?;
            pending.wait(answer, request.deadline).await
        }
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
        // The caller may have gone this very moment.
        let _ = waiter.reply.send(Response { result, load: Some(load) });
    }
}

/// A request that has a number. Dropping it cancels the request unless its reply has come.
struct Pending<'a> {
    link: &'a Arc<Link>,
    id: u64,
}

impl Pending<'_> {
    async fn wait(
        self,
        answer: oneshot::Receiver<Response>,
        deadline: Instant,
    ) -> Result<Response, Failure> {
        match timeout_at(deadline, answer).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(_)) => Err(Failure::Disconnected),
            Err(_) => Err(self.late()),
        }
    }

    fn late(&self) -> Failure {
        self.link.doubt();
        Failure::Deadline { phase: Phase::Run }
    }

    async fn send_and_wait(
        self,
        message: Message,
        mut answer: oneshot::Receiver<Response>,
        deadline: Instant,
    ) -> Result<Response, Failure> {
        let upload = self.link.send_alone(message);
        tokio::pin!(upload);
        tokio::select! {
            biased;
            answer = &mut answer => return answer.map_err(|_| Failure::Disconnected),
            // A peer that refuses the body says so in its reply; a lost connection ends the wait.
            _ = &mut upload => {}
            () = sleep_until(deadline) => return Err(self.late()),
        }
        self.wait(answer, deadline).await
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if self.link.calls().forget(self.id) {
            // On a closed link there is nothing left to cancel.
            let _ = self.link.lane.push(&Message::Cancel { id: self.id });
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
