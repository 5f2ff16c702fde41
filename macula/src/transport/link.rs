mod clock;
mod failed;
mod load;
mod parting;
mod pulse;
mod questions;
mod requests;
mod usage;
mod waiter;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::admission::Admitted;
use super::lane::{Lane, LaneClosed};
use crate::identity::NodeId;
use crate::limits::{self, Limits};
use crate::membership::Member;
use crate::quiet::Kind;
use crate::rpc::health::Health;
use crate::rpc::inflight::InFlight;
use crate::rpc::{Failure, Response};
use crate::wire::{FrameBuffer, Message, Status, WireError};

use clock::Clock;
use failed::Failed;
use questions::Questions;
pub(crate) use waiter::Waiter;

/// The code with which a connection is closed that is not needed any more.
pub(crate) const CLOSE_DONE: VarInt = VarInt::from_u32(0);
/// The label under which both ends derive the token of a link.
const TOKEN_LABEL: &[u8] = b"EXPORTER-macula-link";
/// Streams with long bodies have none.
const LANE_PRIORITY: i32 = 1;
/// Connections made within this time of each other may have been made at once.
pub(crate) const TWINS: Duration = Duration::from_secs(3);
/// How many digests, tables and batches of records a peer may have us send at once: as many as a
/// directory of the greatest size is pulled in, twice.
const TRANSFERS: usize = 32;
/// For so many messages that came together the clock is read once. Most take less than a
/// microsecond; handlers that are run in place read it again.
const DATED: u32 = 16;
/// After so many messages, replies are written before more is read.
const AT_ONCE: u32 = 256;
/// The code for a peer that sent what no peer of ours sends.
const CLOSE_VIOLATION: VarInt = VarInt::from_u32(2);

/// An admitted connection to a peer: one lane for small messages, streams for large ones,
/// datagrams for gossip, and the calls under way in both directions.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) peer: Member,
    /// This node dialled; otherwise the peer did.
    pub(crate) dialled: bool,
    /// The same at both ends and different for each connection: settles which of two is kept.
    pub(crate) token: [u8; 8],
    since: Instant,
    pub(crate) lane: Lane,
    pub(super) connection: Connection,
    clock: Clock,
    /// Requests of ours.
    pub(crate) calls: Mutex<InFlight<Waiter, Response>>,
    /// Requests of the peer that were not done at once.
    running: Mutex<Option<BTreeMap<u64, CancellationToken>>>,
    /// The last requests that the peer gave up before they were known here: a cancellation is
    /// short and may overtake its request.
    cancelled: Mutex<VecDeque<u64>>,
    /// Requests of the peer that run or wait here.
    pub(crate) serving: AtomicUsize,
    pub(crate) health: Mutex<Health>,
    pub(crate) silent: AtomicBool,
    pub(super) heard: AtomicBool,
    /// The peer owes us its member table.
    pub(crate) table_due: AtomicBool,
    /// No more requests of the peer begin here.
    parting: AtomicBool,
    /// The reason for that.
    held_for_dead: AtomicBool,
    /// Until when the caller of a request that began and has ended without an answer may wait, in
    /// milliseconds since the link was made; zero if there is none.
    unanswered: AtomicU64,
    /// Long messages of the peer that are on their way.
    arriving: AtomicUsize,
    /// The peer begins no more of our requests, and has answered those it has begun.
    done: AtomicBool,
    /// The peer has said goodbye.
    pub(crate) gone: AtomicBool,
    /// Whether it is alive, as it is asked.
    pub(crate) questions: Questions,
    /// What is being sent to it at its own request, beside calls.
    pub(crate) transfers: Arc<Semaphore>,
    /// When it was last noticed that something had come, in milliseconds since the link was made.
    heard_at: AtomicU64,
    /// A call has gone over it since this was last asked.
    used: AtomicBool,
    /// When that was last noticed, in milliseconds since the link was made.
    used_at: AtomicU64,
    /// The load that the peer reported last, and when, in milliseconds since the link was made.
    load: AtomicU16,
    /// What of it was not ours.
    foreign: AtomicU16,
    load_at: AtomicU64,
    /// The last round trip that was looked up, in microseconds: asking the connection takes its
    /// lock.
    trip_us: AtomicU64,
    pub(crate) closed: CancellationToken,
    /// Bytes of replies that wait to be sent on streams of their own.
    unsent: AtomicUsize,
}

/// What a link hands to its node.
pub(crate) trait Inbound: Send + Sync + 'static {
    /// A message has come; `now` is the time, for this one and those that came with it.
    fn message(
        &self,
        link: &Arc<Link>,
        message: Message,
        now: &mut Instant,
    ) -> Result<(), Violation>;
    fn datagram(&self, link: &Arc<Link>, datagram: Bytes);
    fn closed(&self, link: &Arc<Link>);
    fn limits(&self) -> &Limits;
    /// Whether a line may be written about this peer now, and how many like it were left out.
    fn may_say(&self, kind: Kind, peer: NodeId) -> Option<u64>;
    /// A request was refused with this status before anybody looked into it.
    fn refused(&self, status: Status);
    /// What replies say of the load of this node.
    fn load(&self) -> u16;
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

impl Link {
    /// Takes over an admitted connection and starts its tasks, which end with it.
    pub(crate) fn start(
        connection: Connection,
        admitted: Admitted,
        dialled: bool,
        inbound: Arc<dyn Inbound>,
    ) -> Arc<Self> {
        let mut token = [0; 8];
        // The connection is established, so there is keying material; if not, the token settles
        // nothing.
        let _ = connection.export_keying_material(&mut token, TOKEN_LABEL, b"");
        let since = Instant::now();
        let link = Arc::new(Self {
            peer: admitted.introduction.member,
            dialled,
            token,
            since,
            clock: Clock::new(since),
            lane: Lane::beginning_with(admitted.first),
            trip_us: AtomicU64::new(micros(connection.rtt())),
            connection,
            calls: Mutex::new(InFlight::new()),
            running: Mutex::new(Some(BTreeMap::new())),
            cancelled: Mutex::default(),
            serving: AtomicUsize::new(0),
            health: Mutex::default(),
            silent: AtomicBool::new(false),
            heard: AtomicBool::new(true),
            table_due: AtomicBool::new(admitted.asked),
            parting: AtomicBool::new(false),
            held_for_dead: AtomicBool::new(false),
            unanswered: AtomicU64::new(0),
            arriving: AtomicUsize::new(0),
            done: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            questions: Questions::default(),
            transfers: Arc::new(Semaphore::new(TRANSFERS)),
            heard_at: AtomicU64::new(0),
            used: AtomicBool::new(false),
            used_at: AtomicU64::new(0),
            load: AtomicU16::new(0),
            foreign: AtomicU16::new(0),
            load_at: AtomicU64::new(0),
            closed: CancellationToken::new(),
            unsent: AtomicUsize::new(0),
        });
        let (send, recv) = admitted.lane;
        // Short messages go before whatever is waiting of long ones. The stream is not closed.
        let _ = send.set_priority(LANE_PRIORITY);
        tokio::spawn(link.clone().keep_time());
        tokio::spawn(link.clone().run(send, recv, inbound));
        link
    }

    /// The time to the peer and back, as measured.
    pub(crate) fn round_trip(&self) -> Duration {
        let trip = self.connection.rtt();
        self.trip_us.store(micros(trip), Ordering::Relaxed);
        trip
    }

    /// The same as of the last time it was asked, without a lock.
    pub(crate) fn last_round_trip(&self) -> Duration {
        Duration::from_micros(self.trip_us.load(Ordering::Relaxed))
    }

    pub(crate) fn calls(&self) -> MutexGuard<'_, InFlight<Waiter, Response>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether both were made at about the same time, as when one side dials twice at once.
    pub(crate) fn is_twin_of(&self, other: &Self) -> bool {
        self.since.saturating_duration_since(other.since) < TWINS
    }

    /// Pushes an answer. A lane that we have closed ourselves takes none, which is nobody's fault.
    pub(crate) fn answer(&self, message: &Message) -> Result<(), Violation> {
        match self.lane.push(message) {
            Err(LaneClosed) if self.lane.overflowed() => Err(Violation::NotReading),
            _ => Ok(()),
        }
    }

    /// Sends a message: on the lane if it is short, else on a stream of its own. Of long ones only
    /// so many are under way at once; what comes on top is not sent, and is asked for again.
    pub(crate) fn send(self: &Arc<Self>, message: Message) -> Result<(), LaneClosed> {
        if message.body_len() <= limits::LANE_THRESHOLD || matches!(message, Message::Record(_)) {
            return self.lane.push(&message);
        }
        if self.closed.is_cancelled() {
            return Err(LaneClosed);
        }
        let Ok(transfer) = self.transfers.clone().try_acquire_owned() else { return Ok(()) };
        let link = self.clone();
        tokio::spawn(async move {
            if let Err(error) = link.send_alone(message).await {
                tracing::debug!(peer = ?link.peer.id, %error, "a large message was not sent");
            }
            drop(transfer);
        });
        Ok(())
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

    /// Ends the connection with a peer that does not read what it asked for.
    pub(crate) fn close_unread(&self, inbound: &dyn Inbound) {
        if let Some(left_out) = inbound.may_say(Kind::NotReading, self.peer.id) {
            tracing::warn!(peer = %self.peer.id, left_out, "{}", Violation::NotReading);
        }
        self.connection.close(CLOSE_VIOLATION, b"");
    }

    /// Gives the calls that may run elsewhere back to their callers.
    pub(crate) fn fall_silent(&self) {
        let leaving = self.calls().end_if(
            |waiter| waiter.leaves_if_silent,
            |waiter| waiter.end(Err(Failure::Silent), None),
        );
        for (id, waker) in leaving {
            waker.wake();
            let _ = self.lane.push(&Message::Cancel { id });
        }
    }

    async fn run(self: Arc<Self>, send: SendStream, recv: RecvStream, inbound: Arc<dyn Inbound>) {
        let lane = self.lane.clone();
        let alone = TaskTracker::new();
        let reason = tokio::select! {
            // The end of the connection is noticed on the lane, and only after what has arrived: the
            // last replies of a peer that leaves may come together with it.
            biased;
            violation = self.read_streams(&alone, &inbound) => Some(violation),
            () = self.read_datagrams(&*inbound) => None,
            read = self.read_lane(recv, &*inbound) => read.err(),
            _ = lane.drive(send, || self.calls().len() > 1) => None,
        };
        if let Some(violation) = reason {
            if let Some(left_out) = inbound.may_say(Kind::Violation, self.peer.id) {
                let peer = self.peer.id;
                tracing::warn!(%peer, reason = %violation, left_out, "closing a connection");
            }
            self.connection.close(CLOSE_VIOLATION, b"");
        }
        self.lane.close();
        self.connection.close(CLOSE_DONE, b"");
        if self.is_done() {
            // What the peer has answered alone has come before it said that there is no more.
            let _ = self.read_streams(&alone, &inbound).now_or_never();
        }
        // Nothing more arrives, so they end at once, with what is there.
        alone.close();
        alone.wait().await;
        self.closed.cancel();
        let lost = match self.is_done() {
            true => Failure::Unreachable("it gave up the connection before the call came".into()),
            false => Failure::Disconnected,
        };
        let lost = self.calls().close(|waiter| waiter.end(Err(lost.clone()), None));
        for (_, waker) in lost {
            waker.wake();
        }
        let running = self.running().take();
        for token in running.into_iter().flatten().map(|(_, token)| token) {
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
        let mut at_once = 0;
        while let Ok(Some(chunk)) = stream.read_chunk(64 << 10, true).await {
            self.heard.store(true, Ordering::Relaxed);
            frames.push(chunk.bytes);
            let (mut now, mut dated) = (Instant::now(), 0);
            while let Some(frame) = frames.next_frame()? {
                if dated == DATED {
                    (now, dated) = (Instant::now(), 0);
                }
                dated += 1;
                at_once += 1;
                inbound.message(self, Message::decode(frame)?, &mut now)?;
            }
            if at_once >= AT_ONCE {
                // What is answered leaves first, however much there is to read.
                at_once = 0;
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    async fn read_streams(
        self: &Arc<Self>,
        alone: &TaskTracker,
        inbound: &Arc<dyn Inbound>,
    ) -> Violation {
        let failed = Arc::new(Failed::default());
        loop {
            tokio::select! {
                violation = failed.wait() => return violation,
                stream = self.connection.accept_uni() => {
                    let Ok(stream) = stream else { return std::future::pending().await };
                    let (link, inbound, failed) = (self.clone(), inbound.clone(), failed.clone());
                    alone.spawn(async move {
                        if let Err(violation) = link.read_alone(stream, &*inbound).await {
                            failed.tell(violation);
                        }
                    });
                }
            }
        }
    }

    async fn read_datagrams(self: &Arc<Self>, inbound: &dyn Inbound) {
        while let Ok(datagram) = self.connection.read_datagram().await {
            self.heard.store(true, Ordering::Relaxed);
            inbound.datagram(self, datagram);
        }
        std::future::pending().await
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
