//! Clusters that are hurt, and must heal.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use rand::RngExt;

use super::super::invariants::views_are;
use super::super::link::{Bursts, Conditions, chance};
use super::super::seeds;
use super::super::trace::Trace;
use super::super::world::{MS, SECOND, Time};
use super::cluster::Cluster;

/// Whether all views are right; if not, what is wrong.
fn converged(cluster: &Cluster) -> Result<(), String> {
    let running = cluster.nodes.iter().filter(|node| node.up);
    views_are(running.map(|node| (node.me, &node.alive)))
}

/// Runs until all views are right, and says how long that took.
pub(super) fn heals(cluster: &mut Cluster, within: Time) -> Result<Time, String> {
    heals_by(cluster, within, SECOND / 2)
}

/// The same, looking so often.
pub(super) fn heals_by(cluster: &mut Cluster, within: Time, step: Time) -> Result<Time, String> {
    let start = cluster.world.now();
    loop {
        let healed = converged(cluster);
        let taken = cluster.world.now() - start;
        match healed {
            Ok(()) => return Ok(taken),
            Err(reason) if taken >= within => {
                return Err(format!("not healed {} s later: {reason}", taken / SECOND));
            }
            Err(_) => cluster.run(step)?,
        }
    }
}

/// What the seed says happens to a cluster of 4 to 12 nodes.
fn hurt(seed: u64, trace: Trace) -> Result<Cluster, String> {
    let mut cluster = Cluster::new(4 + (seed % 9) as usize, seed, Conditions::good(), trace);
    let count = cluster.nodes.len();
    cluster.run(10 * SECOND)?;
    heals(&mut cluster, 0)?;
    for _ in 0..30 {
        let rng = &mut cluster.world.rng;
        let (what, one, other) =
            (rng.random_range(0..10), rng.random_range(0..count), rng.random_range(0..count));
        let for_long = rng.random_range(100..=20_000) * MS;
        match what {
            0 if cluster.nodes[one].up => cluster.crash(one),
            1 if cluster.nodes[one].up => cluster.leave(one),
            0..=2 if !cluster.nodes[one].up => cluster.restart(one),
            2 | 3 => cluster.pause(one, for_long),
            4 => cluster.network.cut(one, other),
            5 => {
                for (a, b) in (0..count).flat_map(|a| (0..count).map(move |b| (a, b))) {
                    let apart = (a % 3 == one % 3) != (b % 3 == one % 3);
                    if apart {
                        cluster.network.cut(a, b);
                    }
                }
            }
            6 => cluster.network.mend(),
            7 => cluster.network.conditions = Conditions::bad(),
            8 => {
                let of_nodes = chance(rng, 500);
                let bursts = Some(Bursts { share: 250, longest: SECOND, of_nodes });
                cluster.network.conditions = Conditions { bursts, ..Conditions::good() };
            }
            _ => cluster.network.conditions = Conditions::lossy(100),
        }
        let time = cluster.world.rng.random_range(100..=15_000) * MS;
        cluster.run(time)?;
    }
    Ok(cluster)
}

/// Takes all harm away.
fn mend(cluster: &mut Cluster) {
    cluster.network.mend();
    cluster.network.conditions = Conditions::good();
    for index in 0..cluster.nodes.len() {
        if !cluster.nodes[index].up {
            cluster.restart(index);
        }
    }
}

#[test]
fn whatever_happens_it_heals() {
    seeds::each("membership::heal::whatever_happens_it_heals", 45, |seed| {
        let mut cluster = hurt(seed, Trace::default())?;
        mend(&mut cluster);
        let taken = heals(&mut cluster, 90 * SECOND)?;
        println!("seed {seed}: {} s", taken / SECOND);
        Ok(())
    });
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let trace = |seed| {
        let mut cluster = hurt(seed, Trace::kept()).unwrap();
        mend(&mut cluster);
        heals(&mut cluster, 90 * SECOND).unwrap();
        cluster.world.trace.text().to_owned()
    };
    let first = trace(1);
    assert!(first.lines().count() > 1000, "{}", first.lines().count());
    assert!(first == trace(1), "the same seed went two ways");
    assert!(first != trace(2), "two seeds went the same way");
}
