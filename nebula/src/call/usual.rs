#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! How long the calls of a method usually take.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The share of calls, in percent, that take no longer than the estimate.
const PERCENTILE: u64 = 95;
/// What is assumed before the first observation.
const UNKNOWN: Duration = Duration::from_millis(50);
/// The estimate stays within these.
const LEAST: Duration = Duration::from_millis(1);
const MOST: Duration = Duration::from_secs(10);

/// A live estimate of the 95th percentile, in constant space: each observation moves it by a step
/// proportional to itself, up by 95 parts if the call took longer and down by 5 if not, so that
/// it rests where 5 of 100 calls take longer. Racing observations may lose one another's step.
#[derive(Debug)]
pub(crate) struct UsualTime {
    /// In nanoseconds.
    estimate: AtomicU64,
}

impl UsualTime {
    pub(crate) fn new() -> Self {
        Self { estimate: AtomicU64::new(nanos(UNKNOWN)) }
    }

    pub(crate) fn get(&self) -> Duration {
        Duration::from_nanos(self.estimate.load(Relaxed))
    }

    /// A call took this long.
    pub(crate) fn observe(&self, took: Duration) {
        let estimate = self.estimate.load(Relaxed);
        let step = estimate / 4000;
        let moved = if nanos(took) > estimate {
            estimate.saturating_add(step * PERCENTILE)
        } else {
            estimate.saturating_sub(step * (100 - PERCENTILE))
        };
        self.estimate.store(moved.clamp(nanos(LEAST), nanos(MOST)), Relaxed);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn it_settles_near_the_95th_percentile() {
        let mut rng = SmallRng::seed_from_u64(1);
        let usual = UsualTime::new();
        assert_eq!(usual.get(), UNKNOWN);
        let mut longer = 0;
        for call in 0..20_000 {
            let took = Duration::from_millis(rng.random_range(100..200));
            longer += usize::from(call >= 10_000 && took > usual.get());
            usual.observe(took);
        }
        assert!((450..=550).contains(&longer), "{longer} of 10 000 took longer");
    }

    #[test]
    fn it_stays_within_its_bounds() {
        let usual = UsualTime::new();
        (0..10_000).for_each(|_| usual.observe(Duration::ZERO));
        assert!(usual.get() >= LEAST && usual.get() < 2 * LEAST, "{:?}", usual.get());
        (0..10_000).for_each(|_| usual.observe(Duration::from_secs(3600)));
        assert_eq!(usual.get(), MOST);
    }
}
