//! Real processes that are killed and restarted again and again under a steady load, and one that
//! gets twice as many calls as it can run.
//!
//! What callers were told is compared with what the servers wrote down. `CHAOS_SECONDS`,
//! `CHAOS_CALLS` and `CHAOS_RATE` make the runs longer and the load heavier; each test prints its
//! figures as a row of a table. Figures are not judged: they are the machine's as much as ours.
#![cfg(target_os = "linux")]

use std::time::Duration;

use nebula::call::Executed;
use nebula::prelude::*;
use tempfile::TempDir;
use tests::{
    Figures, Load, Outcome, Process, Relay, Site, Traffic, Work, executions, home, row, tier,
};
use tokio::time::{Instant, sleep, sleep_until};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
/// From one kill to the next.
const EVERY: Duration = Duration::from_secs(2);

fn site() -> (TempDir, Site) {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path(), env!("CARGO_BIN_EXE_node"));
    (dir, site)
}

/// Makes calls at the rate of this tier while one of three servers is killed every two seconds, and
/// comes back where it was at once. All have stopped in the end. What was told, and how many kills it were.
async fn under_kills(site: &Site, work: Work, timeout: Duration) -> (Vec<Outcome>, u32) {
    let (seconds, rate) = (tier("CHAOS_SECONDS", 6), tier("CHAOS_RATE", 1000));
    let names = ["s1", "s2", "s3"];
    let mut servers = Vec::from(site.serve_all(names).await);
    let node = site.node("client").start().await.unwrap();
    site.sees(&node, &names).await;
    let load = Load::start(site, &node, rate, work, timeout);
    let mut kills = 0;
    let start = Instant::now();
    while EVERY * (kills + 1) <= Duration::from_secs(seconds) {
        kills += 1;
        sleep_until(start + EVERY * kills).await;
        let victim = servers.remove(0);
        let (name, addr) = (victim.name().to_owned(), victim.addr());
        victim.kill().await;
        servers.push(site.serve_at(&name, addr).await);
    }
    // The last one is known to be back, and has its share again.
    site.reaches(&node, &servers[2]).await;
    let outcomes = load.stop().await;
    for server in servers {
        server.kill().await;
    }
    let made = outcomes.len() as u64;
    assert!(made >= seconds * rate / 2, "{made} calls in {seconds} s are no load");
    (outcomes, kills)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_may_run_twice_survive_kills() {
    let (_dir, site) = site();
    let (outcomes, kills) = under_kills(&site, Work::FindSlowly(5 * MS), 15 * SECOND).await;
    site.judge(&outcomes);
    let ran = executions(&site.books());
    let twice = outcomes.iter().filter(|outcome| ran[&outcome.call] > 1).count();
    let figures = Figures::of(outcomes.iter().map(|outcome| outcome.elapsed));
    let failed: Vec<_> = outcomes.iter().filter(|outcome| outcome.result.is_err()).collect();
    row(
        16,
        "calls that may run twice survive kills",
        "0 lost, 0 wrong, p99.9 ≤ 7.5 s",
        format!("{} failed, 0 wrong ({twice} ran twice); {figures}", failed.len()),
        format!("{} calls, {kills} kills -9", outcomes.len()),
    );
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_must_not_run_twice_are_told_what_became_of_them() {
    let (_dir, site) = site();
    let (outcomes, kills) = under_kills(&site, Work::AddSlowly(5 * MS), 3 * SECOND).await;
    site.judge(&outcomes);
    let ran = executions(&site.books());
    assert!(ran.values().all(|times| *times == 1), "one ran twice: {ran:?}");
    let figures = Figures::of(outcomes.iter().map(|outcome| outcome.elapsed));
    let failed = || outcomes.iter().filter(|outcome| outcome.result.is_err());
    for outcome in failed() {
        let error = outcome.result.as_ref().unwrap_err();
        let expected = match error {
            // Two others were there to ask, so none is lost that certainly did not run.
            CallError::Disconnected(_) => error.executed() == Executed::Unknown,
            // On a machine that has too much to do, some wait for as long as they have.
            CallError::Deadline(_) => true,
            _ => false,
        };
        assert!(expected, "{outcome:?}");
    }
    let unknown = failed().count();
    let ran = failed().filter(|outcome| ran.contains_key(&outcome.call)).count();
    row(
        17,
        "calls that must not run twice, with kills",
        "0 twice, 0 told wrongly",
        format!("0 twice, 0 told wrongly; {unknown} may have run, of which {ran} had; {figures}"),
        format!("{} calls, {kills} kills -9", outcomes.len()),
    );
}

/// How many of a thousand datagrams are lost.
const LOST: u64 = 50;
const SEED: u64 = 17;

/// All that three servers and a client say to each other goes through a relay that loses a part of
/// it, and one of the servers is killed every two seconds. Of the calls one in five is to a method
/// that gets half as much again as it can run, so that there are refusals to be told of, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_must_not_run_twice_are_told_the_truth_on_a_network_that_loses() {
    let (_dir, site) = site();
    let (calls, rate) = (tier("CHAOS_CALLS", 2_000), tier("CHAOS_RATE", 500));
    let names = ["s1", "s2", "s3"];
    let mut relay = Relay::new();
    let mut servers: Vec<(Process, _)> = Vec::new();
    for name in names {
        let home = home();
        let at = (home, relay.door(name, home).await.unwrap());
        servers.push((site.serve_among(&[], name, at.0, Some(at.1)).await, at));
    }
    let home = home();
    let door = relay.door("client", home).await.unwrap();
    let node = site.node("client").listen(home).advertise(door).start().await.unwrap();
    site.sees(&node, &names).await;

    relay.lose(LOST, SEED);
    let narrow = (rate / 5).max(1);
    // Three times eight places.
    let wait = Duration::from_secs(24 * 3 / 2) / narrow as u32;
    let loads = [
        Load::start(&site, &node, rate - narrow, Work::AddSlowly(5 * MS), 3 * SECOND),
        Load::start(&site, &node, narrow, Work::AddNarrowly(wait), 3 * SECOND),
    ];
    let (start, mut kills) = (Instant::now(), 0);
    let time = Duration::from_millis(calls * 1000 / rate) + 100 * MS;
    while EVERY * (kills + 1) <= time {
        kills += 1;
        sleep_until(start + EVERY * kills).await;
        let (victim, at) = servers.remove(0);
        let name = victim.name().to_owned();
        victim.kill().await;
        servers.push((site.serve_among(&[], &name, at.0, Some(at.1)).await, at));
    }
    sleep_until(start + time).await;
    let mut outcomes = Vec::new();
    for load in loads {
        outcomes.extend(load.stop().await);
    }
    for (server, _) in servers {
        server.kill().await;
    }
    site.judge(&outcomes);
    let ran = executions(&site.books());
    assert!(ran.values().all(|times| *times == 1), "one ran twice: {ran:?}");
    let told = |executed| {
        let errors = outcomes.iter().filter(|outcome| outcome.result.is_err());
        errors.filter(move |o| o.result.as_ref().is_err_and(|error| error.executed() == executed))
    };
    let done = outcomes.iter().filter(|outcome| outcome.result.is_ok()).count();
    let (refused, unknown) = (told(Executed::No).count(), told(Executed::Unknown).count());
    let of_these = told(Executed::Unknown).filter(|o| ran.contains_key(&o.call)).count();
    let sent = relay.passed() + relay.lost();
    row(
        17,
        "the same, with kills and loss",
        "0 twice, 0 told wrongly",
        format!(
            "0 twice, 0 told wrongly; {done} done, {refused} did not run, {unknown} may have run, \
             of which {of_these} had; {}",
            Figures::of(outcomes.iter().map(|outcome| outcome.elapsed)),
        ),
        format!(
            "{} calls, {kills} kills -9, {} of {sent} datagrams lost (seed {SEED})",
            outcomes.len(),
            relay.lost(),
        ),
    );
    // Each of the three words was said, so that each was judged.
    assert!(done > 0 && refused > 0 && unknown > 0, "{done} {refused} {unknown}");
    assert!(outcomes.len() as u64 >= calls && relay.strangers() == 0);
}

/// Eight at once of 20 ms each are 400 a second; twice as many come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_twice_its_load_refuses_half_and_does_the_rest() {
    const WORK: Work = Work::AddNarrowly(Duration::from_millis(20));
    let (_dir, site) = site();
    let time = Duration::from_secs(tier("CHAOS_SECONDS", 6).div_ceil(4));
    let server = site.serve("s1").await;
    let node = site.node("client").start().await.unwrap();
    site.sees(&node, &["s1"]).await;

    // As many callers as there are places and seats, so that none is refused.
    let start = Instant::now();
    let most = Traffic::start(&site, &node, 24, WORK, 10 * SECOND);
    sleep(time).await;
    let peak = most.stop().await.concat();
    let rate = |outcomes: &[Outcome], start: Instant| {
        outcomes.iter().filter(|outcome| outcome.result.is_ok()).count() as f64
            / start.elapsed().as_secs_f64()
    };
    let peak_rate = rate(&peak, start);
    assert!(peak.iter().all(|outcome| outcome.result.is_ok()), "{peak:#?}");

    let start = Instant::now();
    let load = Load::start(&site, &node, 800, WORK, 10 * SECOND);
    sleep(time).await;
    let outcomes = load.stop().await;
    let goodput = rate(&outcomes, start);
    server.kill().await;
    let elapsed = |ok: bool| {
        let those = outcomes.iter().filter(|outcome| outcome.result.is_ok() == ok);
        Figures::of(those.map(|outcome| outcome.elapsed))
    };
    row(
        20,
        "twice the load it can bear, a real process",
        "goodput ≥ 90 %, refused in < 5 ms",
        format!(
            "{:.0} % of {peak_rate:.0}/s; done: {}; refused: {}",
            goodput / peak_rate * 100.0,
            elapsed(true),
            elapsed(false),
        ),
        format!("{} calls at 800/s", outcomes.len()),
    );
    let mut refused = 0;
    for error in outcomes.iter().filter_map(|outcome| outcome.result.as_ref().err()) {
        assert!(matches!(error, CallError::Overloaded { .. }), "{error:#}");
        assert_eq!(error.executed(), Executed::No, "{error:#}");
        refused += 1;
    }
    assert!(refused > 0, "of {} calls none was too many", outcomes.len());
    site.judge(&[peak, outcomes].concat());
}
