//! What nodes know of each other's figures.

use std::time::Duration;

use bytes::Bytes;
use nebula::nodes::{NodeFacts, NodeInfo, Nodes, Selector, node as named};
use nebula::prelude::*;
use tokio::time::{Instant, sleep};

use super::site::*;

/// A node's own entry, and that of the only other one.
async fn two() -> (Cluster, Node, Node) {
    let mut cluster = Cluster::new();
    let web = cluster.builder("web@h1").tags(["web", "edge"]).start().await.unwrap();
    let db = cluster.builder("db@h2").tag("db").serve_as::<ShopClient>(Counter);
    let db = db.start().await.unwrap();
    assembled(&web, 2).await;
    until("a sample has come", || entry(&web, &db).is_some_and(|db| db.runtime().is_some())).await;
    (cluster, web, db)
}

fn entry(node: &Node, of: &Node) -> Option<NodeInfo> {
    node.nodes().get(of.id())
}

#[tokio::test(start_paused = true)]
async fn an_entry_has_all_that_is_known() {
    let (_cluster, web, db) = two().await;
    // NOD-02
    let own = entry(&web, &web).unwrap();
    assert_eq!((own.name(), own.short_name(), own.host()), ("web@h1", "web", Some("h1")));
    assert_eq!(own.tags().iter().map(String::as_str).collect::<Vec<_>>(), ["edge", "web"]);
    assert!(own.connected() && own.is_self() && !own.draining());
    let other = entry(&web, &db).unwrap();
    assert_eq!((other.name(), other.short_name(), other.host()), ("db@h2", "db", Some("h2")));
    assert!(other.has_tag("db") && other.connected() && !other.is_self());
    assert_eq!(other.services().collect::<Vec<_>>(), ["Shop"]);
    // NOD-01
    for info in [own, other] {
        assert!(info.last_seen().unwrap() <= Duration::from_secs(2), "{info:?}");
        let runtime = info.runtime().unwrap();
        assert!(runtime.memory_total > 0 && runtime.memory_used <= runtime.memory_total);
        assert!(info.memory_permille() <= 1000 && info.cpu_permille() <= 1000);
        assert!(runtime.tasks > 0 && runtime.workers > 0 && runtime.parallelism > 0, "{info:?}");
        assert_eq!(&*runtime.version, env!("CARGO_PKG_VERSION"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_read_without_a_change() {
    let (_cluster, web, db) = two().await;
    // NOD-08
    let (one, same) = (web.nodes(), web.nodes());
    assert_eq!(format!("{one:?}"), format!("{same:?}"));
    // NOD-03
    assert!(one.get(macula::identity::NodeId::from_bytes([7; 32])).is_none());
    assert!(one.by_name("nobody").is_none());
    assert_eq!(one.by_name("db@h2").unwrap().id(), db.id());
    // NOD-04
    assert_eq!((one.len(), one.iter().len(), one.is_empty()), (2, 2, false));
    assert_eq!(one.with_tag("edge").count(), 1);
    assert_eq!(one.matching(&(Selector::any() & !named("db"))).count(), 1);
    // A later one is another one; whoever holds the first keeps it.
    let begun = Instant::now();
    db.mesh().drain();
    until("told", || web.nodes().by_name("db@h2").is_some_and(|db| db.draining())).await;
    assert!(!one.by_name("db@h2").unwrap().draining());
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_second_sample_replaces_the_first_and_a_bad_one_is_dropped() {
    let mut cluster = Cluster::new();
    let web = cluster.builder("web@h1").start().await.unwrap();
    // A node of the mesh alone shares what it likes.
    let bare = macula::Mesh::builder("bare@h2")
        .tag("odd")
        .cookie(macula::identity::Cookie::new("of these tests".as_bytes()).unwrap());
    let bare = bare.local_discovery(false).memory(cluster.0.clone(), "10.0.0.9:9".parse().unwrap());
    let bare = bare.seed(web.local_addr().to_string()).start().await.unwrap();
    let found = || web.nodes().get(bare.id());
    // A node that says nothing of how it fares is known all the same: by its name and tags.
    assembled(&web, 2).await;
    until("known", || found().is_some()).await;
    let newcomer = found().unwrap();
    assert_eq!((newcomer.host(), newcomer.has_tag("odd")), (Some("h2"), true));
    assert!(newcomer.runtime().is_none() && newcomer.last_seen().is_none());
    assert_eq!((newcomer.memory_permille(), newcomer.cpu_permille()), (1001, 1001));

    let share = |runtime: &nebula::nodes::Runtime| {
        bare.share_fact(runtime.encode().into()).unwrap();
    };
    let tasks = || found().and_then(|info| info.runtime().map(|runtime| runtime.tasks));
    let mut runtime = nebula::nodes::Runtime::default();
    // NOD-03
    for wanted in [1, 2] {
        runtime.tasks = wanted;
        share(&runtime);
        until("taken over", || tasks() == Some(wanted)).await;
    }
    // NOD-11: the entry stays, and says that something came which is no sample.
    bare.share_fact(Bytes::from_static(&[255; 64])).unwrap();
    until("dropped", || tasks().is_none()).await;
    let info = found().unwrap();
    assert!(info.last_seen().is_some() && info.has_tag("odd") && info.connected());
    share(&runtime);
    until("taken over again", || tasks() == Some(2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_keeps_its_tags_and_its_sample_ages() {
    let (cluster, web, db) = two().await;
    let before = entry(&web, &db).unwrap();
    cluster.0.partition(web.local_addr(), db.local_addr());
    let call = tokio::spawn({
        let shop = ShopClient::new(&web);
        async move { shop.any().await.is_err() }
    });
    until("found silent", || entry(&web, &db).is_some_and(|db| !db.connected())).await;
    let after = entry(&web, &db).unwrap();
    assert_eq!((after.tags(), after.host()), (before.tags(), Some("h2")));
    assert!(after.runtime().is_some());
    sleep(Duration::from_secs(2)).await;
    if let Some(later) = entry(&web, &db) {
        assert!(later.last_seen() >= after.last_seen(), "{later:?} after {after:?}");
        assert_eq!(web.nodes().connected().count(), 1);
    }
    assert!(call.await.unwrap());
    // Who is declared dead is no entry any more.
    until("gone", || entry(&web, &db).is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_closure_is_shown_those_who_serve_it_newcomers_too() {
    let mut cluster = Cluster::new();
    let web = cluster.builder("web@h1").start().await.unwrap();
    let shop = ShopClient::new(&web);
    let db = cluster.builder("db@h2").tag("db").serve_as::<ShopClient>(Counter);
    let _db = db.start().await.unwrap();
    // As soon as it can be asked it is shown, sample or none.
    let mut news = web.mesh().watch_view();
    while shop.any().available_nodes().is_empty() {
        news.changed().await.unwrap();
    }
    let picked = shop.any().pick(|nodes: Nodes| {
        let names: Vec<_> = nodes.iter().map(|node| node.name().to_owned()).collect();
        assert_eq!(names, ["db@h2"]);
        nodes.with_tag("db").next()
    });
    assert_eq!(picked.await.unwrap(), 3);
    // What a program makes itself to test its closures is of the same kind.
    let facts = NodeFacts::new(macula::identity::NodeId::from_bytes([1; 32]), "fake@h9");
    let fake = Nodes::new(vec![NodeInfo::new(facts)]);
    assert_eq!(fake.connected().next().unwrap().short_name(), "fake");
}
