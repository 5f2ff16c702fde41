#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! One server that is slow.

use super::super::ask::{Plan, Way};
use super::super::cluster::Cluster;
use super::super::figures::{at_most, permille};
use super::super::seeds;
use super::super::server::Health;
use super::super::world::{MS, SECOND, Time};
use crate::nodes::Policy;

/// Ten times as slow as the three others, at half the load that all can bear.
#[test]
fn by_the_load_a_slow_one_gets_less() {
    let shares = seeds::each("scenarios::slow::by_the_load_a_slow_one_gets_less", 50, |seed| {
        let way = Way::One(Policy::LeastLoaded);
        let mut all = Cluster::new(seed, Plan { apart: 6 * MS, ..Plan::usual(way) });
        all.becomes(0, Health::Slow(10))?;
        all.run(SECOND)?;
        all.becomes(0, Health::Fine)?;
        all.finish()?;
        let firsts = all.firsts(SECOND / 5, SECOND, None);
        let calls = firsts.iter().sum();
        if firsts[0] > at_most(calls, 0.25) {
            return Err(format!("{firsts:?}"));
        }
        match all.succeeded(0, Time::MAX) {
            (ok, calls) if ok == calls => Ok((firsts[0], calls)),
            (ok, calls) => Err(format!("{ok} of {calls}")),
        }
    });
    let (slow, calls) = shares.iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    println!("it gets {slow} of {calls} calls");
    assert!(!seeds::are_many() || slow * 8 < calls, "{slow} of {calls}, where 1 of 4 is fair");
}

/// Twenty times as slow as nine others: with a second attempt the slowest of a hundred calls is
/// faster, and such attempts are one call in five and the reserve at most. Without, only who is
/// refused there since it could not be done in time is asked for elsewhere.
#[test]
fn a_second_attempt_helps_and_costs_its_budget() {
    let name = "scenarios::slow::a_second_attempt_helps_and_costs_its_budget";
    let figures = seeds::each(name, 50, |seed| {
        let policy = if seed.is_multiple_of(2) { Policy::Random } else { Policy::LeastLoaded };
        let run = |way| {
            let plan = Plan { servers: 10, callers: 1, apart: 5 * MS, ..Plan::usual(way) };
            let mut all = Cluster::new(seed, plan);
            all.becomes(0, Health::Slow(20))?;
            all.run(3 * SECOND / 2)?;
            all.finish()?;
            let times = all.times(SECOND / 5, Time::MAX);
            let extra = all.callers[0].attempts - all.callers[0].calls;
            Ok::<_, String>((permille(&times, 990), extra, all.callers[0].calls))
        };
        let ((without, refused, _), (with, extra, calls)) =
            (run(Way::One(policy))?, run(Way::Hedged(policy))?);
        if refused > calls / 5 || extra > calls / 5 + 50 {
            return Err(format!("{extra} second attempts of {calls} calls"));
        }
        Ok((policy, without, with, extra, calls))
    });
    for policy in [Policy::Random, Policy::LeastLoaded] {
        let its = || figures.iter().filter(|one| one.0 == policy);
        let seeds = its().count().max(1) as Time;
        let (without, with) =
            (its().map(|one| one.1).sum::<Time>(), its().map(|one| one.2).sum::<Time>());
        let (extra, calls) =
            (its().map(|one| one.3).sum::<u64>(), its().map(|one| one.4).sum::<u64>());
        println!(
            "{policy}: p99 {} us, with {} us; {extra} of {calls}",
            without / seeds,
            with / seeds
        );
        assert!(!seeds::are_many() || with * 2 < without, "{policy}");
    }
}
