mod peer;
mod services;
mod state;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::MeshBuilder;
use crate::directory::facts::Facts;
use crate::directory::replica::Replica;
use crate::directory::{NodeRecord, NodeStatus, RecordError, View};
use crate::identity::{NodeId, Realm, SecretKey};
use crate::io::IoThread;
use crate::join::Joining;
use crate::join::local::Published;
use crate::membership::{Member, Membership};
use crate::quiet::{Kind, Quiet, Who};
use crate::rpc::Calling;
use crate::rpc::Request;
use crate::rpc::refused::Refused;
use crate::rpc::services::Services;
use crate::text::Safe;
use crate::traffic::{Counters, Traffic};
use crate::transport::endpoint::Endpoint;
use crate::transport::link::Link;
use crate::transport::pool::Pool;
use crate::{Limits, MemberEvent, Refusal, StartError};

pub(crate) use self::state::{Parts, State};

/// How many refused peers are remembered.
const REFUSALS: usize = 64;
/// How long a node that leaves goes on refusing calls, at least and at most: two round trips.
const NEWS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));
/// How long closing waits for peers to take our goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// A node of the mesh: a cheap handle, all clones of which mean the same node.
///
/// The node lives until [`shutdown`](Self::shutdown), or until its process ends; dropping the
/// handles does not stop it.
#[derive(Clone)]
pub struct Mesh(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) name: String,
    pub(crate) key: SecretKey,
    pub(crate) realm: Realm,
    pub(crate) limits: Limits,
    /// None if the I/O runs on the caller's runtime.
    pub(crate) io: Option<IoThread>,
    pub(crate) endpoint: Endpoint,
    pub(crate) admissions: Arc<Semaphore>,
    pub(crate) membership: Membership,
    pub(crate) services: Services,
    me: Mutex<Member>,
    pub(crate) pool: Mutex<Pool>,
    state: Mutex<State>,
    pub(crate) view: ArcSwap<View>,
    /// Held while a view is made and shown, so that the later one is shown last.
    pub(crate) publishing: Mutex<()>,
    /// Something is to be shown.
    pub(crate) stale: Notify,
    /// Counts the views.
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) events: broadcast::Sender<MemberEvent>,
    pub(crate) joining: watch::Sender<Joining>,
    /// Read without a lock, and true only when that is.
    joined: AtomicBool,
    /// A peer has told whom it knows.
    pub(crate) introduced: watch::Sender<bool>,
    /// Calls of peers that run or wait here.
    pub(crate) serving: AtomicUsize,
    pub(crate) served: Notify,
    pub(crate) draining: AtomicBool,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    refusals: Mutex<VecDeque<Refusal>>,
    pub(crate) quiet: Quiet,
    pub(crate) traffic: Counters,
    pub(crate) refused: Refused,
    /// This node, for tasks that outlive a borrow.
    weak: Weak<Inner>,
    /// Holds our place in the runtime directory.
    pub(crate) published: Mutex<Option<Published>>,
}

impl Mesh {
    /// A node of this name. Names are for people and selectors, `name` or `name@host`; they need
    /// not be unique, but ambiguous ones are of little use.
    pub fn builder(name: impl Into<String>) -> MeshBuilder {
        MeshBuilder::new(name.into())
    }

    pub(crate) async fn start(builder: MeshBuilder) -> Result<Self, StartError> {
        crate::start::start(builder).await.map(Self)
    }

    /// This node's id.
    pub fn id(&self) -> NodeId {
        self.0.me().id
    }

    /// This node's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The address at which others reach this node.
    pub fn addr(&self) -> SocketAddr {
        self.0.me().addr
    }

    /// The living nodes and what they serve, as known here and now. Costs no lock.
    pub fn view(&self) -> Arc<View> {
        self.0.view.load_full()
    }

    /// The same, for a short look. Costs no lock, and is not counted.
    pub fn with_view<T>(&self, look: impl FnOnce(&Arc<View>) -> T) -> T {
        look(&self.0.view.load())
    }

    /// The last record known of a node, also for half a minute after it has gone.
    pub fn record(&self, node: &NodeId) -> Option<Arc<NodeRecord>> {
        self.0.state().replica.get(node).map(|sealed| sealed.record().clone())
    }

    /// Counts the views: changes when [`view`](Self::view) does.
    pub fn watch_view(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Nodes that come and go from now on. A reader that falls 1024 events behind is told how
    /// many it missed.
    pub fn watch_members(&self) -> broadcast::Receiver<MemberEvent> {
        self.0.events.subscribe()
    }

    /// Whether the node is part of a cluster yet, and what it tried.
    pub fn joining(&self) -> watch::Receiver<Joining> {
        self.0.joining.subscribe()
    }

    /// Whether this node has joined its cluster.
    pub fn has_joined(&self) -> bool {
        // It joins once: what watchers are told is looked at until then.
        let joined = &self.0.joined;
        joined.load(Ordering::Acquire) || {
            let now = self.0.joining.borrow().joined;
            joined.fetch_or(now, Ordering::Release);
            now
        }
    }

    /// What this node has sent so far to keep up with its cluster.
    pub fn traffic(&self) -> Traffic {
        self.0.traffic.read()
    }

    /// How many connections this node has, those that are being ended among them.
    pub fn connections(&self) -> usize {
        self.0.pool().all_links().count()
    }

    /// Asks one node, and waits for its reply until the deadline of the request. Dropping the
    /// future cancels the call there.
    pub fn call_to(&self, node: NodeId, request: Request) -> Calling {
        Calling::new(self.0.clone(), node, request)
    }

    /// The same, and sends the request before it returns if there is a connection: `now` is the
    /// time, and `waker` is woken when there is something to poll for.
    pub fn call_now(&self, node: NodeId, request: Request, now: Instant, waker: &Waker) -> Calling {
        Calling::sent(&self.0, node, request, now, waker)
    }

    /// Shares a small fact about this node, such as its load, with all others; at most 192 bytes.
    /// It reaches them within seconds and replaces the one before.
    ///
    /// # Errors
    ///
    /// Gives the bytes back if they are too many.
    pub fn share_fact(&self, fact: Bytes) -> Result<(), Bytes> {
        let now = Instant::now().into_std();
        self.0.state().facts.set_own(fact.clone(), now).map_err(|_| fact)
    }

    /// The newest fact that has arrived of a node, and its age.
    pub fn fact(&self, node: &NodeId) -> Option<(Bytes, Duration)> {
        let fact = self.0.state().facts.get(node, Instant::now().into_std())?;
        Some((fact.bytes, fact.age))
    }

    /// The newest facts of all nodes, with their ages.
    pub fn facts(&self, nodes: impl IntoIterator<Item = NodeId>) -> Vec<Option<(Bytes, Duration)>> {
        let state = self.0.state();
        let now = Instant::now().into_std();
        let get = |node| state.facts.get(&node, now).map(|fact| (fact.bytes, fact.age));
        nodes.into_iter().map(get).collect()
    }

    /// The peers that were refused lately, the last 64 of them.
    pub fn refusals(&self) -> Vec<Refusal> {
        lock(&self.0.refusals).iter().cloned().collect()
    }

    /// How many calls of other nodes run or wait here.
    pub fn serving(&self) -> usize {
        self.0.serving.load(Ordering::SeqCst)
    }

    /// Changes the hash given by [`MeshBuilder::topology`], and tells the others in a new version
    /// of the node's record. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// The record would exceed its limit: nothing has changed then.
    pub fn set_topology(&self, hash: Option<[u8; 8]>) -> Result<(), RecordError> {
        if self.0.state().own.record().topology == hash {
            return Ok(());
        }
        self.0.try_update_record(|record| record.topology = hash)
    }

    /// Whether the node has begun to shut down.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// Withdraws the node's services and refuses new calls as not executed, while those under way
    /// go on. The first half of [`shutdown`](Self::shutdown).
    pub fn drain(&self) {
        if !self.0.draining.swap(true, Ordering::SeqCst) {
            self.0.update_record(|record| record.status = NodeStatus::Draining);
        }
    }

    /// Drains, waits up to `grace` for the calls of other nodes that run here, tells the others
    /// goodbye and closes. A second call waits for the first.
    pub async fn shutdown(&self, grace: Duration) {
        self.drain();
        let idle = async {
            self.idle().await;
            // A call that was sent before the news of the drain arrived is refused, which says
            // that it did not run; on a closed connection nobody could tell.
            let trip = self.0.links().iter().map(|link| link.round_trip()).max();
            if let Some(trip) = trip {
                tokio::time::sleep((2 * trip).clamp(NEWS.0, NEWS.1)).await;
            }
            self.idle().await;
        };
        let ended = tokio::time::timeout(grace, idle).await;
        if ended.is_err() && self.serving() > 0 {
            tracing::warn!(
                calls = self.serving(),
                "calls were still running after the grace period"
            );
        }
        self.0.leave(GOODBYE).await;
    }

    /// Waits until no call of another node runs or waits here.
    async fn idle(&self) {
        loop {
            let served = self.0.served.notified();
            if self.serving() == 0 {
                return;
            }
            served.await;
        }
    }
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mesh").field("name", &self.0.name).field("me", &self.0.me()).finish()
    }
}

impl Inner {
    pub(crate) fn new(parts: Parts, membership: Membership, weak: Weak<Inner>) -> Self {
        let me = parts.me;
        let incarnation = parts.own.record().incarnation;
        let mut replica = Replica::default();
        replica.insert(parts.own.clone(), Instant::now().into_std());
        Self {
            name: parts.name,
            key: parts.key,
            realm: parts.realm,
            admissions: Arc::new(Semaphore::new(parts.limits.max_admissions)),
            limits: parts.limits,
            io: parts.io,
            endpoint: parts.endpoint,
            membership,
            services: parts.services,
            me: Mutex::new(me),
            pool: Mutex::new(Pool::new(me.id)),
            state: Mutex::new(State {
                own: parts.own,
                replica,
                facts: Facts::new(me.id, incarnation),
                alive: BTreeMap::new(),
                stale: BTreeSet::from([me.id]),
                events: Vec::new(),
                changed: Instant::now(),
            }),
            view: ArcSwap::default(),
            publishing: Mutex::default(),
            stale: Notify::new(),
            changed: watch::Sender::new(0),
            events: broadcast::Sender::new(1024),
            joining: watch::Sender::new(Joining::default()),
            joined: AtomicBool::new(false),
            introduced: watch::Sender::new(false),
            serving: AtomicUsize::new(0),
            served: Notify::new(),
            draining: AtomicBool::new(false),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            refusals: Mutex::default(),
            quiet: Quiet::default(),
            traffic: Counters::default(),
            refused: Refused::default(),
            weak,
            published: Mutex::default(),
        }
    }

    pub(crate) fn me(&self) -> Member {
        *lock(&self.me)
    }

    pub(crate) fn this(&self) -> Option<Arc<Self>> {
        self.weak.upgrade()
    }

    pub(crate) fn set_me(&self, me: Member) {
        *lock(&self.me) = me;
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn pool(&self) -> MutexGuard<'_, Pool> {
        lock(&self.pool)
    }

    pub(crate) fn link(&self, peer: &NodeId) -> Option<Arc<Link>> {
        self.pool().link(peer).cloned()
    }

    pub(crate) fn links(&self) -> Vec<Arc<Link>> {
        self.pool().links().cloned().collect()
    }

    /// The links in use and those that are only being finished.
    pub(crate) fn all_links(&self) -> Vec<Arc<Link>> {
        self.pool().all_links().cloned().collect()
    }

    /// Whether a line may be written about somebody now, and how many like it were left out.
    pub(crate) fn may_say(&self, kind: Kind, who: Who) -> Option<u64> {
        self.quiet.may_say(kind, who, Instant::now())
    }

    pub(crate) fn refused(&self, addr: SocketAddr, reason: String) {
        // A socket of both families writes those of IPv4 in another way.
        let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        if let Some(left_out) = self.may_say(Kind::Refused, Who::At(addr.ip())) {
            tracing::warn!(%addr, reason = %Safe(&reason), left_out, "a peer was refused");
        }
        let mut refusals = lock(&self.refusals);
        if refusals.len() == REFUSALS {
            refusals.pop_front();
        }
        refusals.push_back(Refusal { addr, reason });
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
