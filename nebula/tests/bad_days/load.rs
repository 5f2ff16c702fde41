//! Nodes that are full, and nodes that are about to stop.

use std::time::Duration;

use nebula::call::Executed;
use nebula::prelude::*;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::desk::{Clerk, DeskClient, Mood, Refused};
use crate::site::{PATIENCE, Site, met};

type Answer = Result<String, CallError<Refused>>;

/// Takes the one place and the one seat before it.
async fn fill(desk: &DeskClient, node: &nebula::Node) -> [JoinHandle<Answer>; 2] {
    let held = [(); 2].map(|()| {
        let (desk, node) = (desk.clone(), node.id());
        tokio::spawn(async move { desk.narrow().to(node).timeout(PATIENCE).await })
    });
    let full = async {
        while node.mesh().serving() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, full).await.unwrap();
    held
}

#[tokio::test(start_paused = true)]
async fn a_full_node_refuses_before_it_runs_and_says_when_to_come_back() {
    let site = Site::new();
    let clerk = Clerk::new("db", Mood::Wait);
    let db = site.serve("db", &clerk).await;
    let client = site.client().await;
    met(&[&db, &client]).await;
    let held = fill(&DeskClient::new(&client), &db).await;
    // From elsewhere and from the node itself: the same gate.
    for node in [&client, &db] {
        let desk = DeskClient::new(node);
        let error = desk.narrow().await.unwrap_err();
        let CallError::Overloaded { retry_after, .. } = &error else { panic!("{error:?}") };
        assert!((Duration::from_millis(1)..PATIENCE).contains(retry_after), "{retry_after:?}");
        assert_eq!((error.executed(), error.attempts().len()), (Executed::No, 1), "{error:#}");
        assert!(error.to_string().contains("db is overloaded"), "{error}");
    }
    assert_eq!(clerk.count().began, 1);
    clerk.turn(Mood::Answer);
    for call in held {
        assert_eq!(call.await.unwrap().unwrap(), "db");
    }
    assert_eq!(DeskClient::new(&client).narrow().await.unwrap(), "db");
}

#[tokio::test(start_paused = true)]
async fn a_full_method_leaves_the_others_alone() {
    let site = Site::new();
    let clerk = Clerk::new("db", Mood::Wait);
    let db = site.serve("db", &clerk).await;
    let client = site.client().await;
    met(&[&db, &client]).await;
    let desk = DeskClient::new(&client);
    let _held = fill(&desk, &db).await;
    assert!(desk.left().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_full_node_refused_goes_on_elsewhere() {
    let site = Site::new();
    let (full, free) = (Clerk::new("full", Mood::Wait), Clerk::new("free", Mood::Answer));
    let (a, b) = (site.serve("a", &full).await, site.serve("b", &free).await);
    let client = site.client().await;
    met(&[&a, &b, &client]).await;
    let _held = fill(&DeskClient::new(&client), &a).await;
    // `a` asks itself first, the client either; the method is not idempotent.
    for node in [&client, &a] {
        let desk = DeskClient::new(node);
        for _ in 0..16 {
            assert_eq!(desk.narrow().await.unwrap(), "free");
            assert_eq!(desk.narrow().on(tag("none") | !tag("none")).await.unwrap(), "free");
        }
    }
    assert_eq!((full.count().began, free.count().began), (1, 64));
}

#[tokio::test(start_paused = true)]
async fn a_draining_node_refuses_and_calls_go_on_elsewhere() {
    let site = Site::new();
    let (old, new) = (Clerk::new("old", Mood::Wait), Clerk::new("new", Mood::Answer));
    let (a, b) = (site.serve("a", &old).await, site.serve("b", &new).await);
    let client = site.client().await;
    met(&[&a, &b, &client]).await;
    let desk = DeskClient::new(&client);
    let held = tokio::spawn({
        let (desk, a) = (desk.clone(), a.id());
        async move { desk.write().to(a).timeout(PATIENCE).await }
    });
    old.until("began", |count| count.began == 1).await;

    // The news travels for a while, during which the client still asks `a`.
    site.network.link_delay(a.local_addr(), client.local_addr(), Duration::from_millis(100));
    let leaving = tokio::spawn({
        let a = a.clone();
        async move { a.shutdown().await }
    });
    while !a.mesh().is_draining() {
        tokio::task::yield_now().await;
    }
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let desk = desk.clone();
            tokio::spawn(async move { desk.write().await })
        })
        .collect();
    let exactly = desk.write().to(a.id()).await.unwrap_err();
    assert_eq!(exactly.executed(), Executed::No);
    assert!(exactly.to_string().contains("takes no calls now)"), "{exactly}");
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "new");
    }
    assert_eq!((old.count().began, new.count().began), (1, 16));

    // By now everybody knows, and what was running is waited for.
    let known = desk.write().to(a.id()).await.unwrap_err();
    assert!(known.to_string().contains("shutting down)"), "{known}");
    assert!(!leaving.is_finished());
    old.turn(Mood::Answer);
    assert_eq!(held.await.unwrap().unwrap(), "old");
    leaving.await.unwrap().unwrap();
    met(&[&b, &client]).await;
}

#[tokio::test(start_paused = true)]
async fn a_stopping_node_hands_over_large_replies_too() {
    const LARGE: usize = 1 << 20;
    let site = Site::new();
    let clerk = Clerk::new("db", Mood::Wait);
    let db = site.serve("db", &clerk).await;
    let client = site.client().await;
    met(&[&db, &client]).await;
    site.network.delay(Duration::from_millis(20));
    let call = tokio::spawn({
        let desk = DeskClient::new(&client);
        async move { desk.swap(vec![], LARGE).timeout(PATIENCE).await.map(|reply| reply.len()) }
    });
    clerk.until("began", |count| count.began == 1).await;
    let (stopped, ()) = tokio::join!(db.shutdown(), async { clerk.turn(Mood::Answer) });
    stopped.unwrap();
    assert_eq!(call.await.unwrap(), Ok(LARGE));
}

#[tokio::test(start_paused = true)]
async fn leaving_takes_no_time_when_nothing_runs() {
    let site = Site::new();
    let clerk = Clerk::new("db", Mood::Answer);
    let (a, b) = (site.serve("a", &clerk).await, site.serve("b", &clerk).await);
    let client = site.client().await;
    met(&[&a, &b, &client]).await;
    site.network.delay(Duration::from_millis(1));
    for node in [a, b, client] {
        let began = Instant::now();
        node.shutdown().await.unwrap();
        assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    }
}
