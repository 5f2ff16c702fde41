#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! How long calls hold their places, and who is likely to be done in time after so long a wait.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The mean moves by one part in this many with each sample, once there are as many.
const SMOOTHING: u32 = 16;

/// With fewer samples than this nobody is sent away for what they say.
const FEW: u32 = 8;

/// The mean of the times that calls held their places lately. Of heterogeneous calls a mean is
/// what a queue of them takes, whatever each of them does.
///
/// Limits: samples that race lose one of the two, which an estimate can bear.
#[derive(Default)]
pub(super) struct Usual {
    /// In nanoseconds; zero before the first sample.
    mean: AtomicU64,
    /// How many there were, up to [`SMOOTHING`].
    samples: AtomicU32,
}

impl Usual {
    /// A call held its place for so long.
    pub(super) fn add(&self, held: Duration) {
        let held = u64::try_from(held.as_nanos()).unwrap_or(u64::MAX).max(1);
        let samples = (self.samples.load(Relaxed) + 1).min(SMOOTHING);
        let (known, part) = (self.mean.load(Relaxed), u64::from(samples));
        let next = match held >= known {
            true => known + (held - known).div_ceil(part),
            false => known - (known - held).div_ceil(part),
        };
        self.mean.store(next.max(1), Relaxed);
        self.samples.store(samples, Relaxed);
    }

    /// What is known is old: the next samples replace it.
    pub(super) fn doubt(&self) {
        self.samples.store(0, Relaxed);
    }

    /// The mean, if there is a sample.
    pub(super) fn guess(&self) -> Option<Duration> {
        Some(self.mean.load(Relaxed)).filter(|mean| *mean > 0).map(Duration::from_nanos)
    }

    /// The mean, if there are enough samples to send somebody away.
    pub(super) fn sure(&self) -> Option<Duration> {
        self.guess().filter(|_| self.samples.load(Relaxed) >= FEW)
    }
}

/// Until one more behind so many that wait has its turn, if each holds one of the places for
/// `held`.
pub(super) fn turn(held: Duration, waiting: usize, places: usize) -> Duration {
    let ahead = u32::try_from(waiting).unwrap_or(u32::MAX).saturating_add(1);
    held.saturating_mul(ahead) / u32::try_from(places).unwrap_or(u32::MAX).max(1)
}

/// Whether a call that has `left` may be done in time if it waits for `wait` and then holds its
/// place for `held`. A quarter of the wait is added: a line in which everybody is just in time is
/// too long by all that takes longer than usual, and those who then begin shortly before their
/// deadlines would be cut off after times that look short, and make the estimate worse.
///
/// If `held` is more than `left` as it is, it says nothing of this call, whose handler may move its
/// deadline, or be quicker than others; then it is enough to have its turn in time. That callers
/// allow for extensions says nothing: by default all do.
pub(super) fn fits(wait: Duration, held: Duration, left: Duration) -> bool {
    let held = if held > left { Duration::ZERO } else { held };
    wait.saturating_add(wait / 4).saturating_add(held) <= left
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_samples_give_their_mean_and_later_ones_move_it() {
        let usual = Usual::default();
        assert_eq!((usual.guess(), usual.sure()), (None, None));
        for (at, held) in [2, 4, 6, 8, 10, 12, 14, 16].into_iter().enumerate() {
            assert_eq!(usual.sure(), None, "{at} samples");
            usual.add(held * MS);
            assert_eq!(usual.guess(), Some((held + 2) / 2 * MS));
        }
        assert_eq!(usual.sure(), Some(9 * MS));
        (0..100).for_each(|_| usual.add(9 * MS));
        usual.add(25 * MS);
        assert_eq!(usual.sure(), Some(10 * MS));
        usual.doubt();
        assert_eq!((usual.guess(), usual.sure()), (Some(10 * MS), None));
        usual.add(MS);
        assert_eq!(usual.guess(), Some(MS));
    }

    #[test]
    fn the_line_is_shared_by_all_places() {
        assert_eq!(turn(8 * MS, 0, 4), 2 * MS);
        assert_eq!(turn(8 * MS, 7, 4), 16 * MS);
        assert_eq!(turn(Duration::MAX, usize::MAX, 1), Duration::MAX);
        assert!(fits(4 * MS, 5 * MS, 10 * MS));
        assert!(!fits(4 * MS, 6 * MS, 10 * MS));
        assert!(fits(4 * MS, 60 * MS, 10 * MS), "its handler may move its deadline");
        assert!(!fits(9 * MS, 60 * MS, 10 * MS), "nobody moves it before it begins");
    }

    proptest! {
        #[test]
        fn the_mean_stays_among_the_samples_and_comes_back(
            spell in prop::collection::vec(0..u64::MAX, 0..50),
            then in 1..10_000_000_000_u64,
        ) {
            let usual = Usual::default();
            for nanoseconds in &spell {
                usual.add(Duration::from_nanos(*nanoseconds));
                let mean = usual.guess().unwrap().as_nanos();
                prop_assert!(mean <= u128::from(spell.iter().max().copied().unwrap().max(1)));
                prop_assert!(mean >= u128::from(spell.iter().min().copied().unwrap()));
            }
            // However long calls took once: e^-(1000/16) of it is nothing, and each step counts.
            (0..1000).for_each(|_| usual.add(Duration::from_nanos(then)));
            let mean = usual.sure().unwrap().as_nanos() as u64;
            prop_assert_eq!(mean, then);
        }

        #[test]
        fn more_time_and_a_shorter_line_only_help(
            (wait, held, left) in (0..1000_u32, 0..1000_u32, 0..1000_u32),
            (less, more) in (0..1000_u32, 0..1000_u32),
        ) {
            let (wait, held, left) = (wait * MS, held * MS, left * MS);
            if fits(wait, held, left) {
                prop_assert!(wait <= left);
                prop_assert!(fits(wait.saturating_sub(less * MS), held, left));
                prop_assert!(held > left || fits(wait, held, left + more * MS));
            }
        }
    }
}
