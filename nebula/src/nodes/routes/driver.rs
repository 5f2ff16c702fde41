//! Asks a node for the map, once or for as long as it changes.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Duration;

use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use tokio::time::{MissedTickBehavior, interval};

use super::build::{self, Known, Live, Member};
use super::{RouteMethod, Routes};
use crate::node::Node;
use crate::nodes::Topology;
use crate::nodes::inspect::default_selector;
use crate::service::info::{MethodInfo, ServiceInfo};

/// How often a watched map is made without any news: that a node does not answer is not news of
/// the cluster.
const PERIOD: Duration = Duration::from_secs(1);

impl Node {
    /// The routing map as known here and now: which node serves which method. It asks nobody.
    ///
    /// It lists the methods that this node serves or has clients of, and those that any node
    /// offers to the cluster. What should be there and is not shows for the former, if there is a
    /// topology and their attributes say where they are (`on = "…"`); for the latter it shows of
    /// the nodes that this one has seen serving them.
    pub fn routes(&self) -> Routes {
        let mesh = self.mesh();
        let view = mesh.view();
        let members = view.nodes().iter().map(|node| Member {
            id: node.id,
            record: node.record.clone(),
            silent: node.id != self.id() && mesh.peer(&node.id).suspect,
        });
        let topology = self.topology();
        let seen = match &topology {
            Some(topology) => self.live().seen(mesh, |name| topology.contains(name)),
            None => Default::default(),
        };
        build::live(&Live {
            node: self.name(),
            itself: self.id(),
            joined: mesh.joining().borrow().joined,
            topology: topology.as_ref().map(|topology| -> &Topology { topology }),
            methods: methods(self).map(|(service, method)| known(service, method)).collect(),
            here: here(self),
            nodes: members.collect(),
            seen,
        })
    }

    /// The routing map as it should be: the nodes of the topology, and the methods that this node
    /// serves or has clients of, each where its attributes say it is. Nothing is said of what is
    /// there. Without a topology it has no nodes.
    pub fn configured_routes(&self) -> Routes {
        let methods = methods(self).filter(|(service, _)| service.is_global());
        let methods = methods.map(|(service, method)| {
            let route = RouteMethod::new(service.service_name(), method.method_name());
            match default_selector(service, method.selector()) {
                Some(selector) => route.on(selector),
                None => route,
            }
        });
        let (topology, none) = (self.topology(), Topology::new());
        let topology: &Topology = match &topology {
            Some(topology) => topology,
            None => &none,
        };
        build::configured(Some(self.name()), topology, methods.collect())
    }

    /// The routing map, and again whenever something in it has changed: with each piece of news,
    /// or within a second. It ends when the node has stopped. It is made inside a tokio runtime.
    pub fn watch_routes(&self) -> RoutesWatch {
        RoutesWatch(maps(self.clone()).boxed())
    }
}

/// The routing maps of a node, one after the other: see [`Node::watch_routes`].
///
/// It is a stream as well. What is over before somebody looks is skipped: a slow reader misses
/// nothing but maps that hold no more.
#[must_use = "nothing is watched until it is polled"]
pub struct RoutesWatch(BoxStream<'static, Routes>);

impl RoutesWatch {
    /// The next map: the first one at once, each later one when it differs from the one before.
    /// `None` when the node has stopped. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Routes> {
        self.0.next().await
    }
}

impl Stream for RoutesWatch {
    type Item = Routes;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Option<Routes>> {
        self.0.poll_next_unpin(task)
    }
}

impl fmt::Debug for RoutesWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutesWatch").finish_non_exhaustive()
    }
}

fn maps(node: Node) -> impl Stream<Item = Routes> + Send {
    let news = (node.mesh().watch_view(), node.mesh().joining());
    let mut period = interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let first = (node, news, period, None::<Routes>);
    stream::unfold(first, |(node, mut news, mut period, told)| async move {
        loop {
            let stopped = node.has_stopped();
            let now = node.routes();
            if told.as_ref() != Some(&now) {
                return Some((now.clone(), (node, news, period, Some(now))));
            }
            if stopped {
                return None;
            }
            tokio::select! {
                _ = news.0.changed() => {}
                _ = news.1.changed() => {}
                _ = period.tick() => {}
            }
        }
    })
}

/// The methods whose attributes this node knows.
fn methods(
    node: &Node,
) -> impl Iterator<Item = (&'static ServiceInfo, &'static MethodInfo)> + use<> {
    let services = node.contracts().all().into_iter();
    services.flat_map(|service| service.methods().iter().map(move |method| (service, *method)))
}

fn known(service: &'static ServiceInfo, method: &'static MethodInfo) -> Known {
    Known {
        service: service.service_name().to_owned(),
        method: method.method_name().to_owned(),
        key: method.key(),
        // A service that is offered to nobody is missing nowhere.
        selector: default_selector(service, method.selector()).filter(|_| service.is_global()),
    }
}

/// What this node takes calls for.
fn here(node: &Node) -> BTreeSet<u64> {
    let services = node.contracts().all().into_iter();
    let served = services.filter_map(|service| node.served(service.service_name()));
    let taking = served.filter(|served| !served.is_closed());
    taking
        .flat_map(|served| served.info().methods().iter())
        .map(|method| method.wire_id())
        .collect()
}
