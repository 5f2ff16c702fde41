//! One call to one node: what is decided once, before anything runs or is sent.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::CallError;
use super::ask::{Ask, policy};
use super::engine;
use super::engine::straight::{self, Next, Straight};
use super::handle::{Place, Shared};
use super::heard::Heard;
use super::local::{self, Local};
use super::times::{Times, unsendable};
use super::unary::{Call, Target};
use crate::declared::Declared;
use crate::node::Node;
use crate::nodes::Policy;
use crate::service::method::{Error, Method, Value};
use crate::service::served::Served;
use crate::service::slot::Found;
use crate::trace::call::{Calling, noticed, outcome};

/// What an awaited call of the method `M` gives.
pub(crate) type Answer<M> = Result<Value<M>, CallError<Error<M>>>;

/// The future of a [`Call`]. Nothing happens before its first poll; dropping it gives the call up.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Unicast<'a, M: Method>(State<'a, M>);

enum State<'a, M: Method> {
    Start(Call<'a, M>),
    /// Not begun either, and somebody asks for what goes back beside its answer.
    Heeded(Box<(Call<'a, M>, Heard)>),
    Local(Box<Local<M>>),
    /// On its way to another node, with nothing unusual so far.
    Straight(Box<Straight<'a, M>>),
    Remote(BoxFuture<'a, Answer<M>>),
    /// In a span, or before an interceptor.
    Shown(Box<Shown<'a, M>>),
    Done,
}

/// A call of which somebody wants to hear.
struct Shown<'a, M: Method> {
    call: Unicast<'a, M>,
    calling: Calling,
}

impl<'a, M: Method> Unicast<'a, M> {
    pub(crate) fn new(call: Call<'a, M>) -> Self {
        Self(State::Start(call))
    }

    /// One of whose answer it is `heard` what goes back beside it.
    pub(crate) fn heeded(call: Call<'a, M>, heard: Heard) -> Self {
        Self(State::Heeded(Box::new((call, heard))))
    }

    /// One that has its service in this process already.
    pub(crate) fn local(call: Local<M>) -> Self {
        Self(State::Local(Box::new(call)))
    }

    /// One that is made by the engine already.
    pub(crate) fn remote(call: BoxFuture<'a, Answer<M>>) -> Self {
        Self(State::Remote(call))
    }
}

impl<M: Method> Unpin for Unicast<'_, M> {}

impl<M: Method> Future for Unicast<'_, M> {
    type Output = Answer<M>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Self::Output> {
        if noticed() {
            self.show();
        }
        self.poll_quietly(task)
    }
}

impl<M: Method> Unicast<'_, M> {
    /// Shows a call that has not begun to those who intercept it, and begins its span, if somebody
    /// wants that.
    #[cold]
    #[inline(never)]
    fn show(&mut self) {
        let call = match &mut self.0 {
            State::Start(call) => call,
            State::Heeded(heeded) => &mut heeded.0,
            _ => return,
        };
        let Some(mut calling) = Calling::new(call, "one") else { return };
        let call = match std::mem::replace(&mut self.0, State::Done) {
            State::Start(call) if calling.is_intercepted() => Self::heeded(call, Heard::default()),
            call => Self(call),
        };
        if let State::Heeded(heeded) = &call.0 {
            calling.hears(&heeded.1);
        }
        self.0 = State::Shown(Box::new(Shown { call, calling }));
    }

    #[inline]
    fn poll_quietly(&mut self, task: &mut task::Context<'_>) -> Poll<Answer<M>> {
        if let State::Start(call) = &mut self.0 {
            match start::<M, false>(call, None, task) {
                Ok(answer) => {
                    self.0 = State::Done;
                    return Poll::Ready(answer);
                }
                Err(next) => self.0 = next,
            }
            match &self.0 {
                State::Local(local) if local.has_begun() => return Poll::Pending,
                State::Straight(straight) if straight.is_sent() => return Poll::Pending,
                _ => {}
            }
        }
        self.go_on(task)
    }

    /// Polls a call that has begun. Apart, so that the first poll, which for most calls within this
    /// process is the last, has a small frame.
    #[inline(never)]
    fn go_on(&mut self, task: &mut task::Context<'_>) -> Poll<Answer<M>> {
        let polled = loop {
            match &mut self.0 {
                State::Local(local) => match Pin::new(&mut **local).poll(task) {
                    Poll::Ready(Err(error)) => match elsewhere(error, local) {
                        Ok(remote) => self.0 = State::Remote(remote),
                        Err(error) => break Poll::Ready(Err(error)),
                    },
                    polled => break polled,
                },
                State::Straight(straight) => match straight.poll(task) {
                    Poll::Ready(Ok(answer)) => break Poll::Ready(answer),
                    Poll::Ready(Err(remote)) => self.0 = State::Remote(remote),
                    Poll::Pending => break Poll::Pending,
                },
                State::Heeded(heeded) => {
                    let (call, heard) = &mut **heeded;
                    match start::<M, true>(call, Some(heard), task) {
                        Ok(answer) => break Poll::Ready(answer),
                        Err(next) => self.0 = next,
                    }
                }
                State::Remote(remote) => break remote.as_mut().poll(task),
                State::Shown(shown) => {
                    let Shown { call, calling } = &mut **shown;
                    let polled = calling.poll(|| call.poll_quietly(task));
                    if let Poll::Ready(answer) = &polled {
                        calling.ends(outcome(answer));
                    }
                    break polled;
                }
                State::Start(_) | State::Done => return Poll::Pending,
            }
        };
        if polled.is_ready() {
            self.0 = State::Done;
        }
        polled
    }
}

impl<M: Method> fmt::Debug for Unicast<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unicast").field("method", &M::INFO.method_name()).finish_non_exhaustive()
    }
}

/// Begins a call, and ends it if its body is ready here and now. What a call may need later is
/// not merged, cloned or moved before it turns out to have a later, as one that is `HEEDED` has.
///
/// # Errors
///
/// How it goes on, if it does.
fn start<'a, M: Method, const HEEDED: bool>(
    call: &mut Call<'a, M>,
    heard: Option<&Heard>,
    task: &mut task::Context<'_>,
) -> Result<Answer<M>, State<'a, M>> {
    let times = if HEEDED { Times::apart(call) } else { Times::of(call) };
    if let Some(refused) = times.refused().or_else(|| unsendable(call)) {
        return Ok(Err(refused.widen()));
    }
    let shared: &'a Shared = call.shared;
    let (found, node) = match &shared.place {
        Place::Alone(served) => (Found::First(served), None),
        Place::Node { node, local } => match local.of::<M::Api>() {
            Some(found) if !found.is_closed() && stays_here(call, node, &found) => {
                (found, Some(node))
            }
            found => {
                let local = found.map(Found::keep);
                return remote(call, times, node, local, heard, task);
            }
        },
    };
    if HEEDED {
        let local = local::later(call, times, &found, node);
        return Err(State::Local(Box::new(local.heard(heard.cloned()))));
    }
    local::begin(call, times, &found, node, task).map_err(State::Local)
}

/// The call as it is made through `node` to whoever serves the method.
///
/// # Errors
///
/// How it goes on, if it does.
#[inline(never)]
fn remote<'a, M: Method>(
    call: &mut Call<'a, M>,
    times: Times,
    node: &'a Node,
    local: Option<Arc<Served>>,
    heard: Option<&Heard>,
    task: &task::Context<'_>,
) -> Result<Answer<M>, State<'a, M>> {
    let mut ask = Ask::of(call, times);
    ask.local = local;
    ask.heard = heard.cloned();
    if ask.hedge {
        return Err(State::Remote(engine::hedged::run(node.clone(), ask).boxed()));
    }
    match straight::begin(node, ask, task) {
        Next::Ended(answer) => Ok(answer),
        Next::Straight(straight) => Err(State::Straight(straight)),
        Next::Longer(longer) => Err(State::Remote(longer)),
    }
}

/// Whether `node` answers the call if it serves the method, without looking at others.
pub(crate) fn stays_here<M: Method>(call: &Call<'_, M>, node: &Node, served: &Served) -> bool {
    let meant = match &call.target {
        Target::Node(id) => *id == node.id(),
        Target::Pick(_) => false,
        Target::Unsaid => {
            matches!(policy(call), Policy::LocalFirst | Policy::Closest)
                && call.shared.effective(call.options.selector(), M::INFO).is_none_or(|selector| {
                    // A selector that makes no sense is refused wherever it is used.
                    let checked = |told: Arc<Declared>| told.topology.check(selector).is_ok();
                    selector.matches(node.name(), node.tags())
                        && node.declared().is_none_or(checked)
                })
        }
    };
    let version = call.shared.options.requirement();
    meant && !call.hedge && version.is_none_or(|version| version.takes(served.version()))
}

/// Goes on with the other nodes that the call is for, if this one refused to begin. That is a retry
/// like any other.
fn elsewhere<'a, M: Method>(
    refused: CallError<Error<M>>,
    local: &mut Local<M>,
) -> Result<BoxFuture<'a, Answer<M>>, CallError<Error<M>>> {
    if !matches!(refused, CallError::Overloaded { .. } | CallError::NoProvider(_)) {
        return Err(refused);
    }
    let Some((node, ask)) = local.unbegun() else { return Err(refused) };
    let view = node.mesh().view();
    let others = view.providers(ask.method.wire_id()).iter();
    let mut others = others.filter(|provider| provider.key == ask.method.key());
    if !others.any(|provider| provider.node != node.id()) {
        return Err(refused);
    }
    Ok(engine::unicast::run(node, ask, Some(refused)).boxed())
}
