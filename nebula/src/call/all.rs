#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Ask every target and wait for all of them.

use std::time::Duration;

use super::error::CallError;
use super::fanout::{Decision, Fanout, Silence};
use super::log::Log;
use super::replies::Replies;
use super::reply::{Beside, Entry, NodeRef};
use super::why::{NoTarget, Why};

/// The strategy of `.all()`, also as a stream: done when every target has answered.
#[derive(Debug)]
pub(crate) struct AllMachine<T, E> {
    fanout: Fanout<T, E>,
    deadline: bool,
}

impl<T, E> AllMachine<T, E> {
    /// Targets of the same identity count once.
    ///
    /// # Errors
    ///
    /// With `why`, when there is no target.
    pub(crate) fn new(targets: Vec<NodeRef>, why: impl FnOnce() -> Why) -> Result<Self, NoTarget> {
        if targets.is_empty() {
            return Err(NoTarget(why()));
        }
        Ok(Self { fanout: Fanout::new(targets), deadline: false })
    }

    #[cfg(test)]
    /// Whom to ask; results are fed by the index in here.
    pub(crate) fn targets(&self) -> &[NodeRef] {
        self.fanout.targets()
    }

    /// Results of targets at one moment. Later results of the same target, and all after the
    /// deadline, are ignored.
    pub(crate) fn on_replies(
        &mut self,
        results: impl IntoIterator<Item = (usize, Result<T, CallError<E>>, Beside)>,
    ) -> Option<Decision> {
        let mut taken = false;
        for (index, result, beside) in results {
            // Nothing is counted here, so that all results stay in the order of their arrival.
            taken |= !self.deadline && self.fanout.accept(index, result, beside, false);
        }
        (taken && self.fanout.open() == 0).then_some(Decision::Reached)
    }

    #[cfg(test)]
    pub(crate) fn on_reply(
        &mut self,
        index: usize,
        result: Result<T, CallError<E>>,
        elapsed: Duration,
    ) -> Option<Decision> {
        self.on_replies([(index, result, elapsed.into())])
    }

    /// The deadline of the whole call passed.
    pub(crate) fn on_deadline(&mut self) {
        self.deadline = true;
    }

    /// Takes out what came in, in the order of arrival; `finish` then has the rest only.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Entry<T, E>> {
        self.fanout.drain_others()
    }

    /// One entry a target, in the order of the targets; those still silent are `Deadline`, with
    /// what `log` says of their attempts. `elapsed` is the time of the whole call.
    pub(crate) fn finish(
        self,
        elapsed: Duration,
        log: impl FnMut(usize, &NodeRef) -> Log,
    ) -> Replies<T, E> {
        self.fanout.replies(Silence::Deadline, elapsed, None, log)
    }
}

#[cfg(test)]
mod tests {
    use super::super::reply::tests::node;
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// For tests that try each of several continuations.
    impl<T: Clone, E: Clone> Clone for AllMachine<T, E> {
        fn clone(&self) -> Self {
            Self { fanout: self.fanout.clone(), deadline: self.deadline }
        }
    }

    fn machine(nodes: u8) -> AllMachine<u8, ()> {
        AllMachine::new((1..=nodes).map(node).collect(), || unreachable!()).unwrap()
    }

    fn no_log(_: usize, _: &NodeRef) -> Log {
        Log::default()
    }

    #[test]
    fn no_target_is_an_error() {
        let why = || Why::new("Users", "find");
        assert_eq!(AllMachine::<(), ()>::new(vec![], why).unwrap_err(), NoTarget(why()));
    }

    #[test]
    fn the_same_node_is_asked_once() {
        let twice = vec![node(1), node(1)];
        let all = AllMachine::<(), ()>::new(twice, || unreachable!()).unwrap();
        assert_eq!(all.targets(), [node(1)]);
    }

    #[test]
    fn done_with_the_last_answer() {
        let mut all = machine(2);
        assert_eq!(all.on_reply(1, Ok(2), MS), None);
        assert_eq!(all.on_reply(1, Ok(9), MS), None);
        assert_eq!(all.on_reply(0, Err(CallError::App(())), MS), Some(Decision::Reached));
        let replies = all.finish(2 * MS, no_log);
        assert_eq!(replies.ok().collect::<Vec<_>>(), [&2]);
        assert_eq!((replies.len(), replies.failures().count()), (2, 1));
    }

    #[test]
    fn silent_nodes_are_in_it() {
        let mut all = machine(3);
        assert_eq!(all.on_reply(1, Ok(2), MS), None);
        all.on_deadline();
        assert_eq!(all.on_reply(0, Ok(1), MS), None, "too late");
        let replies = all.finish(5 * MS, no_log);
        let silent: Vec<_> =
            replies.failures().map(|(node, error)| (node, error.clone())).collect();
        let deadline = || CallError::Deadline(Log::default());
        assert_eq!(silent, [(&node(1), deadline()), (&node(3), deadline())]);
    }

    #[test]
    fn a_stream_gets_each_entry_once() {
        let mut all = machine(3);
        let mut streamed = Vec::new();
        for index in [2, 0] {
            assert_eq!(all.on_reply(index, Ok(0), MS), None);
            streamed.extend(all.drain());
        }
        all.on_deadline();
        streamed.extend(all.finish(5 * MS, no_log));
        let nodes: Vec<_> = streamed.iter().map(|entry| entry.node.clone()).collect();
        assert_eq!(nodes, [node(3), node(1), node(2)]);
    }
}
