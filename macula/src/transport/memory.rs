//! A network of datagram sockets inside one process, for tests and simulations.
//!
//! Sockets are bound to addresses that mean nothing outside the network; an unspecified address
//! (`0.0.0.0`) is an address like any other. A datagram arrives whole, once, in order, and at once,
//! unless a fault says otherwise. Faults belong to a direction between two addresses, apply to
//! what is sent from then on, and may change at any time.
//!
//! Delays run on tokio's clock, so they take no real time where it is paused. What chance decides
//! comes from the seed, for each direction in the order of sending.
//!
//! Limits: 4096 datagrams wait at a socket, on their way included; more are dropped, as a full
//! kernel buffer would. Sending to an address where nobody is bound drops, too. The network
//! remembers every pair of addresses between which something was sent.

mod fault;
mod inbox;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::time::Instant;

pub use self::fault::Faults;
use self::fault::{Fate, Way};
use self::inbox::{Datagram, Inbox};
use crate::traffic::Sent;

/// The ports given to those who ask for port 0, as IANA sets them aside.
const FIRST_FREE_PORT: u16 = 49152;
/// How many datagrams quinn may hand over in one go.
const TRANSMIT_SEGMENTS: usize = 10;

/// From one address to another.
type Direction = (SocketAddr, SocketAddr);

/// A network of datagram sockets inside one process, with faults at will.
///
/// Clones are the same network.
#[derive(Clone)]
pub struct MemoryNetwork {
    state: Arc<Mutex<State>>,
}

struct State {
    seed: u64,
    inboxes: BTreeMap<SocketAddr, Arc<Inbox>>,
    next_port: u16,
    cuts: BTreeSet<Direction>,
    faults: Faults,
    /// Of the directions that have some of their own.
    link_faults: BTreeMap<Direction, Faults>,
    ways: BTreeMap<Direction, Way>,
    sent: Sent,
}

impl MemoryNetwork {
    /// A network without sockets or faults. Equal seeds lose, delay and repeat the same datagrams
    /// of a direction, as long as equally many are sent there, under the same faults.
    pub fn new(seed: u64) -> Self {
        let state = State {
            seed,
            inboxes: BTreeMap::new(),
            next_port: FIRST_FREE_PORT,
            cuts: BTreeSet::new(),
            faults: Faults::none(),
            link_faults: BTreeMap::new(),
            ways: BTreeMap::new(),
            sent: Sent::default(),
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

    /// Takes back every [`partition`](Self::partition) and [`cut`](Self::cut). Other faults stay.
    pub fn heal(&self) {
        self.lock().cuts.clear();
    }

    /// Drops this share of all datagrams, in place of every share set before, for single
    /// directions too. 0 is none and 1 is all of them; what lies outside counts as the nearer end.
    pub fn loss(&self, share: f64) {
        self.lock().change_all(|faults| faults.loss(share));
    }

    /// Drops this share of the datagrams from `from` to `to`, until [`loss`](Self::loss) is set.
    pub fn link_loss(&self, from: SocketAddr, to: SocketAddr, share: f64) {
        self.lock().change((from, to), |faults| faults.loss(share));
    }

    /// Delivers every datagram this much later, in place of every delay set before, for single
    /// directions too. A round trip takes twice as long.
    pub fn delay(&self, delay: Duration) {
        self.lock().change_all(|faults| faults.delay(delay));
    }

    /// Delivers the datagrams from `from` to `to` this much later, until [`delay`](Self::delay) is
    /// set.
    pub fn link_delay(&self, from: SocketAddr, to: SocketAddr, delay: Duration) {
        self.lock().change((from, to), |faults| faults.delay(delay));
    }

    /// Changes what is wrong with every direction, those to come included:
    /// `network.faults(|faults| faults.loss(0.1))`.
    pub fn faults(&self, change: impl Fn(Faults) -> Faults) {
        self.lock().change_all(change);
    }

    /// Changes what is wrong with the way from `from` to `to`. Nothing is, or what
    /// [`faults`](Self::faults) said so far; from now on this direction has faults of its own.
    pub fn link_faults(
        &self,
        from: SocketAddr,
        to: SocketAddr,
        change: impl FnOnce(Faults) -> Faults,
    ) {
        self.lock().change((from, to), change);
    }

    /// Silences the socket at `addr` until [`resume`](Self::resume): what it sends is lost, and
    /// what comes waits in its queue, as with a process that was stopped. Does nothing where
    /// nobody is bound. [`heal`](Self::heal) does not take it back.
    pub fn pause(&self, addr: SocketAddr) {
        if let Some(inbox) = self.lock().inboxes.get(&addr) {
            inbox.hold(true);
        }
    }

    /// Ends a [`pause`](Self::pause); what has come meanwhile is delivered.
    pub fn resume(&self, addr: SocketAddr) {
        if let Some(inbox) = self.lock().inboxes.get(&addr) {
            inbox.hold(false);
        }
    }

    /// Ends the socket at `addr` as a crash of its process would: what it still sends is lost, it
    /// receives nothing any more, and the address is free at once.
    pub fn unplug(&self, addr: SocketAddr) {
        if let Some(inbox) = self.lock().inboxes.remove(&addr) {
            inbox.hold(true);
        }
    }

    /// Whether something sent from `from` to `to` can arrive: there are sockets at both addresses,
    /// neither is paused, and the way is not cut and does not lose everything.
    pub fn is_open(&self, from: SocketAddr, to: SocketAddr) -> bool {
        let state = self.lock();
        let up = |addr| state.inboxes.get(addr).is_some_and(|inbox| !inbox.is_held());
        let direction = (from, to);
        let total = state.faults_of(&direction).is_total();
        up(&from) && up(&to) && !state.cuts.contains(&direction) && !total
    }

    /// All that the sockets have sent so far, QUIC's part of it included, and what was lost too: the
    /// messages are datagrams. What UDP and IP add is not counted, 28 bytes each with IPv4.
    pub fn sent(&self) -> Sent {
        self.lock().sent
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
            .field("faults", &state.faults)
            .field("link_faults", &state.link_faults)
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

    fn faults_of(&self, direction: &Direction) -> &Faults {
        self.link_faults.get(direction).unwrap_or(&self.faults)
    }

    fn change(&mut self, direction: Direction, change: impl FnOnce(Faults) -> Faults) {
        let faults = change(*self.faults_of(&direction));
        self.link_faults.insert(direction, faults);
    }

    fn change_all(&mut self, change: impl Fn(Faults) -> Faults) {
        for faults in self.link_faults.values_mut().chain([&mut self.faults]) {
            *faults = change(*faults);
        }
    }

    /// Where and when the next datagram of a direction arrives, which has so many bytes.
    fn route(&mut self, direction: Direction, bytes: usize) -> Option<(Arc<Inbox>, Fate)> {
        self.sent.messages += 1;
        self.sent.bytes += bytes as u64;
        let faults = *self.faults_of(&direction);
        let (from, to) = direction;
        let way = self.ways.entry(direction).or_insert_with(|| Way::new(self.seed, from, to));
        let fate = way.next(&faults, bytes, Instant::now());
        if self.cuts.contains(&direction) {
            return None;
        }
        Some((self.inboxes.get(&to)?.clone(), fate))
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
        let mut state = self.network.lock();
        // Unplugged, it has no address any more, and somebody else may be there.
        if state.inboxes.get(&self.addr).is_some_and(|inbox| Arc::ptr_eq(inbox, &self.inbox)) {
            state.inboxes.remove(&self.addr);
        }
    }
}

impl AsyncUdpSocket for MemorySocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if self.inbox.is_held() {
            return Ok(());
        }
        let size = transmit.segment_size.unwrap_or(transmit.contents.len());
        for content in transmit.contents.chunks(size.max(1)) {
            let direction = (self.addr, transmit.destination);
            let route = self.network.lock().route(direction, content.len());
            let Some((inbox, [first, second])) = route else { continue };
            let (from, ecn) = (self.addr, transmit.ecn);
            for delay in first.into_iter().chain(second) {
                inbox.push(delay, Datagram { from, ecn, content: content.into() });
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
