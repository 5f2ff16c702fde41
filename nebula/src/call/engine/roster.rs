//! The nodes that a call may be made to.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use macula::directory::{NodeView, View};
use macula::identity::NodeId;
use rand::Rng;
use tokio::time::{Instant, sleep_until};

use super::leg;
use crate::call::unicast::{Ask, Targets};
use crate::call::{ApiKey, NodeRef, Why};
use crate::node::Node;
use crate::nodes::balance::{self, Candidate};
use crate::nodes::live::info;
use crate::nodes::{NodeInfo, Nodes, Selector};
use crate::service::input::panic_message;
use crate::service::method::Method;

/// How long a call waits for the records of nodes that are known to be alive, once the cluster
/// is joined: such a node may turn out to be dead.
const SETTLE: Duration = Duration::from_secs(2);

/// The nodes that serve a method and are meant by the call, by name.
#[derive(Debug)]
pub(crate) struct Roster {
    pub(crate) targets: Vec<NodeRef>,
    /// Where in `targets` this node itself is.
    pub(crate) itself: Option<usize>,
    /// Whether this node had joined its cluster, and knew what each living node serves.
    pub(crate) complete: bool,
}

/// For what a call waits before it is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wait {
    /// For nothing: there is somebody to ask now, or nobody.
    Never,
    /// Until there is somebody to ask.
    Somebody,
    /// Until everybody is known whom it may be for, two seconds at most; then for somebody.
    Everybody,
}

/// Why a call can be made to nobody.
#[derive(Debug)]
pub(crate) enum Nobody {
    Why(Why),
    /// Waiting would not help.
    Final(Why),
    /// The call was cancelled while it waited.
    Cancelled,
    /// All who serve the method serve another shape of it.
    Incompatible(ApiKey),
}

impl Nobody {
    /// In words, where an incompatible node is one reason among others.
    pub(crate) fn into_why<M: Method>(self) -> Why {
        match self {
            Self::Why(why) | Self::Final(why) => why,
            Self::Cancelled => Why::new(M::INFO.service_name(), M::INFO.method_name())
                .fault("the call was cancelled before anybody was asked"),
            Self::Incompatible(theirs) => {
                let reason = format!("serves shape {theirs} of the method only");
                Why::new(M::INFO.service_name(), M::INFO.method_name()).node("every node", &reason)
            }
        }
    }
}

impl Roster {
    /// Finds the nodes for a call. While this node is still joining the cluster, or the records
    /// of nodes are on their way, it waits as long as `wait` says for better news, until the
    /// deadline of the call.
    pub(crate) async fn find<M: Method>(
        node: &Node,
        ask: &mut Ask<'_, M>,
        wait: Wait,
    ) -> Result<Self, Nobody> {
        if let (Targets::Selector(selector), Some(topology)) = (&ask.targets, node.topology())
            && let Err(unknown) = topology.check(selector)
        {
            let why = Why::new(M::INFO.service_name(), M::INFO.method_name());
            return Err(Nobody::Final(why.fault(&unknown.to_string())));
        }
        let mut news = node.mesh().watch_view();
        let mut joining = node.mesh().joining();
        let looks_anyway = Instant::now() + SETTLE;
        // The records of the others are on their way from the moment this node has joined.
        let mut settled = None;
        let watch = ask.watch.clone();
        let mut gone = pin!(leg::cancelled(watch.as_ref()));
        // A closure can choose but once, so it is shown all there is.
        let picks = matches!(ask.targets, Targets::Pick(_));
        let mut look_anyway = match wait {
            Wait::Never => true,
            Wait::Somebody => !picks,
            Wait::Everybody => false,
        };
        loop {
            news.mark_unchanged();
            let view = node.mesh().view();
            let joined = joining.borrow_and_update().joined;
            let complete = joined && view.is_complete();
            let mut nobody = None;
            if complete || look_anyway {
                nobody = match Self::look(node, ask, &view) {
                    Ok(roster) => return Ok(Self { complete, ..roster }),
                    Err(Nobody::Final(why)) => return Err(Nobody::Final(why)),
                    Err(nobody) if complete => return Err(nobody),
                    Err(nobody) if wait == Wait::Never => return Err(tried(node, nobody)),
                    Err(nobody) => Some(nobody),
                };
            }
            let until = match (&nobody, joined) {
                (None, _) => looks_anyway,
                (Some(_), true) => *settled.get_or_insert_with(|| Instant::now() + SETTLE),
                (Some(_), false) => ask.term.deadline(),
            };
            tokio::select! {
                biased;
                () = &mut gone => return Err(Nobody::Cancelled),
                _ = news.changed() => {}
                _ = joining.changed() => {}
                () = sleep_until(until.min(ask.term.deadline())) => match nobody {
                    Some(nobody) => return Err(tried(node, nobody)),
                    None => look_anyway = true,
                },
            }
        }
    }

    /// Looks once.
    fn look<M: Method>(node: &Node, ask: &mut Ask<'_, M>, view: &View) -> Result<Self, Nobody> {
        let mut other_shape = None;
        let mut named = BTreeSet::new();
        let meant = |id: &NodeId| {
            let record = view.node(id)?.record.as_ref()?;
            let meant = match &ask.targets {
                Targets::Selector(selector) => selector.matches(&record.name, &record.tags),
                Targets::Node(node) => node == id,
                Targets::Nodes(nodes) => nodes.contains(id),
                Targets::Anyone | Targets::Pick(_) => true,
            };
            meant.then(|| (record.name.clone(), *id))
        };
        if ask.local.as_ref().is_some_and(|served| !served.draining()) {
            named.extend(meant(&node.id()));
        }
        for provider in view.providers(M::INFO.wire_id()) {
            if provider.node == node.id() {
                continue;
            }
            let Some(target) = meant(&provider.node) else { continue };
            if provider.key == M::INFO.key() {
                named.insert(target);
            } else {
                other_shape = Some(ApiKey::from_bytes(provider.key));
            }
        }
        if named.is_empty() {
            return Err(match other_shape {
                Some(theirs) if !matches!(ask.targets, Targets::Pick(_)) => {
                    Nobody::Incompatible(theirs)
                }
                _ => Nobody::Why(why::<M>(node, ask, view)),
            });
        }
        let mut targets: Vec<_> =
            named.into_iter().map(|(name, id)| NodeRef { id, name: name.into() }).collect();
        if let Targets::Pick(_) = &ask.targets {
            targets = picked::<M>(node, ask, view, &targets)?;
        }
        let itself = targets.iter().position(|target| target.id == node.id());
        Ok(Self { targets, itself, complete: false })
    }

    /// Leaves out nodes that the topology does not name, or not with the tags that are asked for,
    /// and of several nodes under one name all but one, so that a vote counts each configured
    /// node once.
    pub(crate) fn keep_configured(&mut self, node: &Node, selector: Option<&Selector>) {
        let declared = |name: &str| {
            node.topology().is_none_or(|topology| {
                topology.tags_of(name).is_some_and(|tags| {
                    selector.is_none_or(|selector| selector.matches(name, tags))
                })
            })
        };
        let mut kept: Vec<NodeRef> = Vec::new();
        for target in self.targets.drain(..).filter(|target| declared(&target.name)) {
            match kept.last_mut().filter(|last| last.name == target.name) {
                Some(last) if node.mesh().peer(&last.id).suspect => *last = target,
                Some(_) => {}
                None => kept.push(target),
            }
        }
        self.targets = kept;
        self.itself = self.targets.iter().position(|target| target.id == node.id());
    }

    /// The order in which one of them is asked: this node first, then the less loaded of two
    /// taken at random, and so on; those that do not answer come last.
    pub(crate) fn order(&self, node: &Node, rng: &mut impl Rng) -> Vec<usize> {
        let others: Vec<usize> =
            (0..self.targets.len()).filter(|at| Some(*at) != self.itself).collect();
        let candidates: Vec<_> = others
            .iter()
            .filter_map(|at| self.targets.get(*at))
            .map(|target| {
                let peer = node.mesh().peer(&target.id);
                let in_flight = u32::try_from(peer.in_flight).unwrap_or(u32::MAX);
                let load = u32::from(peer.load).saturating_add(in_flight);
                Candidate { node: target.id, load, suspect: peer.suspect }
            })
            .collect();
        let order = balance::order(&candidates, rng);
        let order = order.into_iter().filter_map(|at| others.get(at).copied());
        self.itself.into_iter().chain(order).collect()
    }
}

/// Has the closure of the call take its nodes from those that serve the method.
fn picked<M: Method>(
    node: &Node,
    ask: &mut Ask<'_, M>,
    view: &View,
    serving: &[NodeRef],
) -> Result<Vec<NodeRef>, Nobody> {
    let Targets::Pick(pick) = std::mem::replace(&mut ask.targets, Targets::Anyone) else {
        return Ok(serving.to_vec());
    };
    let snapshot = node.nodes();
    let infos = serving.iter().filter_map(|target| {
        snapshot.get(target.id).or_else(|| fresh(node, view.node(&target.id)?))
    });
    let nodes = Nodes::new(infos.collect());
    let reason = match catch_unwind(AssertUnwindSafe(|| pick(nodes))) {
        Ok(chosen) => {
            let mut known = BTreeSet::new();
            let chosen = chosen.into_iter().filter_map(|info: NodeInfo| {
                let target = serving.iter().find(|target| target.id == info.id())?;
                known.insert(target.id).then(|| target.clone())
            });
            let chosen: Vec<_> = chosen.collect();
            if !chosen.is_empty() {
                // The closure is spent: another try is for the nodes it took, and for no others.
                ask.targets = Targets::Nodes(chosen.iter().map(|target| target.id).collect());
                return Ok(chosen);
            }
            "was not picked".to_owned()
        }
        Err(panic) => format!("the closure that picks panicked: {}", panic_message(panic)),
    };
    let why = Why::new(M::INFO.service_name(), M::INFO.method_name());
    let why = serving.iter().fold(why, |why, target| why.node(&target.name, &reason));
    // The closure is spent, so there is nothing to wait for.
    ask.targets = Targets::Nodes(Vec::new());
    Err(Nobody::Final(why))
}

/// A node that is too new for the snapshot.
fn fresh(node: &Node, known: &NodeView) -> Option<NodeInfo> {
    let record = known.record.as_ref()?;
    Some(NodeInfo::new(info(node.mesh(), record, None)))
}

/// What kept each known node from being asked.
fn why<M: Method>(node: &Node, ask: &Ask<'_, M>, view: &View) -> Why {
    let service = M::INFO.service_name();
    let mut why = Why::new(service, M::INFO.method_name());
    for known in view.nodes() {
        let itself = known.id == node.id();
        let Some(record) = &known.record else {
            why = why.node(&known.id.short(), "has not said yet what it serves");
            continue;
        };
        let reason = match &ask.targets {
            Targets::Node(id) if *id != known.id => "is not the node asked for".to_owned(),
            Targets::Nodes(ids) if !ids.contains(&known.id) => "was not picked".to_owned(),
            Targets::Selector(selector) => selector
                .rejecting_clause(&record.name, &record.tags)
                .unwrap_or_else(|| unserved(node, itself, record, service)),
            _ => unserved(node, itself, record, service),
        };
        why = why.node(&record.name, &reason);
    }
    let named = match &ask.targets {
        Targets::Node(id) => std::slice::from_ref(id),
        Targets::Nodes(ids) => ids,
        Targets::Anyone | Targets::Selector(_) | Targets::Pick(_) => &[],
    };
    let gone = named.iter().filter(|id| view.node(id).is_none());
    gone.fold(why, |why, id| why.node(&id.short(), "is not alive in this cluster"))
}

fn unserved(
    node: &Node,
    itself: bool,
    record: &Arc<macula::directory::NodeRecord>,
    service: &str,
) -> String {
    let draining = record.status != macula::directory::NodeStatus::Serving;
    if draining {
        return "is shutting down".into();
    }
    if itself && node.served(service).is_some() {
        return "serves another contract of this name".into();
    }
    "does not serve it".into()
}

/// The waiting is over: say what this node tried in order to join.
fn tried(node: &Node, nobody: Nobody) -> Nobody {
    let joining = node.mesh().joining();
    let joining = joining.borrow();
    match nobody {
        Nobody::Why(why) if !joining.joined => {
            let tried = joining.tried.iter();
            let why = tried.fold(why, |why, tried| why.joining(&tried.target, &tried.outcome));
            Nobody::Why(if joining.tried.is_empty() {
                why.joining("its seeds", "no answer yet")
            } else {
                why
            })
        }
        nobody => nobody,
    }
}
