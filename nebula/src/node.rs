//! A node as a program holds it.

mod ending;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use macula::Mesh;
use macula::identity::NodeId;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::builder::NodeBuilder;
use crate::call::CastCounts;
use crate::call::background::Background;
use crate::call::engine::known::Known;
use crate::call::retry::RetryBudget;
use crate::call::usual::UsualTime;
use crate::context::Caller;
use crate::declared::Told;
use crate::events::{Bus, Events};
use crate::intercept::Interceptors;
use crate::nodes::callers::Callers;
use crate::nodes::choices::Choices;
use crate::nodes::live::Live;
use crate::nodes::{Nodes, Policy};
use crate::registry::Registry;
use crate::service::contracts::Contracts;
use crate::service::instance::{Service, ServiceError, ServiceHandle};
use crate::service::serve::Serve;
use crate::service::served::Served;
use crate::service::services::{Place, Services};
use crate::service::slot::{Found, Slot, Slots};

/// A running node: serves what it was given, and makes calls for its clients.
///
/// A clone is another handle of the same node. Dropping the last one ends nothing: the node runs, and
/// so do its services with all that their plugins have started, until [`shutdown`](Self::shutdown).
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
    pub(crate) slots: Arc<Slots>,
    /// The services that live here, by name.
    pub(crate) services: Services,
    /// Told of each change of a service that lives here.
    pub(crate) changes: watch::Sender<()>,
    /// Where they tell what became of them.
    pub(crate) events: Arc<Bus>,
    /// Who calls, for those that are exported.
    pub(crate) callers: Callers,
    /// Which nodes there should be, if it was told.
    pub(crate) told: Told,
    pub(crate) contracts: Contracts,
    pub(crate) default_timeout: Option<Duration>,
    pub(crate) interceptors: Interceptors,
    pub(crate) policy: Option<Policy>,
    pub(crate) max_extensions: Option<u32>,
    pub(crate) background: Background,
    pub(crate) grace: Duration,
    pub(crate) generic: bool,
    pub(crate) registry: Registry,
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

    pub(crate) fn downgrade(&self) -> WeakNode {
        WeakNode(Arc::downgrade(&self.shared))
    }

    /// Serves one more service from now on: the short form of
    /// [`Service::start_on`](crate::Service::start_on).
    ///
    /// # Errors
    ///
    /// The node serves something of that name already, or has stopped.
    pub async fn serve<S>(&self, service: impl Serve<S>) -> Result<ServiceHandle, ServiceError> {
        Service::new(service).start_on(self).await
    }

    /// The service of this name that lives on this node.
    pub fn service(&self, name: &str) -> Option<ServiceHandle> {
        self.shared.services.get(name)
    }

    /// The services that live on this node, by name.
    pub fn local_services(&self) -> Vec<ServiceHandle> {
        self.shared.services.all()
    }

    /// What happens from now on: changes of the services that live here, and nodes that come and go.
    /// Any number of readers may ask; each is told all, as long as it reads.
    ///
    /// ```no_run
    /// # async fn example(node: nebula::Node) {
    /// let mut events = node.events();
    /// while let Some(event) = events.next().await {
    ///     if let nebula::NodeEvent::Service(event) = event {
    ///         println!("{event}");
    ///     }
    /// }
    /// # }
    /// ```
    pub fn events(&self) -> Events {
        Events::new(self.bus(), self.mesh().watch_members())
    }

    /// Where the services that live here tell what becomes of them.
    pub(crate) fn bus(&self) -> &Arc<Bus> {
        &self.shared.events
    }

    /// Takes a name for a service.
    pub(crate) fn occupy(&self, name: &Arc<str>) -> Result<Place<'_>, ServiceError> {
        match self.has_stopped() || self.mesh().is_draining() {
            true => Err(ServiceError::NodeStopped),
            false => self.shared.services.occupy(name),
        }
    }

    /// Gives the name of a service back.
    pub(crate) fn vacate(&self, name: &str) {
        self.shared.services.vacate(name);
    }

    /// Something has changed about a service that lives here.
    pub(crate) fn service_changed(&self) {
        self.shared.changes.send_replace(());
    }

    /// Who is told of each such change.
    pub(crate) fn service_changes(&self) -> &watch::Sender<()> {
        &self.shared.changes
    }

    /// Changes with each of them, and when the node has stopped.
    pub(crate) fn watch_services_here(&self) -> watch::Receiver<()> {
        self.shared.changes.subscribe()
    }

    /// Whether it takes in no services any more.
    pub(crate) fn has_closed(&self) -> bool {
        self.shared.services.is_closed()
    }

    pub(crate) fn callers(&self) -> &Callers {
        &self.shared.callers
    }

    pub(crate) fn grace(&self) -> Duration {
        self.shared.grace
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

    /// Who can be asked for each method.
    pub(crate) fn known(&self) -> &Known {
        &self.shared.known
    }

    /// The service of this wire name that it serves itself.
    pub(crate) fn served(&self, service: &str) -> Option<Arc<Served>> {
        self.shared.slots.served(service)
    }

    /// The service of this wire name, if it is served now and is one of the generated client `S`.
    pub(crate) fn serving<S: 'static>(&self, service: &str) -> Option<Arc<Served>> {
        self.slot(service).of::<S>().map(Found::keep)
    }

    /// Where a service of this wire name is found, if it comes.
    pub(crate) fn slot(&self, service: &str) -> Arc<Slot> {
        self.shared.slots.slot(service)
    }

    /// What it serves and calls, by name.
    pub(crate) fn contracts(&self) -> &Contracts {
        &self.shared.contracts
    }

    /// Whether it has stopped.
    pub(crate) fn has_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::SeqCst) || self.shared.follower.is_finished()
    }

    /// Values by name, which all that runs on this node may share: names and keys for as long as
    /// somebody holds them, and domains until the node is [shut down](Self::shutdown).
    pub fn registry(&self) -> &Registry {
        &self.shared.registry
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
    pub(crate) fn served_here(&self) -> Vec<Arc<Served>> {
        self.shared.slots.all()
    }

    /// Who looks at its calls.
    pub(crate) fn interceptors(&self) -> &Interceptors {
        &self.shared.interceptors
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

    /// What has become of the one-way calls ([`Call::cast`](crate::Call::cast)) made through this
    /// node so far.
    pub fn cast_counts(&self) -> CastCounts {
        self.background().counts().read()
    }

    /// Its calls whose results nobody waits for.
    pub(crate) fn background(&self) -> &Background {
        &self.shared.background
    }
}

/// A node, as far as somebody else holds it.
#[derive(Clone)]
pub(crate) struct WeakNode(Weak<Shared>);

impl WeakNode {
    pub(crate) fn upgrade(&self) -> Option<Node> {
        self.0.upgrade().map(|shared| Node { shared })
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("name", &self.name()).field("id", &self.id()).finish()
    }
}
