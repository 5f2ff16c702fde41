//! Questions about calls that are not made.

use std::time::Duration;

use nebula::NodeRef;
use nebula::call::Why;
use nebula::nodes::{Selector, node as named};
use nebula::prelude::*;
use tokio::time::Instant;

use super::site::*;

fn names(nodes: Vec<NodeRef>) -> Vec<String> {
    nodes.iter().map(|node| node.name.to_string()).collect()
}

fn reasons(why: &Why) -> Vec<(&str, &str)> {
    why.nodes().collect()
}

/// The first three nodes of the topology serve, the fourth calls.
async fn shop() -> (Node, [Node; 3]) {
    let mut cluster = Cluster::new();
    let mut start = async |name: &str, tags: &[&str]| {
        let builder = cluster.builder(name).tags(tags.iter().copied()).topology(topology());
        match name.starts_with("web") {
            true => builder.start().await.unwrap(),
            false => builder.serve_as::<ShopClient>(Counter).start().await.unwrap(),
        }
    };
    let serving = [
        start("self@h1", &["db", "cache"]).await,
        start("db2@h2", &["db"]).await,
        start("db3@h3", &["db"]).await,
    ];
    let web = start("web@h4", &["web"]).await;
    assembled(&web, 4).await;
    (web, serving)
}

#[tokio::test(start_paused = true)]
async fn by_names_it_is_what_attributes_and_the_directory_say() {
    let (web, [itself, ..]) = shop().await;
    let db = ["db2@h2", "db3@h3", "self@h1"];
    // Nobody has said here what the attributes are.
    assert_eq!(web.configured_nodes("Shop", "put"), [""; 0]);
    assert_eq!(names(web.available_nodes("Shop", "pin")), db);
    ShopClient::new(&web);
    for node in [&web, &itself] {
        // INT-01
        assert_eq!(node.configured_nodes("Shop", "put"), db);
        // INT-02
        let all = ["db2@h2", "db3@h3", "self@h1", "web@h4"];
        assert_eq!(node.configured_nodes("Shop", "any"), all);
        // INT-04
        assert_eq!(node.configured_nodes("Shop", "pin"), ["db2@h2"]);
        assert_eq!(names(node.available_nodes("Shop", "pin")), ["db2@h2"]);
        assert_eq!(names(node.available_nodes("Shop", "any")), db);
        // INT-03, INT-07
        for (service, method) in [("Shop", "shut"), ("Shot", "put"), ("", ""), ("Shop/put", "")] {
            assert_eq!(node.configured_nodes(service, method), [""; 0]);
            assert_eq!(node.available_nodes(service, method), []);
            let why = node.why(service, method);
            assert_eq!((why.askable(), why.nodes().len()), (0, 4), "{why:#}");
        }
    }
    // INT-05: there is one list, and tools and calls read the same.
    let call = ShopClient::new(&web);
    let call = call.put();
    assert_eq!(call.configured_nodes(), web.configured_nodes("Shop", "put"));
    assert_eq!(call.available_nodes(), web.available_nodes("Shop", "put"));
    assert_eq!(call.why(), web.why("Shop", "put"));
    assert_eq!(
        reasons(&call.why()),
        [
            ("db2@h2", "can be asked"),
            ("db3@h3", "can be asked"),
            ("self@h1", "can be asked"),
            ("web@h4", "lacks &db")
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_answers_for_the_selector_that_holds() {
    let (web, [itself, db2, _]) = shop().await;
    let shop = ShopClient::new(&web);
    let told = |call: &dyn Fn() -> (Vec<NodeRef>, Vec<String>)| {
        let (available, configured) = call();
        (names(available).join(" "), configured.join(" "))
    };
    macro_rules! told {
        ($call:expr) => {
            told(&|| ($call.available_nodes(), $call.configured_nodes()))
        };
    }
    let pair = |available: &str, configured: &str| (available.to_owned(), configured.to_owned());
    // Attributes, the client, the call: the nearest wins.
    let db = "db2@h2 db3@h3 self@h1";
    assert_eq!(told!(shop.put()), pair(db, db));
    let cached = shop.with(|options| options.on(tag("cache")));
    assert_eq!(told!(cached.put()), pair("self@h1", "self@h1"));
    assert_eq!(told!(cached.put().on(named("db3"))), pair("db3@h3", "db3@h3"));
    assert_eq!(told!(shop.any().on(!tag("db"))), pair("", "web@h4"));
    assert_eq!(told!(shop.any().on(Selector::any())), pair(db, "db2@h2 db3@h3 self@h1 web@h4"));
    // One node, by its identity.
    assert_eq!(told!(shop.put().to(db2.id())), pair("db2@h2", "db2@h2"));
    assert_eq!(told!(shop.put().to(web.id())), pair("", "web@h4"));
    // A closure chooses among these; it is not run, and nothing is configured.
    assert_eq!(told!(shop.put().pick(|_| panic!("is run"))), pair(db, ""));
    // A selector that makes no sense means nobody, as when the call is made.
    let senseless = shop.any().on(!tag("cahce"));
    assert_eq!(senseless.available_nodes(), []);
    assert_eq!((senseless.why().askable(), senseless.why().nodes().len()), (0, 4));
    let said = senseless.why();
    let CallError::NoProvider(why) = senseless.await.unwrap_err() else { panic!("{said}") };
    assert_eq!(said.to_string(), why.to_string());
    assert!(said.to_string().contains("did you mean `cache`?"), "{said}");

    // What is said is what the call says when it is made, word for word.
    let nobody = shop.any().on(tag("web"));
    let said = nobody.why();
    let CallError::NoProvider(why) = nobody.await.unwrap_err() else { panic!("{said}") };
    assert_eq!(said, why);
    assert_eq!(reasons(&said)[3], ("web@h4", "does not serve it"));
    let gone = shop.put().to(macula::identity::NodeId::from_bytes([7; 32]));
    let said = gone.why();
    let CallError::NoProvider(why) = gone.await.unwrap_err() else { panic!("{said}") };
    assert_eq!((said.nodes().len(), &said), (5, &why));

    // A node that leaves is not offered any more.
    db2.mesh().drain();
    until("drained", || shop.pin().available_nodes().is_empty()).await;
    assert_eq!(reasons(&shop.pin().why())[0], ("db2@h2", "is shutting down"));
    assert_eq!(shop.pin().configured_nodes(), ["db2@h2"]);
    drop(itself);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_available_before_a_node_serves_it() {
    let mut cluster = Cluster::new();
    let web = cluster.builder("web").start().await.unwrap();
    let shop = ShopClient::new(&web);
    // INT-06
    assert_eq!(shop.any().available_nodes(), []);
    assert_eq!(reasons(&shop.any().why()), [("web", "does not serve it")]);
    let itself = cluster.builder("self@h1");
    let itself = itself.serve_as::<ShopClient>(Counter).start().await.unwrap();
    assert_eq!(names(ShopClient::new(&itself).any().available_nodes()), ["self@h1"]);
    assert_eq!(names(itself.available_nodes("Shop", "any")), ["self@h1"]);
    assembled(&web, 2).await;
    assert_eq!(names(shop.any().available_nodes()), ["self@h1"]);
    assert_eq!(
        shop.any().why().to_string(),
        "1 of the 2 known nodes can be asked for `Shop.any`: self@h1 (can be asked), web (does not \
         serve it)"
    );
    // Without a topology nothing says how many there should be.
    assert_eq!(shop.any().configured_nodes(), [""; 0]);
    assert_eq!(web.configured_nodes("Shop", "any"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn shapes_and_contracts_are_told_apart() {
    let mut cluster = Cluster::new();
    let new = cluster.builder("new").serve_as::<other::ShopClient>(other::Counter);
    let new = new.start().await.unwrap();
    let old = cluster.builder("old").serve_as::<ShopClient>(Counter).start().await.unwrap();
    assembled(&old, 2).await;
    assembled(&new, 2).await;
    assert_eq!(names(ShopClient::new(&old).any().available_nodes()), ["old"]);
    let why = ShopClient::new(&old).any().why();
    assert_eq!(reasons(&why)[0], ("old", "can be asked"));
    let shape = reasons(&why)[1].1;
    assert!(
        shape.starts_with("serves shape ") && shape.ends_with(" of the method only"),
        "{shape}"
    );
    // A client of the one contract on a node that serves the other.
    let why = ShopClient::new(&new).any().why();
    assert_eq!(
        reasons(&why),
        [("old", "can be asked"), ("new", "serves another contract of this name")]
    );
    // By names, the contract of a node is the one that it serves.
    assert_eq!(names(new.available_nodes("Shop", "any")), ["new"]);
    assert_eq!(names(new.available_nodes("Shop", "put")), ["old"]);
    // Somebody who knows neither is told of both.
    let third = cluster.builder("third").start().await.unwrap();
    assembled(&third, 3).await;
    assert_eq!(names(third.available_nodes("Shop", "any")), ["new", "old"]);
}

#[tokio::test(start_paused = true)]
async fn a_service_of_one_process_is_available_there() {
    let mut cluster = Cluster::new();
    let itself = cluster.builder("self@h1").serve_as::<PrivateClient>(Counter);
    let itself = itself.start().await.unwrap();
    let web = cluster.builder("web").start().await.unwrap();
    assembled(&web, 2).await;
    assert_eq!(names(itself.available_nodes("Private", "look")), ["self@h1"]);
    assert_eq!(web.available_nodes("Private", "look"), []);
    assert_eq!(PrivateClient::new(&web).look().available_nodes(), []);

    let alone = PrivateClient::local(Counter);
    let call = alone.look();
    assert_eq!(names(call.available_nodes()), ["local"]);
    assert_eq!(call.configured_nodes(), [""; 0]);
    assert_eq!(reasons(&call.why()), [("local", "can be asked")]);
    assert_eq!(call.await.unwrap(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_has_not_joined_says_so_at_once() {
    let mut cluster = Cluster::without_a_first();
    let builder = cluster.builder("lost").join_timeout(Duration::from_millis(1));
    let lost = builder.serve_as::<PrivateClient>(Counter).start().await.unwrap();
    let shop = ShopClient::new(&lost);
    let begun = Instant::now();
    let why = shop.any().why();
    assert_eq!(shop.any().available_nodes(), []);
    assert!(why.to_string().contains("this node is still joining the cluster"), "{why}");
    assert_eq!((why.tried().len(), begun.elapsed()), (1, Duration::ZERO), "{why:#}");
    // What it serves itself it can be asked for.
    let why = lost.why("Private", "look");
    assert_eq!((why.askable(), why.tried().len()), (1, 0), "{why:#}");
}
