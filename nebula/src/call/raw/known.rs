//! A call by name, as the node that makes it knows its method.

use std::sync::Arc;

use bytes::Bytes;
use macula::rpc::{Headers, Term};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::{RawCall, here, nearest, there};
use crate::call::engine::leg::Named;
use crate::call::engine::order::{Look, Order};
use crate::call::engine::reach::{Here, Sought, Whom};
use crate::call::engine::roster::SETTLE;
use crate::call::heard::Heard;
use crate::call::inspect::{available, explain};
use crate::call::options::{EXTENSIONS_DEFAULT, Limits, Options, TIMEOUT_DEFAULT};
use crate::call::retry::{FailoverMachine, Step};
use crate::call::times::refused;
use crate::call::{Attempt, CallError, Log, NodeRef, Outcome, Why, written};
use crate::context::Inherited;
use crate::node::Node;
use crate::nodes::choices::{Draw, Turns};
use crate::nodes::inspect::default_selector;
use crate::nodes::{Policy, measures};
use crate::service::info::{MethodInfo, ServiceInfo, method_id};
use crate::service::served::Served;

/// A call with what this node knows of its method.
pub(super) struct Known<'c> {
    pub(super) call: &'c RawCall<'c>,
    pub(super) node: &'c Node,
    pub(super) id: u64,
    contract: Option<(&'static ServiceInfo, &'static MethodInfo)>,
    started: Instant,
    /// What the handler around it gives it.
    inherited: Option<Inherited>,
    /// What is sent along with the arguments.
    pub(super) headers: Headers,
}

/// Whom it may be made to.
struct Targets {
    nodes: Arc<[NodeRef]>,
    /// Where among them this node is.
    itself: Option<usize>,
    /// The service on this node, if it serves the method.
    local: Option<Arc<Served>>,
}

impl<'c> Known<'c> {
    pub(super) fn of(call: &'c RawCall<'c>) -> Self {
        let RawCall { node, service, method, .. } = call;
        let contract = node.contracts().find(service, method);
        let inherited = Inherited::now();
        let none = Headers::new();
        let outer = inherited.as_ref().map_or(&none, |inherited| &inherited.handed);
        let headers = written::headers(&Options::default(), &call.options, outer);
        Self {
            call,
            node,
            id: method_id(service, method),
            contract,
            started: Instant::now(),
            inherited,
            headers,
        }
    }

    /// Makes it; what goes back beside the answer is `heard` there.
    pub(super) async fn make(&self, heard: &Heard) -> Result<Value, CallError<Value>> {
        if self.inherited.as_ref().is_some_and(|inherited| inherited.cancelled) {
            return Err(CallError::Cancelled(Log::default()));
        }
        let term = self.term();
        if term.deadline() <= self.started {
            return Err(CallError::Deadline(Log::default()));
        }
        let names = (&*self.call.service, &*self.call.method);
        if let Some(refused) = refused(&self.call.options, names) {
            return Err(refused);
        }
        let body = self.body()?;
        let targets = self.find(term.deadline()).await.map_err(|why| {
            let meant = nearest::nearest(self.node, names.0, names.1);
            CallError::NoProvider(meant.into_iter().fold(why, |why, name| why.meant(&name)))
        })?;
        let node = self.node;
        node.retries().deposit();
        let mut draw = self.draw(targets.nodes.len());
        let order = self.order(&targets, &mut draw);
        let idempotent = self.is_idempotent(&targets);
        let mut failover = FailoverMachine::new(order.len(), idempotent);
        let (mut term, mut log) = (term, Log::default());
        for at in order {
            let Some(target) = targets.nodes.get(at) else { continue };
            // The shape that was looked at is the one that is asked for, whoever serves another by now.
            let key = match self.contract {
                Some((_, method)) if idempotent => method.key(),
                _ => self.key_at(target),
            };
            let named = Named { service: &self.call.service, method: &self.call.method, key };
            if Instant::now() >= term.deadline() {
                return Err(CallError::Deadline(log));
            }
            let made = match (&targets.local, targets.itself == Some(at)) {
                (Some(served), true) => here::ask(self, served, body.clone(), term).await,
                _ => {
                    let moves_on = idempotent && targets.nodes.len() > 1;
                    there::ask(self, target, key, body.clone(), term, moves_on).await
                }
            };
            let broken = match made {
                Ok((answer, headers)) => {
                    heard.answered(target.clone(), headers);
                    return answer.map_err(CallError::App);
                }
                Err(broken) => broken,
            };
            term = broken.term;
            let left = term.deadline().saturating_duration_since(Instant::now());
            let again = !broken.ends_the_call()
                && failover.on_failure(broken.verdict(), left, node.retries(), &mut draw.rng)
                    == Step::TryNext;
            if !again {
                return Err(broken.into_error_of(&named, log));
            }
            measures::retried(node.name());
            log.push(broken.attempt);
        }
        Err(CallError::Disconnected(log))
    }

    /// How long it may take, as the nearest says that says anything.
    fn term(&self) -> Term {
        let (service, method) = self.contract.unzip();
        let timeout = self
            .call
            .options
            .timeout
            .or(method.and_then(MethodInfo::default_timeout))
            .or(service.and_then(ServiceInfo::default_timeout))
            .or(self.node.default_timeout());
        let extensions = method
            .and_then(MethodInfo::extensions)
            .or(service.and_then(ServiceInfo::extensions))
            .or(self.node.max_extensions());
        let limits = Limits::new(
            timeout.unwrap_or(TIMEOUT_DEFAULT),
            extensions.unwrap_or(EXTENSIONS_DEFAULT),
        );
        limits.term(self.started, self.inherited.as_ref().map(|inherited| inherited.deadline))
    }

    /// The arguments as they are sent.
    fn body(&self) -> Result<Bytes, CallError<Value>> {
        let RawCall { args, options, .. } = self.call;
        let written = match written::fault(&Options::default(), options) {
            Some(fault) => Err(fault),
            None if args.is_array() => serde_json::to_vec(args)
                .map_err(|error| format!("the arguments cannot be written: {error}")),
            None => {
                Err("write the arguments as a JSON array of one value for each, as in `json!([1])`"
                    .to_owned())
            }
        };
        written.map(Bytes::from).map_err(|why| {
            let (elapsed, outcome) = (self.started.elapsed(), Outcome::Unwritable(why.into()));
            CallError::Protocol(Attempt::unsent(Some(self.node), elapsed, outcome).into())
        })
    }

    /// Finds whom to ask. While this node is still joining its cluster, or records of nodes are on
    /// their way, it waits for them.
    async fn find(&self, deadline: Instant) -> Result<Targets, Why> {
        let node = self.node;
        let attributes = self
            .contract
            .and_then(|(service, method)| default_selector(service, method.selector()));
        let selector = self.call.options.selector().or(attributes.as_ref());
        let (mut news, mut joining) = (node.mesh().watch_view(), node.mesh().joining());
        let mut settled = None;
        loop {
            news.mark_unchanged();
            joining.mark_unchanged();
            let serves = |served: &Arc<Served>| here::find(served, &self.call.method).is_some();
            let local = node.served(&self.call.service).filter(serves);
            let sought = Sought {
                client: None,
                global: self.contract.is_none_or(|(service, _)| service.is_global()),
                service: &self.call.service,
                method: &self.call.method,
                id: self.id,
                // Each node reads the arguments into its own types.
                key: None,
                whom: self.call.to.as_ref().map_or(Whom::by(selector), Whom::Node),
                version: None,
                itself: node.id(),
                here: match &local {
                    Some(served) => Here::of(node, &self.call.service, Some(served)),
                    None => Here::Not,
                },
            };
            if node.has_stopped() {
                return Err(explain(node, &sought)
                    .fault("the node that asks has been shut down: ask through one that runs"));
            }
            let nodes: Arc<[NodeRef]> = available(node, &sought).into();
            if !nodes.is_empty() {
                let itself = nodes.iter().position(|target| target.id == node.id());
                return Ok(Targets { nodes, itself, local });
            }
            let why = explain(node, &sought);
            let joined = node.mesh().has_joined();
            if why.is_final() || (joined && node.mesh().view().is_complete()) {
                return Err(why);
            }
            let until = match joined {
                true => *settled.get_or_insert_with(|| Instant::now() + SETTLE),
                false => deadline,
            };
            tokio::select! {
                biased;
                _ = news.changed() => {}
                _ = joining.changed() => {}
                () = sleep_until(until.min(deadline)) => return Err(why),
            }
        }
    }

    fn policy(&self) -> Policy {
        let (service, method) = self.contract.unzip();
        method
            .and_then(MethodInfo::chosen_by)
            .or(service.and_then(ServiceInfo::chosen_by))
            .or(self.node.policy())
            .unwrap_or_default()
    }

    /// What it leaves to chance.
    fn draw(&self, targets: usize) -> Draw {
        let in_turn = self.policy() == Policy::RoundRobin && targets > 1;
        self.node.choices().draw(in_turn.then(|| Turns::of_method(self.id)))
    }

    fn order(&self, targets: &Targets, draw: &mut Draw) -> Order {
        let Targets { nodes, itself, local } = targets;
        let look = Look { node: self.node, targets: nodes, itself: *itself, local };
        Order::new(look, self.policy(), draw)
    }

    /// Whether it does no harm to run it on several of them: they serve the method that this node
    /// knows, and not another one of its names.
    fn is_idempotent(&self, targets: &Targets) -> bool {
        let Some((_, method)) = self.contract else { return false };
        let local = targets.local.as_ref().and_then(|local| here::find(local, &self.call.method));
        let known = |other: &MethodInfo| other.key() == method.key() && other.is_idempotent();
        method.is_idempotent()
            && local.is_none_or(known)
            && targets.nodes.iter().all(|target| self.key_at(target) == method.key())
    }

    /// The shape of the method on this node.
    fn key_at(&self, target: &NodeRef) -> [u8; 8] {
        let view = self.node.mesh().view();
        let mut providers = view.providers(self.id).iter();
        let known = providers.find(|provider| provider.node == target.id);
        let ours = || self.contract.map(|(_, method)| method.key());
        known.map(|provider| provider.key).or_else(ours).unwrap_or_default()
    }
}
