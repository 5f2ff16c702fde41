//! One attempt on each of several nodes, all at once.

use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{FutureExt, future::BoxFuture};

use super::leg;
use super::roster::Roster;
use super::unicast::Arguments;
use crate::call::local::Local;
use crate::call::several::Legs;
use crate::call::unicast::{Answer, Ask, Targets};
use crate::call::{Attempt, CallError, Executed, Log, NodeRef, Outcome, Path, Phase, Why};
use crate::node::Node;
use crate::nodes::Selector;
use crate::service::method::Method;

/// Finds whom to ask. Nothing is sent before the results are polled.
///
/// For a vote, only nodes that the configuration names are asked, each name once.
pub(crate) async fn legs<M: Method>(node: Node, mut ask: Ask<'_, M>, vote: bool) -> Legs<M> {
    let selector = match &ask.targets {
        Targets::Selector(selector) => Some(selector.clone()),
        Targets::Anyone | Targets::Node(_) | Targets::Pick(_) => None,
    };
    let one = matches!(ask.targets, Targets::Node(_));
    let chosen = matches!(ask.targets, Targets::Pick(_));
    let mut roster = match Roster::find(&node, &mut ask).await {
        Ok(roster) => roster,
        Err(nobody) => {
            let mut legs = Legs::none(nobody.into_why::<M>(), ask.deadline);
            legs.configured = configured::<M>(&node, selector.as_ref(), one, 0);
            return legs;
        }
    };
    if vote && !chosen && !one {
        roster.keep_configured(&node);
    }
    let configured = if chosen {
        roster.targets.len()
    } else {
        configured::<M>(&node, selector.as_ref(), one, roster.targets.len())
    };
    let mut arguments = Arguments::<M>::new(ask.args.take());
    let mut calls: Vec<BoxFuture<'static, (usize, Answer<M>)>> = Vec::new();
    for (at, target) in roster.targets.iter().enumerate() {
        if let (true, Some(served)) = (roster.itself == Some(at), &ask.local) {
            let (served, watch) = (Arc::clone(served), ask.watch.clone());
            let times = (ask.started, ask.deadline);
            let call = match arguments.take(true) {
                Ok(args) => {
                    Local::<M>::new(served, Some(node.clone()), Some(args), times, watch).boxed()
                }
                Err(error) => std::future::ready(Err(error)).boxed(),
            };
            calls.push(call.map(move |answer| (at, answer)).boxed());
            continue;
        }
        let body = arguments.encoded();
        let (node, target) = (node.clone(), target.clone());
        let (deadline, watch) = (ask.deadline, ask.watch.clone());
        calls.push(
            async move {
                let body = match body {
                    Ok(body) => body,
                    Err(error) => return (at, Err(error)),
                };
                let made = leg::remote::<M>(&node, &target, body, deadline, watch.as_ref()).await;
                let answer = match made {
                    Ok(reply) => reply.map_err(CallError::App),
                    Err(broken) => Err(broken.into_error::<M>(Log::default())),
                };
                (at, answer)
            }
            .boxed(),
        );
    }
    let started = ask.started;
    let itself = roster.itself;
    let silent = move |at: usize, target: &NodeRef| {
        let path = if itself == Some(at) { Path::Local } else { Path::Direct };
        Log::from(Attempt {
            node: Some(target.id),
            name: Arc::clone(&target.name),
            path,
            phase: Phase::Run,
            elapsed: started.elapsed(),
            outcome: Outcome::TimedOut,
            executed: Executed::Unknown,
        })
    };
    Legs {
        targets: roster.targets,
        configured,
        why: Why::new(M::INFO.service_name(), M::INFO.method_name()),
        started: ask.started,
        deadline: ask.deadline,
        results: calls.into_iter().collect::<FuturesUnordered<_>>().boxed(),
        log: Box::new(silent),
    }
}

/// How many nodes should serve the call: those that the topology declares; without one, those
/// that this node has seen serving and that did not leave in good order.
fn configured<M: Method>(
    node: &Node,
    selector: Option<&Selector>,
    one: bool,
    live: usize,
) -> usize {
    if one {
        return 1;
    }
    match (node.topology(), selector) {
        (Some(topology), Some(selector)) => topology.configured(selector).len(),
        (Some(topology), None) => topology.len(),
        (None, selector) => node.live().seen_serving(M::INFO.wire_id(), selector).max(live),
    }
}
