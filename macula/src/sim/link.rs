#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! What becomes of a packet between two nodes.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand::rngs::StdRng;

use super::world::{MS, Time};

/// How the paths between all nodes are.
#[derive(Clone, Debug)]
pub(super) struct Conditions {
    /// Packets of a thousand that are lost, each by itself.
    pub(super) loss: u32,
    /// Times in which all packets are lost.
    pub(super) bursts: Option<Bursts>,
    /// The time a packet takes, and by how much longer it may take: reordering comes of that.
    pub(super) delay: Time,
    pub(super) jitter: Time,
    /// Packets of a thousand that arrive twice.
    pub(super) duplicates: u32,
    /// Packets of a thousand that take five times as long.
    pub(super) late: u32,
}

/// Times in which all packets are lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bursts {
    /// Their share of all time, in thousandths.
    pub(super) share: u32,
    /// The longest; the shortest are none.
    pub(super) longest: Time,
    /// They befall all paths of one node at once, rather than each path by itself.
    pub(super) of_nodes: bool,
}

impl Conditions {
    /// A site in good order: half a millisecond, no loss.
    pub(super) fn good() -> Self {
        Self { loss: 0, bursts: None, delay: MS / 2, jitter: MS / 2, duplicates: 0, late: 0 }
    }

    /// The same with so many packets of a thousand lost.
    pub(super) fn lossy(loss: u32) -> Self {
        Self { loss, ..Self::good() }
    }

    /// Everything that may happen to packets.
    pub(super) fn bad() -> Self {
        Self { loss: 100, bursts: None, delay: 20 * MS, jitter: 40 * MS, duplicates: 50, late: 50 }
    }
}

/// The paths between all nodes.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) conditions: Conditions,
    /// Ordered pairs of nodes between which nothing passes.
    cuts: BTreeSet<(usize, usize)>,
    /// Until when each path, or each node's paths, stay bad or good.
    bursts: BTreeMap<(usize, usize), (Time, bool)>,
}

impl Network {
    pub(super) fn new(conditions: Conditions) -> Self {
        Self { conditions, cuts: BTreeSet::new(), bursts: BTreeMap::new() }
    }

    /// Lets nothing pass from `from` to `to`.
    pub(super) fn cut(&mut self, from: usize, to: usize) {
        self.cuts.insert((from, to));
    }

    /// Takes all cuts back.
    pub(super) fn mend(&mut self) {
        self.cuts.clear();
    }

    pub(super) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cuts.contains(&(from, to))
    }

    /// After what times the packet arrives: never, once or twice.
    pub(super) fn carry(
        &mut self,
        from: usize,
        to: usize,
        now: Time,
        rng: &mut StdRng,
    ) -> [Option<Time>; 2] {
        if self.lose(from, to, now, rng) {
            return [None, None];
        }
        let twice = chance(rng, self.conditions.duplicates);
        [Some(self.trip(rng)), twice.then(|| self.trip(rng))]
    }

    /// After what time a message arrives that is sent again while it is lost, as QUIC does: after
    /// a few round trips and the longest delay of an acknowledgement, and then after twice as long
    /// each time (RFC 9002, section 6.2). Never, when the path is cut or it was lost eight times.
    pub(super) fn carry_surely(
        &mut self,
        from: usize,
        to: usize,
        now: Time,
        rng: &mut StdRng,
    ) -> Option<Time> {
        let first = 6 * (self.conditions.delay + self.conditions.jitter) + 25 * MS;
        (0..8).map(|tries| ((1 << tries) - 1) * first).find_map(|later| {
            let lost = self.lose(from, to, now + later, rng);
            (!lost).then(|| later + self.trip(rng))
        })
    }

    fn lose(&mut self, from: usize, to: usize, now: Time, rng: &mut StdRng) -> bool {
        if self.is_cut(from, to) || chance(rng, self.conditions.loss) {
            return true;
        }
        let Some(bursts) = self.conditions.bursts else { return false };
        if bursts.of_nodes {
            // A node's paths are those with itself in the key.
            self.in_burst((from, from), bursts, now, rng)
                || self.in_burst((to, to), bursts, now, rng)
        } else {
            self.in_burst((from, to), bursts, now, rng)
        }
    }

    fn in_burst(
        &mut self,
        path: (usize, usize),
        bursts: Bursts,
        now: Time,
        rng: &mut StdRng,
    ) -> bool {
        let (mean_bad, share) = (bursts.longest / 2, Time::from(bursts.share.clamp(1, 999)));
        let mean_good = mean_bad * (1000 - share) / share;
        let (until, bad) = self.bursts.entry(path).or_insert((0, true));
        if now > *until + 20 * (mean_good + mean_bad) {
            // What was then says nothing of now.
            *bad = chance(rng, bursts.share);
            *until = now + rng.random_range(0..=if *bad { bursts.longest } else { 2 * mean_good });
        }
        while *until < now {
            *bad = !*bad;
            *until += rng.random_range(1..=if *bad { bursts.longest } else { 2 * mean_good });
        }
        *bad
    }

    fn trip(&self, rng: &mut StdRng) -> Time {
        let Conditions { delay, jitter, late, .. } = self.conditions;
        let trip = delay + rng.random_range(0..=jitter);
        if chance(rng, late) { 5 * trip } else { trip }
    }
}

/// Whether something happens that happens so many times of a thousand.
pub(super) fn chance(rng: &mut StdRng, permille: u32) -> bool {
    permille > 0 && rng.random_range(0..1000) < permille
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn share_lost(conditions: Conditions, apart: Time) -> f64 {
        let (mut network, mut rng) = (Network::new(conditions), StdRng::seed_from_u64(1));
        let arrived = (0..20_000_u64)
            .filter(|packet| network.carry(0, 1, packet * apart, &mut rng)[0].is_some())
            .count();
        1.0 - arrived as f64 / 20_000.0
    }

    #[test]
    fn losses_are_what_they_are_said_to_be() {
        let near = |share: f64, wanted: f64| (share - wanted).abs() < 0.02;
        assert!(share_lost(Conditions::good(), 100) == 0.0);
        assert!(near(share_lost(Conditions::lossy(100), 100), 0.1));
        for of_nodes in [false, true] {
            for apart in [37 * MS, 1000 * MS, 200_000 * MS] {
                let bursts = Some(Bursts { share: 250, longest: 1000 * MS, of_nodes });
                let share = share_lost(Conditions { bursts, ..Conditions::good() }, apart);
                let wanted = if of_nodes { 1.0 - 0.75 * 0.75 } else { 0.25 };
                assert!(near(share, wanted), "{share} of {wanted} at {apart}");
            }
        }
    }

    #[test]
    fn a_cut_has_a_direction() {
        let (mut network, mut rng) = (Network::new(Conditions::good()), StdRng::seed_from_u64(1));
        network.cut(0, 1);
        assert_eq!(network.carry(0, 1, 0, &mut rng), [None, None]);
        assert_eq!(network.carry_surely(0, 1, 0, &mut rng), None);
        assert!(network.carry(1, 0, 0, &mut rng)[0].is_some());
        network.mend();
        assert!(network.carry(0, 1, 0, &mut rng)[0].is_some());
    }
}
