#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Equal servers under a steady load: each policy spreads as it promises.

use super::super::ask::{Plan, Way};
use super::super::cluster::Cluster;
use super::super::figures::{at_most, permille};
use super::super::seeds;
use super::super::world::{MS, SECOND, Time};
use crate::nodes::Policy;

/// Runs for so long, and until all has ended.
fn steady(seed: u64, plan: Plan, time: Time) -> Result<Cluster, String> {
    let mut all = Cluster::new(seed, plan);
    all.run(time)?;
    all.finish()?;
    match all.succeeded(0, Time::MAX) {
        (ok, calls) if ok == calls => Ok(all),
        (ok, calls) => Err(format!("{ok} of {calls} calls succeeded")),
    }
}

#[test]
fn turns_differ_by_one_at_most() {
    seeds::each("scenarios::spread::turns_differ_by_one_at_most", 50, |seed| {
        let all = steady(seed, Plan::usual(Way::One(Policy::RoundRobin)), SECOND / 2)?;
        for caller in 0..all.plan.callers {
            let mut firsts = all.firsts(0, Time::MAX, Some(caller));
            firsts.sort_unstable();
            if firsts[3] - firsts[0] > 1 {
                return Err(format!("caller {caller} asks {firsts:?}"));
            }
        }
        Ok(())
    });
}

#[test]
fn chance_is_fair() {
    seeds::each("scenarios::spread::chance_is_fair", 50, |seed| {
        let all = steady(seed, Plan::usual(Way::One(Policy::Random)), SECOND / 2)?;
        let firsts = all.firsts(0, Time::MAX, None);
        let most = at_most(all.asks.len(), 0.25);
        // What one gets too little, the others get too much: the bound holds both ways.
        let least = (all.asks.len() / 2).saturating_sub(most);
        if firsts.iter().any(|count| *count > most || *count < least) {
            return Err(format!("{firsts:?} of {}, {most} at most", all.asks.len()));
        }
        Ok(())
    });
}

#[test]
fn who_is_at_home_stays_there() {
    seeds::each("scenarios::spread::who_is_at_home_stays_there", 20, |seed| {
        for policy in [Policy::LocalFirst, Policy::Closest] {
            let plan = Plan { at_home: true, apart: 8 * MS, ..Plan::usual(Way::One(policy)) };
            let all = steady(seed, plan, SECOND / 2)?;
            let elsewhere = all.runs.iter().filter(|run| all.asks[run.ask].caller != run.server);
            let elsewhere = elsewhere.count();
            if elsewhere > 0 {
                return Err(format!("{elsewhere} of {} calls went elsewhere", all.asks.len()));
            }
        }
        Ok(())
    });
}

/// What is measured of a run: the sum of the times of all calls, the slowest of a hundred, and the
/// most that ran and waited at one server.
#[derive(Clone, Copy, Debug)]
struct Measured {
    calls: usize,
    sum: Time,
    p99: Time,
    longest: usize,
}

/// By the load, and by what is known to be near: not slower than by chance.
#[test]
fn the_less_loaded_are_not_slower_than_any() {
    let name = "scenarios::spread::the_less_loaded_are_not_slower_than_any";
    let policies = [Policy::Random, Policy::LeastLoaded, Policy::LocalFirst, Policy::Closest];
    let figures = seeds::each(name, 50, |seed| {
        let mut figures = [Measured { calls: 0, sum: 0, p99: 0, longest: 0 }; 4];
        for (figure, policy) in figures.iter_mut().zip(policies) {
            let all = steady(seed, Plan::usual(Way::One(policy)), SECOND / 2)?;
            // At first nothing is known of anybody.
            let times = all.times(SECOND / 5, Time::MAX);
            let longest = all.longest;
            *figure = Measured {
                longest,
                calls: times.len(),
                sum: times.iter().sum(),
                p99: permille(&times, 990),
            };
        }
        Ok(figures)
    });
    let sums = |of: fn(&Measured) -> Time| -> Vec<Time> {
        (0..4).map(|at| figures.iter().map(|seed| of(&seed[at])).sum()).collect()
    };
    let calls = sums(|one| one.calls as Time);
    let mean: Vec<_> = sums(|one| one.sum).iter().zip(&calls).map(|(sum, n)| sum / n).collect();
    let p99: Vec<_> = sums(|one| one.p99).iter().map(|sum| sum / figures.len() as Time).collect();
    let longest = sums(|one| one.longest as Time);
    println!(
        "{policies:?}: longest {longest:?} in all, mean {mean:?} us, p99 {p99:?} us, of {calls:?} calls"
    );
    if seeds::are_many() {
        for at in 1..4 {
            let worse = mean[at] > mean[0] || p99[at] > p99[0] || longest[at] > longest[0];
            assert!(!worse, "{:?} is worse than by chance", policies[at]);
        }
    }
}

/// However old what is known, whoever looks idlest is one of the two that are compared in two of n
/// calls, and gets no more of them.
#[test]
fn nobody_rushes_to_who_looked_idle() {
    let name = "scenarios::spread::nobody_rushes_to_who_looked_idle";
    let figures = seeds::each(name, 50, |seed| {
        const PERIOD: Time = 250 * MS;
        let way = Way::One(Policy::LeastLoaded);
        let plan = Plan {
            told_every: Some(PERIOD),
            apart: 12 * 1200,
            servers: 6,
            callers: 12,
            ..Plan::usual(way)
        };
        let all = steady(seed, plan, 4 * PERIOD)?;
        let mut worst = 0.0_f64;
        for period in 0..4 {
            let (from, to) = (period * PERIOD, (period + 1) * PERIOD);
            let firsts = all.firsts(from, to, None);
            let calls = firsts.iter().sum();
            let most = firsts.iter().copied().max().unwrap_or_default();
            if most > at_most(calls, 2.0 / 6.0) {
                return Err(format!("{most} of {calls} calls of a period went to one server"));
            }
            worst = worst.max(most as f64 / calls as f64);
        }
        Ok(worst)
    });
    let worst = figures.into_iter().fold(0.0_f64, f64::max);
    println!("the largest share of a period: {worst:.2}, where 0.33 are due at most");
}
