use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::admission::Admitted;
use super::lane::{Lane, LaneClosed};
use crate::limits::{self, Limits};
use crate::membership::Member;
use crate::rpc::health::Health;
use crate::rpc::inflight::InFlight;
use crate::rpc::{Failure, Response};
use crate::wire::{FrameBuffer, Message, WireError, put_frame};

/// The code with which a connection is closed that is not needed any more.
pub(crate) const CLOSE_DONE: VarInt = VarInt::from_u32(0);
/// The code for a peer that sent what no peer of ours sends.
const CLOSE_VIOLATION: VarInt = VarInt::from_u32(2);

/// Waits for the reply of one request.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) reply: oneshot::Sender<Response>,
    pub(crate) leaves_if_silent: bool,
}

/// An admitted connection to a peer: one lane for small messages, streams for large ones,
/// datagrams for gossip, and the calls under way in both directions.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) peer: Member,
    /// This node dialled; otherwise the peer did.
    pub(crate) dialled: bool,
    pub(crate) lane: Lane,
    connection: Connection,
    /// Requests of ours.
    pub(crate) calls: Mutex<InFlight<Waiter>>,
    /// Requests of the peer that were not done at once.
    running: Mutex<BTreeMap<u64, CancellationToken>>,
    /// Requests of the peer that run or wait here.
    pub(crate) serving: AtomicUsize,
    pub(crate) health: Mutex<Health>,
    pub(crate) silent: AtomicBool,
    heard: AtomicBool,
    /// The load that the peer reported last.
    pub(crate) load: AtomicU16,
    pub(crate) closed: CancellationToken,
}

/// What a link hands to its node.
pub(crate) trait Inbound: Send + Sync + 'static {
    fn message(&self, link: &Arc<Link>, message: Message) -> Result<(), Violation>;
    /// The head of a message, with the first bytes of a body that is over the limit.
    fn overlong(&self, link: &Arc<Link>, head: Message, error: WireError) -> Result<(), Violation>;
    fn datagram(&self, link: &Arc<Link>, datagram: Bytes);
    fn closed(&self, link: &Arc<Link>);
    fn limits(&self) -> &Limits;
}

/// A peer broke the protocol; its connection is closed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum Violation {
    #[error("{0}")]
    Wire(#[from] WireError),
    #[error("two requests under one number")]
    RepeatedRequest,
    #[error("it does not read what it is sent")]
    NotReading,
}

impl From<LaneClosed> for Violation {
    fn from(_: LaneClosed) -> Self {
        Self::NotReading
    }
}

impl Link {
    /// Takes over an admitted connection and starts its tasks, which end with it.
    pub(crate) fn start(
        connection: Connection,
        admitted: Admitted,
        dialled: bool,
        inbound: Arc<dyn Inbound>,
    ) -> Arc<Self> {
        let link = Arc::new(Self {
            peer: admitted.introduction.member,
            dialled,
            lane: Lane::new(),
            connection,
            calls: Mutex::new(InFlight::new()),
            running: Mutex::default(),
            serving: AtomicUsize::new(0),
            health: Mutex::default(),
            silent: AtomicBool::new(false),
            heard: AtomicBool::new(true),
            load: AtomicU16::new(0),
            closed: CancellationToken::new(),
        });
        let (send, recv) = admitted.lane;
        tokio::spawn(link.clone().run(send, recv, inbound));
        link
    }

    /// The time to the peer and back, as measured.
    pub(crate) fn round_trip(&self) -> Duration {
        self.connection.rtt()
    }

    /// Whether anything has come from the peer since the last time this was asked.
    pub(crate) fn take_heard(&self) -> bool {
        self.heard.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn calls(&self) -> MutexGuard<'_, InFlight<Waiter>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<u64, CancellationToken>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a request of the peer that goes on, so that it can be cancelled.
    pub(crate) fn begin(&self, id: u64, cancel: CancellationToken) -> Result<(), Violation> {
        match self.running().insert(id, cancel) {
            None => Ok(()),
            Some(earlier) => {
                earlier.cancel();
                Err(Violation::RepeatedRequest)
            }
        }
    }

    pub(crate) fn end(&self, id: u64) {
        self.running().remove(&id);
    }

    pub(crate) fn cancel(&self, id: u64) {
        if let Some(token) = self.running().remove(&id) {
            token.cancel();
        }
    }

    /// Nothing is under way in either direction.
    pub(crate) fn is_idle(&self) -> bool {
        self.calls().len() == 0 && self.serving.load(Ordering::Relaxed) == 0
    }

    /// Sends a message: on the lane if it is short, else on a stream of its own.
    pub(crate) fn send(self: &Arc<Self>, message: Message) -> Result<(), LaneClosed> {
        if message.body_len() <= limits::LANE_THRESHOLD || matches!(message, Message::Record(_)) {
            return self.lane.push(&message);
        }
        if self.closed.is_cancelled() {
            return Err(LaneClosed);
        }
        let link = self.clone();
        tokio::spawn(async move {
            if let Err(error) = link.send_alone(message).await {
                tracing::debug!(peer = ?link.peer.id, %error, "a large message was not sent");
            }
        });
        Ok(())
    }

    /// Sends a long message on a stream of its own, and resolves when it has been handed over;
    /// the stream tells when it has arrived. Dropping the future takes the message back if it is
    /// not handed over yet.
    pub(crate) async fn send_alone(
        &self,
        message: Message,
    ) -> Result<Option<SendStream>, quinn::WriteError> {
        let mut stream = ResetOnDrop(Some(self.connection.open_uni().await?));
        let (head, body) = message.split();
        let mut frame = BytesMut::new();
        let whole = head.len() + body.len();
        put_frame(&mut frame, |out| out.extend_from_slice(&head));
        if let (Some(prefix), Ok(whole)) = (frame.get_mut(..4), u32::try_from(whole)) {
            prefix.copy_from_slice(&whole.to_le_bytes());
        }
        if let Some(stream) = stream.0.as_mut() {
            stream.write_all(&frame).await?;
            stream.write_chunk(body).await?;
        }
        let mut stream = stream.0.take();
        if let Some(stream) = stream.as_mut() {
            // It was neither finished nor reset before.
            let _ = stream.finish();
        }
        Ok(stream)
    }

    /// Sends a datagram; lost if the connection cannot take it.
    pub(crate) fn send_datagram(&self, datagram: Bytes) {
        if let Err(error) = self.connection.send_datagram(datagram) {
            tracing::trace!(peer = ?self.peer.id, %error, "a datagram was not sent");
        }
    }

    /// Ends the connection; calls under way end as disconnected.
    pub(crate) fn close(&self) {
        self.connection.close(CLOSE_DONE, b"");
    }

    /// Gives the calls that may run elsewhere back to their callers.
    pub(crate) fn fall_silent(&self) {
        let leaving = self.calls().take_if(|waiter| waiter.leaves_if_silent);
        for (id, waiter) in leaving {
            let _ = waiter.reply.send(Response { result: Err(Failure::Silent), load: None });
            let _ = self.lane.push(&Message::Cancel { id });
        }
    }

    async fn run(self: Arc<Self>, send: SendStream, recv: RecvStream, inbound: Arc<dyn Inbound>) {
        let lane = self.lane.clone();
        // In this order: what came before the end of the connection is read before the end.
        let reason = tokio::select! {
            biased;
            read = self.read_lane(recv, &*inbound) => read.err(),
            read = self.read_streams(&inbound) => read.err(),
            () = self.read_datagrams(&*inbound) => None,
            _ = lane.drive(send) => None,
        };
        if let Some(violation) = reason {
            tracing::warn!(peer = %self.peer.id, reason = %violation, "closing a connection");
            self.connection.close(CLOSE_VIOLATION, b"");
        }
        self.lane.close();
        self.connection.close(CLOSE_DONE, b"");
        self.closed.cancel();
        for (_, waiter) in self.calls().close() {
            let lost = Response { result: Err(Failure::Disconnected), load: None };
            let _ = waiter.reply.send(lost);
        }
        for token in std::mem::take(&mut *self.running()).into_values() {
            token.cancel();
        }
        inbound.closed(&self);
    }

    async fn read_lane(
        self: &Arc<Self>,
        mut stream: RecvStream,
        inbound: &dyn Inbound,
    ) -> Result<(), Violation> {
        let mut frames = FrameBuffer::new(limits::LANE_FRAME);
        while let Ok(Some(chunk)) = stream.read_chunk(64 << 10, true).await {
            self.heard.store(true, Ordering::Relaxed);
            frames.push(&chunk.bytes);
            while let Some(frame) = frames.next_frame()? {
                inbound.message(self, Message::decode(frame)?)?;
            }
        }
        Ok(())
    }

    async fn read_streams(self: &Arc<Self>, inbound: &Arc<dyn Inbound>) -> Result<(), Violation> {
        let (failed, mut failures) = tokio::sync::mpsc::channel(1);
        loop {
            tokio::select! {
                Some(violation) = failures.recv() => return Err(violation),
                stream = self.connection.accept_uni() => {
                    let Ok(stream) = stream else { return Ok(()) };
                    let (link, inbound, failed) = (self.clone(), inbound.clone(), failed.clone());
                    tokio::spawn(async move {
                        if let Err(violation) = link.read_alone(stream, &*inbound).await {
                            // A second violation adds nothing.
                            let _ = failed.try_send(violation);
                        }
                    });
                }
            }
        }
    }

    /// Reads the one message of a stream. A stream that ends early or takes too long is
    /// forgotten: its sender has changed its mind or has gone. Of a message over the limit only
    /// the head is read, so that the one call can be refused.
    async fn read_alone(
        self: &Arc<Self>,
        mut stream: RecvStream,
        inbound: &dyn Inbound,
    ) -> Result<(), Violation> {
        let limit = inbound.limits().max_body + limits::FRAME_OVERHEAD;
        let read = async {
            let mut frames = FrameBuffer::new(limit);
            while let Ok(Some(chunk)) = stream.read_chunk(usize::MAX, true).await {
                self.heard.store(true, Ordering::Relaxed);
                frames.push(&chunk.bytes);
                match frames.next_frame() {
                    Ok(Some(frame)) => return Ok(Some((Message::decode(frame)?, None))),
                    Ok(None) => {}
                    Err(error) => {
                        if let Some(head) = frames.head(Message::HEAD) {
                            return Ok(Some((Message::decode(head)?, Some(error))));
                        }
                    }
                }
            }
            Ok::<_, Violation>(None)
        };
        let read = tokio::select! {
            read = tokio::time::timeout(limits::BODY_TIMEOUT, read) => read,
            () = self.closed.cancelled() => return Ok(()),
        };
        match read {
            Ok(Ok(Some((message, None)))) => inbound.message(self, message),
            Ok(Ok(Some((head, Some(error))))) => inbound.overlong(self, head, error),
            Ok(Ok(None)) | Err(_) => Ok(()),
            Ok(Err(violation)) => Err(violation),
        }
    }

    async fn read_datagrams(self: &Arc<Self>, inbound: &dyn Inbound) {
        while let Ok(datagram) = self.connection.read_datagram().await {
            self.heard.store(true, Ordering::Relaxed);
            inbound.datagram(self, datagram);
        }
    }
}

/// A stream that is reset unless it has been taken out: half a message must not look whole.
struct ResetOnDrop(Option<SendStream>);

impl Drop for ResetOnDrop {
    fn drop(&mut self) {
        if let Some(stream) = self.0.as_mut() {
            // A stream that is closed already needs no reset.
            let _ = stream.reset(CLOSE_DONE);
        }
    }
}
