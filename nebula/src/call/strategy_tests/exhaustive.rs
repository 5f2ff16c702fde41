//! Every strategy for up to seven nodes, against a naive model, for each order of arrival.
//!
//! The tree of events is walked depth first, and a machine is copied where it branches. At each
//! point of the tree that is not decided the deadline may pass (so every set of silent nodes
//! occurs), and each node not heard yet may be the next to say each of its words. At each decision
//! every node tries to say more.
//!
//! What a node says: for up to [`ALL_WORDS`] nodes each [`Word`] at each place. For more nodes a
//! success or one failure, whose kind follows from the node and the step, so that each kind occurs
//! at each place but not every combination of kinds does. Nothing else is left out: no symmetry
//! between nodes is used. The number of points is compared with what combinatorics says.

use std::fmt::Debug;

use super::super::all::AllMachine;
use super::super::fanout::Decision;
use super::super::first::FirstMachine;
use super::super::quorum::QuorumMachine;
use super::super::unmet::{FirstError, QuorumError};
use super::super::why::{NoTarget, Why};
use super::word::{All, End, First, Kind, Quorum, Shown, Strategy, Word, nodes};

/// How many nodes there are at most.
const NODES: usize = 7;
/// Up to so many nodes, each says every kind of failure.
const ALL_WORDS: usize = 4;
const FAILURES: [Word; 4] = [Word::App, Word::Transport, Word::TurnedDown, Word::Late];

/// Who said what, in the order of arrival.
type Heard = [(usize, Word)];

/// What a strategy is meant to do, by counting anew each time.
trait Model: Copy + Debug {
    fn decides(self, nodes: usize, heard: &Heard) -> Option<Decision>;
    /// The end after these words, of which the last decided, if one did.
    fn end(self, nodes: usize, heard: &Heard) -> End;
}

#[derive(Clone, Copy, Debug)]
struct QuorumOf(usize);

#[derive(Clone, Copy, Debug)]
struct TheFirst;

#[derive(Clone, Copy, Debug)]
struct Everyone;

impl Model for QuorumOf {
    fn decides(self, nodes: usize, heard: &Heard) -> Option<Decision> {
        let (successes, failures) = tally(heard);
        let silent = nodes - successes - failures;
        match self.0 {
            required if successes == required => Some(Decision::Reached),
            required if successes + silent < required => Some(Decision::CannotReach),
            _ => None,
        }
    }

    fn end(self, nodes: usize, heard: &Heard) -> End {
        let (_, failures) = tally(heard);
        let late = heard.iter().filter(|(_, word)| *word == Word::Late).count();
        let rest = match self.decides(nodes, heard) {
            Some(Decision::Reached) => {
                let that = |success| {
                    let said = (1..).zip(heard);
                    said.filter(move |(_, (_, word))| (*word == Word::Success) == success)
                        .map(|(step, (index, _))| (*index, step))
                        .collect()
                };
                return End::Votes { successes: that(true), failures: that(false) };
            }
            Some(Decision::CannotReach) => Shown::NotWaitedFor,
            None => Shown::Silent,
        };
        // Whoever ran out of time, here or there, could have been a success.
        let kind = match nodes - (failures - late) >= self.0 {
            true => Kind::Deadline,
            false => Kind::NotReached,
        };
        everyone(kind, nodes, heard, rest)
    }
}

impl Model for TheFirst {
    fn decides(self, nodes: usize, heard: &Heard) -> Option<Decision> {
        match tally(heard) {
            (0, failures) if failures == nodes => Some(Decision::CannotReach),
            (0, _) => None,
            _ => Some(Decision::Reached),
        }
    }

    fn end(self, nodes: usize, heard: &Heard) -> End {
        match (1..).zip(heard).find(|(_, (_, word))| *word == Word::Success) {
            Some((step, (index, _))) => End::First(*index, step),
            None => everyone(Kind::NoSuccess, nodes, heard, Shown::Silent),
        }
    }
}

impl Model for Everyone {
    fn decides(self, nodes: usize, heard: &Heard) -> Option<Decision> {
        (heard.len() == nodes).then_some(Decision::Reached)
    }

    fn end(self, nodes: usize, heard: &Heard) -> End {
        everyone(Kind::All, nodes, heard, Shown::Silent)
    }
}

/// How many successes, and how many failures.
fn tally(heard: &Heard) -> (usize, usize) {
    let successes = heard.iter().filter(|(_, word)| *word == Word::Success).count();
    (successes, heard.len() - successes)
}

fn everyone(kind: Kind, nodes: usize, heard: &Heard, rest: Shown) -> End {
    let shown = |index| {
        let said = (1..).zip(heard).find(|(_, (said, _))| *said == index);
        said.map_or(rest, |(step, (_, word))| Shown::Said(*word, step))
    };
    End::Listed(kind, (0..nodes).map(shown).collect())
}

/// How many points of a tree were seen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Points {
    /// Where the deadline might pass.
    open: usize,
    /// Where the result is decided.
    decided: usize,
}

struct Walk<M> {
    model: M,
    nodes: usize,
    heard: Vec<(usize, Word)>,
    seen: Points,
}

impl<M: Model> Walk<M> {
    /// Walks the whole tree, and compares its size with what is expected.
    fn all(machine: &impl Strategy, model: M, nodes: usize) -> Points {
        let mut walk = Self { model, nodes, heard: Vec::new(), seen: Points::default() };
        walk.on(machine);
        walk.seen
    }

    fn on<S: Strategy>(&mut self, machine: &S) {
        self.seen.open += 1;
        let mut over = machine.clone();
        over.deadline();
        self.ends(over);
        let step = self.heard.len() as u32 + 1;
        for index in 0..self.nodes {
            if self.heard.iter().any(|(heard, _)| *heard == index) {
                continue;
            }
            for word in self.words(index) {
                let mut next = machine.clone();
                let decision = next.hear(index, word, step);
                self.heard.push((index, word));
                assert_eq!(decision, self.model.decides(self.nodes, &self.heard), "{self:?}");
                let opposite = if word == Word::Success { Word::App } else { Word::Success };
                assert_eq!(next.hear(index, opposite, step), None, "said twice: {self:?}");
                assert_eq!(next.hear(self.nodes, Word::Success, step), None, "{self:?}");
                if decision.is_none() {
                    self.on(&next);
                } else {
                    self.seen.decided += 1;
                    // After every other decision the deadline passes too.
                    if self.seen.decided.is_multiple_of(2) {
                        next.deadline();
                    }
                    self.ends(next);
                }
                self.heard.pop();
            }
        }
    }

    /// Whoever speaks now is not heard, and the end is the one that is meant.
    fn ends(&self, mut over: impl Strategy) {
        for index in 0..self.nodes {
            assert_eq!(over.hear(index, Word::Success, 50), None, "{self:?}");
        }
        assert_eq!(over.end(), self.model.end(self.nodes, &self.heard), "{self:?}");
    }

    fn words(&self, index: usize) -> impl Iterator<Item = Word> + use<M> {
        let turn = (index + self.heard.len()) % FAILURES.len();
        let all = self.nodes <= ALL_WORDS;
        let failures = FAILURES.into_iter().enumerate();
        let failures = failures.filter(move |(kind, _)| all || *kind == turn).map(|(_, word)| word);
        [Word::Success].into_iter().chain(failures)
    }
}

impl<M: Debug> Debug for Walk<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} of {} after {:?}", self.model, self.nodes, self.heard)
    }
}

/// How many points there must be: where fewer than `successes` succeeded, and at most `failures`
/// failed, nothing is decided.
fn points(nodes: usize, successes: usize, failures: usize) -> Points {
    let kinds = if nodes <= ALL_WORDS { FAILURES.len() } else { 1 };
    let (mut open, mut branches) = (0, 0);
    for (yes, no) in (0..successes).flat_map(|yes| (0..=failures).map(move |no| (yes, no))) {
        let heard = yes + no;
        if heard < nodes {
            let orders: usize = (nodes - heard + 1..=nodes).product();
            let places = (1..=yes).fold(1, |places, n| places * (no + n) / n);
            let points = orders * places * kinds.pow(no as u32);
            open += points;
            branches += points * (nodes - heard) * (kinds + 1);
        }
    }
    // Each branch ends in a decision or in another open point, of which one is the root.
    Points { open, decided: branches - (open - 1) }
}

#[test]
fn a_quorum_of_any_number_of_up_to_seven_nodes() {
    let mut total = 0;
    for count in 0..=NODES {
        for required in 0..=count + 1 {
            match QuorumMachine::new(nodes(count), required) {
                Ok(machine) => {
                    let machine: Quorum = machine;
                    assert!((1..=count).contains(&required));
                    let seen = Walk::all(&machine, QuorumOf(required), count);
                    assert_eq!(seen, points(count, required, count - required));
                    total += seen.open + seen.decided;
                }
                Err(QuorumError::Unreachable { workers, required: needed }) => {
                    assert_eq!((workers, needed), (count, required));
                    assert!(required == 0 || required > count, "{required} of {count}");
                }
                Err(other) => panic!("{required} of {count}: {other:?}"),
            }
        }
    }
    println!(
        "| 15 | a quorum never lies | reached ⇔ enough distinct nodes succeeded, told at the first \
         event that decides | 0 deviations from a naive count | all {total} points of quorums of 1 \
         to 7 nodes |"
    );
}

#[test]
fn the_first_of_up_to_seven_nodes() {
    let why = || Why::new("Users", "find");
    let nobody: Result<First, _> = FirstMachine::new(Vec::new(), why);
    assert!(matches!(nobody, Err(FirstError::NoTarget(given)) if given == why()));
    for count in 1..=NODES {
        let machine: First = FirstMachine::new(nodes(count), why).unwrap();
        let seen = Walk::all(&machine, TheFirst, count);
        assert_eq!(seen, points(count, 1, count - 1));
    }
}

#[test]
fn all_of_up_to_seven_nodes() {
    let why = || Why::new("Users", "find");
    let nobody: Result<All, _> = AllMachine::new(Vec::new(), why);
    assert_eq!(nobody.unwrap_err(), NoTarget(why()));
    for count in 1..=NODES {
        let machine: All = AllMachine::new(nodes(count), why).unwrap();
        let seen = Walk::all(&machine, Everyone, count);
        // Nothing but the last word decides.
        assert_eq!(seen, points(count, count + 1, count));
    }
}
