#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Calls to several nodes that end, stand still, err, are slow, and answer twice.
//!
//! What each call decides, and says of each server, is compared with what was heard, in `several`.

use rand::RngExt;

use super::super::ask::{Plan, Way};
use super::super::cluster::Cluster;
use super::super::seeds;
use super::super::server::Health;
use super::super::world::{MS, SECOND, Time};

pub(super) fn plan(seed: u64, idempotent: bool) -> Plan {
    let ways = [Way::All, Way::First, Way::Quorum(1), Way::Quorum(3), Way::Quorum(5)];
    let way = ways[(seed % 5) as usize];
    Plan {
        servers: 5,
        callers: 1,
        apart: 12 * MS,
        timeout: 300 * MS,
        idempotent,
        twice: 100,
        ..Plan::usual(way)
    }
}

/// Hurts any of the servers in any way for a while, and heals all.
pub(super) fn blows(all: &mut Cluster, blows: usize) -> Result<(), String> {
    for _ in 0..blows {
        let server = all.world.rng.random_range(0..all.plan.servers);
        let health = match all.world.rng.random_range(0..7) {
            0 | 1 => Health::Down,
            2 => Health::Silent,
            3 => Health::Errs,
            4 => Health::Slow(all.world.rng.random_range(2..60)),
            _ => Health::Fine,
        };
        all.becomes(server, health)?;
        let time = all.world.rng.random_range(1..120) * MS;
        all.run(time)?;
    }
    (0..all.plan.servers).try_for_each(|server| all.becomes(server, Health::Fine))
}

#[test]
fn a_vote_is_what_was_heard() {
    let figures = seeds::each("scenarios::votes::a_vote_is_what_was_heard", 50, |seed| {
        let mut all = Cluster::new(seed, plan(seed, seed.is_multiple_of(2)));
        blows(&mut all, 25)?;
        // Slow bodies that began before go on until their deadlines, and then the gates learn how
        // fast they are again.
        all.run(all.plan.timeout + 100 * MS)?;
        let healed = all.world.now();
        all.run(SECOND / 4)?;
        all.finish()?;
        match all.succeeded(healed, Time::MAX) {
            (ok, calls) if ok == calls => {}
            (ok, calls) => return Err(format!("{ok} of {calls} calls after all was well")),
        }
        Ok((all.succeeded(0, healed), all.runs.len()))
    });
    let ok: usize = figures.iter().map(|((ok, _), _)| ok).sum();
    let calls: usize = figures.iter().map(|((_, calls), _)| calls).sum();
    let runs: usize = figures.iter().map(|(_, runs)| runs).sum();
    println!("{ok} of {calls} calls were reached amid the blows; {runs} bodies in all");
    assert!(!seeds::are_many() || (ok * 10 > calls && ok * 10 < calls * 9), "no harm, or no good");
}
