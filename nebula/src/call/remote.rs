//! Calls through a node: whom to ask among the nodes it knows.
//!
//! A node that knows no other one asks itself, if it is meant, and says otherwise why not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::several::Legs;
use super::unicast::{Answer, Ask, Targets};
use super::{CallError, NodeRef, Why};
use crate::node::Node;
use crate::nodes::Nodes;
use crate::service::input::panic_message;
use crate::service::method::Method;
use crate::service::served::Served;

/// Asks one node.
pub(crate) fn unicast<'a, M: Method>(node: &Node, mut ask: Ask<'a, M>) -> BoxFuture<'a, Answer<M>> {
    match itself::<M>(node, &mut ask) {
        Ok(served) => ask.local(served, Some(node.clone())).boxed(),
        Err(why) => futures_util::future::ready(Err(CallError::NoProvider(why))).boxed(),
    }
}

/// Finds whom to ask among several. Nothing is sent before the results are polled.
pub(crate) fn fan_out<'a, M: Method>(node: &Node, mut ask: Ask<'a, M>) -> BoxFuture<'a, Legs<M>> {
    let configured = node.topology().map(|topology| match &ask.targets {
        Targets::Anyone => topology.len(),
        Targets::Selector(selector) => topology.configured(selector).len(),
        Targets::Node(_) | Targets::Pick(_) => 1,
    });
    let legs = match itself::<M>(node, &mut ask) {
        Ok(served) => {
            let target = NodeRef { id: node.id(), name: node.name().into() };
            Legs::one(target, ask.local(served, Some(node.clone())))
        }
        Err(why) => Legs::none(why, ask.deadline),
    };
    let configured = configured.unwrap_or(legs.targets.len());
    futures_util::future::ready(Legs { configured, ..legs }).boxed()
}

/// The asking node's own service, if the call is for it.
pub(crate) fn itself<M: Method>(node: &Node, ask: &mut Ask<'_, M>) -> Result<Arc<Served>, Why> {
    let why = Why::new(M::INFO.service_name(), M::INFO.method_name());
    let Some(served) = ask.local.take() else {
        return Err(match node.served(M::INFO.service_name()) {
            Some(_) => why.node(node.name(), "serves another contract of this name"),
            None => why.node(node.name(), "does not serve it"),
        });
    };
    if served.draining() {
        return Err(why.node(node.name(), "is shutting down"));
    }
    let info = node.info();
    match std::mem::replace(&mut ask.targets, Targets::Anyone) {
        Targets::Anyone => {}
        Targets::Selector(selector) => {
            if let Some(clause) = selector.rejecting_clause(info.name(), info.tags()) {
                return Err(why.node(node.name(), &clause));
            }
        }
        Targets::Node(id) => {
            if id != node.id() {
                return Err(why
                    .node(node.name(), "is not the node asked for")
                    .node(&id.to_string(), "is not known"));
            }
        }
        Targets::Pick(pick) => {
            let nodes = Nodes::new(vec![info]);
            match catch_unwind(AssertUnwindSafe(|| pick(nodes))) {
                Ok(picked) if picked.iter().any(|picked| picked.id() == node.id()) => {}
                Ok(_) => return Err(why.node(node.name(), "was not picked")),
                Err(panic) => {
                    let reason =
                        format!("the closure that picks panicked: {}", panic_message(panic));
                    return Err(why.node(node.name(), &reason));
                }
            }
        }
    }
    Ok(served)
}
