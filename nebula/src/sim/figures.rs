#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::ask::{Ask, Course};
use super::cluster::Cluster;
use super::world::Time;

impl Cluster {
    /// The calls that began in `[from, to)`.
    pub(super) fn begun(&self, from: Time, to: Time) -> impl Iterator<Item = &Ask> {
        self.asks.iter().filter(move |ask| (from..to).contains(&ask.began))
    }

    /// How many of them succeeded, and how many there are.
    pub(super) fn succeeded(&self, from: Time, to: Time) -> (usize, usize) {
        let ok = |ask: &&Ask| ask.told.is_some_and(|told| told.ok);
        (self.begun(from, to).filter(ok).count(), self.begun(from, to).count())
    }

    /// How long they took, in order.
    pub(super) fn times(&self, from: Time, to: Time) -> Vec<Time> {
        let took = |ask: &Ask| ask.told.map_or(Time::MAX, |told| told.at - ask.began);
        let mut times: Vec<_> = self.begun(from, to).map(took).collect();
        times.sort_unstable();
        times
    }

    /// How many of them asked each server first.
    pub(super) fn firsts(&self, from: Time, to: Time, caller: Option<usize>) -> Vec<usize> {
        let mut firsts = vec![0; self.plan.servers];
        for ask in self.begun(from, to) {
            if let Course::One(one) = &ask.course
                && let Some(first) = one.first
                && caller.is_none_or(|caller| caller == ask.caller)
            {
                firsts[first] += 1;
            }
        }
        firsts
    }
}

/// So many of a thousand of them are at most this; they are in order.
pub(super) fn permille(times: &[Time], permille: usize) -> Time {
    times
        .get((times.len() * permille / 1000).min(times.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0)
}

/// The most that chance gives of so many draws, each with a chance of `share`: six standard
/// deviations more than is due, and one for what is rounded.
pub(super) fn at_most(draws: usize, share: f64) -> usize {
    let (draws, share) = (draws as f64, share.min(1.0));
    (draws * share + 6.0 * (draws * share * (1.0 - share)).sqrt()).ceil() as usize + 1
}
