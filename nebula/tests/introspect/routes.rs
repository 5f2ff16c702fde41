//! The routing map of living clusters.

use std::time::Duration;

use futures_util::StreamExt;
use nebula::nodes::{NodeState, RouteCell, RouteMethod, Routes, RoutesWatch, Sort};
use nebula::prelude::*;
use tokio::time::{Instant, timeout};

use super::site::*;

/// The next map, which comes within ten seconds.
async fn next(maps: &mut RoutesWatch) -> Option<Routes> {
    timeout(Duration::from_secs(10), maps.next()).await.expect("no map for ten seconds")
}

/// The first map for which it holds.
async fn wanted(maps: &mut RoutesWatch, holds: impl Fn(&Routes) -> bool) -> Routes {
    loop {
        let map = next(maps).await.expect("the maps ended");
        if holds(&map) {
            return map;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_map_is_what_the_node_knows() {
    let mut cluster = Cluster::new();
    let builder = cluster.builder("self@h1").tags(["db", "cache"]).topology(topology());
    let itself = builder.serve_as::<ShopClient>(Counter).serve_as::<PrivateClient>(Counter);
    let itself = itself.start().await.unwrap();
    let db3 = cluster.builder("db3@h3").tag("db").topology(topology());
    let _db3 = db3.start().await.unwrap();
    let stranger = cluster.builder("stranger").serve_as::<other::ShopClient>(other::Counter);
    let _stranger = stranger.start().await.unwrap();
    assembled(&itself, 3).await;
    assert_eq!(
        itself.routes().to_string(),
        "\
Routes, live
4 methods on 5 nodes, as self@h1 knows them

┌ db2  &db  (down)
│ ┌ db3  &db
│ │ ┌ self  &cache &db  (this node)
│ │ │ ┌ stranger  (not in the topology)
│ │ │ │ ┌ web  &web  (down)
│ │ │ │ │
│ │ ◉ │ │  Private.look
│ │ ◉ ≠ │  Shop.any
✗ │ ◉ │ │  Shop.pin  @db2
✗ ○ ◉ │ │  Shop.put  &db

◉ served here  ✗ its node is down  ○ its node is up without it  ≠ served in another shape  │ not \
served
"
    );
    assert_eq!(
        itself.configured_routes().sorted(Sort::Locality).to_string(),
        "\
Routes, as configured
3 methods on 4 nodes, as self@h1 knows them

┌ db2  &db
│ ┌ db3  &db
│ │ ┌ self  &cache &db  (this node)
│ │ │ ┌ web  &web
│ │ │ │
● ● ● ●  Shop.any
● ● ● │  Shop.put  &db
● │ │ │  Shop.pin  @db2

● served  │ not served
"
    );
}

#[tokio::test(start_paused = true)]
async fn a_watched_map_comes_at_once_and_again_when_it_changes() {
    let mut cluster = Cluster::new();
    let web = cluster.builder("web@h4").tag("web").topology(topology()).start().await.unwrap();
    ShopClient::new(&web);
    let mut maps = web.watch_routes();
    let begun = Instant::now();
    let first = next(&mut maps).await.unwrap();
    assert_eq!((&first, begun.elapsed()), (&web.routes(), Duration::ZERO));
    assert_eq!(first.cell("Shop", "put", "db2@h2"), Some(RouteCell::Down));
    // Nothing happens, so nothing is said, whatever samples go round.
    assert!(timeout(Duration::from_secs(60), StreamExt::next(&mut maps)).await.is_err());

    let db2 = cluster.builder("db2@h2").tag("db").topology(topology());
    let db2 = db2.serve_as::<ShopClient>(Counter).start().await.unwrap();
    let put = |map: &Routes| map.cell("Shop", "put", "db2@h2");
    let mut before = first;
    loop {
        let map = next(&mut maps).await.unwrap();
        assert_ne!(map, before, "no map comes twice");
        before = map;
        if put(&before) == Some(RouteCell::Available) {
            break;
        }
    }
    let state = |map: &Routes, name: &str| {
        map.nodes().iter().find(|node| node.name == name).map(|node| node.state)
    };
    assert_eq!(state(&before, "db2@h2"), Some(NodeState::Up));

    // It falls silent, which is no news of the cluster, and is declared dead.
    cluster.0.partition(web.local_addr(), db2.local_addr());
    let silent = |map: &Routes| state(map, "db2@h2") == Some(NodeState::Silent);
    let dead = |map: &Routes| state(map, "db2@h2") == Some(NodeState::Down);
    let shop = ShopClient::new(&web);
    let call = tokio::spawn(async move { shop.put().await.is_err() });
    let map = wanted(&mut maps, |map| silent(map) || dead(map)).await;
    assert!(silent(&map) && put(&map) == Some(RouteCell::Available), "{map}");
    let map = wanted(&mut maps, dead).await;
    assert_eq!(put(&map), Some(RouteCell::Down));
    assert!(call.await.unwrap());
    // It is missed as well where no selector says that it should serve.
    assert_eq!(map.cell("Shop", "any", "db2@h2"), Some(RouteCell::Down));

    // A new client is no news either.
    PrivateClient::new(&web);
    let map = wanted(&mut maps, |map| map.cell("Private", "look", "web@h4").is_some()).await;
    assert_eq!(map.cell("Private", "look", "db2@h2"), Some(RouteCell::NotServed));

    web.shutdown().await.unwrap();
    while next(&mut maps).await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn a_node_that_leaves_in_good_order_is_not_missed() {
    let mut cluster = Cluster::new();
    let web = cluster.builder("web@h4").tag("web").topology(topology()).start().await.unwrap();
    let db2 = cluster.builder("db2@h2").tag("db").topology(topology());
    let db2 = db2.serve_as::<ShopClient>(Counter).start().await.unwrap();
    let mut maps = web.watch_routes();
    // What the attributes say is not known here, but who serves is.
    let any = |map: &Routes| map.cell("Shop", "any", "db2@h2");
    wanted(&mut maps, |map| any(map) == Some(RouteCell::Available)).await;
    db2.shutdown().await.unwrap();
    let map = wanted(&mut maps, |map| any(map) != Some(RouteCell::Available)).await;
    assert_ne!(any(&map), Some(RouteCell::Down), "{map}");
}

#[tokio::test(start_paused = true)]
async fn before_the_join_the_others_are_unknown() {
    // MAP-07
    let mut cluster = Cluster::without_a_first();
    let builder = cluster.builder("web@h4").tag("web").topology(topology());
    let builder = builder.join_timeout(Duration::from_millis(1));
    let lost = builder.serve_as::<PrivateClient>(Counter).start().await.unwrap();
    ShopClient::new(&lost);
    let map = lost.routes();
    assert!(!map.joined());
    assert_eq!(map.cell("Shop", "put", "db2@h2"), Some(RouteCell::Unknown));
    assert_eq!(map.cell("Private", "look", "web@h4"), Some(RouteCell::Local));
    assert!(map.to_string().contains("│ unknown: this node has not joined"), "{map}");
}

#[test]
fn json_is_what_serialize_gives() {
    let topology = topology().node("x@h5", ["eu"]).unwrap();
    let methods = [
        RouteMethod::new("S", "quoted \"\\ \u{7}\u{9b}\u{e0001}").on(tag("db")),
        RouteMethod::new("S", "ünïcode ✓"),
    ];
    let map = Routes::configured(&topology, methods);
    let text = map.to_json();
    assert!(text.chars().all(|c| !c.is_control()), "{text}");
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read, serde_json::to_value(&map).unwrap());
    assert_eq!(read["methods"][0]["method"], "quoted \"\\ \u{7}\u{9b}\u{e0001}");
    assert_eq!(read["methods"][0]["cells"][0], "expected");
}

#[tokio::test(start_paused = true)]
async fn json_of_a_living_cluster_is_what_serialize_gives() {
    let mut cluster = Cluster::new();
    let builder = cluster.builder("self@h1").tags(["db", "cache"]).topology(topology());
    let itself = builder.serve_as::<ShopClient>(Counter).start().await.unwrap();
    let map = itself.routes();
    let read: serde_json::Value = serde_json::from_str(&map.to_json()).unwrap();
    assert_eq!(read, serde_json::to_value(&map).unwrap());
    assert_eq!(read["node"], "self@h1");
    assert_eq!(read["nodes"][2]["ids"][0], itself.id().to_string());
}
