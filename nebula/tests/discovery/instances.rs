//! Which instances there are, what is said of them, and waiting for them.

use std::time::SystemTime;

use nebula::testing::Cluster;
use nebula::{Admin, Running, Service, ServiceInstance};
use tokio::time::Instant;

use crate::site::{Lines, MS, SECOND, Store, ZERO, names};

/// DISC-1, DISC-4, DISC-6, DISC-8, DISC-12: who comes and goes is listed and delisted by the news of
/// it, whether it starts, joins, pauses, stops, leaves or crashes. DISC-7 asks for another order of the
/// others each time; here it is that of their names, and calls spread by their policy instead.
#[tokio::test(start_paused = true)]
async fn instances_come_and_go() {
    let mut cluster = Cluster::new(1);
    let b = cluster.node("b").start().await;
    let a = cluster.node("a").start().await;
    cluster.settle().await;
    assert!(b.instances("Users").is_empty() && b.services().is_empty());

    let began = Instant::now();
    let of_a = Service::new(Store::new("a")).start_on(&a).await.unwrap();
    b.wait_for_services(["Users"], SECOND).await.unwrap();
    assert!(began.elapsed() < 100 * MS, "DISC-1: {:?}", began.elapsed());
    assert_eq!(names(&b.instances("Users")), ["a"]);

    let _of_b = b.serve(Store::new("b")).await.unwrap();
    let _diary = b.serve(Lines::default()).await.unwrap();
    cluster.settle().await;
    assert_eq!(names(&b.instances("Users")), ["b", "a"], "DISC-6: its own comes first");
    assert_eq!(names(&a.instances("Users")), ["a", "b"]);
    for _ in 0..10 {
        assert_eq!(names(&b.instances("Users")), ["b", "a"], "DISC-7");
    }
    assert_eq!(b.services(), ["Diary", "Users"], "DISC-8");
    assert_eq!(a.services(), ["Users"], "what is not global is listed on its own node");
    assert_eq!(names(&b.instances("Diary")), ["b"]);
    assert!(a.instances("Diary").is_empty());
    let serving = b.nodes_serving("Users");
    assert_eq!(serving.iter().map(|node| node.name()).collect::<Vec<_>>(), ["b", "a"]);
    assert!(serving[0].is_self() && !serving[1].is_self());

    let began = Instant::now();
    let late = cluster.node("late").start().await;
    late.wait_for_services(["Users"], SECOND).await.unwrap();
    assert!(began.elapsed() < SECOND, "DISC-12: {:?}", began.elapsed());
    assert_eq!(names(&late.instances("Users")), ["a", "b"]);

    of_a.pause("night").await.unwrap();
    cluster.settle().await;
    assert_eq!(names(&late.instances("Users")), ["b"]);
    assert_eq!(names(&a.instances("Users")), ["b"], "nor is it listed on its own node");
    of_a.activate("morning").await.unwrap();
    cluster.settle().await;
    assert_eq!(names(&late.instances("Users")), ["a", "b"]);
    of_a.stop().await.unwrap();
    cluster.settle().await;
    assert_eq!(names(&late.instances("Users")), ["b"]);
    assert_eq!(names(&a.instances("Users")), ["b"]);

    cluster.kill(&b);
    cluster.settle().await;
    assert!(late.instances("Users").is_empty(), "DISC-4");
    assert!(late.nodes_serving("Users").is_empty() && late.services().is_empty());

    let other = cluster.node("other").serve(Store::new("other")).start().await;
    cluster.settle().await;
    assert_eq!(names(&late.instances("Users")), ["other"]);
    cluster.shutdown(&other).await.unwrap();
    cluster.settle().await;
    assert!(late.instances("Users").is_empty(), "one that left");
}

/// An instance of a node as the others know it.
fn as_told(mut here: ServiceInstance) -> ServiceInstance {
    (here.status, here.local) = (None, false);
    here
}

/// DISC-5, META-1 to META-3, META-5: what is said of an instance, there and here. The plugins and the
/// configuration that META-1 and META-4 ask for are read at the handle.
#[tokio::test(start_paused = true)]
async fn an_instance_says_what_it_is() {
    let mut cluster = Cluster::new(1);
    let db = cluster.node("db@h1").start().await;
    let web = cluster.node("web").start().await;
    let before = SystemTime::now();
    let service = Service::new(Store::new("db"))
        .version("1.4.0")
        .class("storage")
        .metadata("zone", "eu-1")
        .start_on(&db)
        .await
        .unwrap();
    cluster.settle().await;
    let there = web.instances("Users").remove(0);
    assert_eq!((there.service.as_str(), there.node), ("Users", db.id()));
    assert_eq!((there.node_name.as_str(), there.local), ("db@h1", false));
    assert_eq!((there.version.as_str(), there.class.as_str()), ("1.4.0", "storage"));
    assert_eq!(there.metadata, [("zone".to_owned(), "eu-1".to_owned())].into());
    assert_eq!((there.running(), there.status.is_none()), (Running::Running, true));
    assert!(there.started <= SystemTime::now() && there.started + SECOND >= before);
    let methods: Vec<_> = there.methods.iter().map(|method| method.name.as_str()).collect();
    assert_eq!(methods, ["find", "put", "slow", "alone", "count", "fail", "whoami"]);
    assert!(there.method("find").unwrap().key != there.method("put").unwrap().key);

    let here = service.info();
    let status = here.status.clone().unwrap();
    assert_eq!((status.admin, status.running), (Admin::Active, Running::Running), "META-5");
    assert_eq!(&*status.reason, "start");
    assert!(status.since + SECOND >= before);
    // Besides its state, it says of itself what the others know of it.
    assert_eq!(as_told(here.clone()), there);
    assert_eq!(db.instances("Users"), [here]);
    service.pause("night").await.unwrap();
    let paused = service.info();
    assert_eq!((paused.running(), &*paused.status.unwrap().reason), (Running::Paused, "night"));
    assert_eq!((paused.version.as_str(), paused.started), ("1.4.0", there.started));
}

/// META-2, META-3: what nobody said of it. A service that was there from the start of its node says the
/// same on both sides.
#[tokio::test(start_paused = true)]
async fn an_instance_of_which_nothing_is_said() {
    let mut cluster = Cluster::new(1);
    let db = cluster.node("db").serve(Store::new("db")).serve(Lines::default()).start().await;
    let web = cluster.node("web").start().await;
    cluster.settle().await;
    let there = web.instances("Users").remove(0);
    assert_eq!(there.version, "1.0.0", "that of the contract");
    assert!(there.class.is_empty() && there.metadata.is_empty());
    let here = db.service("Users").unwrap().info();
    assert_eq!(as_told(here), there);
    let diary = db.service("Diary").unwrap().info();
    assert!(diary.version.is_empty(), "META-3");
    assert!(web.instances("Diary").is_empty(), "META-2: to nobody else unless it says `global`");
    assert!(web.instances("").is_empty() && web.instances("users").is_empty());
}

/// DISC-9: waiting. DISC-10, ten tries unless told otherwise, has no counterpart: there is a time
/// limit, and nothing is tried.
#[tokio::test(start_paused = true)]
async fn services_are_waited_for() {
    let mut cluster = Cluster::new(1);
    let db = cluster.node("db").start().await;
    let web = cluster.node("web").start().await;
    cluster.settle().await;
    let none: [&str; 0] = [];
    web.wait_for_services(none, SECOND).await.unwrap();
    let began = Instant::now();
    let missing = web.wait_for_services(["Users", "Jobs"], 3 * SECOND).await.unwrap_err();
    assert_eq!((began.elapsed(), missing.waited), (3 * SECOND, 3 * SECOND));
    assert_eq!(missing.missing, ["Jobs", "Users"]);
    let began = Instant::now();
    let missing = web.wait_for_services(["Users"], ZERO).await.unwrap_err();
    assert_eq!((began.elapsed(), missing.missing.as_slice()), (ZERO, &["Users".into()][..]));
    assert!(missing.to_string().starts_with("no node serves `Users` after 0ns"), "{missing}");

    let waiting = web.clone();
    let waiting = tokio::spawn(async move {
        let began = Instant::now();
        waiting.wait_for_services(["Users"], std::time::Duration::MAX).await.unwrap();
        began.elapsed()
    });
    tokio::time::sleep(40 * SECOND).await;
    assert!(!waiting.is_finished());
    let service = db.serve(Store::new("db")).await.unwrap();
    let took = waiting.await.unwrap();
    assert!(took < 40 * SECOND + 100 * MS, "{took:?}");
    web.wait_for_services(["Users"], ZERO).await.unwrap();
    service.deactivate("move").await.unwrap();
    cluster.settle().await;
    assert!(web.wait_for_services(["Users"], ZERO).await.is_err());
    // One that only its own node may call is there for that node.
    db.serve(Lines::default()).await.unwrap();
    db.wait_for_services(["Diary"], ZERO).await.unwrap();
}

/// Who waits on a node that stops is told at once.
#[tokio::test(start_paused = true)]
async fn a_node_that_stops_is_waited_on_no_longer() {
    let mut cluster = Cluster::new(1);
    let node = cluster.node("one").start().await;
    let waiting = node.clone();
    let waiting =
        tokio::spawn(async move { waiting.wait_for_services(["Users"], 3600 * SECOND).await });
    tokio::time::sleep(SECOND).await;
    let began = Instant::now();
    cluster.shutdown(&node).await.unwrap();
    let missing = waiting.await.unwrap().unwrap_err();
    assert_eq!((&missing.missing[..], missing.stopped), (&["Users".into()][..], true));
    assert!(began.elapsed() < 60 * SECOND, "{:?}", began.elapsed());
    assert!(missing.waited >= SECOND && missing.waited < 61 * SECOND, "{missing}");
    assert!(missing.to_string().ends_with("this node has been shut down"), "{missing}");
    let missing = node.wait_for_services(["Users"], SECOND).await.unwrap_err();
    assert_eq!((missing.waited, missing.stopped), (ZERO, true));
}
