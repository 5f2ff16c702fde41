#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Ask every target and take the first success.

use std::time::Duration;

use super::error::CallError;
use super::fanout::{Decision, Fanout, Silence};
use super::log::Log;
use super::reply::{Beside, NodeRef, Reply};
use super::unmet::FirstError;
use super::why::Why;

/// The strategy of `.first()`: done with the first success, or when all have failed.
#[derive(Debug)]
pub(crate) struct FirstMachine<T, E> {
    fanout: Fanout<T, E>,
    ended: bool,
}

impl<T, E> FirstMachine<T, E> {
    /// Targets of the same identity count once.
    ///
    /// # Errors
    ///
    /// `NoTarget` with `why`, when there is no target.
    pub(crate) fn new(
        targets: Vec<NodeRef>,
        why: impl FnOnce() -> Why,
    ) -> Result<Self, FirstError<T, E>> {
        if targets.is_empty() {
            return Err(FirstError::NoTarget(why()));
        }
        Ok(Self { fanout: Fanout::new(targets), ended: false })
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
        if self.ended {
            return None;
        }
        let reached = results.into_iter().any(|(index, result, beside, success)| {
            self.fanout.accept(index, result, beside, success) && self.fanout.successes() > 0
        });
        let decision = match (reached, self.fanout.open()) {
            (true, _) => Decision::Reached,
            (false, 0) => Decision::CannotReach,
            (false, _) => return None,
        };
        self.ended = true;
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
        self.ended = true;
    }

    /// The first success, or every target's failure in the order of the targets; those still
    /// silent are `Deadline`, with what `log` says of their attempts. `elapsed` is the time of the
    /// whole call.
    ///
    /// # Errors
    ///
    /// `NoSuccess`, when there was none.
    pub(crate) fn finish(
        mut self,
        elapsed: Duration,
        log: impl FnMut(usize, &NodeRef) -> Log,
    ) -> Result<Reply<T>, FirstError<T, E>> {
        self.fanout.pop_success().ok_or_else(|| {
            FirstError::NoSuccess(self.fanout.replies(Silence::Deadline, elapsed, Some(1), log))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::reply::tests::node;
    use super::super::strategy_tests::{Said, each_order};
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// For tests that try each of several continuations.
    impl<T: Clone, E: Clone> Clone for FirstMachine<T, E> {
        fn clone(&self) -> Self {
            Self { fanout: self.fanout.clone(), ended: self.ended }
        }
    }

    #[test]
    fn no_target_is_an_error() {
        let why = || Why::new("Users", "find");
        match FirstMachine::<(), ()>::new(vec![], why).unwrap_err() {
            FirstError::NoTarget(given) => assert_eq!(given, why()),
            other => panic!("{other:?}"),
        }
    }

    /// Every set of results of up to five nodes, in every order, against the definition.
    #[test]
    fn first_success_wins_and_failure_is_told_with_the_last_result() {
        each_order(5, |said, order| {
            let targets: Vec<_> = (0..said.len() as u8).map(node).collect();
            let mut first = FirstMachine::new(targets, || unreachable!()).unwrap();
            let winner = order.iter().position(|index| said[*index] == Said::Success);
            for (step, index) in order.iter().enumerate() {
                let (result, success) = said[*index].result(*index);
                let expected = match winner {
                    Some(winner) if step == winner => Some(Decision::Reached),
                    None if step + 1 == said.len() => Some(Decision::CannotReach),
                    _ => None,
                };
                assert_eq!(first.on_reply(*index, result, MS, success), expected);
                assert_eq!(first.on_reply(*index, Ok(99), MS, true), None, "duplicate");
            }
            first.on_deadline();
            match (winner, first.finish(9 * MS, |_, _| Log::default())) {
                (Some(winner), Ok(reply)) => {
                    assert_eq!(reply.node, node(order[winner] as u8));
                    assert_eq!(reply.value, order[winner]);
                }
                (None, Err(FirstError::NoSuccess(replies))) => {
                    let expected: Vec<_> = said.iter().enumerate().map(Said::entry).collect();
                    assert!(replies.into_iter().map(|entry| entry.result).eq(expected));
                }
                (winner, other) => panic!("{said:?} in {order:?}: {winner:?}, {other:?}"),
            }
        });
    }

    #[test]
    fn nothing_counts_after_the_deadline() {
        let twice = vec![node(1), node(1)];
        let mut first = FirstMachine::<u8, ()>::new(twice, || unreachable!()).unwrap();
        assert_eq!(first.targets(), [node(1)]);
        first.on_deadline();
        assert_eq!(first.on_reply(0, Ok(1), MS, true), None);
        assert!(first.finish(MS, |_, _| Log::default()).is_err());
    }
}
