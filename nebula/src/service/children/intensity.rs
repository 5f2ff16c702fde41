//! How often children may be started again before that is given up, and how long each time waits.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How long the second restart in the window waits. It doubles from there.
const BASE: Duration = Duration::from_millis(100);
/// No window is shorter: in one without length nothing would be counted.
const SHORTEST: Duration = Duration::from_millis(1);
/// More restarts than this are not counted: more often than that is too often in any window.
const MOST: u32 = 1000;

/// A window over the restarts of one supervisor.
#[derive(Debug)]
pub(crate) struct Intensity {
    most: u32,
    within: Duration,
    restarts: VecDeque<Instant>,
}

impl Intensity {
    /// At most `most` restarts (and never more than 1000) within that time.
    pub(crate) fn new(most: u32, within: Duration) -> Self {
        Self { most: most.min(MOST), within: within.max(SHORTEST), restarts: VecDeque::new() }
    }

    /// A child is to be started again. Gives how long to wait before that; none if this is once too
    /// often.
    ///
    /// The first restart in the window does not wait, the second 0.1 s, each later one twice as
    /// long, up to a share of the window that leaves room for one too many: waiting must not be
    /// what keeps a child that always fails below the limit. So it is whole milliseconds, which is
    /// what a timer counts in.
    pub(crate) fn restart(&mut self, now: Instant) -> Option<Duration> {
        while self.restarts.front().is_some_and(|at| now.duration_since(*at) > self.within) {
            self.restarts.pop_front();
        }
        let before = u32::try_from(self.restarts.len()).unwrap_or(u32::MAX);
        if before >= self.most {
            return None;
        }
        self.restarts.push_back(now);
        let doubled = match before.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => BASE.saturating_mul(2_u32.saturating_pow(doublings)),
        };
        let wait = doubled.min(self.within / self.most.saturating_mul(2));
        Some(Duration::from_millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }

    /// What was exceeded, in words.
    pub(crate) fn limit(&self) -> String {
        format!("more than {} restarts within {:?}", self.most, self.within)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    /// Any moment will do.
    #[allow(clippy::disallowed_methods)]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn the_fourth_restart_within_five_seconds_is_one_too_many() {
        let (mut intensity, now) = (Intensity::new(3, 5 * SECOND), start());
        let at = |intensity: &mut Intensity, time| intensity.restart(now + time);
        assert_eq!(at(&mut intensity, Duration::ZERO), Some(Duration::ZERO));
        assert_eq!(at(&mut intensity, SECOND), Some(100 * MS));
        assert_eq!(at(&mut intensity, 2 * SECOND), Some(200 * MS));
        assert_eq!(at(&mut intensity, 5 * SECOND), None);
        // The first has left the window.
        assert_eq!(at(&mut intensity, 5 * SECOND + MS), Some(200 * MS));
        assert_eq!(at(&mut intensity, 6 * SECOND), None);
        assert_eq!(at(&mut intensity, 60 * SECOND), Some(Duration::ZERO));
        assert_eq!(intensity.limit(), "more than 3 restarts within 5s");
    }

    #[test]
    fn none_may_be_the_limit() {
        assert_eq!(Intensity::new(0, SECOND).restart(start()), None);
    }

    proptest! {
        #[test]
        fn what_always_fails_at_once_is_given_up(most: u32, within in 0_u64..100_000) {
            let mut intensity = Intensity::new(most, Duration::from_millis(within));
            let (mut now, mut restarts) = (start(), 0);
            while let Some(wait) = intensity.restart(now) {
                prop_assert_eq!(wait.subsec_nanos() % 1_000_000, 0);
                // Some time passes by itself, if less than a timer can tell.
                now += wait + Duration::from_nanos(500);
                restarts += 1;
                prop_assert!(restarts <= most.min(MOST));
            }
            prop_assert_eq!(restarts, most.min(MOST));
        }
    }
}
