//! How long a failed service waits before it is started again.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::time::Duration;

use rand::{Rng, RngExt};

/// The first wait, and the longest, before jitter.
const BASE: Duration = Duration::from_secs(1);
pub(crate) const MOST: Duration = Duration::from_secs(60);
/// By how many parts in a thousand that varies, so that services that failed together do not come
/// back together.
pub(crate) const JITTER: u32 = 100;

/// The wait after `attempt` failures in a row, from 1: a second, twice as long with each further
/// failure, a minute at most; ± 10 %. `jitter` comes from [`jitter`].
pub(crate) fn backoff(attempt: u32, jitter: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
    let wait = BASE.saturating_mul(doubled).min(MOST);
    wait * (1000 - JITTER + jitter.min(2 * JITTER)) / 1000
}

/// Draws what [`backoff`] takes: parts in a thousand, twice the jitter at most.
pub(crate) fn jitter(rng: &mut impl Rng) -> u32 {
    rng.random_range(0..=2 * JITTER)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_doubles_up_to_a_minute() {
        let seconds = |attempt| backoff(attempt, JITTER).as_secs();
        let waits: Vec<_> = (1..=8).map(seconds).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(seconds(0), 1);
        assert_eq!(seconds(u32::MAX), 60);
    }

    proptest! {
        #[test]
        fn the_jitter_is_a_tenth_at_most(attempt: u32, jitter: u32) {
            let (exact, wait) = (backoff(attempt, JITTER), backoff(attempt, jitter));
            prop_assert!(wait >= exact * 9 / 10 && wait <= exact * 11 / 10);
        }
    }
}
