//! What the calls of a node leave to chance.
//!
//! Promise: under one seed, the same calls made in the same order get the same random numbers and
//! turns. No lock is taken but for turns.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::policy::Policy;
use super::rendezvous::mix;

/// The source of all random numbers of a node's calls: each call gets a generator of its own, made
/// from the seed and the number of the call.
#[derive(Debug)]
pub(crate) struct Choices {
    seed: u64,
    calls: AtomicU64,
    ejections: AtomicU64,
    /// The next turn, by wire id of the method.
    turns: Mutex<BTreeMap<u64, u64>>,
}

/// What one call draws from.
#[derive(Debug)]
pub(crate) struct Draw {
    pub(crate) rng: SmallRng,
    /// Which of the method's calls it is, if its policy counts them.
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

    /// For a call of a method by a policy.
    pub(crate) fn draw(&self, method: u64, policy: Policy) -> Draw {
        let number = self.calls.fetch_add(1, Relaxed);
        let turn = if policy == Policy::RoundRobin { self.turn(method) } else { 0 };
        Draw { rng: self.stream(0, number), turn }
    }

    /// For the time that a node is passed over.
    pub(crate) fn jitter(&self) -> SmallRng {
        self.stream(1, self.ejections.fetch_add(1, Relaxed))
    }

    fn stream(&self, kind: u64, number: u64) -> SmallRng {
        SmallRng::seed_from_u64(mix(mix(self.seed ^ kind).wrapping_add(number)))
    }

    /// Callers begin at different nodes, so that they do not march in step.
    fn turn(&self, method: u64) -> u64 {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = turns.entry(method).or_insert_with(|| mix(self.seed ^ method));
        let now = *turn;
        *turn = turn.wrapping_add(1);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_everything() {
        let drawn = |seed| -> Vec<(u64, u64, u64)> {
            let choices = Choices::new(seed);
            let draw = |method| {
                let mut draw = choices.draw(method, Policy::RoundRobin);
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
    fn each_method_has_turns_of_its_own() {
        let choices = Choices::new(Some(7));
        let turn = |method, policy| choices.draw(method, policy).turn;
        let (one, two) = (turn(1, Policy::RoundRobin), turn(2, Policy::RoundRobin));
        assert_eq!(turn(1, Policy::Random), 0);
        assert_eq!(turn(1, Policy::RoundRobin), one.wrapping_add(1));
        assert_eq!(turn(2, Policy::RoundRobin), two.wrapping_add(1));
    }
}
