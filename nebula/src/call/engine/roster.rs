//! The nodes that a call may be made to.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use macula::directory::{NodeView, View};
use tokio::time::{Instant, sleep_until};

use super::leg;
use super::order::{Look, Order};
use super::reach::{Found, Here, Sought, Wanted, Whom};
use crate::call::ask::{Ask, Targets};
use crate::call::{ApiKey, NodeRef, Why};
use crate::node::Node;
use crate::nodes::choices::{Draw, Turns};
use crate::nodes::live::info;
use crate::nodes::{NodeInfo, Nodes, Policy, Selector, Topology};
use crate::service::info::MethodInfo;
use crate::service::input::panic_message;
use crate::service::method::{Method, Service as _};

/// How long a call waits for the records of nodes that are known to be alive, once the cluster
/// is joined: such a node may turn out to be dead.
pub(crate) const SETTLE: Duration = Duration::from_secs(2);

/// The nodes that serve a method and are meant by the call, by name.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    pub(crate) targets: Arc<[NodeRef]>,
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
    /// All who serve the method serve another shape of it; this one of them, this shape.
    Incompatible(NodeRef, ApiKey),
}

impl Nobody {
    /// In words, where an incompatible node is one reason among others.
    pub(crate) fn into_why(self, method: &MethodInfo) -> Why {
        match self {
            Self::Why(why) | Self::Final(why) => why,
            Self::Cancelled => {
                Why::of(method).fault("the call was cancelled before anybody was asked")
            }
            Self::Incompatible(_, theirs) => {
                let reason = format!("serves shape {theirs} of the method only");
                Why::of(method).node("every node", &reason)
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
        match Self::now(node, ask) {
            Some(found) => found,
            // It is long, and hardly any call needs it.
            None => Box::pin(Self::wait_for(node, ask, wait)).await,
        }
    }

    /// Finds them if everybody is known, so that there is nothing to wait for.
    pub(crate) fn now<M: Method>(
        node: &Node,
        ask: &mut Ask<'_, M>,
    ) -> Option<Result<Self, Nobody>> {
        if node.has_stopped() {
            let why = Why::of(ask.method);
            return Some(Err(Nobody::Final(
                why.fault("the node that asks has been shut down: ask through one that runs"),
            )));
        }
        if let (Targets::Selector(selector), Some(declared)) = (&ask.targets, &ask.topology)
            && let Err(unknown) = declared.topology.check(selector)
        {
            let why = Why::of(ask.method);
            return Some(Err(Nobody::Final(why.fault(&unknown.to_string()))));
        }
        if !node.mesh().has_joined() {
            return None;
        }
        node.mesh().with_view(|view| {
            view.is_complete().then(|| match Self::look(node, ask, view) {
                Ok(roster) => Ok(Self { complete: true, ..roster }),
                Err(Nobody::Final(why)) => Err(Nobody::Final(why)),
                Err(nobody) => Err(tried::<M>(node, nobody)),
            })
        })
    }

    async fn wait_for<M: Method>(
        node: &Node,
        ask: &mut Ask<'_, M>,
        wait: Wait,
    ) -> Result<Self, Nobody> {
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
            if wait != Wait::Never {
                ask.local = node.serving::<M::Api>(ask.method.service_name());
            }
            if complete || look_anyway {
                nobody = match Self::look(node, ask, &view) {
                    Ok(roster) => return Ok(Self { complete, ..roster }),
                    Err(Nobody::Final(why)) => return Err(Nobody::Final(why)),
                    Err(nobody) if complete => return Err(tried::<M>(node, nobody)),
                    Err(nobody) if wait == Wait::Never => return Err(tried::<M>(node, nobody)),
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
                    Some(nobody) => return Err(tried::<M>(node, nobody)),
                    None => look_anyway = true,
                },
            }
        }
    }

    /// Looks once.
    fn look<M: Method>(
        node: &Node,
        ask: &mut Ask<'_, M>,
        view: &Arc<View>,
    ) -> Result<Self, Nobody> {
        let here = ask.local.as_ref().is_some_and(|served| !served.is_closed());
        let plain = !here && ask.version.is_none() && matches!(ask.targets, Targets::Anyone);
        let key = (ask.method.wire_id(), ask.method.key());
        if let Some(targets) = plain.then(|| node.known().get(view, &key)).flatten() {
            return Ok(Self { targets, itself: None, complete: false });
        }
        let sought = sought(node, ask);
        let Found { nodes: mut targets, other_shape } = sought.find(view);
        if targets.is_empty() {
            return Err(match other_shape {
                Some((node, theirs)) if !matches!(ask.targets, Targets::Pick(_)) => {
                    Nobody::Incompatible(node, theirs)
                }
                _ => Nobody::Why(sought.why(view, node)),
            });
        }
        if let Targets::Pick(_) = &ask.targets {
            targets = picked::<M>(node, ask, view, &targets)?;
        }
        let itself = targets.iter().position(|target| target.id == node.id());
        let targets: Arc<[_]> = targets.into();
        if plain {
            node.known().put(view, key, &targets);
        }
        Ok(Self { targets, itself, complete: false })
    }

    /// Makes it the roster of a vote: leaves out nodes that the topology, if there is one, does not
    /// name, or not with the tags that are asked for, and of several living nodes under one name
    /// all but one, so that each name is counted once. The one is the latest to have started of
    /// those that answer: the others are mostly earlier lives of it that are not known to be over.
    pub(crate) fn keep_voters(
        &mut self,
        node: &Node,
        topology: Option<&Topology>,
        selector: Option<&Selector>,
    ) {
        let declared = |name: &str| {
            topology.is_none_or(|topology| {
                topology.tags_of(name).is_some_and(|tags| {
                    selector.is_none_or(|selector| selector.matches(name, tags))
                })
            })
        };
        let view = node.mesh().view();
        let rank = |target: &NodeRef| {
            let record = view.node(&target.id).and_then(|known| known.record.as_ref());
            let started = record.map_or(0, |record| record.incarnation);
            (!node.mesh().peer(&target.id).suspect, started)
        };
        let mut kept: Vec<NodeRef> = Vec::new();
        for target in self.targets.iter().filter(|target| declared(&target.name)) {
            match kept.last_mut().filter(|last| last.name == target.name) {
                Some(last) => {
                    if rank(target) > rank(last) {
                        *last = target.clone();
                    }
                }
                None => kept.push(target.clone()),
            }
        }
        self.targets = kept.into();
        self.itself = self.targets.iter().position(|target| target.id == node.id());
    }

    /// What a call to one of them draws from. Where there is no choice, it takes no turn from
    /// the calls that have one.
    pub(crate) fn draw<M: Method>(&self, node: &Node, ask: &Ask<'_, M>) -> Draw {
        let method = ask.method.wire_id();
        let turns = match &ask.targets {
            _ if ask.policy != Policy::RoundRobin || self.targets.len() < 2 => None,
            Targets::Anyone => Some(Turns::of_method(method)),
            Targets::Selector(selector) => Some(Turns::of_selector(method, selector)),
            Targets::Node(_) | Targets::Pick(_) | Targets::Nodes(_) => None,
        };
        node.choices().draw(turns)
    }

    /// The order in which one of them is asked: by the policy of the call. Those that do not
    /// answer, or that failed calls lately, come last.
    pub(crate) fn order<M: Method>(&self, node: &Node, ask: &Ask<'_, M>, draw: &mut Draw) -> Order {
        if self.targets.len() == 1 {
            return Order::from(vec![0]);
        }
        let look = Look { node, targets: &self.targets, itself: self.itself, local: &ask.local };
        Order::new(look, ask.policy, draw)
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
    let why = Why::of(ask.method);
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

/// What the call looks for.
fn sought<'a, M: Method>(node: &Node, ask: &'a Ask<'_, M>) -> Sought<'a> {
    Sought {
        client: Some(M::Api::INFO),
        global: M::Api::INFO.is_global(),
        service: ask.method.service_name(),
        method: ask.method.method_name(),
        id: ask.method.wire_id(),
        key: Some(ask.method.key()),
        whom: Whom::of(&ask.targets),
        version: Wanted::of(ask.version.as_ref(), ask.local.as_deref()),
        itself: node.id(),
        here: Here::of(node, ask.method.service_name(), ask.local.as_deref()),
    }
}

/// The waiting is over: say what this node tried in order to join.
fn tried<M: Method>(node: &Node, nobody: Nobody) -> Nobody {
    match nobody {
        Nobody::Why(why) => Nobody::Why(while_joining(node, why, M::Api::INFO.is_global())),
        nobody => nobody,
    }
}

/// Adds what this node tried in order to join, or to find more nodes, and that it has met none if
/// others serve what is `global`.
pub(crate) fn while_joining(node: &Node, why: Why, global: bool) -> Why {
    let joining = node.mesh().joining();
    let joining = joining.borrow();
    match joining.joined {
        true => {
            // The mesh may have met somebody just now.
            let alone = global && !joining.met && why.nodes().len() < 2;
            let why = if alone { why.alone() } else { why };
            joining.tried.iter().fold(why, |why, tried| why.unmet(&tried.target, &tried.outcome))
        }
        false if joining.tried.is_empty() => why.joining("its seeds", "no answer yet"),
        false => {
            let tried = joining.tried.iter();
            tried.fold(why, |why, tried| why.joining(&tried.target, &tried.outcome))
        }
    }
}
