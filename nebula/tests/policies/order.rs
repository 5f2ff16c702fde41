//! What each policy makes of nodes that are well.

use std::collections::BTreeMap;

use nebula::nodes::node;
use nebula::prelude::*;
use tokio::time::{Instant, sleep};

use crate::cluster::{Cluster, MS, StayClient, WhoClient, Worker, counts, met};

/// Who answers `calls` calls by a policy.
async fn answers(who: &WhoClient, policy: Policy, calls: usize) -> Vec<String> {
    let mut answers = Vec::new();
    for _ in 0..calls {
        answers.push(who.write().policy(policy).await.unwrap());
    }
    answers
}

async fn three(cluster: &mut Cluster) -> [(Node, Worker); 3] {
    let all = [cluster.worker("a").await, cluster.worker("b").await, cluster.worker("c").await];
    met(&all[0].0, &[&all[1].0, &all[2].0]).await;
    met(&all[1].0, &[&all[0].0, &all[2].0]).await;
    all
}

fn even(each: usize) -> BTreeMap<&'static str, usize> {
    ["a", "b", "c"].map(|name| (name, each)).into()
}

#[tokio::test(start_paused = true)]
async fn this_node_is_first_by_two_of_them_and_one_of_all_by_the_others() {
    let mut cluster = Cluster::new();
    let [(a, _), (b, _), _c] = three(&mut cluster).await;
    let who = WhoClient::new(&a);
    for policy in [Policy::LocalFirst, Policy::Closest] {
        assert_eq!(counts(&answers(&who, policy, 20).await), [("a", 20)].into(), "{policy}");
    }
    let turns = answers(&who, Policy::RoundRobin, 30).await;
    assert_eq!(counts(&turns), even(10));
    assert!(turns.windows(3).all(|three| counts(three) == even(1)), "{turns:?}");
    for policy in [Policy::Random, Policy::LeastLoaded] {
        let answers = answers(&who, policy, 300).await;
        let counts = counts(&answers);
        assert_eq!(counts.len(), 3, "{policy}: {counts:?}");
        assert!(counts.values().all(|count| count.abs_diff(100) < 50), "{policy}: {counts:?}");
    }
    // Whom the call is for is none of the policy's business.
    assert_eq!(who.write().to(b.id()).policy(Policy::LocalFirst).await.unwrap(), "b");
    assert_eq!(who.write().on(node("b")).policy(Policy::Random).await.unwrap(), "b");
    let all = who.read().policy(Policy::LocalFirst).all().await.unwrap();
    assert_eq!(all.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_least_loaded_are_asked_and_this_node_is_no_exception() {
    let mut cluster = Cluster::new();
    let [(a, busy), (b, _), _c] = three(&mut cluster).await;
    busy.hang(true);
    // Of `a` itself, and of another node on it: both are its load.
    let mut held = Vec::new();
    for node in [&a, &a, &b, &b] {
        let who = WhoClient::new(node);
        let id = a.id();
        held.push(tokio::spawn(async move { who.write().to(id).await }));
    }
    sleep(10 * MS).await;
    for node in [&a, &b] {
        let who = WhoClient::new(node);
        let answers = answers(&who, Policy::LeastLoaded, 60).await;
        assert!(!counts(&answers).contains_key("a"), "{answers:?}");
        assert_eq!(counts(&answers).len(), 2, "{answers:?}");
    }
    busy.hang(false);
    for call in held {
        assert_eq!(call.await.unwrap().unwrap(), "a");
    }
}

#[tokio::test(start_paused = true)]
async fn the_closest_by_round_trip_is_asked() {
    let mut cluster = Cluster::new();
    // The client is the first node; the others are so far from it.
    for (host, far) in [(2, 30 * MS), (3, 2 * MS), (4, 10 * MS)] {
        cluster.network.link_delay(Cluster::addr(1), Cluster::addr(host), far);
        cluster.network.link_delay(Cluster::addr(host), Cluster::addr(1), far);
    }
    let web = cluster.client("web").await;
    let [(a, _), (b, near), (c, _)] = three(&mut cluster).await;
    met(&web, &[&a, &b, &c]).await;
    let who = WhoClient::new(&web);
    assert_eq!(counts(&answers(&who, Policy::Closest, 50).await), [("b", 50)].into());
    assert_eq!(who.write().on(!node("b")).policy(Policy::Closest).await.unwrap(), "c");
    // A hedge goes on in that order: the second is the second closest.
    near.hang(true);
    let hedged = who.read().policy(Policy::Closest).hedge().await.unwrap();
    assert_eq!(hedged, "c");
}

#[tokio::test(start_paused = true)]
async fn a_key_has_one_node_whoever_asks_and_another_when_that_is_gone() {
    let mut cluster = Cluster::new();
    let [(a, _), (b, _), (c, _)] = three(&mut cluster).await;
    let web = cluster.client("web").await;
    met(&web, &[&a, &b, &c]).await;
    let callers = [WhoClient::new(&web), WhoClient::new(&a), WhoClient::new(&b)];
    let ask = async |callers: &[WhoClient]| {
        let mut owners = BTreeMap::new();
        for key in 0..120_u64 {
            for who in callers {
                let owner = who.read().policy(Policy::sticky(("cart", key))).await.unwrap();
                let first = owners.entry(key).or_insert_with(|| owner.clone());
                assert_eq!(*first, owner, "two callers differ about {key}");
            }
        }
        owners
    };
    let before = ask(&callers).await;
    let used: Vec<_> = before.values().cloned().collect();
    assert_eq!(counts(&used).len(), 3, "{before:?}");

    // `c` is cut off from everybody: first it only fails, then it is gone.
    for host in [1, 2, 4] {
        cluster.network.partition(Cluster::addr(3), Cluster::addr(host));
    }
    let failing = ask(&callers).await;
    while web.nodes().get(c.id()).is_some() {
        sleep(100 * MS).await;
    }
    let gone = ask(&callers).await;
    assert_eq!(failing, gone);
    for (key, owner) in &before {
        match owner.as_str() {
            "c" => assert_ne!(gone[key], "c"),
            owner => assert_eq!(gone[key], owner, "the key {key} moved for nothing"),
        }
    }
    let heirs: Vec<_> = before
        .iter()
        .filter(|(_, owner)| *owner == "c")
        .map(|(key, _)| gone[key].clone())
        .collect();
    assert_eq!(counts(&heirs).len(), 2, "both inherit: {heirs:?}");

    cluster.network.heal();
    let began = Instant::now();
    while ask(&callers[..1]).await != before {
        assert!(began.elapsed().as_secs() < 120, "its keys never come back");
        sleep(100 * MS).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_nearest_word_wins() {
    let mut cluster = Cluster::new();
    let builder = cluster.builder("a").policy(Policy::RoundRobin);
    let (a, _) = Cluster::serve(builder, "a").await;
    let (b, _) = cluster.worker("b").await;
    let (c, _) = cluster.worker("c").await;
    met(&a, &[&b, &c]).await;
    let (who, stay) = (WhoClient::new(&a), StayClient::new(&a));
    let here = BTreeMap::from([("a", 6)]);
    let mut said = Vec::new();
    macro_rules! six {
        ($call:expr) => {{
            said.clear();
            for _ in 0..6 {
                said.push($call.await.unwrap());
            }
            counts(&said)
        }};
    }
    assert_eq!(six!(who.write()), even(2), "the node");
    assert_eq!(six!(stay.stay()), here, "the service over the node");
    assert_eq!(six!(stay.go()), even(2), "the method over the service");
    let client = stay.with(|options| options.policy(Policy::LocalFirst));
    assert_eq!(six!(client.go()), here, "the client over the method");
    assert_eq!(six!(client.go().policy(Policy::RoundRobin)), even(2), "the call over all");
    // Nothing said anywhere.
    let plain = WhoClient::new(&b);
    assert_eq!(six!(plain.write()), [("b", 6)].into());
}

#[tokio::test(start_paused = true)]
async fn the_seed_of_the_node_decides_what_is_left_to_chance() {
    let sequence = async |seed: u64| {
        let mut cluster = Cluster::new();
        let builder = cluster.builder("a").random_seed(seed);
        let (a, _) = Cluster::serve(builder, "a").await;
        let (b, _) = cluster.worker("b").await;
        let (c, _) = cluster.worker("c").await;
        met(&a, &[&b, &c]).await;
        let who = WhoClient::new(&a);
        let mut all = Vec::new();
        for policy in [Policy::Random, Policy::LeastLoaded, Policy::RoundRobin] {
            all.extend(answers(&who, policy, 30).await);
        }
        all
    };
    let once = sequence(42).await;
    assert_eq!(once, sequence(42).await);
    assert_ne!(once, sequence(43).await);
}

#[tokio::test(start_paused = true)]
async fn turns_are_those_of_a_selector_and_calls_without_a_choice_take_none() {
    let mut cluster = Cluster::new();
    let web = cluster.client("web").await;
    let mut nodes = Vec::new();
    for (name, tag) in [("a", "eu"), ("b", "eu"), ("c", "us"), ("d", "us")] {
        let builder = cluster.builder(name).tag(tag);
        nodes.push(Cluster::serve(builder, name).await.0);
    }
    met(&web, &nodes.iter().collect::<Vec<_>>()).await;
    let who = WhoClient::new(&web).with(|options| options.policy(Policy::RoundRobin));
    let (mut selected, mut any) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        selected.push(who.write().on(sel!(&eu)).await.unwrap());
        selected.push(who.write().on(sel!(&us)).await.unwrap());
        any.push(who.write().await.unwrap());
        assert_eq!(who.write().to(nodes[0].id()).await.unwrap(), "a");
        assert_eq!(who.write().on(sel!(@b)).await.unwrap(), "b");
        assert_eq!(who.write().pick(|nodes| nodes.by_name("c")).await.unwrap(), "c");
    }
    assert_eq!(counts(&selected), ["a", "b", "c", "d"].map(|name| (name, 4)).into());
    assert_eq!(counts(&any), ["a", "b", "c", "d"].map(|name| (name, 2)).into());
}

/// One bound for all calls, and one for the method.
#[service(global, max_concurrent = 64)]
trait Bounded {
    #[api(idempotent, max_concurrent = 32)]
    async fn wait(&self) -> String;
}

struct Slow(&'static str);

impl Bounded for Slow {
    async fn wait(&self) -> String {
        sleep(30_000 * MS).await;
        self.0.into()
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_here_that_passes_two_bounds_is_one_call() {
    let mut cluster = Cluster::new();
    let a = cluster.builder("a").serve(Slow("a")).start().await.unwrap();
    let b = cluster.builder("b").serve(Slow("b")).start().await.unwrap();
    met(&a, &[&b]).await;
    let bounded = BoundedClient::new(&a).with(|options| options.timeout(100_000 * MS));
    // Two run here, and three there.
    let mut held = Vec::new();
    for id in [a.id(), a.id(), b.id(), b.id(), b.id()] {
        let bounded = bounded.clone();
        held.push(tokio::spawn(async move { bounded.wait().to(id).await }));
    }
    sleep(100 * MS).await;
    assert_eq!(bounded.wait().policy(Policy::LeastLoaded).await.unwrap(), "a");
}
