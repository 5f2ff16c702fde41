#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! What the strategies for several nodes have in common: who was asked, and who answered.
//!
//! Promise: a node counts once, however often it is a target and however many results come in for
//! it; a failed call never counts as a success; each target is accounted for in the end.
//!
//! A driver sends one call to each of `targets()`, feeds each result with the target's index, those
//! of one moment together, and stops at the first [`Decision`]. A leg whose deadline has passed is a
//! result like any other, and one clock, that of the driver, says when that is.

use std::time::Duration;

use super::error::CallError;
use super::log::Log;
use super::replies::{Replies, Tally};
use super::reply::{Beside, Entry, NodeRef, Reply, SentBack};
use super::votes::Votes;

/// Nothing that is still to come can change the result.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Decision {
    /// The strategy has what it wanted.
    Reached,
    /// It cannot get it any more.
    CannotReach,
}

/// Why nodes are silent in the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Silence {
    /// The deadline passed.
    Deadline,
    /// The result was decided without them.
    Decided,
}

/// The targets of one call and the results so far.
#[derive(Debug)]
pub(crate) struct Fanout<T, E> {
    targets: Vec<NodeRef>,
    answered: Vec<bool>,
    open: usize,
    /// What counts, and the rest, each with the target's index and in the order of arrival.
    successes: Vec<(usize, Reply<T>)>,
    others: Vec<(usize, Entry<T, E>)>,
    /// What went back beside both.
    sent_back: SentBack,
}

impl<T, E> Fanout<T, E> {
    /// Keeps the first of targets with the same identity, in the order given.
    pub(crate) fn new(targets: Vec<NodeRef>) -> Self {
        let mut known = std::collections::BTreeSet::new();
        let targets: Vec<_> = targets
            .into_iter()
            .filter(|node| known.insert(node.id) || cfg!(mutant = "node_counts_twice"))
            .collect();
        Self {
            answered: vec![false; targets.len()],
            open: targets.len(),
            targets,
            successes: Vec::new(),
            others: Vec::new(),
            sent_back: SentBack::default(),
        }
    }

    #[cfg(test)]
    /// Whom to ask; results are fed by the index in here.
    pub(crate) fn targets(&self) -> &[NodeRef] {
        &self.targets
    }

    /// How many targets have not answered.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// How many successes there are.
    pub(crate) fn successes(&self) -> usize {
        self.successes.len()
    }

    /// How many calls failed because a node found the deadline passed before this one did.
    pub(crate) fn late(&self) -> usize {
        let late = |(_, entry): &&(usize, Entry<T, E>)| {
            matches!(entry.result, Err(CallError::Deadline(_)))
        };
        self.others.iter().filter(late).count()
    }

    /// Takes a result. `success` is the predicate's word, which counts for `Ok` only. False, and
    /// no effect, for a second result of one target or an index out of range.
    pub(crate) fn accept(
        &mut self,
        index: usize,
        result: Result<T, CallError<E>>,
        beside: Beside,
        success: bool,
    ) -> bool {
        let (Some(answered), Some(node)) = (self.answered.get_mut(index), self.targets.get(index))
        else {
            return false;
        };
        if std::mem::replace(answered, true) {
            return false;
        }
        let (node, Beside { elapsed, headers }) = (node.clone(), beside);
        self.sent_back.put(node.id, headers);
        match result {
            Ok(value) if success => {
                self.successes.push((index, Reply { node, value, elapsed }));
            }
            result => self.others.push((index, Entry { node, result, elapsed })),
        }
        self.open -= 1;
        true
    }

    /// Takes out what came in and is no success, in the order of arrival.
    pub(crate) fn drain_others(&mut self) -> impl Iterator<Item = Entry<T, E>> {
        self.others.drain(..).map(|(_, entry)| entry)
    }

    /// Takes out the latest success.
    pub(crate) fn pop_success(&mut self) -> Option<Reply<T>> {
        self.successes.pop().map(|(_, reply)| reply)
    }

    /// The successes and the rest, each in the order of arrival, as votes of which so many were
    /// `required`.
    pub(crate) fn votes(self, required: usize) -> Votes<T, E> {
        let successes = self.successes.into_iter().map(|(_, reply)| reply).collect();
        let others = self.others.into_iter().map(|(_, entry)| entry).collect();
        Votes::new(successes, others, required, self.sent_back)
    }

    /// One entry a target, in the order of the targets. A silent one gets what `log` says of its
    /// attempts; `elapsed` is the time of the whole call. `required` is how many successes were
    /// wanted, for strategies that count.
    pub(crate) fn replies(
        self,
        silence: Silence,
        elapsed: Duration,
        required: Option<usize>,
        mut log: impl FnMut(usize, &NodeRef) -> Log,
    ) -> Replies<T, E> {
        let tally = required.map(|required| Tally { required, successes: self.successes.len() });
        let mut entries = self.others;
        entries.extend(self.successes.into_iter().map(|(index, reply)| (index, reply.into())));
        for (index, (node, answered)) in self.targets.into_iter().zip(self.answered).enumerate() {
            if !answered {
                let log = log(index, &node);
                let error = match silence {
                    Silence::Deadline => CallError::Deadline(log),
                    Silence::Decided => CallError::Cancelled(log),
                };
                entries.push((index, Entry { node, result: Err(error), elapsed }));
            }
        }
        entries.sort_by_key(|(index, _)| *index);
        let entries = entries.into_iter().map(|(_, entry)| entry).collect();
        Replies::new(entries, tally).with(self.sent_back)
    }
}

#[cfg(test)]
mod tests {
    use super::super::attempt::Executed;
    use super::super::log::tests::attempt;
    use super::super::reply::tests::node;
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// For tests that try each of several continuations.
    impl<T: Clone, E: Clone> Clone for Fanout<T, E> {
        fn clone(&self) -> Self {
            Self {
                targets: self.targets.clone(),
                answered: self.answered.clone(),
                open: self.open,
                successes: self.successes.clone(),
                others: self.others.clone(),
                sent_back: self.sent_back.clone(),
            }
        }
    }

    #[test]
    fn a_node_is_asked_once() {
        let fanout = Fanout::<u8, ()>::new(vec![node(1), node(2), node(1)]);
        assert_eq!(fanout.targets(), [node(1), node(2)]);
        assert_eq!(fanout.open(), 2);
    }

    #[test]
    fn a_node_answers_once() {
        let mut fanout = Fanout::<u8, ()>::new(vec![node(1), node(2)]);
        assert!(fanout.accept(1, Err(CallError::Denied(Log::default())), MS.into(), true));
        assert!(!fanout.accept(1, Ok(1), MS.into(), true), "second answer");
        assert!(!fanout.accept(2, Ok(1), MS.into(), true), "not a target");
        assert_eq!((fanout.open(), fanout.successes()), (1, 0));
    }

    #[test]
    fn every_target_is_accounted_for_in_order() {
        let silent = |silence| {
            let mut fanout = Fanout::<u8, ()>::new(vec![node(1), node(2), node(3)]);
            assert!(fanout.accept(2, Ok(3), MS.into(), true));
            assert!(fanout.accept(0, Ok(1), MS.into(), false));
            let log = |_: usize, node: &NodeRef| Log::from(attempt(&node.name, Executed::Unknown));
            let replies = fanout.replies(silence, 9 * MS, None, log);
            assert_eq!(replies.ok().collect::<Vec<_>>(), [&1, &3]);
            let silent = replies.get("n2@h").unwrap().clone();
            assert_eq!(silent.elapsed, 9 * MS);
            silent.result.unwrap_err()
        };
        let log = || Log::from(attempt("n2@h", Executed::Unknown));
        assert_eq!(silent(Silence::Deadline), CallError::Deadline(log()));
        assert_eq!(silent(Silence::Decided), CallError::Cancelled(log()));
    }
}
