//! What the calls of a node leave to chance.
//!
//! Promise: under one seed, the same calls made in the same order get the same random numbers and
//! turns. No lock is taken but for turns.
//!
//! Limits: 4096 turns, and one for each method beyond those.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::rendezvous::{StickyKey, mix};
use super::selector::Selector;

/// How many turns are kept apart.
const MOST: usize = 4096;

/// The source of all random numbers of a node's calls: each call gets a generator of its own, made
/// from the seed and the number of the call.
#[derive(Debug)]
pub(crate) struct Choices {
    seed: u64,
    calls: AtomicU64,
    ejections: AtomicU64,
    turns: Mutex<BTreeMap<Turns, u64>>,
}

/// The calls that take turns with each other: those of a method that are for the same nodes. If
/// calls for others took part, some of the nodes might never have their turn.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Turns {
    /// The wire id of the method.
    method: u64,
    /// A hash of whom they are for; 0 is anyone.
    whom: u64,
}

impl Turns {
    /// Those of the calls to anyone who serves the method.
    pub(crate) fn of_method(method: u64) -> Self {
        Self { method, whom: 0 }
    }

    /// Those of the calls to the nodes that the selector means.
    pub(crate) fn of_selector(method: u64, selector: &Selector) -> Self {
        Self { method, whom: StickyKey::of(selector).number() }
    }
}

/// What one call draws from.
#[derive(Debug)]
pub(crate) struct Draw {
    pub(crate) rng: SmallRng,
    /// Which of its [`Turns`] it has, if it takes one.
    pub(crate) turn: u64,
}

impl Choices {
    /// Draws by this seed, or by one from the system.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self {
            seed: seed.unwrap_or_else(|| rand::rng().next_u64()),
            calls: AtomicU64::new(0),
            ejections: AtomicU64::new(0),
            turns: Mutex::default(),
        }
    }

    /// For a call, which takes one of these turns if there are any.
    pub(crate) fn draw(&self, turns: Option<Turns>) -> Draw {
        let number = self.calls.fetch_add(1, Relaxed);
        Draw { rng: self.stream(0, number), turn: turns.map_or(0, |turns| self.turn(turns)) }
    }

    /// For the time that a node is passed over.
    pub(crate) fn jitter(&self) -> SmallRng {
        self.stream(1, self.ejections.fetch_add(1, Relaxed))
    }

    fn stream(&self, kind: u64, number: u64) -> SmallRng {
        SmallRng::seed_from_u64(mix(mix(self.seed ^ kind).wrapping_add(number)))
    }

    /// Callers begin at different nodes, so that they do not march in step.
    fn turn(&self, mut of: Turns) -> u64 {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= MOST && !turns.contains_key(&of) {
            // Selectors that are made up for each call have no use for turns of their own.
            of = Turns::of_method(of.method);
        }
        let turn = turns.entry(of).or_insert_with(|| mix(self.seed ^ of.method ^ of.whom));
        let now = *turn;
        *turn = turn.wrapping_add(1);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodes::tag;

    #[test]
    fn the_seed_decides_everything() {
        let drawn = |seed| -> Vec<(u64, u64, u64)> {
            let choices = Choices::new(seed);
            let draw = |method| {
                let mut draw = choices.draw(Some(Turns::of_method(method)));
                (draw.rng.next_u64(), draw.turn, choices.jitter().next_u64())
            };
            (0..20).map(|call| draw(call % 3)).collect()
        };
        assert_eq!(drawn(Some(7)), drawn(Some(7)));
        assert_ne!(drawn(Some(7)), drawn(Some(8)));
        assert_ne!(drawn(None), drawn(None));
        let mut numbers: Vec<_> = drawn(Some(7)).into_iter().map(|(number, ..)| number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 20, "each call has its own");
    }

    #[test]
    fn each_method_and_each_selector_has_turns_of_its_own() {
        let choices = Choices::new(Some(7));
        let turn = |turns| choices.draw(Some(turns)).turn;
        let all = [
            Turns::of_method(1),
            Turns::of_method(2),
            Turns::of_selector(1, &tag("db")),
            Turns::of_selector(1, &tag("web")),
            Turns::of_selector(2, &tag("db")),
        ];
        let first = all.map(turn);
        assert_eq!(choices.draw(None).turn, 0);
        assert_eq!(all.map(turn), first.map(|turn| turn.wrapping_add(1)));
        assert_eq!(turn(Turns::of_selector(1, &tag("db"))), first[2].wrapping_add(2));
    }

    #[test]
    fn selectors_beyond_the_limit_share_the_turns_of_the_method() {
        let choices = Choices::new(Some(7));
        let turn = |turns| choices.draw(Some(turns)).turn;
        let selector = |number: usize| Turns::of_selector(1, &tag(number.to_string()));
        let first = turn(selector(0));
        for number in 1..MOST {
            turn(selector(number));
        }
        let method = turn(Turns::of_method(1));
        for (more, number) in (MOST..MOST + 10).zip(1..) {
            assert_eq!(turn(selector(more)), method.wrapping_add(number));
        }
        assert_eq!(turn(selector(0)), first.wrapping_add(1), "who has turns keeps them");
        assert_eq!(choices.turns.lock().unwrap().len(), MOST + 1);
    }
}
