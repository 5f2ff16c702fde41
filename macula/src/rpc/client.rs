use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::{Answer, Failure, Phase, Response, Term};
use crate::identity::NodeId;
use crate::limits::MAX_DENIED_BYTES;
use crate::mesh::Inner;
use crate::transport::link::{Link, Waiter};
use crate::wire::Status;

impl Inner {
    /// A link that takes requests, as soon as there is one.
    pub(super) async fn ready_link(
        self: &Arc<Self>,
        node: NodeId,
        term: Term,
    ) -> Result<Arc<Link>, Failure> {
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
        answer: Answer,
        now: Instant,
    ) {
        let Answer { body, headers } = answer;
        let limit = self.limits.max_body;
        let result = match (status, body.len() > limit) {
            (Status::Done, true) => Err(Failure::ReplyTooLarge { limit }),
            (status, _) => outcome(status, body),
        };
        let (waker, ours) = {
            let mut calls = link.calls();
            let end = |waiter: Waiter| Response { headers, ..waiter.end(result, Some(load)) };
            (calls.complete(id, end), calls.len())
        };
        link.note_load(load, ours, now);
        match waker {
            Some(waker) => waker.wake(),
            None => {
                tracing::debug!(peer = %link.peer.id, id, "a reply came that nobody waits for");
            }
        }
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
        // A copy, lest it keeps the large buffer alive that it arrived in.
        Status::Denied if body.len() <= MAX_DENIED_BYTES => {
            Failure::Denied(Bytes::copy_from_slice(&body))
        }
        Status::Denied => Failure::Denied(Bytes::new()),
        Status::Malformed => Failure::Malformed(text()),
        Status::RequestTooLarge { limit } => Failure::RequestTooLarge { limit: size(limit) },
        Status::ReplyTooLarge { limit } => Failure::ReplyTooLarge { limit: size(limit) },
        Status::Panicked => Failure::Panicked(text()),
        Status::Aborted => Failure::Aborted,
        Status::Overran => Failure::Overran,
        Status::ReplyUnwritable => Failure::ReplyUnwritable(text()),
        Status::Replaced => Failure::Parted { held_for_dead: false },
        Status::HeldForDead => Failure::Parted { held_for_dead: true },
    })
}
