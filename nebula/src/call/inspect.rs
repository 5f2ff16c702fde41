//! What can be said of a call without making it. Nothing here sends or waits.

use macula::identity::NodeId;

use super::engine::reach::{Here, Sought, Wanted, Whom};
use super::engine::roster::while_joining;
use super::handle::Place;
use super::local::ALONE;
use super::unary::{Call, Target};
use super::{NodeRef, Why};
use crate::node::Node;
use crate::nodes::{Selector, UnknownInSelector};
use crate::service::method::{Method, Service as _};
use crate::service::served::Served;

impl<M: Method, Targets> Call<'_, M, Targets> {
    /// What would keep each known node from being asked, and which ones can be asked, as known
    /// here and now: the explanation that [`NoProvider`](super::CallError::NoProvider) gives when
    /// there is none. It sends nothing and waits for nothing, where the call itself would wait
    /// while this node is still joining.
    ///
    /// The selector is the one that holds: that of the call, else of the client, the method or the
    /// service. A closure given to [`pick`](Call::pick) is not run, since it may be run only once:
    /// the nodes it would be shown count as those that can be asked.
    pub fn why(&self) -> Why {
        match &self.shared.place {
            Place::Alone(_) => Why::of(self.shared.method(M::INFO)).available(ALONE),
            Place::Node { node, local } => explain(
                node,
                &self.sought(node, local.of::<M::Api>().as_deref().map(|served| &**served)),
            ),
        }
    }

    /// Who would be asked now, in the order of their names: one of them by an awaited call, each
    /// of them by [`all`](Self::all). Empty if the selector names what the topology does not. For
    /// a closure see [`why`](Self::why). Nothing is sent.
    pub fn available_nodes(&self) -> Vec<NodeRef> {
        match &self.shared.place {
            Place::Alone(_) => {
                vec![NodeRef { id: NodeId::from_bytes([0; 32]), name: ALONE.into() }]
            }
            Place::Node { node, local } => available(
                node,
                &self.sought(node, local.of::<M::Api>().as_deref().map(|served| &**served)),
            ),
        }
    }

    /// The full names of the nodes that the topology declares and the call is for, live or not,
    /// sorted: those that [`majority`](super::majority) counts. A call without a selector is for
    /// all of them.
    ///
    /// Empty without a topology, for a client without a node, and where a closure picks: then there
    /// is nothing that says how many nodes there should be.
    pub fn configured_nodes(&self) -> Vec<String> {
        match &self.shared.place {
            Place::Alone(_) => Vec::new(),
            Place::Node { node, local } => configured(
                node,
                &self.sought(node, local.of::<M::Api>().as_deref().map(|served| &**served)),
            ),
        }
    }

    fn sought<'s>(&'s self, node: &Node, local: Option<&'s Served>) -> Sought<'s> {
        let whom = match &self.target {
            Target::Node(id) => Whom::Node(id),
            Target::Pick(_) => Whom::Offered,
            Target::Unsaid => Whom::by(self.shared.effective(self.options.selector(), M::INFO)),
        };
        let method = self.shared.method(M::INFO);
        Sought {
            client: Some(M::Api::INFO),
            global: M::Api::INFO.is_global(),
            service: method.service_name(),
            method: method.method_name(),
            id: method.wire_id(),
            key: Some(method.key()),
            whom,
            version: Wanted::of(self.shared.options.requirement(), local),
            itself: node.id(),
            here: Here::of(node, method.service_name(), local),
        }
    }
}

/// What keeps each known node from being asked, and who can be.
pub(crate) fn explain(node: &Node, sought: &Sought<'_>) -> Why {
    let why = sought.why(&node.mesh().view(), node);
    match fault(node, &sought.whom) {
        Some(fault) => why.fault(&fault.to_string()),
        None if why.askable() > 0 => why,
        None => while_joining(node, why, sought.global),
    }
}

/// Who would be asked, by name.
pub(crate) fn available(node: &Node, sought: &Sought<'_>) -> Vec<NodeRef> {
    match fault(node, &sought.whom) {
        Some(_) => Vec::new(),
        None => sought.find(&node.mesh().view()).nodes,
    }
}

/// Who is declared and meant, by name.
pub(crate) fn configured(node: &Node, sought: &Sought<'_>) -> Vec<String> {
    let Some(topology) = node.topology() else { return Vec::new() };
    let declared = |selector: &Selector| {
        topology.configured(selector).into_iter().map(str::to_owned).collect()
    };
    match sought.whom {
        Whom::Anyone => declared(&Selector::any()),
        Whom::Selector(selector) => declared(selector),
        Whom::Node(id) => {
            let view = node.mesh().view();
            let record = view.node(id).and_then(|known| known.record.as_ref());
            let name = record.map(|record| record.name.clone());
            name.filter(|name| topology.contains(name)).into_iter().collect()
        }
        Whom::Picked(_) | Whom::Offered => Vec::new(),
    }
}

/// What keeps a call from being made whoever is there.
fn fault(node: &Node, whom: &Whom<'_>) -> Option<UnknownInSelector> {
    let (Whom::Selector(selector), Some(topology)) = (whom, node.topology()) else { return None };
    topology.check(selector).err()
}
