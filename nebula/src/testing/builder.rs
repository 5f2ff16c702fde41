use std::fmt;
use std::sync::Arc;

use super::cluster::Shared;
use super::machine::Factory;
use super::node::TestNode;
use crate::Result;
use crate::builder::NodeBuilder;
use crate::service::serve::Serve;

/// A node to be, in a [`Cluster`](super::Cluster):
/// `cluster.node("db@h1").tags(["db"]).serve(store).start().await`.
///
/// It has its address, key and seeds from the cluster: it joins through whoever runs when it
/// starts for the first time ([`Cluster::restart`](super::Cluster::restart) says how later). Each
/// method says what holds in every life of the node.
#[must_use = "a node does nothing until it is started: `.start().await`"]
pub struct TestNodeBuilder {
    builder: NodeBuilder,
    fresh: Vec<Factory>,
    place: usize,
    shared: Arc<Shared>,
}

impl TestNodeBuilder {
    pub(super) fn new(builder: NodeBuilder, place: usize, shared: Arc<Shared>) -> Self {
        Self { builder, fresh: Vec::new(), place, shared }
    }

    /// Adds a tag, for selectors to choose by.
    pub fn tag(self, tag: impl Into<String>) -> Self {
        self.with(|builder| builder.tag(tag))
    }

    /// Adds tags, for selectors to choose by.
    pub fn tags<T: Into<String>>(self, tags: impl IntoIterator<Item = T>) -> Self {
        self.with(|builder| builder.tags(tags))
    }

    /// Serves a value that implements a `#[service]` trait. A restart serves the same value again,
    /// so what it holds survives, like what is on a disk; see
    /// [`serve_fresh`](Self::serve_fresh) for what does not.
    pub fn serve<ServeAs, S: Serve<ServeAs>>(self, service: S) -> Self {
        self.with(|builder| builder.serve(service))
    }

    /// Serves a value as the service of the client `C`: `.serve_as::<UsersClient>(store)`.
    pub fn serve_as<C>(self, service: impl Serve<C>) -> Self {
        self.with(|builder| builder.serve_as::<C>(service))
    }

    /// Serves what `make` gives, which is made anew for each life of the node, like what is in the
    /// memory of a process.
    pub fn serve_fresh<ServeAs, S: Serve<ServeAs>>(
        mut self,
        make: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self {
        self.fresh.push(Arc::new(move || make().erase()));
        self
    }

    /// Sets anything else that a node can be told:
    /// `.with(|node| node.topology(topology).policy(Policy::RoundRobin))`. Address and key are the
    /// cluster's. Nodes of another realm or cookie keep to themselves, and the cluster never
    /// [settles](super::Cluster::settle).
    pub fn with(self, set: impl FnOnce(NodeBuilder) -> NodeBuilder) -> Self {
        Self { builder: set(self.builder), ..self }
    }

    /// Starts the node, and waits until it has met another one if there is one to be reached (for
    /// five virtual seconds at most). What it knows of the others comes a moment later:
    /// [`Cluster::settle`](super::Cluster::settle) waits for that.
    ///
    /// # Panics
    /// When it does not start, with the reason: what it was told is at fault
    /// ([`NodeBuilder::start`]). [`try_start`](Self::try_start) gives the error instead.
    pub async fn start(self) -> TestNode {
        let (shared, place) = (self.shared.clone(), self.place);
        let started = self.try_start().await;
        started.unwrap_or_else(|error| shared.does_not_start(place, &error))
    }

    /// Starts the node.
    ///
    /// # Errors
    /// Those of [`NodeBuilder::start`].
    pub async fn try_start(self) -> Result<TestNode> {
        self.shared.machine(self.place, |machine| machine.prepare(self.builder, self.fresh));
        Shared::launch(&self.shared, self.place).await
    }
}

impl fmt::Debug for TestNodeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestNodeBuilder").field("builder", &self.builder).finish_non_exhaustive()
    }
}
