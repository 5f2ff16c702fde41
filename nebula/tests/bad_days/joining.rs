//! Nodes that cannot join, cannot join yet, or may not join.

use std::time::Duration;

use macula::Limits;
use nebula::Node;
use nebula::call::{CallError, Executed};
use tokio::time::{Instant, timeout};

use crate::desk::{Clerk, DeskClient, Mood};
use crate::site::{PATIENCE, Site, met};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn another_cookie_is_refused_before_anything_runs() {
    let site = Site::new();
    let clerk = Clerk::new("db", Mood::Answer);
    let db = site.serve("db", &clerk).await;
    let stranger = site.node("stranger").cookie("of somebody else").join_timeout(SECOND);
    let began = Instant::now();
    let stranger = stranger.start().await.unwrap();
    assert!(began.elapsed() < SECOND + SECOND / 2, "{:?}", began.elapsed());

    let error = DeskClient::new(&stranger).write().timeout(SECOND).await.unwrap_err();
    assert_eq!(error.executed(), Executed::No);
    let text = error.to_string();
    assert!(text.contains("still joining") && text.contains("10.0.0.1:7000"), "{text}");
    assert!(text.contains("are realm and cookie the same there?"), "{text}");
    let refusals = db.mesh().refusals();
    let reason = "its cookie is not that of this realm";
    assert!(refusals.iter().any(|refusal| refusal.reason == reason), "{refusals:?}");
    assert_eq!((db.mesh().view().nodes().len(), clerk.count().began), (1, 0));
}

#[tokio::test]
async fn a_taken_port_says_what_to_do() {
    let node = |name: &str| {
        Node::builder(name).realm("bad-days").cookie("of these tests").local_discovery(false)
    };
    let first = node("first").listen(([127, 0, 0, 1], 0).into()).start().await.unwrap();
    let addr = first.local_addr();
    let error = node("second").listen(addr).start().await.unwrap_err().to_string();
    assert!(error.contains(&format!("cannot listen on {addr}")), "{error}");
    assert!(error.contains("choose another address, or port 0 for any"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_address_is_no_seed() {
    let error = Site::new().node("web").seed("no where").start().await.unwrap_err().to_string();
    assert!(error.contains("`no where` is not a seed: write `10.0.0.1:9443`"), "{error}");
    assert!(error.contains("`host:port`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_file_names_seeds_and_says_where_it_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("seeds");
    let site = Site::new();
    let clerk = Clerk::new("db", Mood::Answer);
    let db = site.serve("db", &clerk).await;
    std::fs::write(&path, format!("# who is up\n{} # the first\n", db.local_addr())).unwrap();
    let client = site.stranger("client", site.addr()).seed_file(&path).start().await.unwrap();
    assert_eq!(DeskClient::new(&client).write().await.unwrap(), "db");

    std::fs::write(&path, "10.0.0.1:7000\nno where\n").unwrap();
    let other = site.stranger("other", site.addr()).seed_file(&path).start().await;
    let error = other.unwrap_err().to_string();
    assert!(error.contains("seeds:2: `no where` is not a seed"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_seed_that_is_not_there_delays_and_does_not_fail() {
    let site = Site::new();
    let (seed, here) = (site.addr(), site.addr());
    let mut limits = Limits::default();
    limits.dial_timeout = SECOND / 2;
    let client = site.stranger("client", here).seed(seed.to_string()).limits(limits);
    let began = Instant::now();
    let client = client.join_timeout(2 * SECOND).start().await.unwrap();
    assert!(began.elapsed() <= 2 * SECOND + SECOND / 10, "{:?}", began.elapsed());
    assert!(!client.mesh().joining().borrow().joined);

    let desk = DeskClient::new(&client);
    let began = Instant::now();
    let error = desk.write().timeout(3 * SECOND).await.unwrap_err();
    let waited = began.elapsed();
    assert!((3 * SECOND..4 * SECOND).contains(&waited), "it waits its own time: {waited:?}");
    let CallError::NoProvider(why) = &error else { panic!("{error:?}") };
    assert_eq!(error.executed(), Executed::No);
    let tried: Vec<_> = why.tried().collect();
    assert!(matches!(tried[..], [("10.0.0.1:7000", "no answer within 500ms")]), "{tried:?}");
    let text = error.to_string();
    assert!(text.contains("still joining") && text.contains("10.0.0.1:7000"), "{text}");

    // A call that is made too early is answered as soon as somebody can.
    let early = tokio::spawn({
        let desk = desk.clone();
        async move { desk.write().timeout(PATIENCE).await }
    });
    tokio::task::yield_now().await;
    let clerk = Clerk::new("db", Mood::Answer);
    let db = site.stranger("db", seed).serve(clerk.clone()).start().await.unwrap();
    assert_eq!(early.await.unwrap().unwrap(), "db");
    met(&[&client, &db]).await;
    assert!(client.mesh().joining().borrow().joined);
    assert_eq!(clerk.count().began, 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_made_while_joining_waits_until_it_has_joined() {
    let site = Site::new();
    let clerk = Clerk::new("db", Mood::Answer);
    let _db = site.serve("db", &clerk).await;
    // So slow that nothing is known yet when the node has started.
    site.network.delay(Duration::from_millis(200));
    let client = site.node("client").join_timeout(Duration::ZERO).start().await.unwrap();
    assert!(!client.mesh().joining().borrow().joined);
    let desk = DeskClient::new(&client);
    assert_eq!(desk.write().timeout(PATIENCE).await.unwrap(), "db");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_twice_and_oneself_do_no_harm() {
    let site = Site::new();
    let clerk = Clerk::new("db", Mood::Answer);
    let db = site.serve("db", &clerk).await;
    let here = site.addr();
    let seeds = [db.local_addr(), db.local_addr(), here];
    let client = seeds
        .iter()
        .fold(site.stranger("client", here), |client, seed| client.seed(seed.to_string()));
    let client = timeout(PATIENCE, client.start()).await.unwrap().unwrap();
    met(&[&db, &client]).await;
    assert_eq!(DeskClient::new(&client).write().await.unwrap(), "db");
}

#[tokio::test(start_paused = true)]
async fn a_call_right_after_the_start_finds_what_the_seed_knows() {
    let site = Site::new();
    let seed = site.node("seed").start().await.unwrap();
    let clerk = Clerk::new("db", Mood::Answer);
    let db = site.serve("db", &clerk).await;
    met(&[&seed, &db]).await;
    site.network.delay(Duration::from_millis(20));
    let client = site.client().await;
    assert_eq!(DeskClient::new(&client).write().await.unwrap(), "db");
}

/// On sockets, since nodes of one machine meet through files.
#[tokio::test]
async fn a_neighbour_with_another_cookie_is_named_where_nobody_can_be_asked() {
    let dir = tempfile::tempdir().unwrap();
    let node = |name: &str, cookie: &str| {
        nebula::Node::builder(name).realm("cookies").cookie(cookie).runtime_dir(dir.path())
    };
    let server = node("server", "one").serve(Clerk::new("server", Mood::Answer));
    let server = server.start().await.unwrap();
    let client = node("client", "another").start().await.unwrap();
    let desk = DeskClient::new(&client);
    let named = async {
        loop {
            let error = desk.act().await.unwrap_err().to_string();
            if error.contains("met no other node of its realm, tried: ") && error.contains("cookie")
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, named).await.unwrap();
    client.shutdown().await.unwrap();
    server.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_shut_down_asks_nobody() {
    let site = Site::new();
    let clerk = Clerk::new("db", Mood::Answer);
    let db = site.serve("db", &clerk).await;
    let client = site.client().await;
    met(&[&db, &client]).await;
    let desk = DeskClient::new(&client);
    assert!(desk.act().await.is_ok());
    client.shutdown().await.unwrap();
    let began = Instant::now();
    let told = "the node that asks has been shut down";
    let error = desk.act().await.unwrap_err();
    assert!(error.to_string().contains(told), "{error}");
    let error = desk.act().all().await.unwrap_err();
    assert!(error.to_string().contains(told), "{error}");
    assert_eq!((began.elapsed(), clerk.count().began), (Duration::ZERO, 1));
}
