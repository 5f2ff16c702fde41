#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Ask every target until enough of them succeeded, or too few can.

use std::time::Duration;

use super::error::CallError;
use super::fanout::{Decision, Fanout, Silence};
use super::log::Log;
use super::reply::{Beside, NodeRef};
use super::unmet::QuorumError;
use super::votes::Votes;

/// The strategy of `.quorum(..)`: decided with the first result that decides it.
#[derive(Debug)]
pub(crate) struct QuorumMachine<T, E> {
    fanout: Fanout<T, E>,
    required: usize,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Decided(Decision),
    Deadline,
}

impl<T, E> QuorumMachine<T, E> {
    /// Targets of the same identity count once.
    ///
    /// # Errors
    ///
    /// `Unreachable`, before any call, when there are fewer targets than `required`, or when
    /// that is 0.
    pub(crate) fn new(targets: Vec<NodeRef>, required: usize) -> Result<Self, QuorumError<T, E>> {
        let fanout = Fanout::new(targets);
        let workers = fanout.open();
        if required == 0 || required > workers {
            return Err(QuorumError::Unreachable { workers, required });
        }
        Ok(Self { fanout, required, end: None })
    }

    #[cfg(test)]
    /// Whom to ask; results are fed by the index in here.
    pub(crate) fn targets(&self) -> &[NodeRef] {
        self.fanout.targets()
    }

    /// Results of targets at one moment, each with the predicate's word on it, which counts for `Ok`
    /// only. Enough successes decide at once, failures together. Later results of the same target, and
    /// all after the decision, are ignored.
    pub(crate) fn on_replies(
        &mut self,
        results: impl IntoIterator<Item = (usize, Result<T, CallError<E>>, Beside, bool)>,
    ) -> Option<Decision> {
        if self.end.is_some() {
            return None;
        }
        let reached = results.into_iter().any(|(index, result, beside, success)| {
            self.fanout.accept(index, result, beside, success)
                && self.fanout.successes() >= self.required
        });
        let decision = if reached {
            Decision::Reached
        } else if self.fanout.successes() + self.fanout.open() < self.required {
            Decision::CannotReach
        } else {
            return None;
        };
        self.end = Some(End::Decided(decision));
        Some(decision)
    }

    #[cfg(test)]
    pub(crate) fn on_reply(
        &mut self,
        index: usize,
        result: Result<T, CallError<E>>,
        elapsed: Duration,
        success: bool,
    ) -> Option<Decision> {
        self.on_replies([(index, result, elapsed.into(), success)])
    }

    /// The deadline of the whole call passed.
    pub(crate) fn on_deadline(&mut self) {
        self.end.get_or_insert(End::Deadline);
    }

    /// The votes, or one entry a target in the order of the targets: the silent ones are
    /// `Deadline`, or `Cancelled` if the decision came first, with what `log` says of their
    /// attempts. `elapsed` is the time of the whole call.
    ///
    /// # Errors
    ///
    /// `NotReached` when too many failed; `Deadline` when those who ran out of time could have
    /// made up the quorum.
    pub(crate) fn finish(
        self,
        elapsed: Duration,
        log: impl FnMut(usize, &NodeRef) -> Log,
    ) -> Result<Votes<T, E>, QuorumError<T, E>> {
        let Self { fanout, required, end } = self;
        let silence = match end {
            Some(End::Decided(Decision::Reached)) => {
                return Ok(fanout.votes(required));
            }
            Some(End::Decided(Decision::CannotReach)) => Silence::Decided,
            Some(End::Deadline) | None => Silence::Deadline,
        };
        // A node that noticed the deadline before this one did is out of time, not unwilling.
        let could_have = fanout.successes() + fanout.open() + fanout.late() >= required;
        let replies = fanout.replies(silence, elapsed, Some(required), log);
        Err(if could_have {
            QuorumError::Deadline(replies)
        } else {
            QuorumError::NotReached(replies)
        })
    }
}

#[cfg(test)]
mod tests;
