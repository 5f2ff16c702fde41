#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::{Rng, RngExt};
use tokio::sync::watch;
use tokio::time::Instant;

use super::DialError;
use super::link::{Link, TWINS};
use crate::identity::NodeId;
use crate::membership::Member;

/// The first pause after a failed dial, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// The outcome of a dial that several callers wait for.
pub(crate) type DialWatch = watch::Receiver<Option<Result<Arc<Link>, DialError>>>;

/// The connections of a node, at most one in use per peer, and the dials under way.
#[derive(Debug)]
pub(crate) struct Pool {
    me: NodeId,
    peers: BTreeMap<NodeId, Peer>,
    /// Links that others have replaced, until nothing is under way on them.
    retired: Vec<Arc<Link>>,
}

#[derive(Debug, Default)]
struct Peer {
    link: Option<Arc<Link>>,
    dial: Option<DialWatch>,
    failures: u32,
    not_before: Option<Instant>,
    /// The address that the dial, the failures and the pause are about.
    dialled: Option<SocketAddr>,
}

/// How a node gets to a peer just now.
#[derive(Debug)]
pub(crate) enum Route {
    Linked(Arc<Link>),
    /// Somebody dials already.
    Dialling(DialWatch),
    /// The last dials failed, and the next is not due.
    Backoff {
        wait: Duration,
    },
    /// Nobody dials.
    None,
}

impl Pool {
    pub(crate) fn new(me: NodeId) -> Self {
        Self { me, peers: BTreeMap::new(), retired: Vec::new() }
    }

    /// How to get to `peer`, which is said to be at `addr`: after a restart it is elsewhere, and
    /// dials to where it was are no business of whoever asks now.
    pub(crate) fn route(&self, peer: &NodeId, addr: SocketAddr, now: Instant) -> Route {
        if let Some(link) = self.link(peer) {
            return Route::Linked(link.clone());
        }
        let peer = self.peers.get(peer).filter(|peer| peer.dialled == Some(addr));
        let Some(peer) = peer else { return Route::None };
        // A dial whose task has died without a word is no dial.
        let live = |dial: &&DialWatch| dial.borrow().is_some() || dial.has_changed().is_ok();
        if let Some(dial) = peer.dial.as_ref().filter(live) {
            return Route::Dialling(dial.clone());
        }
        match peer.not_before.and_then(|at| at.checked_duration_since(now)) {
            Some(wait) if !wait.is_zero() => Route::Backoff { wait },
            _ => Route::None,
        }
    }

    pub(crate) fn link(&self, peer: &NodeId) -> Option<&Arc<Link>> {
        self.peers.get(peer)?.link.as_ref().filter(|link| link.is_open())
    }

    /// Whether the last dial of the peer failed, and none has succeeded since.
    pub(crate) fn is_failing(&self, peer: &NodeId) -> bool {
        self.peers.get(peer).is_some_and(|peer| peer.link.is_none() && peer.failures > 0)
    }

    /// The links in use and those that are only being finished.
    pub(crate) fn all_links(&self) -> impl Iterator<Item = &Arc<Link>> {
        self.links().chain(&self.retired)
    }

    /// Keeps an eye on a link that is not to be used any more.
    pub(crate) fn retire(&mut self, link: Arc<Link>) {
        // One that has ended meanwhile has been removed already, and would stay for good.
        if !link.closed.is_cancelled() {
            self.retired.push(link);
        }
    }

    /// A life of a peer has begun: takes out the link to an earlier one, and forgets failures to
    /// reach that.
    pub(crate) fn renew(&mut self, member: &Member) -> Option<Arc<Link>> {
        let generation = member.generation;
        let peer = self.peers.get_mut(&member.id)?;
        if peer.link.as_ref().is_none_or(|link| link.peer.generation < generation) {
            (peer.failures, peer.not_before) = (0, None);
        }
        peer.link.take_if(|link| link.peer.generation < generation)
    }

    /// Forgets peers with which nothing is going on.
    pub(crate) fn sweep(&mut self, now: Instant) {
        self.peers.retain(|_, peer| {
            let waiting = peer.not_before.is_some_and(|at| at + BACKOFF.1 > now);
            peer.link.is_some() || peer.dial.is_some() || waiting
        });
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = &Arc<Link>> {
        self.peers.values().filter_map(|peer| peer.link.as_ref())
    }

    /// So many links at most, those to the peers that follow `after` in a circle.
    pub(crate) fn next_links(&self, after: &NodeId, most: usize) -> Vec<Arc<Link>> {
        let later = self.peers.range((Bound::Excluded(after), Bound::Unbounded));
        let circle = later.chain(self.peers.range(..=after));
        let links = circle.filter_map(|(_, peer)| peer.link.as_ref());
        links.filter(|link| link.is_open()).take(most).cloned().collect()
    }

    /// Any of the links that answer, if there are so many.
    pub(crate) fn any_link(&self, least: usize, rng: &mut impl Rng) -> Option<Arc<Link>> {
        let answers = |link: &&Arc<Link>| link.is_open() && !link.silent.load(Ordering::Relaxed);
        let links: Vec<_> = self.links().filter(answers).collect();
        let any = links.get(rng.random_range(0..links.len().max(1)))?;
        (links.len() >= least).then(|| Arc::clone(any))
    }

    /// Takes out the links that are more than `kept`, to be ended: those over which no calls have
    /// gone for the longest time, if that is `unused` at least. No call of ours begins on them any
    /// more.
    pub(crate) fn surplus(&mut self, kept: usize, unused: Duration) -> Vec<Arc<Link>> {
        // One that is younger may be taken for the twin of the one that follows it.
        let unused = unused.max(TWINS);
        // All are asked, so that each notices its calls.
        let mut links: Vec<_> = self.links().map(|link| (link.unused(), link.clone())).collect();
        let surplus = links.len().saturating_sub(kept);
        links.retain(|(time, _)| *time >= unused);
        links.sort_by_key(|(time, link)| (Reverse(*time), link.peer.id));
        let links = links.into_iter().map(|(_, link)| link);
        let ended: Vec<_> = links.filter(|link| link.shut_if_idle()).take(surplus).collect();
        for link in &ended {
            self.remove(link);
            self.retire(link.clone());
        }
        ended
    }

    pub(crate) fn begin_dial(&mut self, peer: NodeId, addr: SocketAddr, dial: DialWatch) {
        let peer = self.peers.entry(peer).or_default();
        if peer.dialled != Some(addr) {
            // What is known of another address says nothing of this one.
            *peer = Peer { link: peer.link.take(), dialled: Some(addr), ..Peer::default() };
        }
        peer.dial = Some(dial);
    }

    /// A dial failed; `jitter` in 0..1 spreads the next ones.
    pub(crate) fn dial_failed(
        &mut self,
        peer: NodeId,
        addr: SocketAddr,
        now: Instant,
        jitter: f64,
    ) {
        let peer = self.peers.get_mut(&peer).filter(|peer| peer.dialled == Some(addr));
        let Some(peer) = peer else { return };
        peer.dial = None;
        let pause = BACKOFF.0.saturating_mul(1 << peer.failures.min(16)).min(BACKOFF.1);
        peer.failures = peer.failures.saturating_add(1);
        peer.not_before = Some(now + pause.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0));
    }

    /// A dial has ended in a link.
    pub(crate) fn dial_done(&mut self, peer: NodeId) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.dial = None;
        }
    }

    /// Takes in a new link, and gives back the one that is not to be used from now on.
    ///
    /// When two nodes dial each other at once, both keep the connection that the node with the
    /// smaller id dialled; when one dials twice at once, both keep the one with the smaller token.
    /// Otherwise the newer connection replaces the older.
    pub(crate) fn insert(&mut self, link: Arc<Link>) -> Option<Arc<Link>> {
        let (me, id) = (self.me, link.peer.id);
        if link.closed.is_cancelled() {
            // It has ended, and has been removed, before it came here.
            return None;
        }
        let peer = self.peers.entry(id).or_default();
        peer.failures = 0;
        peer.not_before = None;
        let preferred = |link: &Link| link.dialled == (me < id);
        let outranks = |old: &Link| {
            if !old.is_open() || old.peer.generation != link.peer.generation {
                return old.is_open() && old.peer.generation > link.peer.generation;
            }
            let at_once = link.is_twin_of(old);
            match (preferred(old), preferred(&link)) {
                (true, false) => at_once,
                (false, true) => false,
                _ => at_once && old.token < link.token,
            }
        };
        match peer.link.take() {
            Some(old) if outranks(&old) => {
                peer.link = Some(old);
                Some(link)
            }
            old => {
                peer.link = Some(link);
                old
            }
        }
    }

    /// Forgets a link that has closed; false if another one took its place before.
    pub(crate) fn remove(&mut self, link: &Arc<Link>) -> bool {
        self.retired.retain(|retired| !Arc::ptr_eq(retired, link));
        let Some(peer) = self.peers.get_mut(&link.peer.id) else { return false };
        let current = peer.link.as_ref().is_some_and(|current| Arc::ptr_eq(current, link));
        if current {
            peer.link = None;
        }
        current
    }

    /// A life of a peer is over: gives back all links to it, to be closed. A link to a later life
    /// stays.
    pub(crate) fn forget(&mut self, member: &Member) -> Vec<Arc<Link>> {
        let over =
            |link: &Link| link.peer.id == member.id && link.peer.generation <= member.generation;
        let mut links: Vec<_> = self.retired.extract_if(.., |link| over(link)).collect();
        if let Some(peer) = self.peers.get_mut(&member.id) {
            links.extend(peer.link.take_if(|link| over(link)));
            if peer.link.is_none() {
                self.peers.remove(&member.id);
            }
        }
        links
    }
}
