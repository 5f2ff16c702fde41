//! In which order candidates are tried: power of two choices.
//!
//! Promise: every candidate appears exactly once; those under suspicion come after all others;
//! of two picked at random the less loaded goes first, so that callers who all know the same
//! slightly old figures do not rush to the same node.
//!
//! Source: M. Mitzenmacher, "The power of two choices in randomized load balancing" (2001).
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use macula::identity::NodeId;
use rand::{Rng, RngExt};

/// A node that could take a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Candidate {
    /// Who.
    pub(crate) node: NodeId,
    /// What it last reported, plus what we have in flight to it ourselves: that part is never old.
    pub(crate) load: u32,
    /// Silent, or failed lately: tried only when nobody else is left.
    pub(crate) suspect: bool,
}

/// The order of attempts, as indexes of `candidates`, each exactly once.
pub(crate) fn order<R: Rng>(candidates: &[Candidate], rng: &mut R) -> Vec<usize> {
    let mut order = Vec::with_capacity(candidates.len());
    for suspect in [false, true] {
        let of_kind = candidates.iter().enumerate().filter(|(_, c)| c.suspect == suspect);
        let mut open: Vec<(usize, u32)> = of_kind.map(|(i, c)| (i, c.load)).collect();
        while open.len() > 1 {
            let first = rng.random_range(0..open.len());
            let other = (first + rng.random_range(1..open.len())) % open.len();
            let lighter = if open[other].1 < open[first].1 { other } else { first };
            order.push(open.swap_remove(lighter).0);
        }
        order.extend(open.first().map(|(i, _)| *i));
    }
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn candidates(loads: &[(u32, bool)]) -> Vec<Candidate> {
        let node = NodeId::from_bytes([0; 32]);
        loads.iter().map(|&(load, suspect)| Candidate { node, load, suspect }).collect()
    }

    /// How often each candidate comes first in `rounds` orders.
    fn firsts(candidates: &[Candidate], rounds: u64) -> Vec<u32> {
        let mut rng = StdRng::seed_from_u64(7);
        let mut counts = vec![0; candidates.len()];
        for _ in 0..rounds {
            counts[order(candidates, &mut rng)[0]] += 1;
        }
        counts
    }

    proptest! {
        #[test]
        fn each_once_and_suspects_last(
            loads in prop::collection::vec((0..5u32, any::<bool>()), 0..20),
            seed: u64,
        ) {
            let all = candidates(&loads);
            let order = order(&all, &mut StdRng::seed_from_u64(seed));
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..all.len()).collect::<Vec<_>>());
            prop_assert!(order.is_sorted_by_key(|i| all[*i].suspect));
            prop_assert_eq!(&order, &super::order(&all, &mut StdRng::seed_from_u64(seed)));
        }
    }

    #[test]
    fn of_two_the_less_loaded_is_always_first() {
        assert_eq!(firsts(&candidates(&[(9, false), (3, false)]), 100), [0, 100]);
        assert_eq!(firsts(&candidates(&[(0, true), (3, false)]), 100), [0, 100]);
    }

    #[test]
    fn the_less_loaded_are_favoured_and_the_most_loaded_is_never_first() {
        let counts =
            firsts(&candidates(&[(40, false), (0, false), (10, false), (30, false)]), 6000);
        // Of the six pairs the lightest wins three, the next two, the third one.
        assert_eq!(counts[0], 0);
        for (count, expected) in [(counts[1], 3000), (counts[2], 2000), (counts[3], 1000)] {
            assert!(count.abs_diff(expected) < 150, "{counts:?}");
        }
    }

    #[test]
    fn equal_loads_share_evenly() {
        let counts = firsts(&candidates(&[(5, false); 4]), 8000);
        assert!(counts.iter().all(|count| count.abs_diff(2000) < 200), "{counts:?}");
    }

    #[test]
    fn suspects_are_ordered_by_load_too() {
        let all = candidates(&[(9, true), (1, true), (5, false)]);
        assert_eq!(order(&all, &mut StdRng::seed_from_u64(1)), [2, 1, 0]);
    }
}
