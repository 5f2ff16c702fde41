//! One call to one node: what is decided once, before anything runs or is sent.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use macula::identity::NodeId;
use macula::rpc::{Headers, Term};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::engine;
use super::engine::straight::{self, Next, Straight};
use super::handle::{Place, Shared};
use super::local::{self, Local};
use super::unary::{Call, Pick, Target};
use super::{Attempt, CallError, Executed, Log, Outcome, Path, Phase, written};
use crate::context::{Context, Inherited};
use crate::declared::Declared;
use crate::node::Node;
use crate::nodes::{Policy, Selector, VersionRequirement};
use crate::service::method::{Error, Method, Service as _, Value};
use crate::service::served::Served;
use crate::service::slot::Found;
use crate::trace::call::{Calling, outcome};
use crate::trace::wanted;

/// What an awaited call of the method `M` gives.
pub(crate) type Answer<M> = Result<Value<M>, CallError<Error<M>>>;

/// The future of a [`Call`]. Nothing happens before its first poll; dropping it gives the call up.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Unicast<'a, M: Method>(State<'a, M>);

enum State<'a, M: Method> {
    Start(Call<'a, M>),
    Local(Box<Local<M>>),
    /// On its way to another node, with nothing unusual so far.
    Straight(Box<Straight<'a, M>>),
    Remote(BoxFuture<'a, Answer<M>>),
    /// In a span.
    Shown(Box<Shown<'a, M>>),
    Done,
}

/// A call whose span somebody wants.
struct Shown<'a, M: Method> {
    call: Unicast<'a, M>,
    calling: Calling,
}

impl<'a, M: Method> Unicast<'a, M> {
    pub(crate) fn new(call: Call<'a, M>) -> Self {
        Self(State::Start(call))
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
        if wanted() {
            self.show();
        }
        self.poll_quietly(task)
    }
}

impl<M: Method> Unicast<'_, M> {
    /// Begins the span of a call that has not begun, if somebody wants it.
    #[cold]
    #[inline(never)]
    fn show(&mut self) {
        let State::Start(call) = &mut self.0 else { return };
        let Some(calling) = Calling::new(call, "one") else { return };
        let call = Self(std::mem::replace(&mut self.0, State::Done));
        self.0 = State::Shown(Box::new(Shown { call, calling }));
    }

    #[inline]
    fn poll_quietly(&mut self, task: &mut task::Context<'_>) -> Poll<Answer<M>> {
        if let State::Start(call) = &mut self.0 {
            match start(call, task) {
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
/// not merged, cloned or moved before it turns out to have a later.
///
/// # Errors
///
/// How it goes on, if it does.
fn start<'a, M: Method>(
    call: &mut Call<'a, M>,
    task: &mut task::Context<'_>,
) -> Result<Answer<M>, State<'a, M>> {
    let times = Times::of(call);
    if let Some(refused) = times.refused().or_else(|| unwritable(call)) {
        return Ok(Err(refused.widen()));
    }
    let shared: &'a Shared = call.shared;
    let (found, node) = match &shared.place {
        Place::Alone(served) => (Found::First(served), None),
        Place::Node { node, local } => match local.of::<M::Api>() {
            Some(found) if !found.is_closed() && stays_here(call, node, &found) => {
                (found, Some(node))
            }
            found => return remote(call, times, node, found.map(Found::keep), task),
        },
    };
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
    task: &task::Context<'_>,
) -> Result<Answer<M>, State<'a, M>> {
    let mut ask = Ask::of(call, times);
    ask.local = local;
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
    let others = view.providers(M::INFO.wire_id()).iter();
    let mut others = others.filter(|provider| provider.key == M::INFO.key());
    if !others.any(|provider| provider.node != node.id()) {
        return Err(refused);
    }
    Ok(engine::unicast::run(node, ask, Some(refused)).boxed())
}

/// When a call began, and when and by what it ends.
pub(crate) struct Times {
    started: Instant,
    term: Term,
    /// In which headers the trace around it stands, if there is one.
    handed: Headers,
    /// Nobody wanted it any more before it began.
    given_up: bool,
}

impl Times {
    /// The times of a call that begins now. The clock is read once, here, and for most calls that
    /// stay in this process never again.
    #[inline]
    pub(crate) fn of<M: Method>(call: &Call<'_, M>) -> Self {
        let Call { shared, options, .. } = call;
        let usual = shared.limits(M::INFO);
        let said = usual.unless(options);
        let limits = said.as_ref().unwrap_or(usual);
        let inherited = Inherited::now();
        let within = shared.within.as_ref();
        let started = Instant::now();
        let outer = inherited.as_ref().map(|inherited| inherited.deadline);
        let outer = [outer, within.map(Context::deadline)];
        let term = limits.term(started, outer.into_iter().flatten().min());
        let given_up = inherited.as_ref().is_some_and(|inherited| inherited.cancelled)
            || within.is_some_and(|within| within.token().is_cancelled());
        let handed = match within {
            Some(within) => within.handed(),
            None => inherited.map_or_else(Headers::new, |inherited| inherited.handed),
        };
        Self { started, term, handed, given_up }
    }

    /// When it must end, as things stand at its beginning.
    pub(crate) fn term(&self) -> Term {
        self.term
    }

    /// What goes with the call: what is written on it, and the trace around it.
    #[inline]
    pub(crate) fn headers<M: Method>(&self, call: &Call<'_, M>) -> Headers {
        written::headers(&call.shared.options, &call.options, &self.handed)
    }

    /// Why nothing of the call may be sent or run, if it was over before it began.
    #[inline]
    fn refused(&self) -> Option<CallError> {
        match self.term.deadline() <= self.started {
            _ if self.given_up => Some(CallError::Cancelled(Log::default())),
            true => Some(CallError::Deadline(Log::default())),
            false => None,
        }
    }
}

/// Why a call cannot be sent, if what is written on it cannot.
#[inline]
fn unwritable<M: Method>(call: &Call<'_, M>) -> Option<CallError> {
    written::fault(&call.shared.options, &call.options).map(unwritten)
}

#[cold]
fn unwritten(why: String) -> CallError {
    CallError::Protocol(Log::from(Attempt {
        node: None,
        name: "".into(),
        path: Path::Local,
        phase: Phase::Resolve,
        elapsed: Duration::ZERO,
        outcome: Outcome::Unwritable(why.into()),
        executed: Executed::No,
    }))
}

/// By what a call chooses a node.
fn policy<M: Method>(call: &Call<'_, M>) -> Policy {
    let Call { shared, options, .. } = call;
    options
        .chosen_by()
        .or(shared.options.chosen_by())
        .or(M::INFO.chosen_by())
        .or(M::Api::INFO.chosen_by())
        .or_else(|| shared.place.policy())
        .unwrap_or_default()
}

/// A call whose options are merged and whose deadline is fixed: what the ways of making it read.
pub(crate) struct Ask<'a, M: Method> {
    /// The arguments, until an attempt takes them.
    pub(crate) args: Option<M::Args>,
    /// Whom it is for.
    pub(crate) targets: Targets<'a>,
    /// Who of them is asked first.
    pub(crate) policy: Policy,
    /// The version that the service must have.
    pub(crate) version: Option<VersionRequirement>,
    /// When it was first polled.
    pub(crate) started: Instant,
    /// When it must end, with whatever result, and how much later its handler may have it end.
    pub(crate) term: Term,
    /// Ends the call as soon as it is cancelled: the handler on whose behalf a task makes it has
    /// lost its caller.
    pub(crate) watch: Option<CancellationToken>,
    /// Whether a second node may be asked while the first is slow.
    pub(crate) hedge: bool,
    /// The service on the asking node itself, if it serves it.
    pub(crate) local: Option<Arc<Served>>,
    /// The call was over before it began: nothing may be sent.
    pub(crate) refused: Option<CallError>,
    /// The topology that the selector is checked against and a majority counts: the same from the
    /// beginning of the call to its end.
    pub(crate) topology: Option<Arc<Declared>>,
    /// What is sent along with the arguments.
    pub(crate) headers: Headers,
}

/// Whom a call is for, once call, client and attributes are merged.
pub(crate) enum Targets<'a> {
    /// Anyone who serves the method.
    Anyone,
    /// The nodes that the selector means.
    Selector(Selector),
    /// Exactly this node.
    Node(NodeId),
    /// Those that the closure takes from the nodes that serve the method, each once.
    Pick(Pick<'a>),
    /// Those that such a closure took, and nobody else.
    Nodes(Vec<NodeId>),
}

/// Whom a call may be made to that this node, which is asked first, does not begin.
#[derive(Clone, Debug)]
pub(crate) enum Elsewhere {
    /// Nobody.
    Nowhere,
    /// Anyone who serves the method.
    Anyone,
    /// The nodes that the selector means.
    Selector(Selector),
}

impl<'a, M: Method> Ask<'a, M> {
    /// Merges what is said of a call and fixes its deadline.
    pub(crate) fn new(mut call: Call<'a, M>) -> (&'a Place, Self) {
        let times = Times::of(&call);
        (&call.shared.place, Self::of(&mut call, times))
    }

    /// The same for a call that has its deadline, of which nothing is left then.
    pub(crate) fn of(call: &mut Call<'a, M>, times: Times) -> Self {
        let (refused, policy) = (times.refused().or_else(|| unwritable(call)), policy(call));
        let headers = times.headers(call);
        let shared = call.shared;
        let target = std::mem::replace(&mut call.target, Target::Unsaid);
        let targets = targets::<M>(target, call.options.take_selector(), shared);
        let topology = match (&targets, &shared.place) {
            (Targets::Selector(_), Place::Node { node, .. }) => node.declared(),
            _ => None,
        };
        let Times { started, term, .. } = times;
        let watch = shared.within.as_ref().map(Context::token);
        let (args, hedge, local) = (call.args.take(), call.hedge, None);
        let version = shared.options.requirement().cloned();
        Self {
            args,
            targets,
            policy,
            version,
            started,
            term,
            watch,
            hedge,
            local,
            refused,
            topology,
            headers,
        }
    }

    /// The same call without what it borrows, which a closure that has chosen no longer needs, and
    /// which the end of a handler does not cancel any more.
    pub(crate) fn detached(self) -> Ask<'static, M> {
        let targets = match self.targets {
            Targets::Anyone => Targets::Anyone,
            Targets::Selector(selector) => Targets::Selector(selector),
            Targets::Node(id) => Targets::Node(id),
            Targets::Nodes(ids) => Targets::Nodes(ids),
            Targets::Pick(_) => Targets::Nodes(Vec::new()),
        };
        let Self { args, policy, version, started, term, hedge, local, refused, .. } = self;
        let (topology, headers, watch) = (self.topology, self.headers, None);
        Ask {
            args,
            targets,
            policy,
            version,
            started,
            term,
            watch,
            hedge,
            local,
            refused,
            topology,
            headers,
        }
    }

    /// The same call on a service of this process.
    pub(crate) fn local(self, served: Arc<Served>, node: Option<Node>) -> Local<M> {
        let elsewhere = match self.targets {
            Targets::Anyone => Elsewhere::Anyone,
            Targets::Selector(selector) => Elsewhere::Selector(selector),
            Targets::Node(_) | Targets::Pick(_) | Targets::Nodes(_) => Elsewhere::Nowhere,
        };
        let times = (self.started, self.term);
        let local = Local::new(served, node, self.args, times, self.watch);
        local.with(self.headers).or(elsewhere, self.policy)
    }
}

fn targets<'a, M: Method>(said: Target<'a>, on: Option<Selector>, shared: &Shared) -> Targets<'a> {
    match said {
        Target::Unsaid => {}
        Target::Node(id) => return Targets::Node(id),
        Target::Pick(pick) => return Targets::Pick(pick),
    }
    match shared.effective(on.as_ref(), M::INFO) {
        Some(selector) => Targets::Selector(selector.clone()),
        None => Targets::Anyone,
    }
}
