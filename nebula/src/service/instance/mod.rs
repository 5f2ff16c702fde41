//! A service that lives: with a name and a state, plugins and a configuration, on one node.
//!
//! Promise: what is asked of it while it runs either happens as a whole or changes nothing. What
//! calls see of it, its plugins and whether it takes calls, changes in one step; the calls under
//! way keep what they began with.
//!
//! The parts: [`builder`] says what it shall be, and brings it to its node; [`handle`] is what a program holds of it; [`body`]
//! is what its [lifecycle](super::lifecycle) drives; [`manage`] changes its plugins and [`configure`]
//! its configuration; a [`seat`] is a plugin in its place.

mod body;
pub(crate) mod builder;
mod configure;
mod error;
pub(crate) mod handle;
mod held;
mod manage;
mod seat;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use macula::Mesh;

use super::config::ConfigCell;
use super::extensions::Extensions;
use super::info::ServiceInfo;
use super::lifecycle::ServiceStatus;
use super::lifecycle::body::Reporter;
use super::lifecycle::cell::StatusCell;
use super::lifecycle::handle::Lifecycle;
use super::plugin::Hooks;
use super::plugin::chain::{Chain, Link};
use super::plugin::erased::Erased;
use super::served::Served;
use super::slot::Slot;
use crate::node::WeakNode;
use crate::nodes::Profile;
use crate::{Node, NodeId};
use seat::Seat;

pub use builder::Service;
pub use error::ServiceError;
pub use handle::ServiceHandle;

/// One service on one node, from its start to its stop.
pub(crate) struct Instance {
    name: Arc<str>,
    profile: Profile,
    node: WeakNode,
    node_id: NodeId,
    /// Whether the cluster is told of it.
    global: bool,
    /// Where calls find it.
    slot: Arc<Slot>,
    config: ConfigCell,
    extensions: Arc<Extensions>,
    cell: Arc<StatusCell>,
    lifecycle: OnceLock<Lifecycle>,
    /// The service with its gates; its plugins are in the slot.
    core: OnceLock<Arc<Served>>,
    crew: Mutex<Crew>,
    /// How long each start hook may take.
    start_limit: Duration,
    /// Held while plugins or the configuration change, or are started or stopped.
    managing: tokio::sync::Mutex<()>,
    /// It is not on its node any more. Whoever has the name there now is another one.
    left: AtomicBool,
    /// Plugins were started that have not been asked whether they are ready.
    unasked: AtomicBool,
}

/// The plugins of a service.
#[derive(Clone, Default)]
struct Crew {
    /// As they were asked for.
    listed: Vec<Arc<dyn Erased>>,
    /// All of them in their order, top first.
    seats: Vec<Arc<Seat>>,
    /// While they are started: whom they tell when they give up.
    reporter: Option<Reporter>,
}

impl Instance {
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn node(&self) -> Option<Node> {
        self.node.upgrade()
    }

    pub(crate) fn node_id(&self) -> NodeId {
        self.node_id
    }

    /// What is known of its contract, once it is in its place.
    pub(crate) fn info(&self) -> Option<&'static ServiceInfo> {
        Some(self.core.get()?.info())
    }

    pub(crate) fn status(&self) -> Arc<ServiceStatus> {
        self.cell.status()
    }

    fn cell(&self) -> &StatusCell {
        &self.cell
    }

    pub(crate) fn config(&self) -> &ConfigCell {
        &self.config
    }

    pub(crate) fn extensions(&self) -> &Arc<Extensions> {
        &self.extensions
    }

    /// The names of its plugins, top first.
    fn plugin_names(&self) -> Vec<String> {
        self.crew().seats.iter().map(|seat| seat.name().to_string()).collect()
    }

    /// Takes it off its node, for good, after what is being changed.
    async fn leave(&self) {
        let _managing = self.managing.lock().await;
        self.leave_at_once();
    }

    /// The same while nobody changes anything.
    fn leave_at_once(&self) {
        // Once: the name may be another one's after that.
        if self.left.swap(true, SeqCst) && !cfg!(mutant = "service_leaves_twice") {
            return;
        }
        self.take_off();
        if let Some(node) = self.node.upgrade() {
            node.vacate(&self.name);
            node.service_changed();
        }
    }

    /// Nobody finds it any more, here or elsewhere. Its name is still its own.
    fn take_off(&self) {
        self.slot.clear();
        self.config.end();
        // What it shared and owns is gone before another one has its name.
        self.extensions.clear();
        if let Some(core) = self.core.get() {
            core.let_go();
        }
        let Some(node) = self.node.upgrade() else { return };
        node.contracts().withdraw(&self.name);
        if self.global {
            node.mesh().remove_service(&self.name);
        }
    }

    /// Whether it takes calls.
    fn takes_calls(&self) -> bool {
        self.core.get().is_some_and(|core| !core.is_closed())
    }

    /// Ends all that it has started, at once and without a word: its node is gone.
    fn abandon(&self) {
        self.left.store(true, SeqCst);
        if let Some(core) = self.core.get() {
            core.close();
        }
        self.config.end();
        self.seats().iter().for_each(|seat| seat.abandon());
    }

    fn has_left(&self) -> bool {
        self.left.load(SeqCst)
    }

    /// Lets no call in before those among these have been asked that say whether they are ready: they
    /// are up, and [`refresh`](Self::refresh) asks them.
    fn shut(&self, seats: &[Arc<Seat>]) {
        if let Some(core) = self.core.get().filter(|_| any_has(seats, &[Hooks::READY])) {
            self.unasked.store(true, SeqCst);
            core.close();
        }
    }

    /// All plugins are up again: whether calls begin is for the lifecycle alone to say.
    fn resume(&self) {
        if let Some(core) = self.core.get() {
            core.resume();
        }
    }

    fn mesh(&self) -> Option<Mesh> {
        Some(self.node.upgrade()?.mesh().clone())
    }

    fn crew(&self) -> MutexGuard<'_, Crew> {
        self.crew.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All plugins, top first.
    fn seats(&self) -> Vec<Arc<Seat>> {
        self.crew().seats.clone()
    }

    /// Has calls pass these plugins from now on.
    fn show(&self, seats: &[Arc<Seat>]) {
        if let Some(core) = self.core.get() {
            let links: Vec<Link> = seats.iter().map(|seat| seat.link.clone()).collect();
            self.slot.put(core.with(Chain::new(&links)));
        }
    }
}

/// Whether one of these has one of the hooks.
fn any_has(seats: &[Arc<Seat>], hooks: &[Hooks]) -> bool {
    seats.iter().any(|seat| hooks.iter().any(|hook| seat.has(*hook)))
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("name", &self.name)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
