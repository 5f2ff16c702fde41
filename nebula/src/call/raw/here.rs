//! A call by name of a service of the own node: through its gates and plugins, as any other.

use std::sync::Arc;

use bytes::Bytes;
use macula::rpc::admission::Entry;
use macula::rpc::{Answer, Failure, Fault, Lease, Phase as Stage, Term};
use tokio::runtime::Handle;
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, timeout_at};

use super::ended::{Made, ended};
use super::known::Known;
use crate::call::spawned::spawned;
use crate::call::{Attempt, Executed, Path};
use crate::context::{Context, Scope};
use crate::service::codec::Codec;
use crate::service::info::MethodInfo;
use crate::service::input::{Input, Started};
use crate::service::served::Served;
use crate::trace::call::asks;
use crate::trace::serve::started;

/// The method of this wire name.
pub(super) fn find(served: &Served, method: &str) -> Option<&'static MethodInfo> {
    served.info().methods().iter().find(|known| known.method_name() == method).copied()
}

/// Asks the service of the own node.
pub(super) async fn ask(call: &Known<'_>, served: &Arc<Served>, body: Bytes, term: Term) -> Made {
    asks(call.node.name());
    let began = Instant::now();
    let lease = Lease::new(term);
    let mut hooked = false;
    let result = run(call, served, body, (term, &lease), &mut hooked).await;
    // Here it is known that it had begun, unless a plugin may be what took so long.
    let ran = !hooked && matches!(result, Err(Failure::Deadline { phase: Stage::Run }));
    let attempt = |phase, outcome, executed| Attempt {
        node: Some(call.node.id()),
        name: call.node.name().into(),
        path: Path::Local,
        phase,
        elapsed: began.elapsed(),
        outcome,
        executed: if ran { Executed::Yes } else { executed },
    };
    ended(result, term, attempt).map_err(|broken| *broken)
}

async fn run(
    call: &Known<'_>,
    served: &Arc<Served>,
    body: Bytes,
    (term, lease): (Term, &Lease),
    hooked: &mut bool,
) -> Result<Answer, Failure> {
    let method = find(served, &call.call.method).ok_or(Failure::UnknownMethod)?;
    let left = || term.deadline().saturating_duration_since(Instant::now());
    let late = |_| Failure::Deadline { phase: Stage::Queue };
    if served.is_closed() {
        return Err(Failure::Draining);
    }
    let permit = match served.gate(method.position()).enter_for(left) {
        Entry::Admitted(permit) => permit,
        Entry::Queued(waiting) => timeout_at(term.deadline(), waiting).await.map_err(late)?,
        Entry::Refused { retry_after } => {
            call.node.mesh().note_overloaded();
            return Err(Failure::Overloaded { retry_after });
        }
    };
    if served.is_closed() {
        // It was closed while this waited for its turn.
        return Err(Failure::Draining);
    }
    // Its plugins may be others by now.
    let now = call.node.served(&call.call.service).filter(|now| now.is_form_of(served));
    let served = now.as_ref().unwrap_or(served);
    *hooked = served.chain().lasts();
    // The body goes before its place does.
    let mut place = Some(permit);
    let cx =
        Context::new(Some(call.node.as_caller()), term, Some(lease.clone()), call.headers.clone());
    let input = Input::wire(body).coded(Codec::Json).through(served);
    let mut body = match started(served, method.position(), cx, input) {
        Started::Body(body) => body,
        Started::Refused(fault) => return Err(failure(fault)),
        Started::Filled | Started::Unknown => return Err(Failure::UnknownMethod),
    };
    if method.is_spawned()
        && let Some(permit) = place.take()
    {
        // Its inheritance is inside it.
        body = Box::pin(spawned(&Handle::current(), body, Scope::empty(), permit));
    }
    let waiting = Waiting(Some(lease));
    let ended = tokio::select! {
        biased;
        ended = &mut body => ended,
        () = unconstrained(lease.expired()) => return Err(Failure::Deadline { phase: Stage::Run }),
    };
    waiting.over();
    ended.map_err(failure)
}

/// Somebody waits for the call. Dropped before its end, it tells whoever watches the context.
struct Waiting<'l>(Option<&'l Lease>);

impl Waiting<'_> {
    fn over(mut self) {
        self.0 = None;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(lease) = self.0 {
            lease.cancel();
        }
    }
}

/// The same as it is told to a caller elsewhere.
fn failure(fault: Fault) -> Failure {
    match fault {
        Fault::Malformed(why) => Failure::Malformed(why),
        Fault::Panicked(why) => Failure::Panicked(why),
        Fault::Unwritable(why) => Failure::ReplyUnwritable(why),
        Fault::Denied(why) => Failure::Denied(why),
        Fault::Overloaded { retry_after } => Failure::Overloaded { retry_after },
        Fault::Expired => Failure::Deadline { phase: Stage::Queue },
        Fault::Overran => Failure::Overran,
        Fault::Draining => Failure::Draining,
    }
}
