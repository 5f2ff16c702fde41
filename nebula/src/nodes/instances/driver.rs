//! What a node says of services when it is asked.

use std::collections::BTreeSet;
use std::time::Duration;

use macula::directory::{NodeRecord, NodeStatus, View};
use tokio::time::{Instant, timeout_at};

use super::watch::News;
use super::{DiscoveryWatch, MissingServices, ServiceInstance};
use crate::call::NodeRef;
use crate::call::options::TIMEOUT_MAX;
use crate::node::Node;
use crate::nodes::NodeInfo;
use crate::nodes::live::info;

/// Which services there are. All of it is known here already: nothing is sent, and reading does not
/// wait. Names are wire names.
impl Node {
    /// The instances of the service that can be asked now: that of this node first, if it takes
    /// calls, then those of the others by the names of their nodes. Of this node a service counts
    /// that no other one is told of.
    ///
    /// It says nothing of whom a call would go to: see [`available_nodes`](Self::available_nodes)
    /// and [`Call::why`](crate::Call::why), which know the shape of the method, the selector and the
    /// version that is required.
    pub fn instances(&self, service: &str) -> Vec<ServiceInstance> {
        let here = self.here(service);
        let view = self.mesh().view();
        let mut others: Vec<_> = self
            .others(&view)
            .flat_map(|record| {
                let services = record.services.iter().filter(|known| known.name == service);
                services.map(|known| ServiceInstance::of(record, known, false))
            })
            .collect();
        others.sort_by(|a, b| (&a.node_name, a.node).cmp(&(&b.node_name, b.node)));
        here.into_iter().chain(others).collect()
    }

    /// The nodes whose instances of the service can be asked now, with what is known of each: this
    /// node first, then the others by name.
    pub fn nodes_serving(&self, service: &str) -> Vec<NodeInfo> {
        let (snapshot, view) = (self.nodes(), self.mesh().view());
        let known = |instance: ServiceInstance| {
            snapshot.get(instance.node).or_else(|| {
                // It is too new for the snapshot.
                let record = view.node(&instance.node)?.record.as_ref()?;
                Some(NodeInfo::new(info(self.mesh(), record, None)))
            })
        };
        self.instances(service).into_iter().filter_map(known).collect()
    }

    /// The names of all services of which an instance can be asked now, sorted.
    pub fn services(&self) -> Vec<String> {
        let view = self.mesh().view();
        let others = self.others(&view).flat_map(|record| &record.services);
        let mut names: BTreeSet<String> = others.map(|service| service.name.clone()).collect();
        names.extend(self.names_here());
        names.into_iter().collect()
    }

    /// Waits until an instance of each of these services can be asked, 24 hours at most (more is cut
    /// to that). With a timeout of zero it looks once.
    ///
    /// # Errors
    ///
    /// Names those that were missing when the time was over.
    #[expect(clippy::disallowed_methods, reason = "who waits has to look at the clock")]
    pub async fn wait_for_services(
        &self,
        services: impl IntoIterator<Item = impl Into<String>>,
        timeout: Duration,
    ) -> Result<(), MissingServices> {
        let wanted: BTreeSet<String> = services.into_iter().map(Into::into).collect();
        let timeout = timeout.min(TIMEOUT_MAX);
        let began = Instant::now();
        let mut news = News::of(self);
        loop {
            news.mark();
            let there: BTreeSet<_> = self.services().into_iter().collect();
            let missing: Vec<_> = wanted.difference(&there).cloned().collect();
            if missing.is_empty() {
                return Ok(());
            }
            let stopped = self.has_stopped();
            let late = timeout.is_zero() || stopped;
            if late || !timeout_at(began + timeout, news.come()).await.unwrap_or(false) {
                let waited = if stopped { began.elapsed() } else { timeout };
                return Err(MissingServices { missing, waited, stopped });
            }
        }
    }

    /// Follows [`instances`](Self::instances) of the service.
    pub fn watch_instances(
        &self,
        service: impl Into<String>,
    ) -> DiscoveryWatch<Vec<ServiceInstance>> {
        let service = service.into();
        DiscoveryWatch::new(self, move |node| node.instances(&service))
    }

    /// Follows which nodes serve the service: this node first, then the others by name.
    pub fn watch_nodes_serving(&self, service: impl Into<String>) -> DiscoveryWatch<Vec<NodeRef>> {
        let service = service.into();
        DiscoveryWatch::new(self, move |node| {
            let nodes = node.instances(&service).into_iter();
            nodes.map(|one| NodeRef { id: one.node, name: one.node_name.into() }).collect()
        })
    }

    /// Follows [`services`](Self::services).
    pub fn watch_services(&self) -> DiscoveryWatch<Vec<String>> {
        DiscoveryWatch::new(self, Self::services)
    }

    /// The records of the others that take calls.
    fn others<'v>(&self, view: &'v View) -> impl Iterator<Item = &'v NodeRecord> {
        let itself = self.id();
        let records = view.nodes().iter().filter(move |node| node.id != itself);
        records.filter_map(|node| taking_calls(node.record.as_deref()?))
    }

    /// The instance on this node, if it takes calls.
    fn here(&self, service: &str) -> Option<ServiceInstance> {
        if let Some(known) = self.service(service) {
            return known.accepts_calls().then(|| known.info());
        }
        // What was given to the mesh itself has no life here.
        let view = self.mesh().view();
        let record = taking_calls(view.node(&self.id())?.record.as_deref()?)?;
        let known = record.services.iter().find(|known| known.name == service)?;
        Some(ServiceInstance::of(record, known, true))
    }

    fn names_here(&self) -> BTreeSet<String> {
        let view = self.mesh().view();
        let record = view.node(&self.id()).and_then(|node| taking_calls(node.record.as_deref()?));
        let told = record.into_iter().flat_map(|record| &record.services);
        let mut names: BTreeSet<_> = told.map(|service| service.name.clone()).collect();
        for known in self.local_services() {
            match known.accepts_calls() {
                true => names.insert(known.name().to_owned()),
                false => names.remove(known.name()),
            };
        }
        names
    }
}

fn taking_calls(record: &NodeRecord) -> Option<&NodeRecord> {
    (record.status == NodeStatus::Serving).then_some(record)
}
