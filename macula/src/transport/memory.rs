//! A network of datagram sockets inside one process, for tests and simulations.
//!
//! Sockets are bound to addresses that mean nothing outside the network; an unspecified address
//! (`0.0.0.0`) is an address like any other. A datagram arrives whole, once, in order, and at once,
//! unless a fault says otherwise. Faults belong to a direction between two addresses, apply to
//! what is sent from then on, and may change at any time.
//!
//! Delays run on tokio's clock, so they take no real time where it is paused. Losses are drawn
//! from the seed in the order of sending.
//!
//! Limits: 4096 datagrams wait at a socket, on their way included; more are dropped, as a full
//! kernel buffer would. Sending to an address where nobody is bound drops, too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use quinn::udp::{EcnCodepoint, RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, Sleep};

/// How many datagrams wait at a socket.
const QUEUE_LIMIT: usize = 4096;
/// The ports given to those who ask for port 0, as IANA sets them aside.
const FIRST_FREE_PORT: u16 = 49152;
/// How many datagrams quinn may hand over in one go.
const TRANSMIT_SEGMENTS: usize = 10;

/// A network of datagram sockets inside one process, with faults at will.
///
/// Clones are the same network.
#[derive(Clone)]
pub struct MemoryNetwork {
    state: Arc<Mutex<State>>,
}

struct State {
    inboxes: BTreeMap<SocketAddr, Arc<Inbox>>,
    next_port: u16,
    cuts: BTreeSet<(SocketAddr, SocketAddr)>,
    loss: f64,
    link_loss: BTreeMap<(SocketAddr, SocketAddr), f64>,
    delay: Duration,
    link_delay: BTreeMap<(SocketAddr, SocketAddr), Duration>,
    rng: StdRng,
}

impl MemoryNetwork {
    /// A network without sockets or faults. Equal seeds lose the same datagrams, as long as the
    /// same ones are sent in the same order.
    pub fn new(seed: u64) -> Self {
        let state = State {
            inboxes: BTreeMap::new(),
            next_port: FIRST_FREE_PORT,
            cuts: BTreeSet::new(),
            loss: 0.0,
            link_loss: BTreeMap::new(),
            delay: Duration::ZERO,
            link_delay: BTreeMap::new(),
            rng: StdRng::seed_from_u64(seed),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// A socket at `addr`, until it is dropped. Port 0 stands for a free one.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AddrInUse`] when the address is taken, or with port 0, when all are.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let mut state = self.lock();
        let addr = if addr.port() == 0 { state.free_addr(addr)? } else { addr };
        if state.inboxes.contains_key(&addr) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let inbox = Arc::new(Inbox::default());
        state.inboxes.insert(addr, inbox.clone());
        Ok(Arc::new(MemorySocket { network: self.clone(), addr, inbox }))
    }

    /// Lets nothing pass between `a` and `b`, in either direction, until [`heal`](Self::heal).
    pub fn partition(&self, a: SocketAddr, b: SocketAddr) {
        self.lock().cuts.extend([(a, b), (b, a)]);
    }

    /// Lets nothing pass from `from` to `to` until [`heal`](Self::heal). The way back stays open.
    pub fn cut(&self, from: SocketAddr, to: SocketAddr) {
        self.lock().cuts.insert((from, to));
    }

    /// Takes back every [`partition`](Self::partition) and [`cut`](Self::cut). Losses and delays
    /// stay.
    pub fn heal(&self) {
        self.lock().cuts.clear();
    }

    /// Drops this share of all datagrams, in place of every share set before, for single
    /// directions too. 0 is none and 1 is all of them; what lies outside counts as the nearer end.
    pub fn loss(&self, share: f64) {
        let mut state = self.lock();
        state.link_loss.clear();
        state.loss = probability(share);
    }

    /// Drops this share of the datagrams from `from` to `to`, until [`loss`](Self::loss) is set.
    pub fn link_loss(&self, from: SocketAddr, to: SocketAddr, share: f64) {
        self.lock().link_loss.insert((from, to), probability(share));
    }

    /// Delivers every datagram this much later, in place of every delay set before, for single
    /// directions too. A round trip takes twice as long.
    pub fn delay(&self, delay: Duration) {
        let mut state = self.lock();
        state.link_delay.clear();
        state.delay = delay;
    }

    /// Delivers the datagrams from `from` to `to` this much later, until [`delay`](Self::delay) is
    /// set.
    pub fn link_delay(&self, from: SocketAddr, to: SocketAddr, delay: Duration) {
        self.lock().link_delay.insert((from, to), delay);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("MemoryNetwork")
            .field("sockets", &state.inboxes.keys())
            .field("cuts", &state.cuts)
            .field("loss", &state.loss)
            .field("delay", &state.delay)
            .finish_non_exhaustive()
    }
}

impl State {
    fn free_addr(&mut self, mut addr: SocketAddr) -> io::Result<SocketAddr> {
        for _ in FIRST_FREE_PORT..=u16::MAX {
            addr.set_port(self.next_port);
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_FREE_PORT);
            if !self.inboxes.contains_key(&addr) {
                return Ok(addr);
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    /// Where and how much later the next datagram on this link arrives, unless it is lost.
    fn route(&mut self, from: SocketAddr, to: SocketAddr) -> Option<(Arc<Inbox>, Duration)> {
        let link = (from, to);
        let loss = self.link_loss.get(&link).copied().unwrap_or(self.loss);
        if self.cuts.contains(&link) || (loss > 0.0 && self.rng.random_bool(loss)) {
            return None;
        }
        let delay = self.link_delay.get(&link).copied().unwrap_or(self.delay);
        Some((self.inboxes.get(&to)?.clone(), delay))
    }
}

fn probability(share: f64) -> f64 {
    if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
}

struct Datagram {
    from: SocketAddr,
    ecn: Option<EcnCodepoint>,
    content: Box<[u8]>,
}

/// What waits at one socket, and who waits for it.
#[derive(Default)]
struct Inbox {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    /// By the time they are due, then by the order of sending. No time is due at once.
    datagrams: BTreeMap<(Option<Instant>, u64), Datagram>,
    sent: u64,
    timer: Option<Pin<Box<Sleep>>>,
    waker: Option<Waker>,
}

impl Inbox {
    fn push(&self, delay: Duration, datagram: Datagram) {
        let mut queue = self.lock();
        if queue.datagrams.len() >= QUEUE_LIMIT {
            return;
        }
        let due = match delay {
            Duration::ZERO => None,
            // Past the end of time is never.
            delay => match Instant::now().checked_add(delay) {
                None => return,
                due => due,
            },
        };
        let number = queue.sent;
        queue.sent += 1;
        queue.datagrams.insert((due, number), datagram);
        let waker = queue.waker.take();
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn pop_due(&mut self) -> Option<Datagram> {
        let first = self.datagrams.first_entry()?;
        let due = first.key().0.is_none_or(|due| due <= Instant::now());
        due.then(|| first.remove())
    }

    /// Ready when a datagram is due; else the task is woken when one may be.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Datagram> {
        loop {
            if let Some(datagram) = self.pop_due() {
                return Poll::Ready(datagram);
            }
            self.waker = Some(cx.waker().clone());
            let Some((Some(due), _)) = self.datagrams.keys().next().copied() else {
                self.timer = None;
                return Poll::Pending;
            };
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
        }
    }
}

struct MemorySocket {
    network: MemoryNetwork,
    addr: SocketAddr,
    inbox: Arc<Inbox>,
}

impl fmt::Debug for MemorySocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySocket").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Drop for MemorySocket {
    fn drop(&mut self) {
        self.network.lock().inboxes.remove(&self.addr);
    }
}

impl AsyncUdpSocket for MemorySocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let size = transmit.segment_size.unwrap_or(transmit.contents.len());
        for content in transmit.contents.chunks(size.max(1)) {
            let route = self.network.lock().route(self.addr, transmit.destination);
            if let Some((inbox, delay)) = route {
                let datagram =
                    Datagram { from: self.addr, ecn: transmit.ecn, content: content.into() };
                inbox.push(delay, datagram);
            }
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut queue = self.inbox.lock();
        let mut received = 0;
        for (buf, meta) in bufs.iter_mut().zip(meta) {
            let datagram = if received == 0 {
                std::task::ready!(queue.poll_due(cx))
            } else if let Some(datagram) = queue.pop_due() {
                datagram
            } else {
                break;
            };
            // What does not fit is cut off, as the kernel does.
            let len = datagram.content.len().min(buf.len());
            buf[..len].copy_from_slice(&datagram.content[..len]);
            *meta = RecvMeta {
                addr: datagram.from,
                len,
                stride: len,
                ecn: datagram.ecn,
                dst_ip: Some(self.addr.ip()),
            };
            received += 1;
        }
        Poll::Ready(Ok(received))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.addr)
    }

    fn max_transmit_segments(&self) -> usize {
        TRANSMIT_SEGMENTS
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

/// Sending never waits: what finds no room is dropped.
#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
