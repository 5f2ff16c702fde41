#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Everything at once: any way of calling, any harm; and the same again.

use rand::RngExt;

use super::super::ask::{Plan, Way};
use super::super::cluster::Cluster;
use super::super::seeds;
use super::super::world::{MS, SECOND, Time};
use super::votes::blows;
use crate::nodes::Policy;

fn plan(seed: u64, traced: bool) -> Plan {
    let ways = [
        Way::One(Policy::LocalFirst),
        Way::One(Policy::RoundRobin),
        Way::One(Policy::Random),
        Way::One(Policy::LeastLoaded),
        Way::One(Policy::Closest),
        Way::Keys(20),
        Way::Hedged(Policy::LeastLoaded),
        Way::Quorum(2),
    ];
    let way = ways[(seed % 8) as usize];
    // Only who may run twice is asked a second time.
    let idempotent = matches!(way, Way::Hedged(_)) || seed.is_multiple_of(3);
    let at_home = matches!(way, Way::One(_)) && seed.is_multiple_of(4);
    Plan {
        apart: 5 * MS,
        seats: 4,
        timeout: 400 * MS,
        idempotent,
        at_home,
        twice: 50,
        traced,
        ..Plan::usual(way)
    }
}

fn any(seed: u64, traced: bool) -> Result<Cluster, String> {
    let mut all = Cluster::new(seed, plan(seed, traced));
    for _ in 0..3 {
        blows(&mut all, 6)?;
        all.plan.apart = all.world.rng.random_range(2..20) * MS;
    }
    // So little that no queue is full by chance, nor two of them for one vote.
    all.plan.apart = 40 * MS;
    all.run(SECOND)?;
    let healed = all.world.now();
    all.run(SECOND / 2)?;
    all.finish()?;
    match all.succeeded(healed, Time::MAX) {
        (ok, calls) if ok == calls => Ok(all),
        (ok, calls) => Err(format!("{ok} of {calls} calls after all was well")),
    }
}

#[test]
fn whatever_happens_callers_are_told_what_is_so() {
    let name = "scenarios::same::whatever_happens_callers_are_told_what_is_so";
    let figures = seeds::each(name, 50, |seed| {
        let all = any(seed, false)?;
        Ok((all.asks.len(), all.attempts.len(), all.runs.len()))
    });
    let sum = |of: fn(&(usize, usize, usize)) -> usize| figures.iter().map(of).sum::<usize>();
    println!("{} calls, {} attempts, {} bodies", sum(|f| f.0), sum(|f| f.1), sum(|f| f.2));
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let trace = |seed| {
        seeds::in_paused_time(|| any(seed, true).map(|all| all.world.trace().to_owned())).unwrap()
    };
    for seed in [1, 6] {
        let first = trace(seed);
        assert!(first.lines().count() > 1000, "{}", first.lines().count());
        assert!(first == trace(seed), "the same seed went two ways");
        assert!(first != trace(seed + 8), "two seeds went the same way");
    }
}
