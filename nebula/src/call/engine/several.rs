//! One attempt on each of several nodes, all at once.

use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{FutureExt, future::BoxFuture};

use macula::rpc::{Headers, Moved};

use super::arguments::Arguments;
use super::leg::{self, Patience};
use super::roster::{Roster, Wait};
use crate::call::ask::{Ask, Targets};
use crate::call::local::Local;
use crate::call::several::{Clock, Clocks, Disagreement, Legs, Told, here};
use crate::call::{Attempt, CallError, Executed, Log, NodeRef, Outcome, Path, Phase, Why};
use crate::node::Node;
use crate::nodes::Selector;
use crate::service::info::Stragglers;
use crate::service::method::Method;

/// Finds whom to ask. Nothing is sent before the results are polled.
///
/// For a vote, only nodes that the configuration names are asked, each name once. A call that was
/// refused before it began does not wait for anything.
pub(crate) async fn legs<M: Method>(node: Node, mut ask: Ask<'_, M>, vote: bool) -> Legs<M> {
    let selector = match &ask.targets {
        Targets::Selector(selector) => Some(selector.clone()),
        Targets::Anyone | Targets::Node(_) | Targets::Pick(_) | Targets::Nodes(_) => None,
    };
    let one = matches!(ask.targets, Targets::Node(_));
    let chosen = matches!(ask.targets, Targets::Pick(_));
    // One value for the check, the targets and the number of the configured.
    let declared = ask.topology.take().or_else(|| node.declared());
    ask.topology = declared.clone();
    let topology = declared.as_deref().map(|declared| &*declared.topology);
    let wait = if ask.refused.is_some() { Wait::Never } else { Wait::Everybody };
    let (mut roster, why) = match Roster::find(&node, &mut ask, wait).await {
        Ok(roster) => (roster, Why::of(ask.method)),
        Err(nobody) => {
            let joined = node.mesh().joining().borrow().joined;
            let complete = joined && node.mesh().view().is_complete();
            (
                Roster { targets: Arc::default(), itself: None, complete },
                nobody.into_why(ask.method),
            )
        }
    };
    if ask.refused.is_none() && tokio::time::Instant::now() >= ask.term.deadline() {
        ask.refused = Some(CallError::Deadline(Log::default()));
    }
    let refused = ask.refused.clone();
    if vote && !chosen && !one {
        roster.keep_voters(&node, topology, selector.as_ref());
    }
    let disagreement = (vote && !chosen && !one).then(|| {
        let ours = declared.as_deref().map(|declared| declared.hash);
        Disagreement::among(ours, &roster.targets, &node.id(), &node.mesh().view())
    });
    let why = match topology.filter(|_| vote && !chosen && !one) {
        Some(topology) => {
            let declared = topology.configured(selector.as_ref().unwrap_or(&Selector::any()));
            let missing = declared
                .into_iter()
                .filter(|name| roster.targets.iter().all(|target| *target.name != **name));
            missing.fold(why, |why, name| why.because(name, "is not there, or not for this call"))
        }
        None => why,
    };
    let live = roster.targets.len();
    let configured = match (topology, &selector) {
        _ if chosen => live,
        _ if one => 1,
        (Some(topology), Some(selector)) => topology.configured(selector).len(),
        (Some(topology), None) => topology.len(),
        (None, selector) => {
            let method = ask.method.wire_id();
            node.live().seen_serving(node.mesh(), method, selector.as_ref()).max(live)
        }
    };
    // Without a topology, the others are known only once they have been heard of.
    let certain = chosen || one || topology.is_some() || roster.complete;
    let mut arguments = Arguments::<M>::new(&node, ask.started, ask.args.take());
    let mut clocks = Vec::new();
    let mut calls: Vec<BoxFuture<'static, Told<M>>> = Vec::new();
    for (at, target) in roster.targets.iter().enumerate() {
        if let (true, Some(served)) = (roster.itself == Some(at), &ask.local) {
            let (served, watch) = (Arc::clone(served), ask.watch.clone());
            let times = (ask.started, ask.term);
            let (clock, call) = match arguments.take(roster.targets.len() > 1) {
                Ok(args) => {
                    let node = Some(node.clone());
                    let call = Local::<M>::new(served, node, Some(args), times, watch);
                    let mut call = call.with(ask.headers.clone());
                    let lease = call.lease();
                    let clock = Clock::Here(lease.clone());
                    (clock, async move { here(at, call, &lease).await }.boxed())
                }
                Err(error) => {
                    let clock = Clock::there(ask.term, Moved::default());
                    (clock, std::future::ready((at, Err(error), Headers::new())).boxed())
                }
            };
            clocks.push(clock);
            calls.push(call);
            continue;
        }
        let body = arguments.encoded();
        let (node, target) = (node.clone(), target.clone());
        let (method, term, moved, watch) =
            (ask.method, ask.term, Moved::default(), ask.watch.clone());
        let headers = ask.headers.clone();
        clocks.push(Clock::there(term, moved.clone()));
        calls.push(
            async move {
                let body = match body {
                    Ok(body) => body,
                    Err(error) => return (at, Err(error), Headers::new()),
                };
                // A silent node is one of the targets all the same.
                let watch = watch.as_ref();
                let patience = Patience { term, moved: Some(moved), moves_on: false, headers };
                let made = leg::remote::<M>(&node, method, &target, body, patience, watch).await;
                match made {
                    Ok((reply, headers)) => (at, reply.map_err(CallError::App), headers),
                    Err(broken) => {
                        (at, Err(broken.into_error(method, Log::default())), Headers::new())
                    }
                }
            }
            .boxed(),
        );
    }
    let started = ask.started;
    let itself = roster.itself;
    let silent = move |at: usize, target: &NodeRef, outcome: Outcome| {
        let path = if itself == Some(at) { Path::Local } else { Path::Direct };
        Log::from(Attempt {
            node: Some(target.id),
            name: Arc::clone(&target.name),
            path,
            phase: Phase::Run,
            elapsed: started.elapsed(),
            outcome,
            executed: Executed::Unknown,
        })
    };
    let mut legs = Legs {
        targets: roster.targets.to_vec(),
        configured,
        certain,
        disagreement: disagreement.flatten(),
        why,
        started: ask.started,
        clocks: clocks.into_iter().collect::<Clocks>(),
        latest: ask.term.deadline() + ask.term.room(),
        stragglers: Stragglers::Cancel,
        node: Some(node),
        results: calls.into_iter().collect::<FuturesUnordered<_>>().boxed(),
        log: Box::new(silent),
    };
    if let Some(refused) = refused {
        legs.refuse(refused);
    }
    legs
}
