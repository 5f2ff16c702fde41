use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use macula::{Faults, MemoryNetwork};

/// Some ways between nodes of a [`Cluster`](super::Cluster), to be hurt:
/// `cluster.link(&db, &web).loss(0.1).delay(ms(20))`.
///
/// Each method takes hold at once, for what is sent from then on, and replaces what it said before
/// for these ways; the other faults of a way stay. Shares are of all datagrams, from 0 to 1, and
/// drawn for each direction on its own, from the seed of the cluster; what is no share panics.
#[derive(Clone)]
pub struct Links<'a> {
    network: &'a MemoryNetwork,
    ways: Ways,
}

#[derive(Clone, Debug)]
pub(super) enum Ways {
    /// From one address to another.
    These(Vec<(SocketAddr, SocketAddr)>),
    /// Between all addresses, those to come included.
    All,
}

impl<'a> Links<'a> {
    pub(super) fn new(network: &'a MemoryNetwork, ways: Ways) -> Self {
        Self { network, ways }
    }

    /// Loses this share, each datagram independently of the others.
    #[track_caller]
    pub fn loss(self, share: f64) -> Self {
        let share = checked(share);
        self.each(|faults| faults.loss(share))
    }

    /// Loses this share in bursts of `length` datagrams on average ([`Faults::burst_loss`]).
    #[track_caller]
    pub fn burst_loss(self, share: f64, length: f64) -> Self {
        let share = checked(share);
        self.each(|faults| faults.burst_loss(share, length))
    }

    /// Loses everything for this share of the time, in outages of `length` on average
    /// ([`Faults::outages`]).
    #[track_caller]
    pub fn outages(self, share: f64, length: Duration) -> Self {
        let share = checked(share);
        self.each(|faults| faults.outages(share, length))
    }

    /// Delivers everything this much later: on a link in both directions a round trip takes twice
    /// that.
    pub fn delay(self, delay: Duration) -> Self {
        self.each(|faults| faults.delay(delay))
    }

    /// Delivers each datagram later by a time of its own, of `most` at most.
    pub fn jitter(self, most: Duration) -> Self {
        self.each(|faults| faults.jitter(most))
    }

    /// Delivers this share twice.
    #[track_caller]
    pub fn duplicate(self, share: f64) -> Self {
        let share = checked(share);
        self.each(|faults| faults.duplicate(share))
    }

    /// Holds this share back by `by`, so that what is sent after it overtakes it.
    #[track_caller]
    pub fn reorder(self, share: f64, by: Duration) -> Self {
        let share = checked(share);
        self.each(|faults| faults.reorder(share, by))
    }

    /// Lets at most so many bytes a second pass; zero takes the limit away
    /// ([`Faults::bandwidth`]).
    pub fn bandwidth(self, bytes_per_second: u64) -> Self {
        self.each(|faults| faults.bandwidth(bytes_per_second))
    }

    /// Takes all of that back.
    pub fn clear(self) -> Self {
        self.each(|_| Faults::none())
    }

    /// Changes what is wrong in any way that [`Faults`] knows.
    pub fn each(self, change: impl Fn(Faults) -> Faults) -> Self {
        match &self.ways {
            Ways::All => self.network.faults(change),
            Ways::These(ways) => {
                for (from, to) in ways {
                    self.network.link_faults(*from, *to, &change);
                }
            }
        }
        self
    }
}

/// A test with a share that makes no sense would pass without the fault, or fail for another reason.
#[track_caller]
fn checked(share: f64) -> f64 {
    assert!(
        (0.0..=1.0).contains(&share),
        "a share is between 0 and 1, and {share} is not: write `.loss(0.1)` for 10 %"
    );
    share
}

impl fmt::Debug for Links<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links").field("ways", &self.ways).finish_non_exhaustive()
    }
}
