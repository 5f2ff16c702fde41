//! How a call that stays in this process fails.

use super::{ALONE, Local};
use crate::call::{ApiKey, Attempt, CallError, Executed, Log, Outcome, Path, Phase, Why};
use crate::node::Node;
use crate::service::method::{Error, Method};
use crate::service::plugin::Refusal;
use crate::service::plugin::run::Stopped;

impl<M: Method> Local<M> {
    /// What a plugin made of the call. If it did not begin, it may be made elsewhere.
    pub(super) fn stopped(&mut self, stopped: Stopped<M::Args>) -> CallError<Error<M>> {
        let Stopped { refusal, args, executed } = stopped;
        self.args = args;
        if executed && refusal == Refusal::Expired {
            return CallError::Deadline(self.log(Phase::Run, Outcome::Overran, Executed::Yes));
        }
        if executed {
            let message = refusal.after_the_method().into();
            let log = self.log(Phase::Reply, Outcome::Panicked, Executed::Yes);
            return CallError::Panicked { message, log };
        }
        let log = |outcome| self.log(Phase::Queue, outcome, Executed::No);
        refusal.into_error(log, |reason| self.nobody(reason))
    }

    pub(super) fn draining(&self) -> CallError<Error<M>> {
        let stops = self.node.as_ref().is_some_and(|node| node.mesh().is_draining());
        CallError::NoProvider(self.nobody(match stops {
            true => "is shutting down",
            false => "takes no calls now",
        }))
    }

    /// Why this node, which alone was asked, is no provider.
    pub(super) fn nobody(&self, reason: &str) -> Why {
        let why = Why::of(self.method());
        why.node(self.node.as_ref().map_or(ALONE, Node::name), reason)
    }

    pub(super) fn incompatible(&self) -> CallError<Error<M>> {
        if self.served.is_closed() {
            // It has gone since it was looked at.
            return self.draining();
        }
        let theirs = self.served.info().at(M::INFO.position());
        CallError::Incompatible {
            ours: ApiKey::from_bytes(M::INFO.key()),
            theirs: ApiKey::from_bytes(theirs.map_or([0; 8], |method| method.key())),
            log: self.log(Phase::Queue, Outcome::Incompatible, Executed::No),
        }
    }

    pub(super) fn panicked(&self, message: Box<str>) -> CallError<Error<M>> {
        let log = self.log(Phase::Run, Outcome::Panicked, Executed::Yes);
        CallError::Panicked { message, log }
    }

    pub(super) fn log(&self, phase: Phase, outcome: Outcome, executed: Executed) -> Log {
        Log::from(Attempt {
            node: self.node.as_ref().map(Node::id),
            name: self.node.as_ref().map_or(ALONE, Node::name).into(),
            path: Path::Local,
            phase,
            elapsed: self.started.elapsed(),
            outcome,
            executed,
        })
    }
}
