use proptest::prelude::*;

use super::super::reply::tests::node;
use super::super::strategy_tests::{Said, each_order};
use super::*;

const MS: Duration = Duration::from_millis(1);

/// For tests that try each of several continuations.
impl<T: Clone, E: Clone> Clone for QuorumMachine<T, E> {
    fn clone(&self) -> Self {
        Self { fanout: self.fanout.clone(), required: self.required, end: self.end }
    }
}

fn no_log(_: usize, _: &NodeRef) -> Log {
    Log::default()
}

fn machine(nodes: usize, required: usize) -> QuorumMachine<usize, ()> {
    QuorumMachine::new((0..nodes as u8).map(node).collect(), required).unwrap()
}

/// How many of `order` say `what`.
fn count(said: &[Said], order: &[usize], what: Said) -> usize {
    order.iter().filter(|index| said[**index] == what).count()
}

/// What the first `heard` results decide, from the definition alone.
fn naive(said: &[Said], heard: &[usize], required: usize) -> Option<Decision> {
    if count(said, heard, Said::Success) >= required {
        Some(Decision::Reached)
    } else if said.len() - count(said, heard, Said::Failure) < required {
        Some(Decision::CannotReach)
    } else {
        None
    }
}

/// Runs one schedule to its end and compares each step with the definition.
fn check(said: &[Said], order: &[usize], required: usize) {
    let mut quorum = machine(said.len(), required);
    let mut decided = None;
    for step in 1..=order.len() {
        let index = order[step - 1];
        let (result, success) = said[index].result(index);
        let expected = match decided {
            None => naive(said, &order[..step], required),
            Some(_) => None,
        };
        assert_eq!(quorum.on_reply(index, result, step as u32 * MS, success), expected);
        assert_eq!(quorum.on_reply(index, Ok(99), MS, true), None, "a node voted twice");
        decided = decided.or(expected.map(|decision| (decision, step)));
    }
    quorum.on_deadline();
    match (decided, quorum.finish(99 * MS, no_log)) {
        (Some((Decision::Reached, step)), Ok(votes)) => {
            let heard = &order[..step];
            let of = |what| heard.iter().copied().filter(move |index| said[*index] == what);
            let values = votes.successes().iter().map(|reply| reply.value);
            assert!(values.eq(of(Said::Success)));
            assert_eq!((votes.successes().len(), votes.required()), (required, required));
            let failed = votes.failures().iter().map(|entry| entry.node.clone());
            assert!(failed.eq(of(Said::Failure).map(|index| node(index as u8))));
            assert_eq!((votes.len(), votes.is_empty()), (step, false));
            let (first, rest) = (of(Said::Success), of(Said::Failure));
            let listed = votes.into_iter().map(|entry| entry.node);
            assert!(listed.eq(first.chain(rest).map(|index| node(index as u8))));
        }
        (Some((Decision::CannotReach, step)), Err(QuorumError::NotReached(replies))) => {
            for (index, entry) in replies.iter().enumerate() {
                assert_eq!(entry.node, node(index as u8));
                let expected = match order[..step].contains(&index) {
                    true => said[index].result(index).0,
                    false => Err(CallError::Cancelled(Log::default())),
                };
                assert_eq!(entry.result, expected);
            }
            assert_eq!(replies.len(), said.len());
        }
        (None, Err(QuorumError::Deadline(replies))) => {
            let nodes = replies.iter().map(|entry| entry.node.clone());
            assert!(nodes.eq((0..said.len()).map(|index| node(index as u8))));
            let results = replies.into_iter().map(|entry| entry.result);
            assert!(results.eq(said.iter().enumerate().map(Said::entry)));
        }
        (decided, other) => panic!("{said:?} in {order:?} of {required}: {decided:?}, {other:?}"),
    }
}

/// QUO-17 among them: the successes come first, then the failures seen by then.
#[test]
fn every_set_of_results_of_five_nodes_in_every_order() {
    each_order(5, |said, order| {
        for required in 1..=said.len() {
            check(said, order, required);
        }
    });
}

/// QUO-10
#[test]
fn refused_before_any_call() {
    for (nodes, required) in [(0, 1), (0, 2), (1, 2), (2, 3), (3, 0), (0, 0)] {
        let targets = (0..nodes).map(node).collect();
        match QuorumMachine::<(), ()>::new(targets, required).unwrap_err() {
            QuorumError::Unreachable { workers, required: needed } => {
                assert_eq!((workers, needed), (nodes as usize, required));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_same_node_twice_is_one_worker() {
    let quorum = QuorumMachine::<(), ()>::new(vec![node(1), node(2), node(1)], 2).unwrap();
    assert_eq!(quorum.targets(), [node(1), node(2)]);
    let refused = QuorumMachine::<(), ()>::new(vec![node(1), node(1), node(1)], 2);
    assert!(matches!(refused.unwrap_err(), QuorumError::Unreachable { workers: 1, required: 2 }));
}

/// QUO-13: of five configured nodes three are live and all answer.
#[test]
fn a_majority_of_the_configured_is_enough() {
    let mut quorum = machine(3, 3);
    assert_eq!(quorum.on_reply(2, Ok(2), MS, true), None);
    assert_eq!(quorum.on_reply(0, Ok(0), MS, true), None);
    assert_eq!(quorum.on_reply(1, Ok(1), MS, true), Some(Decision::Reached));
    let votes = quorum.finish(MS, no_log).unwrap();
    assert_eq!(votes.successes().iter().map(|reply| reply.value).collect::<Vec<_>>(), [2, 0, 1]);
}

/// Which of the two clocks ran out first must not change the kind of the error.
#[test]
fn a_node_that_noticed_the_deadline_first_does_not_change_the_verdict() {
    let late = || Err(CallError::Deadline(Log::default()));
    let mut quorum = machine(3, 2);
    assert_eq!(quorum.on_reply(0, late(), MS, false), None);
    assert_eq!(quorum.on_reply(1, late(), MS, false), Some(Decision::CannotReach));
    assert!(matches!(quorum.finish(MS, no_log), Err(QuorumError::Deadline(_))));

    let denied = || Err(CallError::Denied(Log::default()));
    let mut quorum = machine(3, 2);
    assert_eq!(quorum.on_reply(0, denied(), MS, false), None);
    assert_eq!(quorum.on_reply(1, denied(), MS, false), Some(Decision::CannotReach));
    assert!(matches!(quorum.finish(MS, no_log), Err(QuorumError::NotReached(_))));
}

#[test]
fn nothing_counts_after_the_deadline() {
    let mut quorum = machine(1, 1);
    quorum.on_deadline();
    assert_eq!(quorum.on_reply(0, Ok(0), MS, true), None);
    assert!(matches!(quorum.finish(MS, no_log), Err(QuorumError::Deadline(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// The same against the definition for more nodes than can be enumerated.
    #[test]
    fn agrees_with_the_definition(
        said in proptest::collection::vec(
            prop_oneof![Just(Said::Success), Just(Said::Failure), Just(Said::Nothing)],
            1..40,
        ),
        keys in proptest::collection::vec(any::<u32>(), 40),
        required in any::<prop::sample::Index>(),
    ) {
        let mut order: Vec<usize> =
            (0..said.len()).filter(|index| said[*index] != Said::Nothing).collect();
        order.sort_by_key(|index| keys[*index]);
        check(&said, &order, required.index(said.len()) + 1);
    }
}
