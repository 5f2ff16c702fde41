//! When each leg of a call to several nodes must end, wherever its handler has moved that.

use macula::rpc::{Lease, Moved, Term};
use tokio::time::Instant;

/// The clock of one leg.
#[derive(Debug)]
pub(crate) enum Clock {
    /// Of a body in this process.
    Here(Lease),
    /// Of a request to another node.
    There(Instant, Moved),
}

impl Clock {
    /// The clock of a request with this term, which says through `moved` what becomes of it.
    pub(crate) fn there(term: Term, moved: Moved) -> Self {
        Self::There(term.deadline(), moved)
    }

    fn deadline(&self) -> Instant {
        match self {
            Self::Here(lease) => lease.deadline(),
            Self::There(first, moved) => *first + moved.by(),
        }
    }

    /// Whether the time is over. Once it is, no body gets more of it.
    fn is_over(&self, now: Instant) -> bool {
        match self {
            Self::Here(lease) => lease.expire(),
            Self::There(..) => self.deadline() <= now,
        }
    }
}

/// The clocks of the legs that are still open, by the index of their target.
#[derive(Debug, Default)]
pub(crate) struct Clocks(Vec<Option<Clock>>);

impl Clocks {
    /// The next moment at which one of them may be over; `None` when no leg is open.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.iter().flatten().map(Clock::deadline).min()
    }

    /// The leg has ended.
    pub(super) fn close(&mut self, index: usize) {
        if let Some(clock) = self.0.get_mut(index) {
            *clock = None;
        }
    }

    /// Takes out the legs whose time is over.
    pub(super) fn take_over(&mut self, now: Instant) -> Vec<usize> {
        let over = |clock: &mut Option<Clock>| clock.take_if(|clock| clock.is_over(now)).is_some();
        let legs = self.0.iter_mut().enumerate();
        legs.filter_map(|(index, clock)| over(clock).then_some(index)).collect()
    }
}

impl FromIterator<Clock> for Clocks {
    fn from_iter<I: IntoIterator<Item = Clock>>(clocks: I) -> Self {
        Self(clocks.into_iter().map(Some).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn the_earliest_open_leg_is_due_first() {
        let start = Instant::now();
        let lease = Lease::new(Term::new(start + 100 * MS, 900 * MS, 9));
        let there = |ms| Clock::there(Term::fixed(start + ms * MS), Moved::default());
        let mut clocks: Clocks =
            [Clock::Here(lease.clone()), there(100), there(100), there(300)].into_iter().collect();
        assert_eq!(clocks.due(), Some(start + 100 * MS));
        lease.extend(100 * MS).unwrap();
        clocks.close(2);
        clocks.close(9);
        tokio::time::sleep(100 * MS).await;
        assert_eq!(clocks.take_over(Instant::now()), [1]);
        assert!(clocks.take_over(Instant::now()).is_empty());
        assert_eq!(clocks.due(), Some(start + 200 * MS));
        tokio::time::sleep(200 * MS).await;
        assert_eq!(clocks.take_over(Instant::now()), [0, 3]);
        assert_eq!(clocks.due(), None);
        assert!(lease.extend(MS).is_err(), "what is told to be over is over");
    }
}
