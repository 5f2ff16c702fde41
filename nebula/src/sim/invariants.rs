#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! What must be so at every moment, and what callers may be told.

use std::time::Duration;

use super::ask::{Course, Told};
use super::cluster::{Cluster, value};
use super::leases::Leased;
use super::server::{Health, Server};
use crate::call::Executed;
use crate::nodes::policy::Candidate;

/// After every event.
pub(super) fn hold(all: &Cluster) -> Result<(), String> {
    for (server, one) in all.servers.iter().enumerate() {
        let (running, queued) = (one.gate.running(), one.gate.queued());
        if running > one.places || queued > one.seats {
            return Err(format!("{running} run and {queued} wait at server {server}"));
        }
        if (running, queued) != (one.running.len(), one.waiting.len()) {
            let (runs, waits) = (one.running.len(), one.waiting.len());
            return Err(format!(
                "the gate of {server} counts {running} and {queued}, not {runs} and {waits}"
            ));
        }
        leases(all, one)?;
        if queued > 0 && running < one.places {
            return Err(format!("{queued} wait at server {server}, which has free places"));
        }
    }
    let (permille, reserve) = all.plan.budget;
    for (number, caller) in all.callers.iter().enumerate() {
        let retries = caller.attempts.saturating_sub(caller.calls);
        let granted = u64::from(reserve) + caller.calls * u64::from(permille) / 1000;
        if retries > granted {
            return Err(format!("caller {number} made {retries} retries of {granted}"));
        }
    }
    Ok(())
}

/// A body has begun: one of a method that must not run twice may, on each server, once; and a call
/// to one node has one server then.
pub(super) fn may_run(all: &Cluster, ask: usize) -> Result<(), String> {
    let (ran, one) = (&all.ran[&ask], &all.asks[ask]);
    let mut servers = ran.clone();
    servers.sort_unstable();
    servers.dedup();
    let most = match one.course {
        Course::Several(_) => all.plan.servers,
        Course::One(_) => 1,
    };
    let twice = servers.len() < ran.len() || ran.len() > most;
    if twice && !one.idempotent {
        return Err(format!("call {ask} runs at {ran:?}, and must not run twice"));
    }
    // What is told to have not run never will, either.
    if one.told.is_some_and(|told| told.executed == Executed::No) {
        return Err(format!("call {ask} runs at {ran:?} after `did not run`"));
    }
    Ok(())
}

/// Nothing runs or waits longer than its lease: who does not ask for more time ends.
fn leases(all: &Cluster, server: &Server) -> Result<(), String> {
    if server.health == Health::Silent {
        return Ok(());
    }
    let waiting = server.waiting.iter().map(|(attempt, _)| attempt);
    let here = server.running.keys().chain(waiting);
    let mut leases = here.filter_map(|at| Some((at, all.attempts[*at].lease.as_ref()?)));
    match leases.find(|(_, leased)| leased.lease.deadline() < all.world.instant()) {
        Some((attempt, _)) => Err(format!("attempt {attempt} goes on after its lease")),
        None => Ok(()),
    }
}

/// A call ends at its deadline, while this attempt is open. Each word of its server that it has more
/// time has come by then, unless it was given too late: the server's account says the same, but for
/// the time that the request was on its way.
pub(super) fn words_arrive(all: &Cluster, attempt: usize) -> Result<(), String> {
    let one = &all.attempts[attempt];
    let sees = |leased: &&Leased| !leased.late && all.stays_awake(attempt);
    let Some(leased) = one.lease.as_ref().filter(sees) else { return Ok(()) };
    let same = all.world.instant() + Duration::from_micros(all.trip(attempt));
    if leased.lease.deadline() > same {
        return Err(format!("attempt {attempt} was extended, and its caller gives it up"));
    }
    Ok(())
}

/// A caller was told the end of its call.
pub(super) fn told(all: &Cluster, ask: usize) -> Result<(), String> {
    let (one, ran) = (&all.asks[ask], all.ran.get(&ask).map_or(&[][..], |ran| ran));
    let Some(Told { ok, by, executed, at }) = one.told else { return Ok(()) };
    let sound = match executed {
        Executed::No => ran.is_empty() && !ok,
        Executed::Yes => !ran.is_empty() && by.is_none_or(|by| ran.contains(&by)),
        Executed::Unknown => !ok,
    };
    let latest = one.began + all.plan.timeout + all.plan.room.0;
    if !sound || at > one.deadline || one.deadline > latest {
        let told = one.told;
        return Err(format!("call {ask} is told {told:?} and ran at {ran:?}"));
    }
    Ok(())
}

/// A value that a caller is given is that of its call and of the server that gives it.
pub(super) fn is_its_own(given: u64, key: u64, server: usize) -> Result<(), String> {
    (given == value(key, server)).then_some(()).ok_or_else(|| format!("{given} of {key}"))
}

/// At most half are passed over, never the only one, and nobody is cleared by that.
pub(super) fn passed_over(before: &[Candidate], after: &[Candidate]) -> Result<(), String> {
    let over = before.iter().zip(after).filter(|(before, after)| before.suspect != after.suspect);
    let cleared = before.iter().zip(after).any(|(before, after)| before.suspect && !after.suspect);
    if over.count() > after.len() / 2 || cleared {
        return Err(format!("passed over: {after:?}"));
    }
    Ok(())
}

/// Each is asked once in a round, those under suspicion last.
pub(super) fn order(candidates: &[Candidate], order: &[usize]) -> Result<(), String> {
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    let suspects_last = order.is_sorted_by_key(|at| candidates[*at].suspect);
    if !sorted.iter().copied().eq(0..candidates.len()) || !suspects_last {
        return Err(format!("{candidates:?} are asked as {order:?}"));
    }
    Ok(())
}

/// When everything has come to its end.
pub(super) fn at_the_end(all: &Cluster) -> Result<(), String> {
    if let Some(ask) = all.asks.iter().position(|ask| ask.told.is_none()) {
        return Err(format!("call {ask} never ends"));
    }
    if let Some(server) = all.servers.iter().position(|server| server.load() > 0) {
        return Err(format!("something runs or waits at server {server} for nobody"));
    }
    let open = all.callers.iter().flat_map(|caller| &caller.known);
    if open.clone().any(|known| known.in_flight > 0) {
        return Err(format!(
            "{} attempts are open",
            open.map(|known| known.in_flight).sum::<usize>()
        ));
    }
    for attempt in &all.owed {
        let (one, told) = (&all.attempts[*attempt], all.asks[all.attempts[*attempt].ask].told);
        if told.is_none_or(|told| told.by != Some(one.server)) {
            return Err(format!("attempt {attempt} was done in its time, and is told {told:?}"));
        }
    }
    (0..all.asks.len()).try_for_each(|ask| told(all, ask))
}
