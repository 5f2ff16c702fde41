//! Clusters of real processes that are killed, frozen, restarted and asked to leave.
//!
//! Nothing here waits for luck: each test waits for what must happen, with patience, and an oracle
//! compares what callers were told with what the servers wrote down.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::time::Duration;

use macula::MemberEvent;
use nebula::call::{Executed, QuorumError};
use nebula::nodes::Topology;
use nebula::prelude::*;
use tempfile::TempDir;
use tests::{LedgerClient, Outcome, Overdrawn, Site, Traffic, Work, until};
use tokio::task::JoinSet;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// A cluster's place, which vanishes with it.
fn site() -> (TempDir, Site) {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path(), env!("CARGO_BIN_EXE_node"));
    (dir, site)
}

#[tokio::test]
async fn three_processes_answer_as_one_all_most_and_the_chosen() {
    let (_dir, site) = site();
    let names = ["s1", "s2", "s3"];
    let servers = site.serve_all(names).await;
    let topology = names.into_iter().try_fold(Topology::new(), |t, name| t.node(name, ["ledger"]));
    let node = site.node("client").topology(topology.unwrap()).start().await.unwrap();
    site.sees(&node, &names).await;
    let ledger = LedgerClient::new(&node);

    assert_eq!(ledger.find(site.call()).await, Ok(2));
    let mut said = ledger.spend(site.call(), 101).await.unwrap_err();
    assert_eq!(said, CallError::App(Overdrawn { amount: 101 }));
    said = ledger.spend(site.call(), 7).to(node.id()).await.unwrap_err();
    assert_eq!(said.executed(), Executed::No, "the client serves nothing: {said}");

    let everyone = ledger.whoami().on(tag("ledger")).all().await.unwrap();
    assert!(everyone.all_ok());
    let pids: BTreeSet<_> = everyone.ok().map(|who| who.pid).collect();
    assert_eq!(pids, servers.iter().map(|server| server.pid()).collect());
    assert!(everyone.ok().all(|who| who.caller.as_deref() == Some("client")));

    let votes = ledger.add(site.call()).quorum(majority()).await.unwrap();
    assert_eq!(votes.required(), 2);
    assert!(votes.successes().iter().all(|reply| reply.value == 8), "{votes:?}");

    let picked = ledger.whoami().pick(|nodes| nodes.by_name("s2")).await.unwrap();
    assert_eq!(picked.name, "s2");

    // Of the configured three a majority cannot be reached with one: refused before any call.
    let [s1, s2, s3] = servers;
    s1.kill().await;
    s2.leave().await;
    site.sees(&node, &["s3"]).await;
    let call = site.call();
    match ledger.add(call).quorum(majority()).await {
        Err(QuorumError::Unreachable { workers: 1, required: 2 }) => {}
        other => panic!("{other:?}"),
    }
    s3.leave().await;
    assert_eq!(site.executions("s3", "add"), 1, "only the first quorum");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_loses_no_call_that_may_run_twice_and_repeats_none_that_must_not() {
    let (_dir, site) = site();
    let [s1, s2, s3] = site.serve_all(["s1", "s2", "s3"]).await;
    let node = site.node("client").start().await.unwrap();
    site.sees(&node, &["s1", "s2", "s3"]).await;

    let steady = Traffic::start(&site, &node, 2, Work::Find, 15 * SECOND);
    let mut slow = JoinSet::new();
    until("s1 runs calls of both kinds", async || {
        // Whom a call goes to is a matter of chance, so they are made until it is s1.
        for work in [Work::FindSlowly(2 * SECOND), Work::AddSlowly(2 * SECOND)] {
            let (site, node) = (site.clone(), node.clone());
            slow.spawn(async move { work.once(&site, &node, 15 * SECOND).await });
        }
        let ran = |method| site.executions("s1", method) > 0;
        ran("find_slowly") && ran("add_slowly")
    })
    .await;
    s1.kill().await;
    let lost_by = Instant::now();
    let mut outcomes = slow.join_all().await;
    site.sees(&node, &["s2", "s3"]).await;
    println!("the killed node was gone after {:?}", lost_by.elapsed());
    steady.more(20).await;
    outcomes.extend(steady.stop().await.into_iter().flatten());
    s2.kill().await;
    s3.kill().await;

    site.judge(&outcomes);
    let failed: Vec<_> = outcomes.iter().filter(|outcome| outcome.result.is_err()).collect();
    assert!(!failed.is_empty(), "calls were under way on the node that was killed");
    for outcome in failed {
        let error = outcome.result.as_ref().unwrap_err();
        assert!(!outcome.idempotent, "{outcome:?}");
        assert!(
            matches!(error, CallError::Disconnected(_) | CallError::Deadline(_)),
            "{outcome:?}"
        );
        assert_eq!(error.executed(), Executed::Unknown, "{outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_node_is_left_alone_until_it_thaws() {
    let (_dir, site) = site();
    let [s1, s2] = site.serve_all(["s1", "s2"]).await;
    let node = site.node("client").start().await.unwrap();
    site.sees(&node, &["s1", "s2"]).await;
    let id = node.nodes().by_name("s1").unwrap().id();
    let ledger = LedgerClient::new(&node);
    let served = || site.executions("s1", "find");
    let mut events = node.mesh().watch_members();

    let traffic = Traffic::start(&site, &node, 4, Work::Find, 10 * SECOND);
    let once = Traffic::start(&site, &node, 2, Work::Add, 2 * SECOND);
    until("both servers are used", async || served() > 0).await;
    let frozen = s1.freeze().await;
    until("the frozen node is suspected", async || node.mesh().peer(&id).suspect).await;
    let before = served();

    // A call that must not run twice, for that node alone, waits for it until its deadline.
    let (call, start) = (site.call(), Instant::now());
    let error = ledger.add(call).to(id).timeout(SECOND).await.unwrap_err();
    let elapsed = start.elapsed();
    assert!(matches!(error, CallError::Deadline(_)), "{error:#}");
    assert_eq!(error.executed(), Executed::Unknown, "{error:#}");
    assert!(elapsed >= SECOND && elapsed < 2 * SECOND, "{elapsed:?}");
    let alone = Outcome { call, idempotent: false, elapsed, result: Err(error) };

    // Who asks all hears of it, and of the others.
    let all = ledger.whoami().timeout(SECOND / 2).all().await.unwrap();
    assert_eq!(all.ok().map(|who| who.name.as_str()).collect::<Vec<_>>(), ["s2"]);
    let (silent, error) = all.failures().next().unwrap();
    assert!(silent.id == id && error.executed() == Executed::Unknown, "{silent}: {error:#}");
    assert!(matches!(error, CallError::Deadline(_) | CallError::Disconnected(_)), "{error:#}");

    traffic.more(200).await;
    frozen.thaw().await;
    until("the thawed node is used again", async || served() > before + 10).await;

    // The same until all are sure that it is dead.
    while events.try_recv().is_ok() {}
    let frozen = s1.freeze().await;
    until(
        "the frozen node is declared dead",
        async || matches!(events.try_recv(), Ok(MemberEvent::Down(down)) if down == id),
    )
    .await;
    traffic.more(50).await;
    let before = served();
    frozen.thaw().await;
    until("the node back from the dead is used again", async || served() > before + 10).await;

    let (callers, once) = (traffic.stop().await, once.stop().await);
    s1.kill().await;
    s2.kill().await;
    for outcomes in callers.iter().chain(&once) {
        // Half a second without a sound makes a node suspect. It froze twice.
        let slow = outcomes.iter().filter(|outcome| outcome.elapsed > SECOND * 2 / 5).count();
        assert!(slow <= 4, "of one caller {slow} calls waited for the frozen node");
    }
    for outcome in callers.iter().flatten() {
        assert!(outcome.result.is_ok() && outcome.elapsed < 3 * SECOND, "{outcome:?}");
    }
    for error in once.iter().flatten().filter_map(|outcome| outcome.result.as_ref().err()) {
        assert!(matches!(error, CallError::Deadline(_) | CallError::Disconnected(_)), "{error:#}");
        assert_eq!(error.executed(), Executed::Unknown, "{error:#}");
    }
    site.judge(&[callers.concat(), once.concat(), vec![alone]].concat());
}

#[tokio::test]
async fn a_node_that_restarts_with_its_key_is_the_same_node() {
    let (_dir, site) = site();
    let [s1, s2] = site.serve_all(["s1", "s2"]).await;
    let node = site.node("client").start().await.unwrap();
    site.sees(&node, &["s1", "s2"]).await;
    let id = node.nodes().by_name("s1").unwrap().id();
    assert_eq!(id.to_string(), s1.id());

    // Back before anybody has missed it, on the same port.
    let (addr, pid) = (s1.addr(), s1.pid());
    s1.kill().await;
    let s1 = site.serve_at("s1", addr).await;
    assert_eq!((s1.id(), s1.addr()), (id.to_string().as_str(), addr));
    assert_ne!(s1.pid(), pid);
    site.reaches(&node, &s1).await;
    site.sees(&node, &["s1", "s2"]).await;

    // Back after everybody has, on another port.
    s1.kill().await;
    site.sees(&node, &["s2"]).await;
    let s1 = site.serve("s1").await;
    assert_eq!(s1.id(), id.to_string());
    site.reaches(&node, &s1).await;
    assert_eq!(node.nodes().by_name("s1").unwrap().id(), id);

    // A node that asks for the first time finds each once.
    let late = site.node("late").start().await.unwrap();
    site.sees(&late, &["s1", "s2"]).await;
    let all = LedgerClient::new(&late).whoami().all().await.unwrap();
    let pids: Vec<_> = all.ok().map(|who| who.pid).collect();
    assert_eq!(pids, [s1.pid(), s2.pid()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_call() {
    let (_dir, site) = site();
    let servers = site.serve_all(["s1", "s2", "s3"]).await;
    let node = site.node("client").start().await.unwrap();
    site.sees(&node, &["s1", "s2", "s3"]).await;
    let traffic = Traffic::start(&site, &node, 4, Work::Find, 10 * SECOND);
    let once = Traffic::start(&site, &node, 4, Work::AddSlowly(SECOND / 50), 10 * SECOND);
    traffic.more(20).await;
    let mut restarted = Vec::new();
    for server in servers {
        let (name, addr) = (server.name().to_owned(), server.addr());
        assert!(server.leave().await.success());
        let server = site.serve_at(&name, addr).await;
        site.reaches(&node, &server).await;
        traffic.more(20).await;
        restarted.push(server);
    }
    let outcomes = [traffic.stop().await, once.stop().await].concat().concat();
    for server in restarted {
        assert!(server.leave().await.success());
    }
    site.judge(&outcomes);
    let failed: Vec<_> = outcomes.iter().filter(|outcome| outcome.result.is_err()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_ends_its_calls_and_takes_no_more() {
    let (_dir, site) = site();
    let [mut s1, s2] = site.serve_all(["s1", "s2"]).await;
    let node = site.node("client").start().await.unwrap();
    site.sees(&node, &["s1", "s2"]).await;
    let ledger = LedgerClient::new(&node);
    let id = node.nodes().by_name("s1").unwrap().id();

    let mut running = JoinSet::new();
    for _ in 0..4 {
        let (ledger, call) = (ledger.clone(), site.call());
        running.spawn(async move {
            let start = Instant::now();
            let result = ledger.add_slowly(call, 3 * SECOND).to(id).timeout(20 * SECOND).await;
            Outcome { call, idempotent: false, elapsed: start.elapsed(), result }
        });
    }
    until("s1 runs four calls", async || site.executions("s1", "add_slowly") == 4).await;
    let traffic = Traffic::start(&site, &node, 2, Work::Add, 10 * SECOND);
    s1.dismiss();
    let mut outcomes = Vec::new();
    until("s1 refuses a call", async || {
        let (call, start) = (site.call(), Instant::now());
        let result = ledger.add(call).to(id).timeout(10 * SECOND).await;
        let refused = result.is_err();
        let outcome = Outcome { call, idempotent: false, elapsed: start.elapsed(), result };
        if let Err(error) = &outcome.result {
            assert_eq!(error.executed(), Executed::No, "{error:#}");
        }
        outcomes.push(outcome);
        refused
    })
    .await;
    assert!(running.try_join_next().is_none(), "the calls before were still running");
    traffic.more(20).await;
    outcomes.extend(running.join_all().await);
    assert!(s1.leave().await.success());
    traffic.more(20).await;
    let added = traffic.stop().await.concat();
    assert!(s2.leave().await.success());

    let finished = outcomes.iter().filter(|outcome| outcome.elapsed > 2 * SECOND);
    assert_eq!(finished.filter(|outcome| outcome.result.is_ok()).count(), 4, "{outcomes:#?}");
    assert!(added.iter().all(|outcome| outcome.result.is_ok()), "{added:#?}");
    site.judge(&[outcomes, added].concat());
}
