//! One call to several nodes: what the three ways of waiting for them share.
//!
//! Targets are fixed before anything is sent, so that a quorum that cannot be is refused without
//! a call. One clock, that of the whole call, ends the waiting. What is still under way when the
//! result is decided is dropped, which stops it, unless the method says `stragglers = "finish"`. Dropping the future stops
//! them all.

mod all;
pub(crate) mod disagreement;
mod first;
mod quorum;

pub use all::All;
pub use first::First;
pub use quorum::Quorum;

pub(crate) use disagreement::Disagreement;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt};
use macula::identity::NodeId;
use tokio::time::{Instant, timeout_at};

use super::handle::Place;
use super::local::{ALONE, Local};
use super::unary::Call;
use super::unicast::{Answer, Ask};
use super::{Attempt, CallError, Executed, Log, NodeRef, Outcome, Path, Phase, Why, engine};
use crate::service::info::Stragglers;
use crate::service::input::panic_message;
use crate::service::method::{Method, Value};

/// Says whether a value counts as a success.
pub(crate) type Predicate<'a, M> = Box<dyn Fn(&Value<M>) -> bool + Send + 'a>;

/// Says what is known of the attempts on the target with this index.
pub(crate) type LogOf = Box<dyn FnMut(usize, &NodeRef) -> Log + Send>;

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
    /// When it must end.
    pub(crate) deadline: Instant,
    /// What comes in. Nothing is sent before the first poll; dropping it gives up the rest.
    pub(crate) results: BoxStream<'static, (usize, Answer<M>)>,
    /// What is known of the attempts on a target that stayed silent.
    pub(crate) log: LogOf,
}

impl<M: Method> Legs<M> {
    #[cfg(test)]
    /// Nobody to ask.
    pub(crate) fn none(why: Why, deadline: Instant) -> Self {
        Self {
            targets: Vec::new(),
            configured: 0,
            certain: true,
            disagreement: None,
            why,
            started: Instant::now(),
            deadline,
            results: stream::empty().boxed(),
            log: Box::new(|_, _| Log::default()),
        }
    }

    /// One service in this process.
    pub(crate) fn one(target: NodeRef, call: Local<M>) -> Self {
        let (started, deadline) = call.times();
        Self {
            targets: vec![target],
            configured: 1,
            certain: true,
            disagreement: None,
            why: Why::new(M::INFO.service_name(), M::INFO.method_name()),
            started,
            deadline,
            results: stream::once(async { (0, call.await) }).boxed(),
            log: Box::new(move |_, target| {
                Log::from(Attempt {
                    node: None,
                    name: Arc::clone(&target.name),
                    path: Path::Local,
                    phase: Phase::Run,
                    elapsed: started.elapsed(),
                    outcome: Outcome::TimedOut,
                    executed: Executed::Unknown,
                })
            }),
        }
    }

    /// Finds the targets of a call; for a `vote`, those that count in it.
    async fn of(call: Call<'_, M>, vote: bool) -> Self {
        let (place, ask) = Ask::new(call);
        let refused = ask.refused.clone();
        let mut legs = match place {
            Place::Alone(served) => {
                let target = NodeRef { id: NodeId::from_bytes([0; 32]), name: ALONE.into() };
                Self::one(target, ask.local(Arc::clone(served), None))
            }
            Place::Node { node, local } => {
                engine::several::legs(node.clone(), Ask { local: local.clone(), ..ask }, vote).await
            }
        };
        if let Some(refused) = refused {
            legs.refuse(refused);
        }
        legs
    }

    /// Answers for every target, and sends nothing.
    fn refuse(&mut self, error: CallError) {
        let refused = (0..self.targets.len()).map(move |index| (index, Err(error.clone().widen())));
        self.results = stream::iter(refused).boxed();
    }

    /// The next result, with the time since the call began; `None` when the deadline passed.
    async fn next(&mut self) -> Option<(usize, Answer<M>, Duration)> {
        let (index, answer) = timeout_at(self.deadline, self.results.next()).await.ok()??;
        Some((index, answer, self.started.elapsed()))
    }

    /// Does with the calls still under way what the method says, once the result is decided.
    fn decided(self) {
        if M::INFO.stragglers() == Stragglers::Finish {
            let rest = self.results.for_each(|_| std::future::ready(()));
            tokio::spawn(timeout_at(self.deadline, rest));
        }
    }
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
