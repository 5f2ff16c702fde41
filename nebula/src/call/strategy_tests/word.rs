//! What the exhaustive tests and the tables make of a strategy: words in, one end out.

use std::time::Duration;

use super::super::all::AllMachine;
use super::super::attempt::Executed;
use super::super::error::CallError;
use super::super::fanout::Decision;
use super::super::first::FirstMachine;
use super::super::log::Log;
use super::super::log::tests::attempt;
use super::super::quorum::QuorumMachine;
use super::super::replies::Replies;
use super::super::reply::tests::node;
use super::super::reply::{Entry, NodeRef};
use super::super::unmet::{FirstError, QuorumError};

/// What a node says, if it says something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Word {
    /// A value that counts.
    Success,
    /// The method's own error.
    App,
    /// A connection that failed.
    Transport,
    /// A value that the predicate turns down, or on which it panics.
    TurnedDown,
    /// That the deadline has passed, before the caller's own clock says so.
    Late,
}

/// A value that is turned down is this much more than one that counts.
const TURNED_DOWN: usize = 100;
/// When the whole call ends, in steps: after all that may come in.
const END: u32 = 99;

impl Word {
    /// As node `index` says it, and the predicate's word on it, which is wrong about failures.
    fn result(self, index: usize) -> (Result<usize, CallError<usize>>, bool) {
        match self {
            Self::Success => (Ok(index), true),
            Self::App => (Err(CallError::App(index)), true),
            Self::Transport => (Err(CallError::Disconnected(Log::default())), true),
            Self::TurnedDown => (Ok(index + TURNED_DOWN), false),
            Self::Late => (Err(CallError::Deadline(Log::default())), true),
        }
    }
}

/// What is known of one target in the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shown {
    /// This, which came in at that step.
    Said(Word, u32),
    /// Nothing until the deadline.
    Silent,
    /// It was not waited for, as the result was decided without it.
    NotWaitedFor,
}

/// The end of a call to several nodes. Nodes are indices.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// Who made up the quorum, and who failed before, each with the step: in the order of arrival.
    Votes { successes: Vec<(usize, u32)>, failures: Vec<(usize, u32)> },
    /// The first success, and its step.
    First(usize, u32),
    /// Every target, in the order of the targets.
    Listed(Kind, Vec<Shown>),
}

/// What a list of all targets is the value, or the error, of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    All,
    NoSuccess,
    NotReached,
    Deadline,
}

/// A strategy as its driver sees it.
pub(super) trait Strategy: Clone {
    fn hear(&mut self, index: usize, word: Word, step: u32) -> Option<Decision>;
    fn deadline(&mut self);
    fn end(self) -> End;
}

pub(super) type Quorum = QuorumMachine<usize, usize>;
pub(super) type First = FirstMachine<usize, usize>;
pub(super) type All = AllMachine<usize, usize>;

impl Strategy for Quorum {
    fn hear(&mut self, index: usize, word: Word, step: u32) -> Option<Decision> {
        let (result, success) = word.result(index);
        self.on_reply(index, result, after(step), success)
    }

    fn deadline(&mut self) {
        self.on_deadline();
    }

    fn end(self) -> End {
        match self.finish(after(END), silent) {
            Ok(votes) => {
                assert_eq!(votes.successes().len(), votes.required());
                let said = |(index, shown)| match shown {
                    Shown::Said(word, step) => (index, word, step),
                    other => panic!("a vote of node {index}: {other:?}"),
                };
                let successes = votes.successes().iter().map(|reply| {
                    let (index, word, step) = said(shown(&Entry::from(reply.clone())));
                    assert_eq!(word, Word::Success);
                    (index, step)
                });
                let failures = votes.failures().iter().map(|entry| {
                    let (index, word, step) = said(shown(entry));
                    assert_ne!(word, Word::Success);
                    (index, step)
                });
                End::Votes { successes: successes.collect(), failures: failures.collect() }
            }
            Err(QuorumError::NotReached(replies)) => listed(Kind::NotReached, &replies),
            Err(QuorumError::Deadline(replies)) => listed(Kind::Deadline, &replies),
            Err(other) => panic!("{other:?} after calls were made"),
        }
    }
}

impl Strategy for First {
    fn hear(&mut self, index: usize, word: Word, step: u32) -> Option<Decision> {
        let (result, success) = word.result(index);
        self.on_reply(index, result, after(step), success)
    }

    fn deadline(&mut self) {
        self.on_deadline();
    }

    fn end(self) -> End {
        match self.finish(after(END), silent) {
            Ok(reply) => match shown(&Entry::from(reply)) {
                (index, Shown::Said(Word::Success, step)) => End::First(index, step),
                other => panic!("a first success: {other:?}"),
            },
            Err(FirstError::NoSuccess(replies)) => listed(Kind::NoSuccess, &replies),
            Err(other) => panic!("{other:?} after calls were made"),
        }
    }
}

impl Strategy for All {
    fn hear(&mut self, index: usize, word: Word, step: u32) -> Option<Decision> {
        self.on_reply(index, word.result(index).0, after(step))
    }

    fn deadline(&mut self) {
        self.on_deadline();
    }

    fn end(self) -> End {
        listed(Kind::All, &self.finish(after(END), silent))
    }
}

/// So many nodes, the identity of each of which is its index.
pub(super) fn nodes(count: usize) -> Vec<NodeRef> {
    (0..count).map(|index| node(u8::try_from(index).expect("few nodes"))).collect()
}

fn after(step: u32) -> Duration {
    Duration::from_millis(step.into())
}

/// A log that is that node's alone.
fn silent(index: usize, node: &NodeRef) -> Log {
    assert_eq!(usize::from(node.id.as_bytes()[0]), index);
    Log::from(attempt(&node.name, Executed::Unknown))
}

/// The node of an entry, and what the entry says of it.
fn shown(entry: &Entry<usize, usize>) -> (usize, Shown) {
    let index = usize::from(entry.node.id.as_bytes()[0]);
    let step = entry.elapsed.as_millis() as u32;
    let its_own = |log: &Log| {
        assert_eq!((log.last_name(), step), (Some(&*entry.node.name), END), "{entry:?}");
    };
    let word = match &entry.result {
        Ok(value) if *value == index => Word::Success,
        Ok(value) if *value == index + TURNED_DOWN => Word::TurnedDown,
        Err(CallError::App(error)) if *error == index => Word::App,
        Err(CallError::Disconnected(_)) => Word::Transport,
        Err(CallError::Deadline(log)) if log.attempts().is_empty() => Word::Late,
        Err(CallError::Deadline(log)) => {
            its_own(log);
            return (index, Shown::Silent);
        }
        Err(CallError::Cancelled(log)) => {
            its_own(log);
            return (index, Shown::NotWaitedFor);
        }
        other => panic!("node {index} never said {other:?}"),
    };
    (index, Shown::Said(word, step))
}

fn listed(kind: Kind, replies: &Replies<usize, usize>) -> End {
    let listed = replies.iter().enumerate().map(|(position, entry)| {
        let (index, shown) = shown(entry);
        assert_eq!(index, position, "each target once, in order");
        shown
    });
    End::Listed(kind, listed.collect())
}
