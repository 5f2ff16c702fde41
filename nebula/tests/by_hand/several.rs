//! `all`, `first` and `quorum` where there is one node to ask.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures_util::StreamExt;
use nebula::call::{
    CallError, Executed, FirstError, QuorumError, Replies, Reply, Votes, at_least, majority,
};
use nebula::nodes::{Topology, tag};

use crate::alone;
use crate::contract::{PutError, User, UsersClient};
use crate::store::{NEVER, PANICS, Store, ada};

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_service_without_a_node_is_one_target() {
    let users = UsersClient::local(Store::new());
    let all: Replies<Option<User>> = users.find(7).all().await.unwrap();
    assert_eq!((all.len(), all.all_ok()), (1, true));
    assert_eq!(all.get("local").unwrap().result, Ok(Some(ada(7))));
    let first: Reply<_> = users.find(7).first().await.unwrap();
    assert_eq!((&*first.node.name, first.value), ("local", Some(ada(7))));
    let votes: Votes<_, PutError> = users.put(ada(1)).quorum(majority()).await.unwrap();
    assert_eq!((votes.required(), votes.successes().len()), (1, 1));
    let entries: Vec<_> = users.find(7).all().stream().collect().await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].result, Ok(Some(ada(7))));
}

#[tokio::test]
async fn failures_are_entries_and_no_successes() {
    let users = UsersClient::local(Store::new());
    let all = users.put(ada(0)).all().await.unwrap();
    let entry = all.get("local").unwrap();
    assert_eq!(entry.result, Err(CallError::App(PutError::ReadOnly)));
    match users.find(PANICS).first().await {
        Err(FirstError::NoSuccess(replies)) => {
            assert!(matches!(
                replies.get("local").unwrap().result,
                Err(CallError::Panicked { .. })
            ));
        }
        other => panic!("{other:?}"),
    }
    let quorum = users.put(ada(0)).quorum(at_least(1)).await;
    assert!(matches!(quorum, Err(QuorumError::NotReached(_))), "{quorum:?}");
}

#[tokio::test]
async fn success_narrows_and_contains_its_panics() {
    let users = UsersClient::local(Store::new());
    let wanted = String::from("Ada");
    let named = |user: &Option<User>| user.as_ref().is_some_and(|user| user.name == wanted);
    assert!(users.find(7).first().success(named).await.is_ok());
    assert!(users.find(0).first().success(named).await.is_err());
    assert!(users.find(7).quorum(majority()).success(named).await.is_ok());
    let broken = users.find(7).first().success(|_| panic!("no")).await;
    match broken {
        // The reply is there, it only does not count.
        Err(FirstError::NoSuccess(replies)) => assert!(replies.all_ok()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_quorum_that_cannot_be_is_refused_before_any_call() {
    let store = Store::new();
    let users = UsersClient::local(store.clone());
    let quorum = users.find(7).quorum(at_least(2)).await;
    assert!(matches!(quorum, Err(QuorumError::Unreachable { workers: 1, required: 2 })));
    let topology = Topology::new().node("db@h1", ["db"]).unwrap();
    let topology = topology.node("db@h2", ["db"]).unwrap().node("web@h3", ["web"]).unwrap();
    let builder = alone("db@h1").tag("db").topology(topology);
    let db = builder.serve(store.clone()).start().await.unwrap();
    let users = UsersClient::new(&db);
    // Two nodes carry the tag by configuration, one of them is there.
    let quorum = users.find(7).on(tag("db")).quorum(majority()).await;
    assert!(matches!(quorum, Err(QuorumError::Unreachable { workers: 1, required: 2 })));
    assert_eq!(store.0.dropped.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn the_silent_are_listed_at_the_deadline() {
    let store = Store::new();
    let users = UsersClient::local(store.clone());
    let start = tokio::time::Instant::now();
    let all = users.find(NEVER).timeout(SHORT).all().await.unwrap();
    assert!(matches!(all.get("local").unwrap().result, Err(CallError::Deadline(_))));
    assert_eq!(start.elapsed().as_millis() / 10, 5);
    let entries: Vec<_> = users.find(NEVER).timeout(SHORT).all().stream().collect().await;
    assert!(matches!(entries[0].result, Err(CallError::Deadline(_))));
    let quorum = users.find(NEVER).timeout(SHORT).quorum(at_least(1)).await;
    assert!(matches!(quorum, Err(QuorumError::Deadline(_))), "{quorum:?}");
    assert_eq!(store.0.dropped.load(SeqCst), 3);
}

#[tokio::test]
async fn a_timeout_of_zero_sends_nothing_to_anybody() {
    let store = Store::new();
    let users = UsersClient::local(store.clone());
    let all = users.find(7).timeout(Duration::ZERO).all().await.unwrap();
    let error = all.get("local").unwrap().result.as_ref().unwrap_err();
    assert!(matches!(error, CallError::Deadline(_)));
    assert_eq!(error.executed(), Executed::No);
    let quorum = users.find(7).timeout(Duration::ZERO).quorum(majority()).await;
    assert!(matches!(quorum, Err(QuorumError::Deadline(_))), "{quorum:?}");
    assert_eq!(store.0.dropped.load(SeqCst), 0);
}

#[tokio::test]
async fn nobody_to_ask_says_why() {
    let web = alone("web").start().await.unwrap();
    let users = UsersClient::new(&web);
    let error = users.find(7).all().await.unwrap_err();
    assert!(error.to_string().contains("web (does not serve it)"), "{error}");
    assert!(matches!(users.find(7).first().await, Err(FirstError::NoTarget(_))));
    assert_eq!(users.find(7).all().stream().count().await, 0);
    let picked = users.find(7).pick_many(|nodes| nodes.connected()).quorum(at_least(1)).await;
    assert!(matches!(picked, Err(QuorumError::Unreachable { workers: 0, required: 1 })));
}
