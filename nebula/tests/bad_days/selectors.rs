//! Selectors that cannot mean what their author had in mind.

use nebula::call::{CallError, Executed, QuorumError};
use nebula::nodes::{SelectorFault, Topology};
use nebula::prelude::*;
use tokio::time::Instant;

use crate::desk::{Clerk, DeskClient, Mood};
use crate::site::{Site, met};

#[service(global, on = "&stora")]
trait Mistagged {
    #[api]
    async fn act(&self);
}

#[service(global)]
trait Misnamed {
    #[api(on = "@stroe-1")]
    async fn act(&self);
}

struct Nothing;
impl Mistagged for Nothing {
    async fn act(&self) {}
}
impl Misnamed for Nothing {
    async fn act(&self) {}
}

fn topology() -> Topology {
    Topology::new().node("store-1@h1", ["store"]).unwrap().node("client", ["web"]).unwrap()
}

#[tokio::test(start_paused = true)]
async fn attributes_that_name_what_the_topology_does_not_fail_the_start() {
    let site = Site::new();
    let node = site.node("store-1@h1").tag("store").topology(topology());
    let error = node.serve_as::<MistaggedClient>(Nothing).start().await.unwrap_err().to_string();
    assert!(error.contains("`Mistagged` is for `&stora`"), "{error}");
    assert!(
        error.contains("no configured node has the tag `stora`, did you mean `store`?"),
        "{error}"
    );

    let node = site.node("store-1@h1").tag("store").topology(topology());
    let error = node.serve_as::<MisnamedClient>(Nothing).start().await.unwrap_err().to_string();
    assert!(error.contains("no configured node is called `stroe-1`"), "{error}");
    assert!(error.contains("did you mean `store-1`?"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn calls_that_name_what_the_topology_does_not_fail_at_once() {
    let site = Site::new();
    let clerk = Clerk::new("store", Mood::Answer);
    let store = site.node("store-1@h1").tag("store").topology(topology());
    let store = store.serve(clerk.clone()).start().await.unwrap();
    let client = site.node("client").tag("web").topology(topology()).start().await.unwrap();
    met(&[&store, &client]).await;
    let desk = DeskClient::new(&client);
    assert_eq!(desk.act().on(tag("store") & node("store-1")).await.unwrap(), "store");

    let began = Instant::now();
    for (selector, hint) in [
        (tag("stora"), "no configured node has the tag `stora`, did you mean `store`?"),
        (!tag("wbe"), "no configured node has the tag `wbe`, did you mean `web`?"),
        (node("stor-1"), "no configured node is called `stor-1`, did you mean `store-1`?"),
        (node("store-1@h2"), "did you mean `store-1@h1`?"),
        (tag("store") & tag("web"), "no configured node matches"),
    ] {
        let error = desk.act().on(selector.clone()).await.unwrap_err();
        assert!(matches!(error, CallError::NoProvider(_)), "{error:?}");
        assert_eq!(error.executed(), Executed::No);
        assert!(error.to_string().contains(hint), "{error}");
        let error = desk.act().on(selector.clone()).all().await.unwrap_err();
        assert!(error.to_string().contains(hint), "{error}");
        let error = desk.act().on(selector.clone()).first().await.unwrap_err();
        assert!(error.to_string().contains(hint), "{error}");
        let error = desk.act().on(selector).quorum(majority()).await.unwrap_err();
        assert!(matches!(error, QuorumError::NoTarget(_)), "{error:?}");
        assert!(error.to_string().contains(hint), "{error}");
    }
    assert_eq!(began.elapsed().as_millis(), 0, "nothing is waited for");
    assert_eq!(clerk.count().began, 1);
}

#[test]
fn an_empty_selector_is_not_everybody() {
    for text in ["", "   ", "\n"] {
        let error = text.parse::<Selector>().unwrap_err();
        assert_eq!(error.fault(), &SelectorFault::Empty);
        assert!(error.to_string().contains("a selector is empty: leave it out"), "{error}");
    }
    assert!("()".parse::<Selector>().is_err());
}

// BLK-09
#[tokio::test(start_paused = true)]
async fn a_quorum_of_nobody_that_was_picked_is_unreachable() {
    let site = Site::new();
    let clerk = Clerk::new("store", Mood::Answer);
    let store = site.serve("store", &clerk).await;
    let desk = DeskClient::new(&store);
    let error = desk.act().pick_many(|_| None).quorum(at_least(2)).await.unwrap_err();
    assert!(matches!(error, QuorumError::Unreachable { workers: 0, required: 2 }), "{error:?}");
    assert_eq!(clerk.count().began, 0);
}
