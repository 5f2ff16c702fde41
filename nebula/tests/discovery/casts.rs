//! One-way calls, and calls to all or to nobody.

use nebula::call::CastCounts;
use nebula::prelude::*;
use nebula::testing::{Cluster, TestNode};
use nebula::{Executed, Node};
use tokio::time::{Instant, sleep};

use crate::site::{DiaryClient, Lines, MS, SECOND, Store, UsersClient, ZERO, user};

/// Begun, answered, failed.
fn counts(node: &Node) -> (u64, u64, u64) {
    let CastCounts { begun, answered, failed, .. } = node.cast_counts();
    (begun, answered, failed)
}

async fn pair(cluster: &mut Cluster) -> (TestNode, TestNode, Store) {
    let store = Store::new("db");
    let db = cluster.node("db").serve(store.clone()).start().await;
    let web = cluster.node("web").start().await;
    cluster.settle().await;
    (db, web, store)
}

/// On its own node and elsewhere: it is on its way at once, and runs to its end.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_the_end() {
    let mut cluster = Cluster::new(1);
    let (db, web, store) = pair(&mut cluster).await;
    for node in [&db, &web] {
        let users = UsersClient::new(node);
        // So that there is a connection.
        users.count().await.unwrap();
        let began = Instant::now();
        let (begun, ended) = store.slow_calls();
        users.slow(2000).cast().await.unwrap();
        assert_eq!(began.elapsed(), ZERO);
        assert_eq!(counts(node), (1, 0, 0));
        sleep(SECOND).await;
        assert_eq!(store.slow_calls(), (begun + 1, ended), "it runs");
        sleep(2 * SECOND).await;
        assert_eq!(store.slow_calls(), (begun + 1, ended + 1));
        assert_eq!(counts(node), (1, 1, 0));
    }
    let alone = UsersClient::local(store.clone());
    alone.slow(1000).cast().await.unwrap();
    sleep(2 * SECOND).await;
    assert_eq!(store.slow_calls(), (3, 3), "without any node");
}

/// A method's own error is an answer; what comes too late or never is a failure. Neither is heard of.
#[tokio::test(start_paused = true)]
async fn what_becomes_of_it_is_counted() {
    let mut cluster = Cluster::new(1);
    let (db, web, store) = pair(&mut cluster).await;
    for (node, known) in [(&db, 1), (&web, 1)] {
        let users = UsersClient::new(node);
        users.put(user(1, "Ada")).cast().await.unwrap();
        users.put(user(1, "Bob")).cast().await.unwrap();
        sleep(SECOND).await;
        assert_eq!((counts(node), store.users()), ((2, 2, 0), known));
        users.slow(60_000).timeout(SECOND).cast().await.unwrap();
        users.fail(2, 1).cast().await.unwrap();
        sleep(2 * SECOND).await;
        assert_eq!(counts(node), (4, 2, 2));
    }
    let users = UsersClient::new(&web);
    users.slow(3000).cast().await.unwrap();
    sleep(MS * 100).await;
    cluster.kill(&db);
    sleep(60 * SECOND).await;
    assert_eq!(counts(&web), (5, 2, 3), "one that was lost");
    assert!(store.slow_calls().0 > store.slow_calls().1);
}

/// What shows at once that the method does not run is an error, and proves it.
#[tokio::test(start_paused = true)]
async fn what_does_not_begin_is_an_error() {
    let mut cluster = Cluster::new(1);
    let (db, web, _store) = pair(&mut cluster).await;
    let nobody = DiaryClient::new(&web).write("x".into()).timeout(SECOND).cast().await.unwrap_err();
    assert!(matches!(nobody, CallError::NoProvider(_)), "{nobody:?}");
    let users = UsersClient::new(&db);
    users.alone(1000).cast().await.unwrap();
    let busy = users.alone(1000).cast().await.unwrap_err();
    assert!(matches!(busy, CallError::Overloaded { .. }), "{busy:?}");
    let zero = users.slow(1).timeout(ZERO).cast().await.unwrap_err();
    assert!(matches!(zero, CallError::Deadline(_)), "{zero:?}");
    let huge = UsersClient::new(&web).put(user(1, &"x".repeat(64 << 20))).cast().await.unwrap_err();
    assert!(matches!(huge, CallError::TooLarge { .. }), "{huge:?}");
    db.service("Users").unwrap().pause("night").await.unwrap();
    let paused = users.slow(1).cast().await.unwrap_err();
    assert!(matches!(paused, CallError::NoProvider(_)), "{paused:?}");
    for error in [nobody, busy, zero, huge, paused] {
        assert_eq!(error.executed(), Executed::No);
    }
    assert_eq!((counts(&web), counts(&db).0), ((0, 0, 0), 1));
}

/// One that the own node has no room for goes to another one.
#[tokio::test(start_paused = true)]
async fn it_goes_on_to_who_has_room() {
    let mut cluster = Cluster::new(1);
    let (db, _web, store) = pair(&mut cluster).await;
    let other = Store::new("other");
    let _node = cluster.node("other").serve(other.clone()).start().await;
    cluster.settle().await;
    let users = UsersClient::new(&db);
    users.alone(1000).cast().await.unwrap();
    users.alone(1000).cast().await.unwrap();
    sleep(2 * SECOND).await;
    assert_eq!((store.slow_calls(), other.slow_calls()), ((1, 1), (1, 1)));
    // By a selector, a closure or a policy, too; the own node may be the one.
    for _ in 0..8 {
        users.slow(1).policy(Policy::RoundRobin).cast().await.unwrap();
    }
    users.slow(1).pick(|nodes| nodes.by_name("other")).cast().await.unwrap();
    users.slow(1).on(sel!(@db)).cast().await.unwrap();
    sleep(SECOND).await;
    assert_eq!((store.slow_calls(), other.slow_calls()), ((6, 6), (6, 6)));
    assert_eq!(counts(&db), (12, 12, 0));
}

/// A node that shuts down waits for its one-way calls, as for others in the background.
#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_it() {
    let mut cluster = Cluster::new(1);
    let (db, web, store) = pair(&mut cluster).await;
    UsersClient::new(&web).slow(2000).cast().await.unwrap();
    let began = Instant::now();
    cluster.shutdown(&web).await.unwrap();
    assert!(began.elapsed() >= 2 * SECOND, "{:?}", began.elapsed());
    assert_eq!((store.slow_calls(), counts(&web)), ((1, 1), (1, 1, 0)));
    let late = UsersClient::new(&web).slow(1).cast().await.unwrap_err();
    assert!(matches!(late, CallError::NoProvider(_)), "{late:?}");
    UsersClient::new(&db).slow(2000).cast().await.unwrap();
    cluster.shutdown(&db).await.unwrap();
    assert_eq!((store.slow_calls(), counts(&db)), ((2, 2), (1, 1, 0)));
}

#[service(global)]
trait Relay {
    #[api]
    async fn relay(&self, cx: &Context, millis: u64);
}

struct Through(UsersClient);

impl Relay for Through {
    async fn relay(&self, cx: &Context, millis: u64) {
        self.0.slow(millis).cast().await.unwrap();
        self.0.within(cx).slow(millis).cast().await.unwrap();
        std::future::pending().await
    }
}

/// A handler that is cancelled takes nothing along that it has sent on its way; its deadline holds.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_handler_does_not_cancel_it() {
    let mut cluster = Cluster::new(1);
    let (_db, web, store) = pair(&mut cluster).await;
    web.serve(Through(UsersClient::new(&web))).await.unwrap();
    let relay = RelayClient::new(&web);
    let called = tokio::spawn(async move { relay.relay(2000).timeout(10 * SECOND).await });
    sleep(SECOND).await;
    called.abort();
    sleep(10 * SECOND).await;
    assert_eq!(store.slow_calls(), (2, 2));
    let relay = RelayClient::new(&web);
    assert!(relay.relay(60_000).timeout(SECOND).await.is_err());
    sleep(SECOND).await;
    assert_eq!((store.slow_calls(), counts(&web)), ((4, 2), (4, 2, 2)));
}

/// CALL-21: all are asked, each answers for itself; if there is nobody that is said, and not an empty
/// list. Asked one by one and one-way, nobody is waited for. CALL-24: a call for which there is nobody
/// names its service; it always has one, as a client is of one. CALL-25: nobody chosen is nobody.
#[tokio::test(start_paused = true)]
async fn calls_to_all_and_to_nobody() {
    let mut cluster = Cluster::new(1);
    let (db, web, store) = pair(&mut cluster).await;
    let other = Store::new("other");
    let _node = cluster.node("other").serve(other.clone()).start().await;
    cluster.settle().await;
    let users = UsersClient::new(&web);
    let all = users.whoami().all().await.unwrap();
    let said: Vec<_> = all.iter().map(|one| (one.node.to_string(), one.result.clone())).collect();
    let ok = |name: &str| (name.to_owned(), Ok(name.to_owned()));
    assert_eq!(said, [ok("db"), ok("other")]);
    for instance in web.instances("Users") {
        users.slow(1000).to(instance.node).cast().await.unwrap();
    }
    assert_eq!(counts(&web), (2, 0, 0));
    sleep(2 * SECOND).await;
    assert_eq!((store.slow_calls(), other.slow_calls()), ((1, 1), (1, 1)));

    let none = users.whoami().pick_many(|_| Vec::new()).all().await.unwrap_err();
    assert!(none.to_string().contains("`Users.whoami`"), "{none}");
    let none = users.whoami().pick(|_| None).await.unwrap_err();
    assert!(matches!(none, CallError::NoProvider(_)), "CALL-25: {none:?}");
    let none = users.slow(1).pick(|_| None).cast().await.unwrap_err();
    assert!(matches!(none, CallError::NoProvider(_)), "{none:?}");
    let diary = DiaryClient::new(&web);
    let none = diary.write("x".into()).timeout(SECOND).await.unwrap_err();
    assert!(none.to_string().contains("`Diary.write`"), "CALL-24: {none}");
    db.serve(Lines::default()).await.unwrap();
    cluster.settle().await;
    let none = diary.write("x".into()).all().await.unwrap_err();
    assert!(format!("{none:#}").contains("not `#[service(global)]`"), "{none:#}");
}
