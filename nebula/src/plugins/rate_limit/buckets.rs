//! Token buckets: when a call may pass, by the time that it is told.
//!
//! A bucket is one number, the moment at which it will be full again (the "theoretical arrival time"
//! of GCRA, ITU-T I.371): what is missing is the time until then. Each token taken moves it later by
//! the time in which one comes in, and none is taken that would move it further away than a whole
//! bucket.
//!
//! Promise: in any time `t` at most `burst + rate × t` tokens are taken, and one who is refused and
//! comes back when told, with nobody else in between, gets one.
//!
//! Limits: times in nanoseconds. Tokens come in at whole nanoseconds, rounded up: at a million a
//! second a thousandth less than asked for may pass, never more.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;

/// How many have a bucket of their own.
pub(super) const MOST: usize = 4096;
/// How often it is looked for buckets that are full, in nanoseconds: that takes a while.
const SWEEP: u64 = 100_000_000;

/// How fast tokens come in, and how many a bucket holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// The time in which one comes in, in nanoseconds.
    each: u64,
    /// The time in which an empty bucket fills.
    fill: u64,
}

impl Rate {
    /// Both more than zero. A bucket holds one at least.
    pub(super) fn new(per_second: f64, burst: u32) -> Self {
        // Saturates, as does all that follows.
        let each = (1e9 / per_second).ceil().max(1.0) as u64;
        Self { each, fill: each.saturating_mul(u64::from(burst.max(1))) }
    }
}

/// The moment at which it will be full.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket(u64);

impl Bucket {
    /// Takes a token, or says after how many nanoseconds there will be one.
    fn take(&mut self, rate: &Rate, now: u64) -> Result<(), u64> {
        let latest = now.saturating_add(rate.fill);
        // One that has become smaller is not emptier than empty.
        self.0 = self.0.clamp(now, latest);
        let taken = self.0.saturating_add(rate.each);
        if taken > latest {
            return Err(taken - latest);
        }
        self.0 = taken;
        Ok(())
    }

    fn is_full(self, now: u64) -> bool {
        self.0 <= now
    }
}

/// A bucket for each of many, and one for all others.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    own: BTreeMap<K, Bucket>,
    shared: Bucket,
    /// When it may be swept again.
    sweep: u64,
}

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self { own: BTreeMap::new(), shared: Bucket::default(), sweep: 0 }
    }
}

impl<K: Ord> Buckets<K> {
    /// Takes a token from the bucket of `key`, or from the shared one: for `None`, and for those
    /// who find no room for one of their own.
    ///
    /// # Errors
    ///
    /// After how many nanoseconds there will be one.
    pub(super) fn take(&mut self, key: Option<K>, rate: &Rate, now: u64) -> Result<(), u64> {
        let Some(key) = key else { return self.shared.take(rate, now) };
        if let Some(bucket) = self.own.get_mut(&key) {
            return bucket.take(rate, now);
        }
        if self.own.len() >= MOST && now >= self.sweep {
            // A full one is as good as none. Others are kept, lest one who is forgotten gets more.
            self.own.retain(|_, bucket| !bucket.is_full(now));
            self.sweep = now.saturating_add(SWEEP);
        }
        match self.own.len() < MOST {
            true => self.own.entry(key).or_default().take(rate, now),
            false => self.shared.take(rate, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// The bucket as it is usually told: it holds `level`, in nanoseconds of coming in.
    struct Model {
        level: u64,
        at: u64,
    }

    impl Model {
        fn take(&mut self, rate: &Rate, now: u64) -> Result<(), u64> {
            self.level = (self.level + (now - self.at)).min(rate.fill);
            self.at = now;
            match self.level.checked_sub(rate.each) {
                Some(left) => {
                    self.level = left;
                    Ok(())
                }
                None => Err(rate.each - self.level),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// The one number is the bucket; never more pass than there may; who waits is let in.
        #[test]
        fn a_bucket_is_a_token_bucket(
            per_second in 0.5..2_000.0_f64,
            burst in 1..20_u32,
            gaps in prop::collection::vec(0..SECOND / 50, 1..200),
        ) {
            let rate = Rate::new(per_second, burst);
            let mut bucket = Bucket::default();
            let mut model = Model { level: rate.fill, at: 0 };
            let (mut now, mut passed) = (0, Vec::new());
            for gap in gaps {
                now += gap;
                let taken = bucket.take(&rate, now);
                prop_assert_eq!(taken, model.take(&rate, now));
                match taken {
                    Ok(()) => passed.push(now),
                    Err(wait) => {
                        let later = |wait| {
                            let mut bucket = bucket;
                            bucket.take(&rate, now + wait)
                        };
                        prop_assert_eq!(later(wait), Ok(()));
                        prop_assert_eq!(later(wait - 1), Err(1));
                    }
                }
            }
            for (from, began) in passed.iter().enumerate() {
                for (to, ended) in passed.iter().enumerate().skip(from) {
                    let most = f64::from(burst) + per_second * ((ended - began) as f64 / 1e9);
                    prop_assert!((to - from + 1) as f64 <= most + 1e-6);
                }
            }
        }

        /// Whoever comes back when told gets through, however long this goes on.
        #[test]
        fn nobody_starves(per_second in 0.001..1e6_f64, burst in 1..1_000_000_u32) {
            let rate = Rate::new(per_second, burst);
            let mut bucket = Bucket(rate.fill);
            let mut now = 0;
            for _ in 0..100 {
                now += bucket.take(&rate, now).unwrap_err();
                prop_assert_eq!(bucket.take(&rate, now), Ok(()));
            }
        }
    }

    #[test]
    fn each_has_a_bucket_while_there_is_room() {
        let rate = Rate::new(1.0, 1);
        let mut buckets = Buckets::default();
        for key in 0..MOST {
            assert_eq!(buckets.take(Some(key), &rate, 0), Ok(()));
        }
        assert_eq!(buckets.take(Some(0), &rate, 0), Err(SECOND));
        // The next two share one.
        assert_eq!(buckets.take(Some(MOST), &rate, 0), Ok(()));
        assert_eq!(buckets.take(Some(MOST + 1), &rate, 0), Err(SECOND));
        assert_eq!(buckets.take(None, &rate, 0), Err(SECOND));
        assert_eq!(buckets.own.len(), MOST);
        // There is room again once the others are full.
        assert_eq!(buckets.take(Some(MOST), &rate, SECOND), Ok(()));
        assert_eq!(buckets.take(Some(MOST + 1), &rate, SECOND), Ok(()));
        assert_eq!(buckets.own.len(), 2);
    }

    #[test]
    fn another_rate_forgives_no_more_than_a_bucket() {
        let (slow, fast) = (Rate::new(0.001, 10), Rate::new(1000.0, 10));
        let mut bucket = Bucket::default();
        for _ in 0..10 {
            assert_eq!(bucket.take(&slow, 0), Ok(()));
        }
        assert_eq!(bucket.take(&fast, 0), Err(SECOND / 1000), "empty, and no emptier");
        assert_eq!(bucket.take(&fast, SECOND / 1000), Ok(()));
    }
}
