//! Power of two choices.
//!
//! Of two nodes picked at random the less loaded goes first, so that callers who all know the same
//! slightly old figures do not rush to the same node.
//!
//! Source: M. Mitzenmacher, "The power of two choices in randomized load balancing" (2001).
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use rand::{Rng, RngExt};

/// Those of `open` in the order in which they are tried, each exactly once.
pub(crate) fn two_choices<R: Rng>(
    mut open: Vec<usize>,
    load: impl Fn(usize) -> u32,
    rng: &mut R,
) -> Vec<usize> {
    let mut order = Vec::with_capacity(open.len());
    while open.len() > 1 {
        let first = rng.random_range(0..open.len());
        let other = (first + rng.random_range(1..open.len())) % open.len();
        let other_is = (load(open[other]) < load(open[first])) != cfg!(mutant = "heavier_of_two");
        let lighter = if other_is { other } else { first };
        order.push(open.swap_remove(lighter));
    }
    order.extend(open);
    order
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    /// How often each comes first in `rounds` orders.
    fn firsts(loads: &[u32], rounds: u64) -> Vec<u32> {
        let mut rng = StdRng::seed_from_u64(7);
        let mut counts = vec![0; loads.len()];
        for _ in 0..rounds {
            let all = (0..loads.len()).collect();
            counts[two_choices(all, |at| loads[at], &mut rng)[0]] += 1;
        }
        counts
    }

    #[test]
    fn of_two_the_less_loaded_is_always_first() {
        assert_eq!(firsts(&[9, 3], 100), [0, 100]);
    }

    #[test]
    fn the_less_loaded_are_favoured_and_the_most_loaded_is_never_first() {
        let counts = firsts(&[40, 0, 10, 30], 6000);
        // Of the six pairs the lightest wins three, the next two, the third one.
        assert_eq!(counts[0], 0);
        for (count, expected) in [(counts[1], 3000), (counts[2], 2000), (counts[3], 1000)] {
            assert!(count.abs_diff(expected) < 150, "{counts:?}");
        }
    }

    #[test]
    fn equal_loads_share_evenly() {
        let counts = firsts(&[5; 4], 8000);
        assert!(counts.iter().all(|count| count.abs_diff(2000) < 200), "{counts:?}");
    }
}
