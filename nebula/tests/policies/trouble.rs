//! What becomes of calls while a node fails them.

use std::time::Duration;

use macula::MemoryNetwork;
use nebula::prelude::*;
use tokio::time::{Instant, sleep};

use crate::cluster::{Cluster, MS, WhoClient, Worker, counts, met};

const SECOND: Duration = Duration::from_secs(1);

struct Site {
    network: MemoryNetwork,
    web: Node,
    who: WhoClient,
    a: Worker,
    b: Worker,
    nodes: [Node; 2],
}

/// A client and two nodes that serve it.
async fn site() -> Site {
    let mut cluster = Cluster::new();
    let web = cluster.builder("web").random_seed(5).start().await.unwrap();
    let (a, first) = cluster.worker("a").await;
    let (b, second) = cluster.worker("b").await;
    met(&web, &[&a, &b]).await;
    met(&a, &[&b, &web]).await;
    let who = WhoClient::new(&web);
    Site { network: cluster.network, web, who, a: first, b: second, nodes: [a, b] }
}

/// Makes calls one after the other for `time`: who answered, and how many failed.
async fn calls(site: &Site, time: Duration, timeout: Duration) -> (Vec<String>, usize) {
    let (began, mut answers, mut slow) = (Instant::now(), Vec::new(), 0);
    while began.elapsed() < time {
        match site.who.write().timeout(timeout).await {
            Ok(answer) => answers.push(answer),
            Err(_) => slow += 1,
        }
        sleep(10 * MS).await;
    }
    (answers, slow)
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_methods_hang_costs_two_calls_and_is_tried_again() {
    let site = site().await;
    site.b.hang(true);
    let (answers, slow) = calls(&site, 19 * SECOND / 10, 100 * MS).await;
    assert_eq!((slow, counts(&answers).len()), (2, 1), "{answers:?}");
    assert!(!site.web.mesh().peer(&site.nodes[1].id()).suspect, "the node itself is there");
    // It is tried after two seconds and after four more, by one call each.
    let (_, slow) = calls(&site, 5 * SECOND, 100 * MS).await;
    assert_eq!(slow, 2);
    site.b.hang(false);
    sleep(9 * SECOND).await;
    // One success clears everything: it gets its share again.
    let (answers, slow) = calls(&site, SECOND, 100 * MS).await;
    let counts = counts(&answers);
    assert_eq!(slow, 0);
    assert!(counts["b"] > 25, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn many_calls_at_once_try_it_one_at_a_time() {
    let site = site().await;
    site.b.hang(true);
    let at_once = async |calls: usize| {
        let made = (0..calls).map(|_| site.who.write().timeout(500 * MS).into_future());
        let made = futures_util::future::join_all(made).await;
        made.into_iter().filter(Result::is_err).count()
    };
    assert!(at_once(20).await > 2, "those that were under way");
    assert_eq!(at_once(20).await, 0, "it is passed over");
    sleep(3 * SECOND).await;
    assert_eq!(at_once(20).await, 1, "one call tries it");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_node_costs_two_calls_whatever_their_timeout_and_returns() {
    for timeout in [60 * MS, 300 * MS, 2 * SECOND] {
        let site = site().await;
        // Not a word passes between the two; for the others it is alive.
        site.network.partition(site.web.local_addr(), site.nodes[1].local_addr());
        let (answers, slow) = calls(&site, 20 * SECOND, timeout).await;
        assert!(slow <= 2, "{slow} slow calls with a timeout of {timeout:?}");
        assert_eq!(counts(&answers).len(), 1);
        assert!(site.web.nodes().get(site.nodes[1].id()).is_some(), "it is a member all along");
        site.network.heal();
        sleep(30 * SECOND).await;
        let (answers, slow) = calls(&site, SECOND, timeout).await;
        assert_eq!((slow, counts(&answers).len()), (0, 2), "{timeout:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_to_several_nodes_tell_it_too_and_hedged_ones() {
    let site = site().await;
    site.b.hang(true);
    for _ in 0..2 {
        let all = site.who.write().timeout(100 * MS).all().await.unwrap();
        assert_eq!(all.ok().count(), 1);
    }
    let (_, slow) = calls(&site, SECOND, 100 * MS).await;
    assert_eq!(slow, 0);
    // A reply clears it, whoever asked.
    site.b.hang(false);
    assert!(site.who.write().all().await.unwrap().all_ok());
    let (answers, _) = calls(&site, SECOND, 100 * MS).await;
    assert_eq!(counts(&answers).len(), 2);

    // With both hanging, no answer overtakes the slow one.
    site.b.hang(true);
    site.a.hang(true);
    for _ in 0..2 {
        site.who.read().hedge().timeout(SECOND).await.unwrap_err();
    }
    site.a.hang(false);
    let (answers, slow) = calls(&site, SECOND, 100 * MS).await;
    // Of two nodes one at most is passed over, and it is not said which.
    assert!(slow <= 1 && answers.iter().all(|answer| answer == "a"), "{slow} {answers:?}");
}

#[tokio::test(start_paused = true)]
async fn what_an_application_does_is_no_fault_of_the_node() {
    let site = site().await;
    let [a, b] = &site.nodes;
    // Refused for want of a place.
    site.b.hang(true);
    let hold = || {
        let (who, id) = (site.who.clone(), b.id());
        tokio::spawn(async move { who.narrow().to(id).timeout(60 * SECOND).await })
    };
    let held = [hold(), hold()];
    sleep(10 * MS).await;
    for _ in 0..4 {
        let refused = site.who.narrow().to(b.id()).timeout(50 * MS).await.unwrap_err();
        assert!(matches!(refused, CallError::Overloaded { .. }), "{refused}");
    }
    // Given up by their callers.
    for _ in 0..4 {
        let call = site.who.write().to(b.id()).timeout(SECOND).into_future();
        assert!(tokio::time::timeout(50 * MS, call).await.is_err());
    }
    site.b.hang(false);
    for call in held {
        assert_eq!(call.await.unwrap().unwrap(), "b");
    }
    let (answers, _) = calls(&site, SECOND / 2, SECOND).await;
    assert_eq!(counts(&answers).len(), 2);
    assert!(!site.web.mesh().peer(&a.id()).suspect);
}

#[tokio::test(start_paused = true)]
async fn the_only_node_is_asked_whatever_it_did() {
    let site = site().await;
    site.b.hang(true);
    for _ in 0..5 {
        site.who.write().to(site.nodes[1].id()).timeout(100 * MS).await.unwrap_err();
    }
    // It is out for a minute by now, but among others only.
    site.b.hang(false);
    assert_eq!(site.who.write().to(site.nodes[1].id()).await.unwrap(), "b");
}

#[tokio::test(start_paused = true)]
async fn who_is_passed_over_is_asked_before_the_call_fails() {
    let site = site().await;
    let [a, b] = &site.nodes;
    for _ in 0..2 {
        site.b.hang(true);
        site.who.write().to(b.id()).timeout(100 * MS).await.unwrap_err();
    }
    site.b.hang(false);
    site.a.hang(true);
    let hold = || {
        let (who, id) = (site.who.clone(), a.id());
        tokio::spawn(async move { who.narrow().to(id).timeout(60 * SECOND).await })
    };
    let _held = [hold(), hold()];
    sleep(10 * MS).await;
    assert_eq!(site.who.narrow().await.unwrap(), "b");
}

#[tokio::test(start_paused = true)]
async fn a_hedged_call_with_one_target_starts_over_as_others_do() {
    let site = site().await;
    let [_, b] = &site.nodes;
    // In each other's reach but for a moment: membership has not given it up.
    site.network.partition(site.web.local_addr(), b.local_addr());
    let (who, id, began) = (site.who.clone(), b.id(), Instant::now());
    let call = tokio::spawn(async move { who.read().to(id).hedge().timeout(5 * SECOND).await });
    sleep(2 * SECOND).await;
    site.network.heal();
    assert_eq!(call.await.unwrap().unwrap(), "b");
    assert!(began.elapsed() >= 2 * SECOND);

    // One that is full says so at once, and is not asked again.
    site.b.hang(true);
    let hold = || {
        let who = site.who.clone();
        tokio::spawn(async move { who.narrow().to(id).timeout(60 * SECOND).await })
    };
    let _held = [hold(), hold()];
    sleep(10 * MS).await;
    let error = site.who.narrow().to(id).hedge().await.unwrap_err();
    assert!(matches!(error, CallError::Overloaded { .. }), "{error}");
    assert_eq!(error.attempts().len(), 1, "{error:#}");
}

/// Work that is done at once, or takes an hour, or is never done.
#[service(global)]
trait Mixed {
    #[api(idempotent)]
    async fn quick(&self) -> String;
    #[api(timeout = "2h")]
    async fn hour(&self) -> String;
    #[api(idempotent)]
    async fn hang(&self) -> String;
}

struct Works(&'static str);

impl Mixed for Works {
    async fn quick(&self) -> String {
        self.0.into()
    }

    async fn hour(&self) -> String {
        sleep(3600 * SECOND).await;
        self.0.into()
    }

    async fn hang(&self) -> String {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_comes_back_although_the_call_that_tries_it_is_long() {
    let mut cluster = Cluster::new();
    let web = cluster.client("web").await;
    let a = cluster.builder("a").serve(Works("a")).start().await.unwrap();
    let b = cluster.builder("b").serve(Works("b")).start().await.unwrap();
    met(&web, &[&a, &b]).await;
    let mixed = MixedClient::new(&web).with(|options| options.policy(Policy::RoundRobin));
    for _ in 0..2 {
        mixed.hang().to(b.id()).timeout(100 * MS).await.unwrap_err();
    }
    sleep(3 * SECOND).await;
    // Its time is over: this call tries it, and does what it should.
    let (client, id) = (mixed.clone(), b.id());
    let long = tokio::spawn(async move { client.hour().to(id).await });
    let answers = async |calls: usize| {
        let mut answers = Vec::new();
        for _ in 0..calls {
            answers.push(mixed.quick().await.unwrap());
            sleep(SECOND).await;
        }
        answers
    };
    sleep(SECOND).await;
    assert_eq!(counts(&answers(55).await).len(), 1, "it is being tried");
    sleep(10 * SECOND).await;
    assert_eq!(counts(&answers(20).await), [("a", 10), ("b", 10)].into());
    assert!(!long.is_finished());
}

/// Its deadline is the one that its node has moved.
#[tokio::test(start_paused = true)]
async fn a_call_that_was_extended_and_is_given_up_says_nothing_of_the_node() {
    let site = site().await;
    site.b.hang(true);
    let b = site.nodes[1].id();
    for _ in 0..2 {
        let call = site.who.extended().to(b).timeout(SECOND).max_extensions(10);
        let given_up = tokio::time::timeout(1200 * MS, call).await;
        assert!(given_up.is_err(), "it was extended");
    }
    site.b.hang(false);
    let (answers, _) = calls(&site, SECOND, 100 * MS).await;
    assert_eq!(counts(&answers).len(), 2, "b did nothing wrong");
}
