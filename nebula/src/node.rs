//! A node as a program holds it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use macula::Mesh;
use macula::identity::NodeId;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::Result;
use crate::builder::NodeBuilder;
use crate::call::background::Background;
use crate::call::engine::known::Known;
use crate::call::retry::RetryBudget;
use crate::call::usual::UsualTime;
use crate::context::Caller;
use crate::declared::Told;
use crate::error::Error;
use crate::nodes::choices::Choices;
use crate::nodes::live::Live;
use crate::nodes::{Nodes, Policy};
use crate::service::contracts::Contracts;
use crate::service::served::Served;

/// How long the replies of calls that have just ended may take to be sent, at least.
const LAST_REPLIES: Duration = Duration::from_millis(200);

/// A running node: serves what it was given, and makes calls for its clients.
///
/// A clone is another handle of the same node. Dropping the last one does not say good-bye to
/// anybody: [`shutdown`](Self::shutdown) does.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
}

/// What all handles of a node share.
pub(crate) struct Shared {
    pub(crate) mesh: Mesh,
    pub(crate) live: Arc<Live>,
    pub(crate) retries: RetryBudget,
    pub(crate) choices: Choices,
    pub(crate) known: Known,
    /// By wire id of the method.
    pub(crate) usual: Mutex<BTreeMap<u64, Arc<UsualTime>>>,
    pub(crate) name: Box<str>,
    pub(crate) tags: BTreeSet<String>,
    /// Keeps `live` up to date, until the node has stopped.
    pub(crate) follower: AbortHandle,
    /// Who its calls come from, as handlers see it.
    pub(crate) caller: Arc<Caller>,
    pub(crate) services: BTreeMap<&'static str, Arc<Served>>,
    /// Which nodes there should be, if it was told.
    pub(crate) told: Told,
    pub(crate) contracts: Contracts,
    pub(crate) default_timeout: Option<Duration>,
    pub(crate) policy: Option<Policy>,
    pub(crate) max_extensions: Option<u32>,
    pub(crate) background: Background,
    pub(crate) grace: Duration,
    pub(crate) generic: bool,
    /// It has been shut down.
    pub(crate) stopped: AtomicBool,
}

impl Node {
    /// Prepares a node called `name`, such as `db` or `db-1@host`: 1 to 255 bytes with at most one
    /// `@`, and without white space, quotes, hidden characters and any of `&|!()`, so that a
    /// selector and a topology can spell it. What breaks this is refused by
    /// [`start`](NodeBuilder::start).
    pub fn builder(name: impl Into<String>) -> NodeBuilder {
        NodeBuilder::new(name.into())
    }

    pub(crate) fn of(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Its tags.
    pub(crate) fn tags(&self) -> &BTreeSet<String> {
        &self.shared.tags
    }

    /// Its identity, which nobody else has.
    pub fn id(&self) -> NodeId {
        self.shared.mesh.id()
    }

    /// Whether it serves nothing, because its build leaves out what it would have to serve. See
    /// [`NodeBuilder::generic_on_mismatch`].
    pub fn is_generic(&self) -> bool {
        self.shared.generic
    }

    /// Withdraws its services, takes no new calls, waits until the running ones have ended (for
    /// the grace period at most, see [`NodeBuilder::grace`]), says goodbye and stops. Its own
    /// calls that finish in the background ([`Stragglers::Finish`](crate::Stragglers::Finish))
    /// have the same time, and are cancelled at its end.
    ///
    /// # Errors
    ///
    /// When calls are still running at the end of the grace period. The node has stopped all the
    /// same.
    pub async fn shutdown(&self) -> Result<()> {
        let Shared { mesh, services, grace, follower, background, .. } = &*self.shared;
        mesh.drain();
        services.values().for_each(|served| served.drain());
        let idle = async {
            for served in services.values() {
                served.idle().await;
            }
        };
        let over = Instant::now() + *grace;
        // What still runs may leave calls to finish behind.
        let ended = tokio::time::timeout_at(over, idle).await;
        background.finish(over).await;
        let left = over.saturating_duration_since(Instant::now());
        mesh.shutdown(left.max(LAST_REPLIES)).await;
        self.shared.stopped.store(true, Ordering::SeqCst);
        follower.abort();
        ended.map_err(|_| {
            Error::msg(format!(
                "calls on `{}` were still running after the grace period of {grace:?}: give it \
                 more with `.grace(..)`, or the methods a shorter timeout",
                self.name(),
            ))
        })
    }

    /// Stops at once, as a crash would, and says nothing to anybody once its network is gone.
    #[cfg(feature = "testing")]
    pub(crate) fn crash(&self) {
        let Shared { mesh, services, follower, background, .. } = &*self.shared;
        services.values().for_each(|served| served.drain());
        mesh.abort();
        background.stop();
        follower.abort();
    }

    /// Who can be asked for each method.
    pub(crate) fn known(&self) -> &Known {
        &self.shared.known
    }

    /// The service of this wire name that it serves itself.
    pub(crate) fn served(&self, service: &str) -> Option<&Arc<Served>> {
        self.shared.services.get(service)
    }

    /// What it serves and calls, by name.
    pub(crate) fn contracts(&self) -> &Contracts {
        &self.shared.contracts
    }

    /// Whether it has stopped.
    pub(crate) fn has_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::SeqCst) || self.shared.follower.is_finished()
    }

    /// The mesh underneath.
    pub fn mesh(&self) -> &Mesh {
        &self.shared.mesh
    }

    /// The address at which others reach this node.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.mesh.addr()
    }

    /// What is known of the living nodes: a snapshot, refreshed in the background with each piece
    /// of news and each second. Reading it costs no lock and asks nobody.
    pub fn nodes(&self) -> Nodes {
        self.shared.live.nodes()
    }

    pub(crate) fn live(&self) -> &Live {
        &self.shared.live
    }

    /// How long hedged calls of a method usually take from here.
    pub(crate) fn usual_time(&self, method: u64) -> Arc<UsualTime> {
        let mut usual = self.shared.usual.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(usual.entry(method).or_insert_with(|| Arc::new(UsualTime::new())))
    }

    /// What all calls of this node share of retries.
    pub(crate) fn retries(&self) -> &RetryBudget {
        &self.shared.retries
    }

    /// What its calls leave to chance.
    pub(crate) fn choices(&self) -> &Choices {
        &self.shared.choices
    }

    /// Itself, as handlers see it that it calls.
    pub(crate) fn as_caller(&self) -> Arc<Caller> {
        Arc::clone(&self.shared.caller)
    }

    /// Which nodes there should be, if it was told.
    pub(crate) fn told(&self) -> &Told {
        &self.shared.told
    }

    /// What it serves itself.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Arc<Served>> {
        self.shared.services.values()
    }

    /// The time limit of its calls when nothing nearer sets one.
    pub(crate) fn default_timeout(&self) -> Option<Duration> {
        self.shared.default_timeout
    }

    /// By what its calls choose a node when nothing nearer says so.
    pub(crate) fn policy(&self) -> Option<Policy> {
        self.shared.policy
    }

    /// How often its calls may be extended when nothing nearer says it.
    pub(crate) fn max_extensions(&self) -> Option<u32> {
        self.shared.max_extensions
    }

    /// Its calls whose results nobody waits for.
    pub(crate) fn background(&self) -> &Background {
        &self.shared.background
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("name", &self.name()).field("id", &self.id()).finish()
    }
}
