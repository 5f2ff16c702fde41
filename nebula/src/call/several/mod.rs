//! One call to several nodes: what the three ways of waiting for them share.
//!
//! Targets are fixed before anything is sent, so that a quorum that cannot be is refused without
//! a call. Each leg has a deadline of its own, which its handler may move, and the waiting ends with
//! the last of them. One clock judges them all: legs whose deadlines have passed at the same moment
//! end together, before anything is decided. What is still under way when the result is decided
//! is dropped, which stops it, or finishes in the background, as `Stragglers` says. Dropping the
//! future before that stops them all.

mod all;
mod clocks;
pub(crate) mod disagreement;
mod first;
mod quorum;

pub use all::All;
pub use first::First;
pub use quorum::Quorum;

pub(crate) use disagreement::Disagreement;

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use futures_util::stream::{self, BoxStream, StreamExt};
use macula::rpc::{Headers, Lease};
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, timeout_at};

pub(crate) use self::clocks::{Clock, Clocks};

use super::ask::Ask;
use super::handle::Place;
use super::heard::itself;
use super::local::Local;
use super::reply::Beside;
use super::unary::Call;
use super::unicast::Answer;
use super::{Attempt, CallError, Executed, Log, NodeRef, Outcome, Path, Phase, Why, engine};
use crate::node::Node;
use crate::service::info::Stragglers;
use crate::service::input::panic_message;
use crate::service::method::{Method, Service as _, Value};
use crate::service::slot::Found;

/// Says whether a value counts as a success.
pub(crate) type Predicate<'a, M> = Box<dyn Fn(&Value<M>) -> bool + Send + 'a>;

/// Says what is known of the attempts on the target with this index, which have come to this end.
pub(crate) type LogOf = Box<dyn FnMut(usize, &NodeRef, Outcome) -> Log + Send>;

/// The answer of the target with this index, and what goes beside it.
pub(crate) type Told<M> = (usize, Answer<M>, Headers);

/// The same, and when it came.
pub(crate) type Came<M> = (usize, Answer<M>, Beside);

/// The calls to the targets of one call.
pub(crate) struct Legs<M: Method> {
    /// Whom to ask, each once. Results carry the index in here.
    pub(crate) targets: Vec<NodeRef>,
    /// How many targets there would be if every configured node were live.
    pub(crate) configured: usize,
    /// Whether that number is known, and not only what was heard of so far.
    pub(crate) certain: bool,
    /// Which nodes of a vote count by which topologies, if they are not one and the same.
    pub(crate) disagreement: Option<Disagreement>,
    /// Why there is no target, if there is none.
    pub(crate) why: Why,
    /// When the call began.
    pub(crate) started: Instant,
    /// When each leg that is open must end.
    pub(crate) clocks: Clocks,
    /// When all of them must have ended, whatever they were granted.
    pub(crate) latest: Instant,
    /// What becomes of what is open once the result is decided.
    pub(crate) stragglers: Stragglers,
    /// The node that makes the call, if there is one.
    pub(crate) node: Option<Node>,
    /// What comes in. Nothing is sent before the first poll; dropping it gives up the rest.
    pub(crate) results: BoxStream<'static, Told<M>>,
    /// What is known of the attempts on a target that stayed silent.
    pub(crate) log: LogOf,
}

impl<M: Method> Legs<M> {
    #[cfg(test)]
    /// Nobody to ask.
    pub(crate) fn none(why: Why, clocks: Clocks, latest: Instant) -> Self {
        Self {
            targets: Vec::new(),
            configured: 0,
            certain: true,
            disagreement: None,
            why,
            started: Instant::now(),
            clocks,
            latest,
            stragglers: Stragglers::Cancel,
            node: None,
            results: stream::empty().boxed(),
            log: Box::new(|_, _, _| Log::default()),
        }
    }

    /// One service in this process.
    pub(crate) fn one(target: NodeRef, mut call: Local<M>, latest: Instant) -> Self {
        let (started, lease) = (call.started(), call.lease());
        let clock = Clock::Here(lease.clone());
        Self {
            targets: vec![target],
            configured: 1,
            certain: true,
            disagreement: None,
            why: Why::of(call.method()),
            started,
            clocks: [clock].into_iter().collect(),
            latest,
            stragglers: Stragglers::Cancel,
            node: None,
            results: stream::once(async move { here(0, call, &lease).await }).boxed(),
            log: Box::new(move |_, target, outcome| {
                Log::from(Attempt {
                    node: None,
                    name: Arc::clone(&target.name),
                    path: Path::Local,
                    phase: Phase::Run,
                    elapsed: started.elapsed(),
                    outcome,
                    executed: Executed::Unknown,
                })
            }),
        }
    }

    /// Finds the targets of a call; for a `vote`, those that count in it.
    async fn of(call: Call<'_, M>, vote: bool) -> Self {
        let stragglers = stragglers(&call);
        let (place, ask) = Ask::new(call);
        let latest = ask.term.deadline() + ask.term.room();
        let refused = ask.refused.clone();
        let mut legs = match place {
            Place::Alone(served) => {
                Self::one(itself(None), ask.local(Arc::clone(served), None), latest)
            }
            Place::Node { node, local } => {
                let local = local.of::<M::Api>().map(Found::keep);
                engine::several::legs(node.clone(), Ask { local, ..ask }, vote).await
            }
        };
        if let Some(refused) = refused {
            legs.refuse(refused);
        }
        Self { stragglers, ..legs }
    }

    /// Answers for every target, and sends nothing.
    pub(crate) fn refuse(&mut self, error: CallError) {
        let refused = (0..self.targets.len())
            .map(move |index| (index, Err(error.clone().widen()), Headers::new()));
        self.results = stream::iter(refused).boxed();
        self.clocks = Clocks::default();
    }

    /// What came in at the next moment at which anything did: one answer, or at a deadline those
    /// of all whom it ends, since what they decide together must not depend on their order.
    /// `None` when nothing more can come.
    async fn next(&mut self) -> Option<Vec<Came<M>>> {
        let mut came = Vec::new();
        while came.is_empty() {
            let answer = match self.clocks.due() {
                None => self.results.next().await,
                Some(due) => match timeout_at(due, self.results.next()).await {
                    Ok(answer) => answer,
                    // Nobody is late if the deadline has moved meanwhile.
                    Err(_) => {
                        self.late(&mut came).await;
                        continue;
                    }
                },
            };
            let answer = answer?;
            let late = matches!(answer.1, Err(CallError::Deadline(_)));
            self.take(answer, &mut came);
            if late {
                self.late(&mut came).await;
            }
        }
        Some(came)
    }

    /// Takes all that has come in by now, and ends the legs whose time is over.
    async fn late(&mut self, came: &mut Vec<Came<M>>) {
        let mut ready = async || {
            let results = &mut self.results;
            unconstrained(poll_fn(|task| Poll::Ready(results.poll_next_unpin(task)))).await
        };
        let mut answers = Vec::new();
        while let Poll::Ready(Some(answer)) = ready().await {
            answers.push(answer);
        }
        for answer in answers {
            self.take(answer, came);
        }
        for index in self.clocks.take_over(Instant::now()) {
            let Some(target) = self.targets.get(index) else { continue };
            let log = (self.log)(index, target, Outcome::TimedOut);
            came.push((index, Err(CallError::Deadline(log)), self.started.elapsed().into()));
        }
    }

    fn take(&mut self, (index, answer, headers): Told<M>, came: &mut Vec<Came<M>>) {
        self.clocks.close(index);
        came.push((index, answer, Beside { elapsed: self.started.elapsed(), headers }));
    }

    /// What is known of a leg that is still open now that the result is decided.
    fn open_leg(&mut self, index: usize, target: &NodeRef) -> Log {
        (self.log)(index, target, Outcome::Cancelled)
    }

    /// The result is decided: cancels the calls still under way, or lets them go on without the
    /// caller.
    fn decided(self) {
        let dropped = cfg!(mutant = "straggler_dropped") || self.stragglers == Stragglers::Cancel;
        if dropped || self.clocks.due().is_none() {
            return;
        }
        // Each ends by its own clock; the latest there can be is for the case that one does not.
        let rest = timeout_at(self.latest, self.results.for_each(|_| std::future::ready(())));
        let rest = async move { rest.await.unwrap_or_default() };
        match &self.node {
            Some(node) => node.background().run(rest),
            None => drop(tokio::spawn(rest)),
        }
    }
}

/// The answer of the service of this process, which was asked as the target with this index.
pub(crate) async fn here<M: Method>(index: usize, call: Local<M>, lease: &Lease) -> Told<M> {
    let answer = call.await;
    let headers = match &answer {
        Ok(_) | Err(CallError::App(_)) => lease.reply_headers(),
        Err(_) => Headers::new(),
    };
    (index, answer, headers)
}

/// What becomes of the calls left over, as the nearest says that says anything.
fn stragglers<M: Method>(call: &Call<'_, M>) -> Stragglers {
    let usual = match M::INFO.is_idempotent() {
        true => Stragglers::Cancel,
        false => Stragglers::Finish,
    };
    call.options
        .left_behind()
        .or(call.shared.options.left_behind())
        .or(M::INFO.stragglers())
        .or(M::Api::INFO.stragglers())
        .unwrap_or(usual)
}

/// Whether the answer counts as a success. A predicate that panics counts nothing.
fn counts<M: Method>(success: Option<&Predicate<'_, M>>, answer: &Answer<M>) -> bool {
    match (success, answer) {
        (_, Err(_)) => false,
        (None, Ok(_)) => true,
        (Some(success), Ok(value)) => catch_unwind(AssertUnwindSafe(|| success(value)))
            .unwrap_or_else(|panic| {
                let message = panic_message(panic);
                tracing::warn!(%message, "a success predicate panicked: the reply does not count");
                false
            }),
    }
}

#[cfg(test)]
mod tests;
