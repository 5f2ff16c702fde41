#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::DialError;
use super::link::Link;
use crate::identity::NodeId;

/// The first pause after a failed dial, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// The outcome of a dial that several callers wait for.
pub(crate) type DialWatch = watch::Receiver<Option<Result<Arc<Link>, DialError>>>;

/// The connections of a node, at most one in use per peer, and the dials under way.
#[derive(Debug)]
pub(crate) struct Pool {
    me: NodeId,
    peers: BTreeMap<NodeId, Peer>,
}

#[derive(Debug, Default)]
struct Peer {
    link: Option<Arc<Link>>,
    dial: Option<DialWatch>,
    failures: u32,
    not_before: Option<Instant>,
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
        Self { me, peers: BTreeMap::new() }
    }

    pub(crate) fn route(&self, peer: &NodeId, now: Instant) -> Route {
        let Some(peer) = self.peers.get(peer) else { return Route::None };
        if let Some(link) = &peer.link {
            return Route::Linked(link.clone());
        }
        if let Some(dial) = &peer.dial {
            return Route::Dialling(dial.clone());
        }
        match peer.not_before.and_then(|at| at.checked_duration_since(now)) {
            Some(wait) if !wait.is_zero() => Route::Backoff { wait },
            _ => Route::None,
        }
    }

    pub(crate) fn link(&self, peer: &NodeId) -> Option<&Arc<Link>> {
        self.peers.get(peer)?.link.as_ref()
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = &Arc<Link>> {
        self.peers.values().filter_map(|peer| peer.link.as_ref())
    }

    pub(crate) fn begin_dial(&mut self, peer: NodeId, dial: DialWatch) {
        self.peers.entry(peer).or_default().dial = Some(dial);
    }

    /// A dial failed; `jitter` in 0..1 spreads the next ones.
    pub(crate) fn dial_failed(&mut self, peer: NodeId, now: Instant, jitter: f64) {
        let peer = self.peers.entry(peer).or_default();
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
    /// smaller id dialled. Otherwise the newer connection replaces the older.
    pub(crate) fn insert(&mut self, link: Arc<Link>) -> Option<Arc<Link>> {
        let (me, id) = (self.me, link.peer.id);
        let peer = self.peers.entry(id).or_default();
        peer.failures = 0;
        peer.not_before = None;
        let preferred = |link: &Link| link.dialled == (me < id);
        match peer.link.take() {
            Some(old)
                if !old.closed.is_cancelled()
                    && old.peer.generation == link.peer.generation
                    && preferred(&old)
                    && !preferred(&link) =>
            {
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
        let Some(peer) = self.peers.get_mut(&link.peer.id) else { return false };
        let current = peer.link.as_ref().is_some_and(|current| Arc::ptr_eq(current, link));
        if current {
            peer.link = None;
        }
        current
    }

    /// Forgets a peer that has left the cluster, and gives its link back to be closed.
    pub(crate) fn forget(&mut self, peer: &NodeId) -> Option<Arc<Link>> {
        self.peers.remove(peer)?.link
    }
}
