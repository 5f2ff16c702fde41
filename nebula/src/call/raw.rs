//! Calls by name, with arguments and results in JSON: for tools, which do not know the types.
//!
//! Who can be asked, in which order, and when the next one is: all of that is decided as for calls
//! of a client, except that each node is asked once at most. The arguments are read by the node that
//! is asked, into the types of its method, whatever their shape there.

mod ended;
mod here;
mod nearest;
mod there;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use macula::identity::NodeId;
use macula::rpc::{Headers, Term};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::engine::leg::Named;
use super::engine::order::{Look, Order};
use super::engine::reach::{Here, Sought, Whom};
use super::engine::roster::SETTLE;
use super::heard::Heard;
use super::inspect::{available, explain};
use super::options::{EXTENSIONS_DEFAULT, Limits, Options, TIMEOUT_DEFAULT};
use super::retry::{FailoverMachine, Step};
use super::times::refused;
use super::{Attempt, CallError, Log, NodeRef, Outcome, Reply, Why, written};
use crate::context::Inherited;
use crate::node::Node;
use crate::nodes::choices::{Draw, Turns};
use crate::nodes::inspect::default_selector;
use crate::nodes::{IntoSelector, Policy, measures};
use crate::service::codec::{HEADER, JSON};
use crate::service::info::{MethodInfo, ServiceInfo, method_id};
use crate::service::served::Served;
use crate::trace::call::{Calling, outcome, told};

/// A call by name that has not been made yet: see [`Node::call_raw`].
#[must_use = "a call does nothing until it is awaited"]
pub struct RawCall<'a> {
    node: &'a Node,
    service: String,
    method: String,
    args: Value,
    options: Options,
    to: Option<NodeId>,
}

impl Node {
    /// A call of a method by its wire names, with its arguments as a JSON array, for tools: awaited,
    /// it asks one node, and gives what the method returned as JSON. Whatever the types of the method
    /// say as JSON to serde goes in and comes out.
    ///
    /// What attributes say of the method (its selector, its policy, how long it may take, and whether
    /// running it twice does no harm) counts if this node serves the service or has a client of it.
    /// Else any node that serves the method is asked, and no other one after one that may have run it.
    ///
    /// ```
    /// # use nebula::prelude::*;
    /// # #[service]
    /// # trait Greeter {
    /// #     #[api]
    /// #     async fn hello(&self, name: String) -> String;
    /// # }
    /// # struct English;
    /// # impl Greeter for English {
    /// #     async fn hello(&self, name: String) -> String {
    /// #         format!("Hello, {name}!")
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> nebula::Result<()> {
    /// use serde_json::json;
    ///
    /// let node = Node::builder("tool").serve(English).start().await?;
    /// assert_eq!(node.call_raw("Greeter", "hello", json!(["Ada"])).await?, json!("Hello, Ada!"));
    /// # node.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As those of any call. The method's own error is [`CallError::App`], as JSON. Arguments that the
    /// method does not take are [`CallError::Protocol`], which says why; it has not run then.
    pub fn call_raw(
        &self,
        service: impl Into<String>,
        method: impl Into<String>,
        args: Value,
    ) -> RawCall<'_> {
        let (service, method) = (service.into(), method.into());
        RawCall { node: self, service, method, args, options: Options::default(), to: None }
    }
}

impl<'a> RawCall<'a> {
    /// Sets how long it may take from its first poll, 24 hours at most (more is cut to that).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options = self.options.timeout(timeout);
        self
    }

    /// Sends this text along with the call, as [`Call::header`](crate::Call::header) does; one of the 32
    /// is taken, by the header that says that the call is in JSON.
    pub fn header(mut self, key: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.options = self.options.header(key, value);
        self
    }

    /// Asks only nodes that the selector means.
    pub fn on(mut self, selector: impl IntoSelector) -> Self {
        self.options = self.options.on(selector);
        self
    }

    /// Asks exactly this node.
    pub fn to(mut self, node: NodeId) -> Self {
        self.to = Some(node);
        self
    }

    /// Makes the call as it is made when it is awaited, and gives with what the method returned who
    /// answered, how long it took and which headers went back, as [`Call::reply`](crate::Call::reply)
    /// does.
    ///
    /// # Errors
    ///
    /// As those of the call; they have no headers.
    pub async fn reply(mut self) -> Result<Reply<Value>, CallError<Value>> {
        self.options = self.options.header(HEADER, JSON);
        let names = (&*self.service, &*self.method);
        let mut calling = Calling::by_name(self.node, &mut self.options, names, &mut self.args);
        let (heard, began) = (Heard::default(), Instant::now());
        if let Some(calling) = &mut calling {
            calling.hears(&heard);
        }
        let made = async { Known::of(&self).make(&heard).await };
        let value = told(calling, made, outcome).await?;
        Ok(heard.reply(value, began.elapsed()))
    }
}

impl<'a> IntoFuture for RawCall<'a> {
    type Output = Result<Value, CallError<Value>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        async move { Ok(self.reply().await?.value) }.boxed()
    }
}

impl fmt::Debug for RawCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Arguments are never printed: they are the application's.
        f.debug_struct("RawCall")
            .field("service", &self.service)
            .field("method", &self.method)
            .field("options", &self.options)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

/// A call with what this node knows of its method.
struct Known<'c> {
    call: &'c RawCall<'c>,
    node: &'c Node,
    id: u64,
    contract: Option<(&'static ServiceInfo, &'static MethodInfo)>,
    started: Instant,
    /// What the handler around it gives it.
    inherited: Option<Inherited>,
    /// What is sent along with the arguments.
    headers: Headers,
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
    fn of(call: &'c RawCall<'c>) -> Self {
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
    async fn make(&self, heard: &Heard) -> Result<Value, CallError<Value>> {
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
            let key = self.key_at(target);
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

#[cfg(test)]
mod tests {
    use macula::rpc::Lease;
    use serde_json::json;

    use super::*;
    use crate::context::Scope;

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_nobody_waits_for_makes_no_calls() {
        let (network, at) = (macula::MemoryNetwork::new(1), "10.0.0.1:1".parse().unwrap());
        let node = Node::builder("tool").cookie("of a test").memory(network, at);
        let node = node.start().await.unwrap();
        let term = Term::fixed(Instant::now() + Duration::from_secs(1));
        let lease = Lease::new(term);
        lease.cancel();
        let mut scope = Scope::new(term, Some(lease), Headers::new());
        let call = node.call_raw("Users", "find", json!([]));
        let made = scope.enter(|| call.into_future().now_or_never());
        assert_eq!(made, Some(Err(CallError::Cancelled(Log::default()))));
    }
}
