#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! One server of four that fails, and heals.

use rand::RngExt;

use super::super::ask::{Ask, Plan, Way};
use super::super::cluster::Cluster;
use super::super::figures::at_most;
use super::super::seeds;
use super::super::server::Health;
use super::super::world::{MS, SECOND, Time};
use crate::call::Executed;
use crate::nodes::Policy;

/// The harm begins then, and lasts so long.
const HURT: Time = SECOND;
const HARM: Time = 5 * SECOND;
const HEALED: Time = HURT + HARM;
/// A node is passed over for twice as long each time, ± 10 %: not longer than all that went by
/// before, and the first time.
const RETURNS: Time = HARM * 11 / 9 + 2200 * MS;
/// Each caller comes by one of four in that time: of 80 calls, 1 of 10^10 does not.
const COMES_BY: Time = 4 * SECOND;

/// Little is asked of them, so that nothing but the harm is seen.
fn plan(seed: u64) -> Plan {
    let policies = [Policy::LeastLoaded, Policy::Random];
    let way = Way::One(policies[(seed % 2) as usize]);
    Plan { apart: 50 * MS, idempotent: seed.is_multiple_of(3), ..Plan::usual(way) }
}

/// Has server 0 be sick for a while.
fn hurt_and_healed(seed: u64, plan: Plan, health: Health) -> Result<Cluster, String> {
    let mut all = Cluster::new(seed, plan);
    all.run(HURT)?;
    all.becomes(0, health)?;
    all.run(HARM)?;
    all.becomes(0, Health::Fine)?;
    all.run(RETURNS + COMES_BY)?;
    all.finish()?;
    for caller in 0..all.plan.callers {
        let back = |run: &&_| is_back(&all, run, caller);
        if !all.runs.iter().any(|run| back(&run)) {
            return Err(format!("caller {caller} never comes back to it"));
        }
    }
    Ok(all)
}

fn is_back(all: &Cluster, run: &super::super::cluster::Run, caller: usize) -> bool {
    run.server == 0 && run.at >= HEALED && all.asks[run.ask].caller == caller
}

/// Attempts of a caller on server 0 that began in `[from, to)`.
fn attempts(all: &Cluster, caller: usize, from: Time, to: Time) -> usize {
    let its = all.attempts.iter().filter(|one| {
        one.server == 0 && (from..to).contains(&one.began) && all.asks[one.ask].caller == caller
    });
    its.count()
}

fn failed(all: &Cluster) -> impl Iterator<Item = &Ask> {
    all.asks.iter().filter(|ask| ask.told.is_some_and(|told| !told.ok))
}

/// No call fails but those that must not run twice and were there when it ended, which says so.
#[test]
fn one_that_is_down_is_left_alone() {
    seeds::each("scenarios::sick::one_that_is_down_is_left_alone", 50, |seed| {
        let all = hurt_and_healed(seed, plan(seed), Health::Down)?;
        for ask in failed(&all) {
            let may_have = ask.told.is_some_and(|told| told.executed == Executed::Unknown);
            if ask.idempotent || ask.began >= HURT || !may_have {
                return Err(format!("a call of {} is told {:?}", ask.began, ask.told));
            }
        }
        for caller in 0..all.plan.callers {
            // Two that fail, one that tries it after two seconds, one after four more; and two that
            // began together with one of these.
            let tries = attempts(&all, caller, HURT, HEALED);
            if tries > 6 {
                return Err(format!("caller {caller} tried it {tries} times"));
            }
        }
        Ok(())
    });
}

/// Who waits half a second for it leaves it; who must not, at its deadline. Then nobody asks it.
#[test]
fn one_that_is_silent_is_left_alone() {
    const KNOWN: Time = HURT + 3500 * MS;
    seeds::each("scenarios::sick::one_that_is_silent_is_left_alone", 50, |seed| {
        let all = hurt_and_healed(seed, plan(seed), Health::Silent)?;
        for ask in failed(&all) {
            let may_have = ask.told.is_some_and(|told| told.executed == Executed::Unknown);
            if ask.idempotent || ask.began >= KNOWN || !may_have {
                return Err(format!("a call of {} is told {:?}", ask.began, ask.told));
            }
        }
        for caller in 0..all.plan.callers {
            match attempts(&all, caller, KNOWN, HEALED) {
                0 => {}
                tries => return Err(format!("caller {caller} tried it {tries} times")),
            }
        }
        Ok(())
    });
}

/// One that takes calls and never answers any: who has lost two calls to it asks it no more, but
/// for one call after two seconds, on whose end all others wait; the next would come after 4 more.
#[test]
fn one_that_never_answers_costs_one_call_a_try() {
    let name = "scenarios::sick::one_that_never_answers_costs_one_call_a_try";
    let lost = seeds::each(name, 50, |seed| {
        let plan = Plan { timeout: 500 * MS, ..plan(seed) };
        let all = hurt_and_healed(seed, plan, Health::Slow(100_000))?;
        for caller in 0..all.plan.callers {
            let its = failed(&all).filter(|ask| ask.caller == caller);
            let mut ends: Vec<_> = its.filter_map(|ask| Some(ask.told?.at)).collect();
            ends.sort_unstable();
            let Some(ejected) = ends.get(1) else { return Err("nobody lost two calls".into()) };
            let tries = attempts(&all, caller, *ejected, HEALED);
            if tries > 1 {
                return Err(format!("caller {caller} tried it {tries} times after {ejected}"));
            }
        }
        for ask in failed(&all) {
            if ask.began >= HEALED || ask.told.is_some_and(|told| told.executed == Executed::Yes) {
                return Err(format!("a call of {} is told {:?}", ask.began, ask.told));
            }
        }
        Ok((failed(&all).count(), all.begun(HURT, HEALED).count()))
    });
    let (lost, calls) = lost.iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    println!("{lost} of {calls} calls were lost to it");
}

/// Whoever answers at once with errors of its own is idle, and no less trusted for it. By the load
/// it is one of the two that are compared in two of n calls, and gets no more of them; by chance,
/// one of n. With two servers that is no bound at all.
#[test]
fn one_that_errs_at_once_gets_two_of_n_calls_at_most() {
    let name = "scenarios::sick::one_that_errs_at_once_gets_two_of_n_calls_at_most";
    let shares = seeds::each(name, 50, |seed| {
        let servers = [2, 4, 8][(seed % 3) as usize];
        let plan = Plan { apart: 14_000 / servers as Time, servers, ..plan(seed) };
        let mut all = Cluster::new(seed, plan);
        all.becomes(0, Health::Errs)?;
        all.run(SECOND / 2)?;
        let sick = all.world.now();
        all.becomes(0, Health::Fine)?;
        all.run(SECOND / 4)?;
        all.finish()?;
        let firsts = all.firsts(0, sick, None);
        let calls: usize = firsts.iter().sum();
        let loaded = all.plan.way_is_by_load();
        let due = if loaded { 2.0 } else { 1.0 } / servers as f64;
        if firsts[0] > at_most(calls, due) {
            return Err(format!("{firsts:?}"));
        }
        match failed(&all).filter(|ask| ask.began >= sick).count() {
            0 => Ok(((servers, loaded), firsts[0], calls)),
            failed => Err(format!("{failed} calls failed after it was well")),
        }
    });
    for which in [2, 4, 8].into_iter().flat_map(|n| [(n, true), (n, false)]) {
        let its = || shares.iter().filter(|(of, ..)| *of == which);
        let got: usize = its().map(|(_, got, _)| got).sum();
        let calls: usize = its().map(|(.., calls)| calls).sum();
        println!("of (servers, by load) {which:?} it gets {got} of {calls} calls");
    }
}

/// One that comes and goes for six seconds: what may run twice does not fail.
#[test]
fn one_that_flaps_fails_no_call_that_may_run_twice() {
    let name = "scenarios::sick::one_that_flaps_fails_no_call_that_may_run_twice";
    seeds::each(name, 50, |seed| {
        let mut all = Cluster::new(seed, Plan { apart: 25 * MS, ..plan(seed) });
        all.plan.idempotent = seed.is_multiple_of(2);
        let end = 6 * SECOND;
        while all.world.now() < end {
            let down = all.servers[0].health == Health::Down;
            all.becomes(0, if down { Health::Fine } else { Health::Down })?;
            let time = all.world.rng.random_range(50..2000) * MS;
            all.run(time)?;
        }
        all.becomes(0, Health::Fine)?;
        let healed = all.world.now();
        all.run(SECOND)?;
        all.finish()?;
        for ask in failed(&all) {
            let may_have = ask.told.is_some_and(|told| told.executed == Executed::Unknown);
            if ask.idempotent || ask.began >= healed || !may_have {
                return Err(format!("a call of {} is told {:?}", ask.began, ask.told));
            }
        }
        Ok(())
    });
}

/// Three of four: no more than two are passed over, so one call in two finds one that is down
/// first, which is more than the retries of one in five. What is out of them fails without having
/// run; after the harm nothing does.
#[test]
fn most_of_them_down_cost_no_more_than_the_retries() {
    let name = "scenarios::sick::most_of_them_down_cost_no_more_than_the_retries";
    let shares = seeds::each(name, 50, |seed| {
        let mut all =
            Cluster::new(seed, Plan { idempotent: true, budget: (200, 10), ..plan(seed) });
        all.run(SECOND)?;
        (0..3).try_for_each(|server| all.becomes(server, Health::Down))?;
        all.run(4 * SECOND)?;
        (0..3).try_for_each(|server| all.becomes(server, Health::Fine))?;
        let healed = all.world.now();
        all.run(SECOND)?;
        all.finish()?;
        for ask in failed(&all) {
            if ask.began >= healed || ask.told.is_some_and(|told| told.executed == Executed::Yes) {
                return Err(format!("a call of {} is told {:?}", ask.began, ask.told));
            }
        }
        Ok((failed(&all).count(), all.begun(SECOND, healed).count()))
    });
    let (failed, calls) = shares.iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    println!("{failed} of {calls} calls failed while three of four were down");
    assert!(failed * 2 < calls, "no better than without retries");
}
