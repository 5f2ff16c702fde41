#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Bodies that take longer than their calls were given, and say so in time; and such as hang.

use rand::RngExt;

use super::super::ask::{Plan, Way};
use super::super::cluster::Cluster;
use super::super::seeds;
use super::super::server::Health;
use super::super::world::{MS, SECOND, Time};
use super::votes::blows;
use crate::nodes::Policy;

/// Calls of 60 ms that may get 300 ms more. What is promised of them is looked for all along: who
/// was extended waits, and hears of the end while the server lives; who asks for nothing ends.
fn plan(seed: u64) -> Plan {
    let policies = [Policy::LeastLoaded, Policy::Random, Policy::RoundRobin];
    let steps = 1 + (seed % 7) as u32;
    Plan {
        apart: 20 * MS,
        seats: 4,
        timeout: 60 * MS,
        room: (300 * MS, steps),
        step: 50 * MS,
        hang: 20,
        idempotent: seed.is_multiple_of(2),
        ..Plan::usual(Way::One(policies[(seed % 3) as usize]))
    }
}

#[test]
fn who_is_extended_is_waited_for_and_who_hangs_is_stopped() {
    let name = "scenarios::leases::who_is_extended_is_waited_for_and_who_hangs_is_stopped";
    let figures = seeds::each(name, 50, |seed| {
        let mut all = Cluster::new(seed, plan(seed));
        // Most need more than they have at first, some more than they can get.
        for server in 0..all.plan.servers {
            let times = all.world.rng.random_range(2..30);
            all.becomes(server, Health::Slow(times))?;
        }
        all.run(SECOND)?;
        // Any harm, and after each of the blows long bodies on whoever is well.
        for _ in 0..3 {
            blows(&mut all, 4)?;
            for server in 0..all.plan.servers {
                let times = all.world.rng.random_range(2..15);
                all.becomes(server, Health::Slow(times))?;
            }
            all.run(SECOND / 2)?;
        }
        (0..all.plan.servers).try_for_each(|server| all.becomes(server, Health::Fine))?;
        all.finish()?;
        Ok((all.asks.len(), all.extended, all.owed.len(), all.expired))
    });
    let sum =
        |of: fn(&(usize, usize, usize, usize)) -> usize| figures.iter().map(of).sum::<usize>();
    let (calls, extended) = (sum(|f| f.0), sum(|f| f.1));
    let (owed, expired) = (sum(|f| f.2), sum(|f| f.3));
    println!(
        "{calls} calls, extended {extended} times; {owed} ended in time, {expired} were stopped"
    );
    assert!(
        !seeds::are_many() || (extended > calls / 4 && expired > calls / 100),
        "nothing to see"
    );
    assert!(!seeds::are_many() || owed > calls / 2, "{owed} of {calls} ended in time");
}

/// Nobody but those that hang is lost where all is well, however long they take, as long as the room
/// that they were given is enough.
#[test]
fn an_extended_call_is_not_lost_while_its_server_lives() {
    let name = "scenarios::leases::an_extended_call_is_not_lost_while_its_server_lives";
    let lost = seeds::each(name, 20, |seed| {
        // Bodies of 40 to 120 ms, in calls of 60 ms: all get a place at once.
        let plan = Plan { places: 64, body: 80 * MS, hang: 0, room: (300 * MS, 6), ..plan(seed) };
        let mut all = Cluster::new(seed, plan);
        all.run(SECOND)?;
        all.finish()?;
        match all.succeeded(0, Time::MAX) {
            (ok, calls) if ok == calls => Ok((all.extended, calls)),
            (ok, calls) => Err(format!("{ok} of {calls} calls where all is well")),
        }
    });
    let (extended, calls) = lost.iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    assert!(!seeds::are_many() || extended > calls / 3, "{extended} of {calls}");
}
