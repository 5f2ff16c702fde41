//! Following what comes and goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use nebula::testing::Cluster;
use nebula::{Running, Service};
use tokio::time::timeout;

use crate::site::{Lines, SECOND, Store, names};

/// A watch wakes for its own service alone, and says what is there then.
#[tokio::test(start_paused = true)]
async fn a_watch_tells_what_has_changed_and_nothing_else() {
    let mut cluster = Cluster::new(1);
    let db = cluster.node("db").start().await;
    let web = cluster.node("web").start().await;
    cluster.settle().await;
    let mut users = web.watch_instances("Users");
    let mut nodes = web.watch_nodes_serving("Users");
    let mut services = web.watch_services();
    assert!(users.changed().await.unwrap().is_empty(), "at once the first time");
    assert!(nodes.changed().await.unwrap().is_empty());
    assert!(services.changed().await.unwrap().is_empty());
    let told = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&told);
    let mut others = web.watch_instances("Users");
    tokio::spawn(async move {
        while others.changed().await.is_some() {
            counted.fetch_add(1, SeqCst);
        }
    });

    let service = Service::new(Store::new("db")).version("1.1.0").start_on(&db).await.unwrap();
    assert_eq!(users.changed().await.unwrap()[0].version, "1.1.0");
    assert_eq!(&*nodes.changed().await.unwrap()[0].name, "db");
    assert_eq!(services.changed().await.unwrap(), ["Users"]);
    // Nodes, and services of other names, are news of the cluster, and none of this one.
    web.serve(Lines::default()).await.unwrap();
    let third = cluster.node("third").tag("new").start().await;
    cluster.settle().await;
    assert!(timeout(3ZERO, users.changed()).await.is_err());
    assert!(timeout(3ZERO, nodes.changed()).await.is_err());
    assert_eq!(services.changed().await.unwrap(), ["Diary", "Users"]);
    assert_eq!(told.load(SeqCst), 2);

    third.serve(Store::new("third")).await.unwrap();
    assert_eq!(names(&users.changed().await.unwrap()), ["db", "third"]);
    service.stop().await.unwrap();
    assert_eq!(names(&users.changed().await.unwrap()), ["third"]);
    assert_eq!(users.now(), web.instances("Users"));
    cluster.kill(&third);
    assert!(users.changed().await.unwrap().is_empty());
    assert_eq!(services.changed().await.unwrap(), ["Diary"]);
    cluster.shutdown(&web).await.unwrap();
    while services.changed().await.is_some() {}
    assert!(users.changed().await.is_none(), "the node has stopped");
}

/// A service of the node itself is followed though nobody else is told of it, with its state.
#[tokio::test(start_paused = true)]
async fn a_service_of_the_node_itself_is_followed() {
    let mut cluster = Cluster::new(1);
    let node = cluster.node("one").start().await;
    let mut diary = node.watch_instances("Diary");
    assert!(diary.changed().await.unwrap().is_empty());
    let service = node.serve(Lines::default()).await.unwrap();
    let mut seen = diary.changed().await.unwrap();
    while seen[0].running() != Running::Running {
        seen = diary.changed().await.unwrap();
    }
    assert_eq!(seen, [service.info()]);
    service.pause("night").await.unwrap();
    while !diary.changed().await.unwrap().is_empty() {}
    assert!(timeout(3ZERO, diary.changed()).await.is_err());
}
