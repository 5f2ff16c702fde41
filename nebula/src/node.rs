//! A node as a program holds it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use macula::identity::NodeId;

use crate::Result;
use crate::builder::NodeBuilder;
use crate::context::Caller;
use crate::error::Error;
use crate::nodes::{NodeFacts, NodeInfo, Topology};
use crate::service::served::Served;

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
    pub(crate) info: NodeInfo,
    /// Who its calls come from, as handlers see it.
    pub(crate) caller: Arc<Caller>,
    pub(crate) services: BTreeMap<&'static str, Arc<Served>>,
    pub(crate) topology: Option<Topology>,
    pub(crate) default_timeout: Option<Duration>,
    pub(crate) grace: Duration,
}

impl Node {
    /// Prepares a node called `name`, such as `db` or `db-1@host`.
    pub fn builder(name: impl Into<String>) -> NodeBuilder {
        NodeBuilder::new(name.into())
    }

    pub(crate) fn of(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.shared.info.name()
    }

    /// Its identity, which nobody else has.
    pub fn id(&self) -> NodeId {
        self.shared.info.id()
    }

    /// Takes no new calls, waits until the running ones have ended (for the grace period at
    /// most, see [`NodeBuilder::grace`]), and stops.
    ///
    /// # Errors
    ///
    /// When calls are still running at the end of the grace period.
    pub async fn shutdown(&self) -> Result<()> {
        let services = || self.shared.services.values();
        services().for_each(|served| served.drain());
        let idle = async {
            for served in services() {
                served.idle().await;
            }
        };
        tokio::time::timeout(self.shared.grace, idle).await.map_err(|_| {
            Error::msg(format!(
                "calls on `{}` were still running after the grace period of {:?}: give it more \
                 with `.grace(..)`, or the methods a shorter timeout",
                self.name(),
                self.shared.grace,
            ))
        })
    }

    /// The service of this wire name that it serves itself.
    pub(crate) fn served(&self, service: &str) -> Option<&Arc<Served>> {
        self.shared.services.get(service)
    }

    /// What it knows of itself.
    pub(crate) fn info(&self) -> NodeInfo {
        self.shared.info.clone()
    }

    /// Itself, as handlers see it that it calls.
    pub(crate) fn as_caller(&self) -> Arc<Caller> {
        Arc::clone(&self.shared.caller)
    }

    /// Which nodes there should be, if it was told.
    pub(crate) fn topology(&self) -> Option<&Topology> {
        self.shared.topology.as_ref()
    }

    /// The time limit of its calls when nothing nearer sets one.
    pub(crate) fn default_timeout(&self) -> Option<Duration> {
        self.shared.default_timeout
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("name", &self.name()).field("id", &self.id()).finish()
    }
}

impl Shared {
    /// What a node of this identity, name and tags shares among its handles.
    pub(crate) fn new(
        mut facts: NodeFacts,
        services: BTreeMap<&'static str, Arc<Served>>,
        topology: Option<Topology>,
        (default_timeout, grace): (Option<Duration>, Duration),
    ) -> Self {
        facts.is_self = true;
        let global = services.values().map(|served| served.info()).filter(|info| info.is_global());
        facts.services = global.map(|info| info.service_name().to_owned()).collect();
        let caller = Caller {
            id: facts.id,
            name: facts.name.as_str().into(),
            tags: facts.tags.iter().map(|tag| tag.as_str().into()).collect(),
        };
        Self {
            info: NodeInfo::new(facts),
            caller: Arc::new(caller),
            services,
            topology,
            default_timeout,
            grace,
        }
    }
}
