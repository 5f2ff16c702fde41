//! What a plugin and a service know of where they are.

use std::fmt;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;

use crate::config::Watched;
use crate::service::config::{AnyConfig, Part};
use crate::service::extensions::Extensions;
use crate::service::info::MethodInfo;
use crate::service::instance::Instance;
use crate::service::lifecycle::ServiceStatus;
use crate::{Node, NodeId};

/// The service that a plugin belongs to, as the plugin sees it; and the one that a service is, for
/// its own [construction](crate::Service::build). It does not keep the service alive: what it knows
/// of one that has ended is its name and its node.
#[derive(Clone)]
pub struct Host {
    instance: Weak<Instance>,
    service: Arc<str>,
    node: NodeId,
    /// Whose configuration it gives.
    part: Part,
    /// The one that a plugin keeps which is on its way out; calls under way pass it still.
    kept: Arc<ArcSwapOption<Option<AnyConfig>>>,
}

impl Host {
    pub(crate) fn new(instance: &Arc<Instance>, part: Part) -> Self {
        let (service, node) = (Arc::clone(instance.name()), instance.node_id());
        Self { instance: Arc::downgrade(instance), service, node, part, kept: Arc::default() }
    }

    /// What it gives is what is in force now, whatever is said of its name later.
    pub(crate) fn keep(&self) {
        let instance = self.instance.upgrade();
        let now = instance.map(|instance| instance.config().value(&self.part));
        self.kept.store(now.map(Arc::new));
    }

    /// What it gives is what is in force again.
    pub(crate) fn let_go(&self) {
        self.kept.store(None);
    }

    /// The name of the plugin; of the service, where it is its own host.
    pub(crate) fn name(&self) -> &Arc<str> {
        match &self.part {
            Part::Service => &self.service,
            Part::Plugin(name) => name,
        }
    }

    /// The name of the service.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The methods of the service, while there is one.
    pub(crate) fn methods(&self) -> &'static [&'static MethodInfo] {
        let info = self.instance.upgrade().and_then(|instance| instance.info());
        info.map_or(&[], |info| info.methods())
    }

    /// The node that serves it, while it does.
    pub fn node(&self) -> Option<Node> {
        self.instance.upgrade()?.node()
    }

    /// The id of the node that serves it.
    pub fn node_id(&self) -> NodeId {
        self.node
    }

    /// The state of the service, while there is one.
    pub fn status(&self) -> Option<Arc<ServiceStatus>> {
        Some(self.instance.upgrade()?.status())
    }

    /// The configuration in force, if it is of this type: of a plugin its own section, of a service
    /// what is around the sections of its plugins. A plugin that is taken out or replaced keeps its
    /// last one. Never waits.
    pub fn config<C: Send + Sync + 'static>(&self) -> Option<Arc<C>> {
        if let Some(kept) = &*self.kept.load() {
            return kept.as_ref().as_ref().and_then(|value| Arc::clone(value).downcast().ok());
        }
        self.instance.upgrade()?.config().get(&self.part)
    }

    /// What is in force, and what it becomes. It follows the section of this name: of a plugin that is
    /// taken out it gives the last one, of one that is replaced that of the other one, if it is of this
    /// type.
    pub fn watch_config<C: Send + Sync + 'static>(&self) -> Option<Watched<C>> {
        self.instance.upgrade()?.config().watch(&self.part)
    }

    /// Values of the service that outlive pauses and starts, and end with it.
    pub fn extensions(&self) -> Option<Arc<Extensions>> {
        Some(Arc::clone(self.instance.upgrade()?.extensions()))
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("service", &self.service)
            .field("part", &self.part)
            .finish_non_exhaustive()
    }
}
