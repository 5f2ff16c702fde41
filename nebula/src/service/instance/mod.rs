//! A service that lives: with a name and a state, plugins and a configuration, on one node.
//!
//! Promise: what is asked of it while it runs either happens as a whole or changes nothing. What
//! calls see of it, its plugins and whether it takes calls, changes in one step; the calls under
//! way keep what they began with.
//!
//! The parts: [`builder`] says what it shall be; [`handle`] is what a program holds of it; [`body`]
//! is what its [lifecycle](super::lifecycle) drives; [`manage`] changes it; a [`seat`] is a plugin in
//! its place.

mod body;
pub(crate) mod builder;
mod error;
pub(crate) mod handle;
mod manage;
mod seat;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use macula::Mesh;

use super::config::ConfigCell;
use super::extensions::Extensions;
use super::info::ServiceInfo;
use super::lifecycle::ServiceStatus;
use super::lifecycle::body::Reporter;
use super::lifecycle::cell::StatusCell;
use super::lifecycle::handle::Lifecycle;
use super::plugin::chain::{Chain, Link};
use super::plugin::erased::Erased;
use super::served::Served;
use super::slot::Slot;
use crate::node::WeakNode;
use crate::{Node, NodeId};
use seat::Seat;

pub use builder::Service;
pub use error::ServiceError;
pub use handle::ServiceHandle;

/// One service on one node, from its start to its stop.
pub(crate) struct Instance {
    name: Arc<str>,
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
    /// Held while plugins or the configuration change, or are started or stopped.
    managing: tokio::sync::Mutex<()>,
}

/// The plugins of a service.
#[derive(Default)]
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

    /// Takes it off its node, for good.
    fn leave(&self) {
        self.slot.clear();
        if let Some(node) = self.node.upgrade() {
            if self.global {
                node.mesh().remove_service(&self.name);
            }
            node.vacate(&self.name);
        }
        self.extensions.clear();
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

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("name", &self.name)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
