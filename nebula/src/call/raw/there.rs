//! A call by name of a service of another node.

use bytes::Bytes;
use macula::rpc::{Answer, Moved, Request, Response, Term};
use tokio::time::Instant;

use super::ended::{Made, ended};
use super::known::Known;
use crate::call::NodeRef;
use crate::call::engine::leg;
use crate::nodes::measures;
use crate::trace::call::asks;

/// Asks a node over the mesh; if it falls silent, the call `moves_on` to others, perhaps.
pub(super) async fn ask(
    call: &Known<'_>,
    target: &NodeRef,
    key: [u8; 8],
    body: Bytes,
    term: Term,
    moves_on: bool,
) -> Made {
    asks(&target.name);
    let (began, moved) = (Instant::now(), Moved::default());
    let request = Request {
        method: call.id,
        key,
        body,
        term,
        headers: call.headers.clone(),
        moved: Some(moved.clone()),
        sent: None,
        leave_if_silent: moves_on,
    };
    let (node, times) = (call.node, (began, term.deadline(), Some(moved)));
    let trouble = node.live().trouble();
    let watched = trouble.watch(node.choices(), (target.id, &*target.name), times);
    let response = node.mesh().call_to(target.id, request).await;
    watched.ends(leg::verdict(&response.result), response.term.deadline());
    let attempt = |phase, outcome, executed| leg::attempt(target, began, phase, outcome, executed);
    let Response { result, headers, term, .. } = response;
    ended(result.map(|body| Answer { body, headers }), term, attempt).map_err(|broken| {
        measures::failed(node.name(), &broken.attempt.outcome);
        *broken
    })
}
