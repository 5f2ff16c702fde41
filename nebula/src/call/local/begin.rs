//! The first poll of a call that stays in this process, which for most is the last: the body runs
//! in its place in the gate, inside the panic guard and the scope of inheritance, and nothing is
//! merged, cloned, boxed or timed for a later that does not come.

use std::sync::Arc;
use std::task::{self, Poll};

use macula::rpc::admission::Pass;

use super::body::body;
use super::running::{Broken, Running};
use super::{Local, Stage};
use crate::call::ask::Ask;
use crate::call::heard::Heard;
use crate::call::times::Times;
use crate::call::unary::Call;
use crate::call::unicast::Answer;
use crate::context::{Context, Scope};
use crate::node::Node;
use crate::service::method::Method;
use crate::service::plugin::run::Stopped;
use crate::service::served::Served;

/// Polls a call of a service of this process for the first time. Most calls need no more than
/// that: nothing is cloned, boxed or timed for later before the body turns out to be pending.
///
/// # Errors
///
/// The call as it goes on, if it does.
#[inline]
pub(crate) fn begin<M: Method>(
    call: &mut Call<'_, M>,
    times: Times,
    served: &Arc<Served>,
    node: Option<&Node>,
    task: &mut task::Context<'_>,
) -> Result<Answer<M>, Box<Local<M>>> {
    if M::INFO.is_spawned() {
        return Err(later(call, times, served, node));
    }
    let Some(place) = served.gate(M::INFO.position()).pass() else {
        return Err(later(call, times, served, node));
    };
    if served.is_closed() {
        // It may have been idle when it was asked, before this place was taken.
        drop(place);
        return Err(later(call, times, served, node));
    }
    let headers = times.headers(call);
    let mut scope = Scope::new(times.term(), None, headers.clone());
    let cx = Context::new(node.map(Node::as_caller), times.term(), None, headers);
    let body = match body::<M>(served, cx, &mut scope, &mut call.args) {
        Some(Ok(body)) => body,
        Some(Err(stopped)) => return Err(refused(call, times, served, node, *stopped)),
        None => return Ok(Err(later(call, times, served, node).incompatible())),
    };
    let mut running = Running::<M, _> { body: Some(body), scope, place: Some(place) };
    match running.poll(task) {
        Ok(Poll::Ready(reply)) => Ok(reply),
        Ok(Poll::Pending) => goes_on(later(call, times, served, node), running, task),
        Err(Broken::Panicked(message)) => {
            Ok(Err(later(call, times, served, node).panicked(message)))
        }
        Err(Broken::Stopped(stopped)) => Err(refused(call, times, served, node, *stopped)),
    }
}

impl<M: Method> Local<M> {
    /// The same, of which somebody asks for what goes back beside its reply.
    pub(crate) fn heard(self, heard: Option<Heard>) -> Self {
        Self { heard, ..self }
    }
}

/// The call with all that it may need from here on.
#[cold]
pub(crate) fn later<M: Method>(
    call: &mut Call<'_, M>,
    times: Times,
    served: &Arc<Served>,
    node: Option<&Node>,
) -> Box<Local<M>> {
    let ask = Ask::of(call, times);
    let version = ask.version.clone();
    Box::new(ask.local(Arc::clone(served), node.cloned()).requiring(version))
}

/// A call that a plugin has refused, which may be made elsewhere.
#[cold]
fn refused<M: Method>(
    call: &mut Call<'_, M>,
    times: Times,
    served: &Arc<Served>,
    node: Option<&Node>,
    stopped: Stopped<M::Args>,
) -> Box<Local<M>> {
    let mut local = later(call, times, served, node);
    local.stage = Stage::Refused(local.stopped(stopped));
    local
}

/// Goes on with a body that waits, of which its own deadline is watched from now on.
#[cold]
fn goes_on<M: Method>(
    mut local: Box<Local<M>>,
    mut running: Running<M, Pass<'_>>,
    task: &mut task::Context<'_>,
) -> Result<Answer<M>, Box<Local<M>>> {
    let (body, place) = (running.body.take(), running.place.take().map(Pass::keep));
    let scope = std::mem::replace(&mut running.scope, Scope::empty());
    local.stage = Stage::Running(Running { body, scope, place });
    match local.poll_end(task) {
        Poll::Ready(error) => Ok(Err(error)),
        Poll::Pending => Err(local),
    }
}
