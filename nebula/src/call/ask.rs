//! A call once all that is said of it is merged.

use std::sync::Arc;

use macula::identity::NodeId;
use macula::rpc::{Headers, Term};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::CallError;
use super::handle::{Place, Shared};
use super::heard::Heard;
use super::local::Local;
use super::times::{Times, unsendable};
use super::unary::{Call, Pick, Target};
use crate::context::Context;
use crate::declared::Declared;
use crate::node::Node;
use crate::nodes::{Policy, Selector, VersionRequirement};
use crate::service::info::MethodInfo;
use crate::service::method::{Method, Service as _};
use crate::service::served::Served;

/// A call whose options are merged and whose deadline is fixed: what the ways of making it read.
pub(crate) struct Ask<'a, M: Method> {
    /// The method, as it is called on the service that is asked for it.
    pub(crate) method: &'static MethodInfo,
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
    /// Where to say what goes back beside the answer, if somebody asks for it.
    pub(crate) heard: Option<Heard>,
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
        let times = Times::apart(&call);
        (&call.shared.place, Self::of(&mut call, times))
    }

    /// The same for a call that has its deadline, of which nothing is left then.
    pub(crate) fn of(call: &mut Call<'a, M>, times: Times) -> Self {
        let (refused, policy) = (times.refused().or_else(|| unsendable(call)), policy(call));
        let headers = times.headers(call);
        let shared = call.shared;
        let target = std::mem::replace(&mut call.target, Target::Unsaid);
        let targets = targets::<M>(target, call.options.take_selector(), shared);
        let topology = match (&targets, &shared.place) {
            (Targets::Selector(_), Place::Node { node, .. }) => node.declared(),
            _ => None,
        };
        let (started, term) = (times.started(), times.term());
        let watch = shared.within.as_ref().map(Context::token);
        let (args, hedge, local) = (call.args.take(), call.hedge, None);
        let version = shared.options.requirement().cloned();
        let method = shared.method(M::INFO);
        Self {
            method,
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
            heard: None,
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
        let method = self.method;
        Ask {
            method,
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
            heard: None,
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
        local.with(self.headers).heard(self.heard).or(elsewhere, self.policy)
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

/// By what a call chooses a node.
pub(crate) fn policy<M: Method>(call: &Call<'_, M>) -> Policy {
    let Call { shared, options, .. } = call;
    options
        .chosen_by()
        .or(shared.options.chosen_by())
        .or(M::INFO.chosen_by())
        .or(M::Api::INFO.chosen_by())
        .or_else(|| shared.place.policy())
        .unwrap_or_default()
}
