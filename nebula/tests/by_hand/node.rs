//! Calls through a node that serves the service itself, and through one that knows nobody.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures_util::poll;
use nebula::Node;
use nebula::call::{CallError, Executed};
use nebula::nodes::{node, tag};
use tokio::sync::mpsc;

use crate::alone;
use crate::contract::UsersClient;
use crate::store::{NEVER, Probe, Store, ada};

async fn db(store: Store) -> Node {
    alone("db@h1").tag("db").serve(store).start().await.unwrap()
}

#[tokio::test]
async fn a_node_serves_its_own_clients() {
    let db = db(Store::new()).await;
    let users = UsersClient::new(&db);
    assert_eq!(users.find(7).await, Ok(Some(ada(7))));
    assert_eq!(users.find(7).on(tag("db") & !node("backup")).await, Ok(Some(ada(7))));
    assert_eq!(users.find(7).to(db.id()).hedge().await, Ok(Some(ada(7))));
    let picked = users.find(7).pick(|nodes| nodes.connected().min_by_key(|n| n.memory_permille()));
    assert_eq!(picked.await, Ok(Some(ada(7))));
    let client = users.with(|options| options.on(tag("cache")));
    let error = client.find(7).await.unwrap_err();
    assert!(error.to_string().contains("db@h1 (lacks &cache)"), "{error}");
    assert_eq!(client.find(7).on(tag("db")).await, Ok(Some(ada(7))));
}

#[tokio::test]
async fn a_selector_that_means_nobody_never_widens() {
    let db = db(Store::new()).await;
    let error = UsersClient::new(&db).find(7).on(!tag("db")).await.unwrap_err();
    assert!(matches!(error, CallError::NoProvider(_)));
    assert_eq!(error.executed(), Executed::No);
    let nobody = UsersClient::new(&db).find(7).pick(|_| None).await.unwrap_err();
    assert!(nobody.to_string().contains("was not picked"), "{nobody}");
    let broken = UsersClient::new(&db).find(7).pick(|_| panic!("empty")).await.unwrap_err();
    assert!(broken.to_string().contains("panicked: empty"), "{broken}");
}

#[tokio::test]
async fn who_serves_nothing_says_so() {
    let web = alone("web").start().await.unwrap();
    let error = UsersClient::new(&web).find(7).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the only known node cannot be asked for `Users.find`: web (does not serve it); this node has \
         met no other node of its realm"
    );
}

#[tokio::test]
async fn a_handler_knows_the_node_that_asks() {
    let (tokens, mut contexts) = mpsc::unbounded_channel();
    let db = db(Store::of(Probe { tokens: Some(tokens), ..Probe::default() })).await;
    UsersClient::new(&db).remaining(0).await.unwrap();
    let cx = contexts.recv().await.unwrap();
    let caller = cx.caller().unwrap();
    assert_eq!((caller.id, &*caller.name), (db.id(), "db@h1"));
    assert_eq!(caller.tags.iter().map(|tag| &**tag).collect::<Vec<_>>(), ["db"]);
}

#[tokio::test]
async fn two_services_of_one_name_do_not_start() {
    let builder = alone("db").serve(Store::new());
    let error = builder.serve_as::<UsersClient>(Store::new()).start().await.unwrap_err();
    assert!(error.to_string().starts_with("two services named `Users` on one node"), "{error}");
    let nameless = alone("").start().await.unwrap_err();
    assert!(nameless.to_string().contains("the name of a node"), "{nameless}");
}

#[tokio::test]
async fn names_and_tags_have_the_limits_of_the_mesh() {
    let longest = "n".repeat(255);
    let many = (0..64).map(|tag| format!("{tag:064}"));
    assert!(alone(&longest).tags(many.clone()).start().await.is_ok());
    let refused =
        async |builder: nebula::NodeBuilder| builder.start().await.unwrap_err().to_string();
    let name = refused(alone(&"n".repeat(256))).await;
    assert!(name.starts_with("the name of a node has 1 to 255 bytes"), "{name}");
    let tag = refused(alone("db").tag("t".repeat(65))).await;
    assert!(tag.starts_with("a tag has 1 to 64 bytes"), "{tag}");
    let tags = refused(alone("db").tags(many).tag("more")).await;
    assert_eq!(tags, "a node has at most 64 tags, and this one 65");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_refuses_new_calls_and_waits_for_the_running_ones() {
    let store = Store::new();
    let db = db(store.clone()).await;
    let users = UsersClient::new(&db);
    let mut running = users.remaining(0).into_future();
    assert!(poll!(&mut running).is_pending());
    let shutdown = db.shutdown();
    tokio::pin!(shutdown);
    assert!(poll!(&mut shutdown).is_pending());
    let refused = users.find(7).await.unwrap_err();
    assert!(refused.to_string().contains("db@h1 (is shutting down)"), "{refused}");
    let (ended, stopped) = tokio::join!(running, shutdown);
    assert!(ended.is_ok() && stopped.is_ok());

    let store = Store::new();
    let grace = Duration::from_secs(1);
    let slow = alone("slow").grace(grace).serve(store.clone()).start().await.unwrap();
    let users = UsersClient::new(&slow);
    let mut never = users.find(NEVER).into_future();
    assert!(poll!(&mut never).is_pending());
    let error = slow.shutdown().await.unwrap_err();
    assert!(error.to_string().contains("grace period of 1s"), "{error}");
    drop(never);
    assert_eq!(store.0.dropped.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_sets_the_last_default_timeout() {
    let builder = alone("db").default_timeout(Duration::from_millis(70));
    let db = builder.serve(Store::new()).start().await.unwrap();
    let start = tokio::time::Instant::now();
    let error = UsersClient::new(&db).find(NEVER).await.unwrap_err();
    assert!(matches!(error, CallError::Deadline(_)));
    assert_eq!(start.elapsed().as_millis() / 10, 7);
}
