//! One call to one node: what is decided once, before anything runs or is sent.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use macula::identity::NodeId;
use macula::rpc::Term;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::engine;
use super::engine::straight::{self, Next, Straight};
use super::handle::{Place, Shared};
use super::local::{self, Local};
use super::options::{self, EXTENSIONS_DEFAULT, TIMEOUT_DEFAULT};
use super::unary::{Call, Pick, Target};
use super::{CallError, Log};
use crate::context::{Context, Inherited};
use crate::declared::Declared;
use crate::node::Node;
use crate::nodes::{Policy, Selector};
use crate::service::method::{Error, Method, Service as _, Value};
use crate::service::served::Served;

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
    Done,
}

impl<'a, M: Method> Unicast<'a, M> {
    pub(crate) fn new(call: Call<'a, M>) -> Self {
        Self(State::Start(call))
    }
}

impl<M: Method> Unpin for Unicast<'_, M> {}

impl<M: Method> Future for Unicast<'_, M> {
    type Output = Answer<M>;

    fn poll(mut self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Self::Output> {
        loop {
            let polled = match &mut self.0 {
                State::Local(local) => match Pin::new(&mut **local).poll(task) {
                    Poll::Ready(Err(error)) => match elsewhere(error, local) {
                        Ok(remote) => {
                            self.0 = State::Remote(remote);
                            continue;
                        }
                        Err(error) => Poll::Ready(Err(error)),
                    },
                    polled => polled,
                },
                State::Straight(straight) => match straight.poll(task) {
                    Poll::Ready(Ok(answer)) => Poll::Ready(answer),
                    Poll::Ready(Err(remote)) => {
                        self.0 = State::Remote(remote);
                        continue;
                    }
                    Poll::Pending => Poll::Pending,
                },
                State::Remote(remote) => remote.as_mut().poll(task),
                State::Done => return Poll::Pending,
                State::Start(_) => {
                    let State::Start(call) = std::mem::replace(&mut self.0, State::Done) else {
                        continue;
                    };
                    match start(call, task) {
                        Ok(answer) => return Poll::Ready(answer),
                        Err(next) => self.0 = next,
                    }
                    match &self.0 {
                        State::Local(local) if local.has_begun() => return Poll::Pending,
                        State::Straight(straight) if straight.is_sent() => return Poll::Pending,
                        _ => continue,
                    }
                }
            };
            if polled.is_ready() {
                self.0 = State::Done;
            }
            return polled;
        }
    }
}

impl<M: Method> fmt::Debug for Unicast<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unicast").field("method", &M::INFO.method_name()).finish_non_exhaustive()
    }
}

/// Begins a call, and ends it if its body is ready here and now.
///
/// # Errors
///
/// How it goes on, if it does.
fn start<'a, M: Method>(
    call: Call<'a, M>,
    task: &mut task::Context<'_>,
) -> Result<Answer<M>, State<'a, M>> {
    let (place, mut ask) = Ask::new(call);
    if let Some(refused) = ask.refused.take() {
        return Ok(Err(refused.widen()));
    }
    match place {
        Place::Alone(served) => local::begin(ask, served, None, task).map_err(State::Local),
        Place::Node { node, local: Some(served) } if ask.stays_here(node) && !served.draining() => {
            local::begin(ask, served, Some(node), task).map_err(State::Local)
        }
        Place::Node { node, local } => {
            let ask = Ask { local: local.clone(), ..ask };
            if ask.hedge {
                return Err(State::Remote(engine::hedged::run(node.clone(), ask).boxed()));
            }
            match straight::begin(node, ask, task) {
                Next::Ended(answer) => Ok(answer),
                Next::Straight(straight) => Err(State::Straight(straight)),
                Next::Longer(longer) => Err(State::Remote(longer)),
            }
        }
    }
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

/// A call whose options are merged and whose deadline is fixed: what the ways of making it read.
pub(crate) struct Ask<'a, M: Method> {
    /// The arguments, until an attempt takes them.
    pub(crate) args: Option<M::Args>,
    /// Whom it is for.
    pub(crate) targets: Targets<'a>,
    /// Who of them is asked first.
    pub(crate) policy: Policy,
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
    pub(crate) fn new(call: Call<'a, M>) -> (&'a Place, Self) {
        let Call { shared, args, options, target, hedge, .. } = call;
        let timeout = options
            .timeout
            .or(shared.options.timeout)
            .or(M::INFO.default_timeout())
            .or(M::Api::INFO.default_timeout())
            .or(shared.place.default_timeout())
            .unwrap_or(TIMEOUT_DEFAULT);
        let extensions = options
            .max_extensions
            .or(shared.options.max_extensions)
            .or(M::INFO.extensions())
            .or(M::Api::INFO.extensions())
            .or(shared.place.max_extensions())
            .unwrap_or(EXTENSIONS_DEFAULT);
        let inherited = Inherited::now();
        let within = shared.within.as_ref();
        let watch = within.map(Context::token);
        let started = Instant::now();
        let outer = [inherited.map(|inherited| inherited.deadline), within.map(Context::deadline)];
        let term = options::term(started, timeout, extensions, outer.into_iter().flatten().min());
        let given_up = inherited.is_some_and(|inherited| inherited.cancelled)
            || watch.as_ref().is_some_and(CancellationToken::is_cancelled);
        let refused = match term.deadline() <= started {
            _ if given_up => Some(CallError::Cancelled(Log::default())),
            true => Some(CallError::Deadline(Log::default())),
            false => None,
        };
        let policy = options
            .policy
            .or(shared.options.policy)
            .or(M::INFO.chosen_by())
            .or(M::Api::INFO.chosen_by())
            .or(shared.place.policy())
            .unwrap_or_default();
        let targets = targets::<M>(target, options.on, shared);
        let topology = match (&targets, &shared.place) {
            (Targets::Selector(_), Place::Node { node, .. }) => node.declared(),
            _ => None,
        };
        let local = None;
        let args = Some(args);
        let ask =
            Self { args, targets, policy, started, term, watch, hedge, local, refused, topology };
        (&shared.place, ask)
    }

    /// Whether this node answers it if it serves the method, without looking at others.
    fn stays_here(&self, node: &Node) -> bool {
        let prefers_itself = matches!(self.policy, Policy::LocalFirst | Policy::Closest);
        let meant = match &self.targets {
            Targets::Anyone => prefers_itself,
            Targets::Selector(_) if !prefers_itself => false,
            Targets::Selector(selector) => {
                // A selector that makes no sense is refused wherever it is used.
                let checked = |told: &Declared| told.topology.check(selector).is_ok();
                selector.matches(node.name(), node.tags())
                    && self.topology.as_deref().is_none_or(checked)
            }
            Targets::Node(id) => *id == node.id(),
            Targets::Pick(_) | Targets::Nodes(_) => false,
        };
        meant && !self.hedge
    }

    /// The same call on a service of this process.
    pub(crate) fn local(self, served: Arc<Served>, node: Option<Node>) -> Local<M> {
        let elsewhere = match self.targets {
            Targets::Anyone => Elsewhere::Anyone,
            Targets::Selector(selector) => Elsewhere::Selector(selector),
            Targets::Node(_) | Targets::Pick(_) | Targets::Nodes(_) => Elsewhere::Nowhere,
        };
        let times = (self.started, self.term);
        Local::new(served, node, self.args, times, self.watch).or(elsewhere, self.policy)
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
