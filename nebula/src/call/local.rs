//! A call that stays in this process: no encoding, no task (unless the method asks for one), and no
//! timer unless the body waits.
//!
//! The body is polled first, inside the panic guard and the scope of inheritance; only when it
//! is pending is a timer made. At the deadline the body is dropped at once, unless it has asked
//! for more time by then. Whatever path leads here, the gates of the service are the ones that calls
//! from elsewhere pass.

mod begin;
mod body;
mod failing;
mod running;

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{self, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use macula::rpc::admission::{Entry, Permit};
use macula::rpc::{Headers, Lease, Term};
use tokio::runtime::Handle;
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use self::body::body;
use self::running::{Broken, Running};
use super::ask::{Ask, Elsewhere, Targets};
use super::heard::{Heard, itself};
use super::spawned::spawned;
use super::unicast::Answer;
use super::{CallError, Executed, Outcome, Phase};
use crate::context::{Context, Scope};
use crate::node::Node;
use crate::nodes::{Policy, VersionRequirement};
use crate::service::info::MethodInfo;
use crate::service::method::{Error, Method};
use crate::service::plugin::run::Prepared;
use crate::service::served::Served;

pub(crate) use begin::{begin, later};

/// The name that a service called without a node has in logs and replies.
pub(crate) const ALONE: &str = "local";

/// One call of `M` on a service of this process.
pub(crate) struct Local<M: Method> {
    served: Arc<Served>,
    /// The node it is served on; none for a client without a node.
    node: Option<Node>,
    args: Option<M::Args>,
    started: Instant,
    term: Term,
    /// The lease of the call, where somebody beside the body has to know of it.
    lease: Option<Lease>,
    /// Ends the call as soon as it is cancelled.
    watch: Option<CancellationToken>,
    /// The version that those must have who are asked if this one does not begin it.
    version: Option<VersionRequirement>,
    /// Who else may be asked if this one does not begin it, and in which order.
    elsewhere: Elsewhere,
    policy: Policy,
    headers: Headers,
    /// Where to say what goes back beside the reply, if somebody asks for it.
    heard: Option<Heard>,
    stage: Stage<M>,
    timer: Option<Pin<Box<Sleep>>>,
    cancelled: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

enum Stage<M: Method> {
    Start,
    Queued(BoxFuture<'static, Permit>),
    Running(Running<M, Permit>),
    /// A plugin refused it.
    Refused(CallError<Error<M>>),
    Done,
}

impl<M: Method> Local<M> {
    /// Prepares a call that started at `started`; nothing runs before the first poll.
    pub(crate) fn new(
        served: Arc<Served>,
        node: Option<Node>,
        args: Option<M::Args>,
        (started, term): (Instant, Term),
        watch: Option<CancellationToken>,
    ) -> Self {
        Self {
            served,
            node,
            args,
            started,
            term,
            lease: None,
            watch,
            version: None,
            elsewhere: Elsewhere::Nowhere,
            policy: Policy::default(),
            headers: Headers::new(),
            heard: None,
            stage: Stage::Start,
            timer: None,
            cancelled: None,
        }
    }

    /// The same, if others may be asked when this one does not begin it.
    pub(crate) fn or(self, elsewhere: Elsewhere, policy: Policy) -> Self {
        Self { elsewhere, policy, ..self }
    }

    /// The same with these headers.
    pub(crate) fn with(self, headers: Headers) -> Self {
        Self { headers, ..self }
    }

    /// When it started.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// The method, as it is called on its service.
    pub(crate) fn method(&self) -> &'static MethodInfo {
        self.served.method(M::INFO)
    }

    /// Its lease, for those who wait for it together with others.
    pub(crate) fn lease(&mut self) -> Lease {
        self.lease.get_or_insert_with(|| Lease::new(self.term)).clone()
    }

    /// The call as it was before it came here, if it did not begin, and there is a node to make it
    /// through and somebody whom it may be for.
    pub(crate) fn unbegun<'a>(&mut self) -> Option<(Node, Ask<'a, M>)> {
        let node = self.node.clone()?;
        let targets = match &self.elsewhere {
            Elsewhere::Nowhere => return None,
            Elsewhere::Anyone => Targets::Anyone,
            Elsewhere::Selector(selector) => Targets::Selector(selector.clone()),
        };
        let ask = Ask {
            method: self.method(),
            args: Some(self.args.take()?),
            targets,
            policy: self.policy,
            version: self.version.clone(),
            started: self.started,
            term: self.term,
            watch: self.watch.clone(),
            hedge: false,
            local: Some(Arc::clone(&self.served)),
            refused: None,
            topology: None,
            headers: self.headers.clone(),
            heard: self.heard.clone(),
        };
        Some((node, ask))
    }

    /// The same, if those who may be asked else must have such a version.
    pub(crate) fn requiring(self, version: Option<VersionRequirement>) -> Self {
        Self { version, ..self }
    }

    /// Whether its body is running.
    pub(crate) fn has_begun(&self) -> bool {
        matches!(self.stage, Stage::Running(_))
    }

    /// The arguments, if it did not begin.
    pub(crate) fn take_args(&mut self) -> Option<M::Args> {
        self.args.take()
    }

    /// After a wait, for its turn or for others that were asked first, the plugins of the service may
    /// be others.
    fn look_again(&mut self) {
        let name = self.served.info().service_name();
        let now = self.node.as_ref().and_then(|node| node.serving::<M::Api>(name));
        if let Some(now) = now.filter(|now| now.is_form_of(&self.served)) {
            self.served = now;
        }
    }

    /// Starts the body, as the holder of `permit`.
    fn run(&mut self, permit: Permit) -> Result<(), CallError<Error<M>>> {
        if self.served.is_closed() {
            // It may have been idle when it was asked, before this place was taken.
            return Err(self.draining());
        }
        let caller = self.node.as_ref().map(Node::as_caller);
        if let (true, Ok(runtime)) = (M::INFO.is_spawned(), Handle::try_current()) {
            let lease = self.lease();
            let cx = Context::new(caller, self.term, Some(lease.clone()), self.headers.clone());
            let (term, headers) = (self.term, self.headers.clone());
            let scope = || Scope::new(term, Some(lease.clone()), headers.clone());
            let body = self.body(cx, &mut scope())?;
            let body = match body {
                Prepared::Plain(body) => {
                    Prepared::Plain(spawned(&runtime, body, scope(), permit).boxed())
                }
                Prepared::Hooked(body) => {
                    Prepared::Hooked(spawned(&runtime, body, scope(), permit).boxed())
                }
            };
            self.stage = Stage::Running(Running { body: Some(body), scope: scope(), place: None });
            return Ok(());
        }
        let cx = Context::new(caller, self.term, self.lease.clone(), self.headers.clone());
        let mut scope = cx.scope();
        let body = self.body(cx, &mut scope)?;
        self.stage = Stage::Running(Running { body: Some(body), scope, place: Some(permit) });
        Ok(())
    }

    fn body(&mut self, cx: Context, scope: &mut Scope) -> Result<Prepared<M>, CallError<Error<M>>> {
        match body::<M>(&self.served, cx, scope, &mut self.args) {
            Some(Ok(body)) => Ok(body),
            Some(Err(stopped)) => Err(self.stopped(*stopped)),
            None => Err(self.incompatible()),
        }
    }

    /// Whether the deadline passed or the caller's caller gave up. A body that uses up the task's
    /// cooperative budget at every poll must not keep this from being seen.
    fn poll_end(&mut self, task: &mut task::Context<'_>) -> Poll<CallError<Error<M>>> {
        let (phase, executed) = match &self.stage {
            // A plugin may be what it waits for.
            Stage::Running(Running { body: Some(Prepared::Hooked(_)), .. }) => {
                (Phase::Run, Executed::Unknown)
            }
            Stage::Running(_) => (Phase::Run, Executed::Yes),
            _ => (Phase::Queue, Executed::No),
        };
        if let Some(watch) = &self.watch {
            let wait = || Box::pin(watch.clone().cancelled_owned());
            let cancelled = self.cancelled.get_or_insert_with(wait).as_mut();
            if pin!(unconstrained(cancelled)).poll(task).is_ready() {
                return Poll::Ready(CallError::Cancelled(self.log(
                    phase,
                    Outcome::Cancelled,
                    executed,
                )));
            }
        }
        let deadline = self.term.deadline();
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        while pin!(unconstrained(timer.as_mut())).poll(task).is_ready() {
            // The deadline only moves later: it is soon enough to look when it seems to be over.
            match &self.stage {
                Stage::Running(Running { scope, .. }) if !scope.expire() => {
                    let moved = scope.deadline().unwrap_or(deadline);
                    timer.as_mut().reset(moved);
                }
                _ => {
                    let log = self.log(phase, Outcome::TimedOut, executed);
                    return Poll::Ready(CallError::Deadline(log));
                }
            }
        }
        Poll::Pending
    }

    fn poll_stages(&mut self, task: &mut task::Context<'_>) -> Poll<Answer<M>> {
        loop {
            match &mut self.stage {
                Stage::Start => {
                    if self.served.is_closed() {
                        return Poll::Ready(Err(self.draining()));
                    }
                    let deadline = self.term.deadline();
                    let left = || deadline.saturating_duration_since(Instant::now());
                    match self.served.gate(M::INFO.position()).enter_for(left) {
                        Entry::Admitted(permit) => {
                            self.look_again();
                            self.run(permit)?;
                        }
                        Entry::Queued(waiting) => self.stage = Stage::Queued(waiting),
                        Entry::Refused { retry_after } => {
                            if let Some(node) = &self.node {
                                node.mesh().note_overloaded();
                            }
                            let log = self.log(Phase::Queue, Outcome::Overloaded, Executed::No);
                            return Poll::Ready(Err(CallError::Overloaded { retry_after, log }));
                        }
                    }
                }
                Stage::Queued(waiting) => {
                    let permit = waiting.as_mut().poll(task);
                    // A turn that comes together with the end of the call comes too late.
                    if let Poll::Ready(error) = self.poll_end(task) {
                        return Poll::Ready(Err(error));
                    }
                    match permit {
                        Poll::Ready(permit) => {
                            self.look_again();
                            self.run(permit)?;
                        }
                        Poll::Pending => return Poll::Pending,
                    }
                }
                Stage::Running(running) => match running.poll(task) {
                    Ok(Poll::Ready(reply)) => {
                        if let Some(heard) = &self.heard {
                            let headers = running.scope.reply_headers();
                            heard.answered(itself(self.node.as_ref()), headers);
                        }
                        return Poll::Ready(reply);
                    }
                    Ok(Poll::Pending) => return self.poll_end(task).map(Err),
                    Err(Broken::Panicked(message)) => {
                        return Poll::Ready(Err(self.panicked(message)));
                    }
                    Err(Broken::Stopped(stopped)) => {
                        return Poll::Ready(Err(self.stopped(*stopped)));
                    }
                },
                Stage::Refused(_) => match std::mem::replace(&mut self.stage, Stage::Done) {
                    Stage::Refused(error) => return Poll::Ready(Err(error)),
                    _ => return Poll::Pending,
                },
                Stage::Done => return Poll::Pending,
            }
        }
    }
}

// No field is ever pinned in place: what needs it is boxed.
impl<M: Method> Unpin for Local<M> {}

impl<M: Method> Future for Local<M> {
    type Output = Answer<M>;

    fn poll(mut self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Self::Output> {
        let polled = self.poll_stages(task);
        if polled.is_ready() {
            self.stage = Stage::Done;
        }
        polled
    }
}

impl<M: Method> fmt::Debug for Local<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("method", &M::INFO.method_name()).finish_non_exhaustive()
    }
}
