#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Twice what the servers can bear, and then four fifths of it: what was too much must not go on
//! feeding itself.
//!
//! A queue is shorter than callers wait, or longer. Of a longer one, those in front would have
//! waited so long that their deadlines came while they run; so who cannot be done in time is
//! refused instead of queued, and as much is done as with the short one.

use super::super::ask::{Plan, Way};
use super::super::cluster::Cluster;
use super::super::seeds;
use super::super::world::{MS, SECOND, Time};
use crate::nodes::Policy;

const HARM: Time = SECOND;
/// What waits when the harm ends is done, or over its deadline, by then.
const HEALS: Time = TIMEOUT + 100 * MS;
const TIMEOUT: Time = 250 * MS;

fn plan(seed: u64) -> Plan {
    let policies = [Policy::LeastLoaded, Policy::Random, Policy::RoundRobin, Policy::Closest];
    let way = match seed % 5 {
        4 => Way::Hedged(Policy::LeastLoaded),
        one => Way::One(policies[one as usize]),
    };
    Plan {
        servers: 3,
        places: 1,
        // 640 ms or 10 s, longer than anybody waits; or 120 ms.
        seats: match seed % 4 {
            0 => 64,
            2 => 1024,
            _ => 12,
        },
        // 300 calls a second can be done, and 600 are offered.
        apart: 3333,
        timeout: TIMEOUT,
        // Only who may run twice is asked a second time.
        idempotent: matches!(way, Way::Hedged(_)) || !seed.is_multiple_of(3),
        budget: (200, if seed.is_multiple_of(7) { 1000 } else { 10 }),
        ..Plan::usual(way)
    }
}

#[test]
fn what_was_too_much_is_over_when_it_is_over() {
    let name = "scenarios::overload::what_was_too_much_is_over_when_it_is_over";
    let figures = seeds::each(name, 50, |seed| {
        let mut all = Cluster::new(seed, plan(seed));
        all.run(HARM)?;
        all.plan.apart = 8333;
        all.run(HEALS)?;
        let healed = all.world.now();
        all.run(SECOND)?;
        all.finish()?;
        // All but the time in which the queues fill.
        let (done, _) = all.succeeded(HARM / 4, HARM);
        let (ok, calls) = all.succeeded(healed, Time::MAX);
        let (attempts, made) =
            all.callers.iter().fold((0, 0), |(a, c), one| (a + one.attempts, c + one.calls));
        let reserve = u64::from(all.plan.budget.1) * all.callers.len() as u64;
        if attempts > made * 12 / 10 + reserve {
            return Err(format!("{attempts} attempts of {made} calls"));
        }
        // By chance some queue is full, or slow, now and then even so; what feeds itself loses most.
        let lost = calls - ok;
        if lost * 5 > calls {
            return Err(format!("{lost} of {calls} calls still fail"));
        }
        let all_done = all.runs.iter().filter(|run| (HARM / 4..HARM).contains(&run.at)).count();
        Ok((all.plan.seats, [done, all_done, ok, calls, attempts as usize, made as usize]))
    });
    for seats in [12, 64, 1024] {
        let its = || figures.iter().filter(|(of, _)| *of == seats).map(|(_, figures)| figures);
        let sum = |at: usize| its().map(|figures| figures[at]).sum::<usize>();
        let can = its().count() * 300 * 3 / 4;
        println!(
            "{seats} seats: {} of {can} done in time, {} begun; then {} of {}; {} attempts of {}",
            sum(0),
            sum(1),
            sum(2),
            sum(3),
            sum(4),
            sum(5),
        );
        if seeds::are_many() {
            assert!(sum(0) * 10 > can * 9, "{seats} seats: {} of {can}", sum(0));
            assert!(sum(2) * 200 > sum(3) * 199, "{seats} seats: {} of {}", sum(2), sum(3));
        }
    }
}
