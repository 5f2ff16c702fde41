//! Handlers that fail, and callers that do not wait for them.

use std::time::Duration;

use nebula::call::{CallError, Executed, Outcome, Phase};
use tokio::time::Instant;

use crate::desk::{Clerk, DeskClient, Mood, Refused};
use crate::site::{PATIENCE, Site, met};

#[tokio::test(start_paused = true)]
async fn a_panic_is_told_and_costs_nobody_else_anything() {
    let site = Site::new();
    let [one, two] = ["one", "two"].map(|label| Clerk::new(label, Mood::Panic));
    let (a, b) = (site.serve("a", &one).await, site.serve("b", &two).await);
    let client = site.client().await;
    met(&[&a, &b, &client]).await;
    let desk = DeskClient::new(&client);
    let error = desk.act().await.unwrap_err();
    let CallError::Panicked { message, .. } = &error else { panic!("{error:?}") };
    assert!(message.ends_with("has a bad day"), "{message}");
    assert_eq!((error.executed(), error.attempts().len()), (Executed::Yes, 1));
    assert_eq!(one.count().began + two.count().began, 1, "what ran is not run again");
    one.turn(Mood::Answer);
    assert_eq!(desk.act().to(a.id()).await.unwrap(), "one");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_never_returns_ends_at_the_deadline() {
    let site = Site::new();
    let clerk = Clerk::new("db", Mood::Wait);
    let db = site.serve("db", &clerk).await;
    let client = site.client().await;
    met(&[&db, &client]).await;
    let began = Instant::now();
    let error = DeskClient::new(&client).write().timeout(Duration::from_millis(700)).await;
    let (error, took) = (error.unwrap_err(), began.elapsed());
    assert!(matches!(error, CallError::Deadline(_)), "{error:?}");
    assert_eq!(error.executed(), Executed::Unknown);
    assert_eq!(took.as_millis() / 10, 70, "{took:?}");
    let attempt = &error.attempts()[0];
    assert_eq!((attempt.phase, &attempt.outcome), (Phase::Run, &Outcome::TimedOut));
    assert!(error.to_string().contains("no answer from db before the deadline"), "{error}");
    clerk.until("was dropped", |count| count.dropped == 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_method_is_its_answer() {
    let site = Site::new();
    let [one, two] = ["clerk", "clerk"].map(|label| Clerk::new(label, Mood::Refuse));
    let (a, b) = (site.serve("a", &one).await, site.serve("b", &two).await);
    let client = site.client().await;
    met(&[&a, &b, &client]).await;
    let error = DeskClient::new(&client).act().await.unwrap_err();
    assert_eq!(error, CallError::App(Refused("clerk".into())));
    assert_eq!((error.executed(), error.to_string()), (Executed::Yes, "clerk will not".into()));
    assert_eq!(one.count().began + two.count().began, 1, "an answer is not asked for again");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_stops_the_handler() {
    let site = Site::new();
    let clerk = Clerk::new("db", Mood::Wait);
    let db = site.serve("db", &clerk).await;
    let client = site.client().await;
    met(&[&db, &client]).await;
    let call = tokio::spawn({
        let desk = DeskClient::new(&client);
        async move { desk.guard().timeout(Duration::from_secs(3600)).await }
    });
    clerk.until("began", |count| count.began == 1).await;
    let began = Instant::now();
    call.abort();
    clerk.until("was dropped", |count| (count.dropped, count.cancelled) == (1, 1)).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(db.mesh().serving(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_goes_away_takes_its_calls_along() {
    let site = Site::new();
    let clerk = Clerk::new("db", Mood::Wait);
    let db = site.serve("db", &clerk).await;
    let client = site.client().await;
    met(&[&db, &client]).await;
    let call = tokio::spawn({
        let desk = DeskClient::new(&client);
        async move { desk.guard().timeout(PATIENCE).await }
    });
    clerk.until("began", |count| count.began == 1).await;
    client.shutdown().await.unwrap();
    clerk.until("was dropped", |count| (count.dropped, count.cancelled) == (1, 1)).await;
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Disconnected(_)), "{error:?}");
    assert_eq!(error.executed(), Executed::Unknown);
    met(&[&db]).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_cut_off_is_left_for_another_only_if_that_is_safe() {
    let site = Site::new();
    let [one, two] = ["one", "two"].map(|label| Clerk::new(label, Mood::Wait));
    let (a, b) = (site.serve("a", &one).await, site.serve("b", &two).await);
    let client = site.client().await;
    met(&[&a, &b, &client]).await;
    let calls: Vec<_> = (0..12)
        .map(|n| {
            let desk = DeskClient::new(&client);
            tokio::spawn(async move {
                match n % 2 {
                    0 => (true, desk.act().timeout(PATIENCE).await),
                    _ => (false, desk.write().timeout(PATIENCE).await),
                }
            })
        })
        .collect();
    one.until("has some of the calls", |count| count.began > 1).await;
    two.until("has the others", |count| count.began + one.count().began == 12).await;
    let (lost, kept) = (one.count().began, two.count().began);
    let began = Instant::now();
    site.network.partition(a.local_addr(), client.local_addr());
    site.network.partition(a.local_addr(), b.local_addr());
    // What `a` answers now reaches nobody.
    one.turn(Mood::Answer);
    two.turn(Mood::Answer);
    let mut failed = 0;
    for call in calls {
        match call.await.unwrap() {
            (_, Ok(label)) => assert_eq!(label, "two"),
            (idempotent, Err(error)) => {
                assert!(!idempotent, "{error:#}");
                assert_eq!(error.executed(), Executed::Unknown);
                failed += 1;
            }
        }
    }
    assert!(began.elapsed() < PATIENCE, "long before the deadline: {:?}", began.elapsed());
    assert_eq!(two.count().began, kept + lost - failed, "what may have run ran once");
}
