//! Several services of one contract, each under a name of its own, on one node and on several.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use nebula::intercept::{Interceptor, Outgoing};
use nebula::plugin::{Hooks, Inbound, Plugin, Refusal};
use nebula::prelude::*;
use nebula::{BadServiceName, NodeBuilder, Service, ServiceError};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::site::{Notes, Site, until};

/// A part of something.
#[service(global)]
trait Shard {
    #[api(idempotent)]
    async fn which(&self) -> String;
    #[api(spawn)]
    async fn note(&self, text: String);
    #[api(idempotent, max_concurrent = 1, queue = 0)]
    async fn once(&self) -> String;
}

struct Part {
    says: &'static str,
    notes: Notes,
    ends: Arc<Semaphore>,
}

impl Shard for Part {
    async fn which(&self) -> String {
        self.says.to_owned()
    }

    async fn note(&self, text: String) {
        self.notes.note(format!("{}: {text}", self.says));
    }

    async fn once(&self) -> String {
        self.ends.acquire().await.unwrap().forget();
        self.says.to_owned()
    }
}

fn part(says: &'static str) -> Part {
    Part { says, notes: Notes::default(), ends: Arc::new(Semaphore::new(0)) }
}

/// Notes by which names calls pass it.
struct Names(Notes);

impl Plugin for Names {
    const HOOKS: Hooks = Hooks::BEFORE;

    fn name(&self) -> Cow<'static, str> {
        "Names".into()
    }

    fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
        self.0.note(format!("{}/{}", call.service(), call.method()));
        Ok(())
    }
}

async fn serve(node: &Node, name: &str, part: Part) -> nebula::ServiceHandle {
    Service::new(part).name(name).start_on(node).await.unwrap()
}

fn on(node: &Node, name: &str) -> ShardClient {
    ShardClient::named(node, name).unwrap()
}

/// Waits until `node` knows of so many nodes that serve `name`.
async fn knows(node: &Node, name: &str, nodes: usize) {
    until("it is known", || on(node, name).which().available_nodes().len() == nodes).await;
}

/// Waits for so many notes.
async fn noted(notes: &Notes, many: usize) -> Vec<String> {
    let mut noted = Vec::new();
    until("all is noted", || {
        noted.extend(notes.take());
        noted.len() >= many
    })
    .await;
    noted
}

/// Two on one node, one of them on another one, too: each call goes to the one that it names, from
/// the node itself and from elsewhere, by every way of calling.
#[tokio::test(start_paused = true)]
async fn each_is_called_by_its_name() {
    let mut site = Site::new();
    let (one, two, tool) =
        (site.node("one").await, site.node("two").await, site.node("tool").await);
    let (eu, us) = (serve(&one, "shard-eu", part("eu")).await, serve(&one, "shard-us", part("us")));
    let us = us.await;
    serve(&two, "shard-us", part("us, too")).await;
    assert_eq!((eu.name(), us.name()), ("shard-eu", "shard-us"));
    for node in [&one, &two, &tool] {
        knows(node, "shard-eu", 1).await;
        knows(node, "shard-us", 2).await;
        let eu = on(node, "shard-eu");
        assert_eq!(eu.which().await.unwrap(), "eu");
        assert_eq!(eu.which().hedge().await.unwrap(), "eu");
        assert_eq!(eu.which().to(one.id()).await.unwrap(), "eu");
        assert_eq!(eu.which().first().await.unwrap().value, "eu");
        assert_eq!(node.call_raw("shard-eu", "which", json!([])).await.unwrap(), json!("eu"));
        let us = on(node, "shard-us");
        let mut all: Vec<_> = us.which().all().await.unwrap().ok().cloned().collect();
        all.sort();
        assert_eq!(all, ["us", "us, too"]);
        let votes = us.which().quorum(at_least(2)).await.unwrap();
        assert_eq!(votes.successes().len(), 2);
        assert_eq!(us.which().on(sel!(@two)).await.unwrap(), "us, too");
        // Nobody serves it by the name of the contract.
        let plain = ShardClient::new(node);
        let nobody = plain.which().await.unwrap_err();
        assert!(matches!(nobody, CallError::NoProvider(_)), "{nobody}");
        let meant = "one (serves this contract as `shard-eu`, `shard-us` only)";
        assert!(nobody.to_string().contains(meant), "{nobody}");
        let gone = on(node, "shard-asia").which().await.unwrap_err().to_string();
        assert!(gone.contains("shard-asia"), "{gone}");
        assert_eq!(node.services(), ["shard-eu", "shard-us"]);
        assert_eq!(node.instances("shard-us").len(), 2);
        let routes = node.routes().to_string();
        assert!(routes.contains("shard-eu") && routes.contains("shard-us"), "{routes}");
    }
}

/// The one that bears the name of the contract is one among others.
#[tokio::test(start_paused = true)]
async fn without_a_name_it_is_that_of_the_contract() {
    let mut site = Site::new();
    let node = site.builder("one").serve(part("plain"));
    let node = NodeBuilder::service(node, Service::new(part("other")).name("other"));
    let (node, tool) = (node.start().await.unwrap(), site.node("tool").await);
    for node in [&node, &tool] {
        knows(node, "Shard", 1).await;
        knows(node, "other", 1).await;
        assert_eq!(ShardClient::new(node).which().await.unwrap(), "plain");
        assert_eq!(on(node, "Shard").which().await.unwrap(), "plain");
        assert_eq!(on(node, "other").which().await.unwrap(), "other");
    }
}

/// Each has its own life, gates, plugins and configuration.
#[tokio::test(start_paused = true)]
async fn each_lives_for_itself() {
    let mut site = Site::new();
    let (server, tool) = (site.node("server").await, site.node("tool").await);
    let notes = Notes::default();
    let a = serve(&server, "a", Part { notes: notes.clone(), ..part("a") }).await;
    let ends = Arc::new(Semaphore::new(0));
    let b = Part { notes: notes.clone(), ends: ends.clone(), ..part("b") };
    let b = Service::new(b).name("b").plugin(Names(notes.clone()));
    let b = b.start_on(&server).await.unwrap();
    for node in [&server, &tool] {
        knows(node, "a", 1).await;
        knows(node, "b", 1).await;
        on(node, "a").note("x".into()).await.unwrap();
        on(node, "b").note("y".into()).await.unwrap();
        on(node, "b").note("z".into()).cast().await.unwrap();
        assert_eq!(noted(&notes, 5).await, ["a: x", "b/note", "b: y", "b/note", "b: z"]);
    }
    // The only place of the one is taken, that of the other is not.
    let waits = tokio::spawn({
        let client = on(&server, "b");
        async move { client.once().await.unwrap() }
    });
    assert_eq!(noted(&notes, 1).await, ["b/once"]);
    let full = on(&server, "b").once().await.unwrap_err();
    assert!(matches!(full, CallError::Overloaded { .. }), "{full}");
    ends.add_permits(1);
    assert_eq!(waits.await.unwrap(), "b");

    b.pause("for a while").await.unwrap();
    until("it is told", || on(&tool, "b").which().available_nodes().is_empty()).await;
    for node in [&server, &tool] {
        let gone = on(node, "b").which().await.unwrap_err();
        assert!(matches!(gone, CallError::NoProvider(_)), "{gone}");
        assert!(gone.to_string().contains("`b.which`"), "{gone}");
        assert_eq!(on(node, "a").which().await.unwrap(), "a");
    }
    b.activate("again").await.unwrap();
    a.stop().await.unwrap();
    knows(&tool, "b", 1).await;
    assert_eq!(on(&tool, "b").which().await.unwrap(), "b");
    assert!(on(&server, "a").which().await.is_err());
    // Its name is free for another one.
    serve(&server, "a", part("a new one")).await;
    assert_eq!(on(&server, "a").which().await.unwrap(), "a new one");
}

/// A call that finds the one here full is made elsewhere: to one of the same name.
#[tokio::test(start_paused = true)]
async fn a_call_goes_on_to_one_of_its_name() {
    let mut site = Site::new();
    let (one, two) = (site.node("one").await, site.node("two").await);
    serve(&one, "a", part("a of one")).await;
    let ready = Arc::new(Semaphore::new(9));
    serve(&two, "a", Part { ends: ready.clone(), ..part("a of two") }).await;
    serve(&two, "b", Part { ends: ready.clone(), ..part("b of two") }).await;
    knows(&one, "a", 2).await;
    let stuck = tokio::spawn({
        let client = on(&one, "a");
        async move { client.once().timeout(Duration::from_secs(3600)).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(on(&one, "a").once().await.unwrap(), "a of two");
    stuck.abort();
}

/// Names that are none, or taken.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_a_name_is_refused() {
    let node = Site::new().node("one").await;
    for name in ["", "a/b", "a b", &"x".repeat(129)] {
        let refused: BadServiceName = ShardClient::named(&node, name).unwrap_err();
        let started = Service::new(part("x")).name(name).start_on(&node).await;
        let Err(ServiceError::Name(same)) = started else { panic!("{started:?}") };
        assert_eq!(refused, same);
    }
    serve(&node, "a", part("a")).await;
    let twice = Service::new(part("x")).name("a").start_on(&node).await;
    assert!(matches!(twice, Err(ServiceError::NameTaken(_))), "{twice:?}");
    assert!(node.services() == ["a"]);
}

/// Notes the names of the calls that its node makes.
struct Outside(Notes);

impl Interceptor for Outside {
    fn before(&self, call: &mut Outgoing<'_>) -> Result<(), Refusal> {
        self.0.note(format!("{} {}/{}", call.kind(), call.service(), call.method()));
        Ok(())
    }
}

/// Those who look at calls that leave see the name, too.
#[tokio::test(start_paused = true)]
async fn interceptors_see_the_name() {
    let mut site = Site::new();
    let (server, notes) = (site.node("server").await, Notes::default());
    serve(&server, "a", part("a")).await;
    let tool = site.builder("tool").intercept(Outside(notes.clone())).start().await.unwrap();
    knows(&tool, "a", 1).await;
    on(&tool, "a").which().await.unwrap();
    let _ = on(&tool, "a").which().all().await.unwrap();
    assert_eq!(notes.take(), ["one a/which", "all a/which"]);
    // It never meant the one that bears the name of the contract.
    let routes = tool.routes().to_string();
    assert!(routes.contains("a.which") && !routes.contains("Shard"), "{routes}");
}

/// Served to its own node only.
#[service]
trait Inner {
    #[api]
    async fn inside(&self) -> u8;
}

struct Alone;

impl Inner for Alone {
    async fn inside(&self) -> u8 {
        7
    }
}

/// Whoever forgets the name is told it, also of what others are not told of; a service that has but
/// some of the methods is not meant.
#[tokio::test(start_paused = true)]
async fn who_forgets_the_name_is_told_it() {
    let node = Site::new().node("one").await;
    let inner = Service::new(Alone).name("inner-1");
    inner.start_on(&node).await.unwrap();
    serve(&node, "shard-1", part("x")).await;
    assert_eq!(InnerClient::named(&node, "inner-1").unwrap().inside().await.unwrap(), 7);
    let inner = InnerClient::new(&node).inside().await.unwrap_err().to_string();
    assert!(inner.contains("serves this contract as `inner-1` only"), "{inner}");
    let shard = ShardClient::new(&node).which().why().to_string();
    assert!(shard.contains("serves this contract as `shard-1` only"), "{shard}");
    let other = WiderClient::new(&node).which().why().to_string();
    assert!(other.contains("does not serve it"), "{other}");
    // The name is right, and so is not to be another one.
    let last = serve(&node, "shard-2", part("y")).await;
    last.pause("for a while").await.unwrap();
    let paused = on(&node, "shard-2").which().why().to_string();
    assert!(paused.contains("takes no calls now") && !paused.contains("shard-1"), "{paused}");
}

/// It has a method of another contract, and one more.
#[service(global)]
trait Wider {
    #[api(idempotent)]
    async fn which(&self) -> String;
    #[api]
    async fn more(&self);
}
