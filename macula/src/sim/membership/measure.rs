//! What is measured: each function runs one scenario with one seed and gives figures.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;

use super::super::link::Conditions;
use super::super::trace::Trace;
use super::super::world::{MS, SECOND, Time};
use super::cluster::Cluster;
use super::figures::Figures;
use super::heal::heals;

/// Time for a cluster to settle in.
const WARM: Time = 20 * SECOND;

/// How the end of nodes was found out.
#[derive(Clone, Debug, Default)]
pub(super) struct Detection {
    /// Until the first node suspected it.
    pub(super) suspected: Figures,
    /// Until the first node took it to be dead.
    pub(super) declared: Figures,
    /// Until the last one did.
    pub(super) everywhere: Figures,
    /// Times that a node which lived was taken to be dead.
    pub(super) false_deaths: usize,
}

impl Detection {
    pub(super) fn extend(&mut self, other: Self) {
        self.suspected.extend(other.suspected);
        self.declared.extend(other.declared);
        self.everywhere.extend(other.everywhere);
        self.false_deaths += other.false_deaths;
    }
}

/// How a node ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    Crash,
    Leave,
}

fn settled(count: usize, seed: u64, conditions: &Conditions) -> Result<Cluster, String> {
    let mut cluster = Cluster::new(count, seed, Conditions::good(), Trace::default());
    cluster.run(WARM / 2)?;
    heals(&mut cluster, 0)?;
    cluster.network.conditions = conditions.clone();
    cluster.run(WARM / 2)?;
    cluster.saw.clear();
    Ok(cluster)
}

/// One node after the other ends, and starts again once all know.
pub(super) fn ends(
    count: usize,
    seed: u64,
    conditions: &Conditions,
    end: End,
    times: usize,
) -> Result<Detection, String> {
    let mut cluster = settled(count, seed, conditions)?;
    let mut found = Detection::default();
    for _ in 0..times {
        let rng = &mut cluster.world.rng;
        // A seed is dialled again and again, the others are not: they are the usual case.
        let (victim, when) = (rng.random_range(3..count), rng.random_range(0..SECOND));
        cluster.run(when)?;
        let start = cluster.world.now();
        cluster.saw.clear();
        cluster.accused.clear();
        match end {
            End::Crash => cluster.crash(victim),
            End::Leave => cluster.leave(victim),
        }
        let all_know = |cluster: &Cluster| {
            let id = super::node::id_of(victim);
            let mut others = cluster.nodes.iter().filter(|node| node.up);
            others.all(|node| !node.alive.contains_key(&id))
        };
        while !all_know(&cluster) {
            cluster.run(SECOND / 4)?;
            if cluster.world.now() - start > (2 * count as Time + 60) * SECOND {
                return Err(format!(
                    "{victim} ended, and not all know after twice as many periods as there are nodes"
                ));
            }
        }
        if let Some(at) = cluster.accused.get(&victim).filter(|_| end == End::Crash) {
            found.suspected.add(at.saturating_sub(start));
        }
        let deaths = cluster.saw.iter().filter(|saw| !saw.up && saw.subject == victim);
        let (mut first, mut last) = (Time::MAX, 0);
        for death in deaths {
            (first, last) = (first.min(death.at), last.max(death.at));
        }
        found.declared.add(first - start);
        found.everywhere.add(last - start);
        found.false_deaths += false_deaths(&cluster, &BTreeSet::from([victim]));
        cluster.restart(victim);
        heals(&mut cluster, 60 * SECOND)?;
    }
    Ok(found)
}

/// How many nodes, beside some, were taken to be dead by anybody: nobody's goodbye counts.
fn false_deaths(cluster: &Cluster, beside: &BTreeSet<usize>) -> usize {
    let deaths = cluster.saw.iter().filter(|saw| !saw.up && !beside.contains(&saw.subject));
    // Of one death many hear at about the same time.
    let deaths: BTreeSet<_> = deaths.map(|saw| (saw.subject, saw.at / (20 * SECOND))).collect();
    deaths.len()
}

/// What happens in a cluster where nobody ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Quiet {
    pub(super) node_periods: u64,
    /// Deaths of nodes that never stood still, and of those that did.
    pub(super) false_deaths: usize,
    pub(super) slow_deaths: usize,
    /// How often a node that never stood still took a new name, having been declared dead.
    pub(super) renewals: u64,
    pub(super) packets: u64,
    pub(super) bytes: u64,
    /// Both, by what the packets are for.
    pub(super) purposes: BTreeMap<&'static str, (u64, u64)>,
}

impl Quiet {
    pub(super) fn add(&mut self, other: &Self) {
        self.node_periods += other.node_periods;
        self.false_deaths += other.false_deaths;
        self.slow_deaths += other.slow_deaths;
        self.renewals += other.renewals;
        self.packets += other.packets;
        self.bytes += other.bytes;
        for (purpose, sent) in &other.purposes {
            let sum = self.purposes.entry(purpose).or_default();
            *sum = (sum.0 + sent.0, sum.1 + sent.1);
        }
    }

    /// Packets and bytes that a node sends in a period.
    pub(super) fn load(&self) -> (f64, f64) {
        let periods = self.node_periods as f64;
        (self.packets as f64 / periods, self.bytes as f64 / periods)
    }
}

/// So many periods in which nobody ends, and in which one of ten nodes stands still in blocks of
/// these lengths, if any, with as long between them.
pub(super) fn nobody_ends(
    count: usize,
    seed: u64,
    conditions: &Conditions,
    periods: u64,
    pauses: Option<(Time, Time)>,
) -> Result<Quiet, String> {
    let mut cluster = settled(count, seed, conditions)?;
    let sent = |cluster: &Cluster| {
        let sums = cluster.nodes.iter().map(|node| node.sent);
        sums.fold((0, 0), |sum, sent| (sum.0 + sent.0, sum.1 + sent.1))
    };
    let before = sent(&cluster);
    cluster.nodes.iter_mut().for_each(|node| (node.dialled, node.purposes) = Default::default());
    // The seeds are left alone: they are dialled by others anyway.
    let slow: BTreeSet<_> = match pauses {
        Some(_) => (3..3 + count.div_ceil(10)).collect(),
        None => BTreeSet::new(),
    };
    let mut next: Vec<Time> = vec![0; slow.len()];
    for _ in 0..periods {
        if let Some((least, most)) = pauses {
            for (index, next) in slow.iter().zip(&mut next) {
                let now = cluster.world.now();
                if *next <= now {
                    let time = cluster.world.rng.random_range(least..=most);
                    cluster.pause(*index, time);
                    *next = now + time + cluster.world.rng.random_range(least..=most);
                }
            }
        }
        cluster.run(SECOND)?;
    }
    let after = sent(&cluster);
    let false_deaths = false_deaths(&cluster, &slow);
    let healthy_nodes = cluster.nodes.iter().enumerate().filter(|(index, _)| !slow.contains(index));
    let renewals = healthy_nodes.map(|(_, node)| u64::from(node.renewals)).sum();
    let healthy = (0..count).filter(|index| !slow.contains(index)).collect();
    let slow_deaths = self::false_deaths(&cluster, &healthy);
    let mut purposes: BTreeMap<_, (u64, u64)> = BTreeMap::new();
    for (purpose, sent) in cluster.nodes.iter().flat_map(|node| &node.purposes) {
        let sum = purposes.entry(*purpose).or_default();
        *sum = (sum.0 + sent.0, sum.1 + sent.1);
    }
    let dialled = cluster.nodes.iter().map(|node| node.dialled).sum();
    purposes.insert("dials, where connections stay", (dialled, 0));
    Ok(Quiet {
        node_periods: periods * count as u64,
        false_deaths,
        slow_deaths,
        renewals,
        packets: after.0 - before.0,
        bytes: after.1 - before.1,
        purposes,
    })
}

/// A cluster is split in half for so long; how long it takes to be whole again.
pub(super) fn partition(count: usize, seed: u64, periods: u64) -> Result<Time, String> {
    let mut cluster = settled(count, seed, &Conditions::good())?;
    let half = |index: usize| (index + seed as usize).is_multiple_of(2);
    for (a, b) in (0..count).flat_map(|a| (0..count).map(move |b| (a, b))) {
        if half(a) != half(b) {
            cluster.network.cut(a, b);
        }
    }
    cluster.run(periods * SECOND)?;
    cluster.network.mend();
    heals_finely(&mut cluster, 200 * SECOND)
}

/// A node is killed and starts again after so long; how long until all have its new life.
pub(super) fn restart(
    count: usize,
    seed: u64,
    conditions: &Conditions,
    after: Time,
) -> Result<Time, String> {
    let mut cluster = settled(count, seed, conditions)?;
    cluster.crash(count - 1);
    cluster.run(after)?;
    cluster.restart(count - 1);
    heals_finely(&mut cluster, 60 * SECOND)
}

fn heals_finely(cluster: &mut Cluster, within: Time) -> Result<Time, String> {
    super::heal::heals_by(cluster, within, 100 * MS)
}
