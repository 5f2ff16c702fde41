//! What the kit is like to use.

use nebula::Topology;
use nebula::prelude::*;
use nebula::testing::{self, Cluster, TestNode, ms};
use tokio::time::Instant;

use crate::notes::{Book, NotesClient};

/// The names of all that a node knows.
pub(crate) fn known(node: &Node) -> Vec<String> {
    let mut names: Vec<_> = node.nodes().iter().map(|node| node.name().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test(start_paused = true)]
async fn nodes_meet_and_call_each_other() {
    let mut cluster = Cluster::new(7);
    let db = cluster.node("db@h1").tags(["db"]).serve(Book::new()).start().await;
    let web = cluster.node("web@h2").start().await;
    let third = cluster.node("third").tag("db").serve_as::<NotesClient>(Book::new());
    let third = third.start().await;
    cluster.settle().await;
    for node in [&db, &web, &third] {
        assert_eq!(known(node), ["db@h1", "third", "web@h2"]);
    }
    assert_eq!(cluster.seed(), 7);
    let notes = NotesClient::new(&web);
    assert_eq!(notes.echo(3).await, Ok(3));
    assert_eq!(notes.echo(3).on(tag("db")).all().await.unwrap().len(), 2);
    // A handle is a node wherever a program wants one.
    let taken: Node = db.into();
    assert_eq!(Node::from(&web).id(), web.id());
    assert_eq!(web.as_ref().name(), "web@h2");
    assert_eq!(NotesClient::new(&taken).echo(4).await, Ok(4));
}

#[test]
fn a_plain_test_needs_no_runtime_of_its_own() {
    let name = testing::run(1, async |mut cluster| {
        let begun = Instant::now();
        let db = cluster.node("db").serve_fresh(Book::new).start().await;
        tokio::time::sleep(ms(600_000)).await;
        assert_eq!(begun.elapsed(), ms(600_000));
        db.name().to_owned()
    });
    assert_eq!(name, "db");
}

#[tokio::test]
#[should_panic(expected = "write `#[tokio::test(start_paused = true)]`")]
async fn a_clock_that_runs_is_refused() {
    Cluster::new(1);
}

#[test]
#[should_panic(expected = "run the test by `nebula::testing::run`")]
fn no_runtime_is_refused() {
    Cluster::new(1);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "the node `a b` does not start: a node cannot be called `a b`")]
async fn a_node_that_does_not_start_says_why() {
    Cluster::new(1).node("a b").start().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_can_be_tried() {
    let mut cluster = Cluster::new(1);
    let topology = Topology::new().node("db", ["db"]).unwrap();
    let refused = cluster.node("db").with(|node| node.topology(topology.clone())).try_start().await;
    assert!(refused.unwrap_err().to_string().contains("other tags than the topology"));
    let db = cluster.node("db").tag("db").with(|node| node.topology(topology));
    let db = db.try_start().await.unwrap();
    assert_eq!(db.topology().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "`a` is a node of another cluster")]
async fn clusters_do_not_mix() {
    let (mut one, other) = (Cluster::new(1), Cluster::new(2));
    let a = one.node("a").start().await;
    other.kill(&a);
}

#[tokio::test(start_paused = true)]
#[should_panic(
    expected = "\n  apart                does not know web\n  web                  does not know apart\n"
)]
async fn what_does_not_settle_is_told_by_node() {
    let mut cluster = Cluster::new(1);
    let apart = cluster.node("apart").with(|node| node.realm("elsewhere"));
    let _apart = apart.start().await;
    let _web = cluster.node("web").start().await;
    // Both are on one network, and of two realms.
    cluster.settle().await;
}

#[tokio::test(start_paused = true)]
async fn equal_seeds_give_equal_nodes() {
    async fn ids(seed: u64) -> Vec<macula::identity::NodeId> {
        let mut cluster = Cluster::new(seed);
        let a = cluster.node("a").start().await;
        let b = cluster.node("b").start().await;
        let c = cluster.restart_as_new(&b).await;
        [a, b, c].iter().map(|node: &TestNode| node.id()).collect()
    }
    let of_seven = ids(7).await;
    assert_eq!(ids(7).await, of_seven);
    let mut all = ids(8).await;
    all.extend(of_seven);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 6);
}

/// The guide shows a test that is compiled and run as it stands there.
#[test]
fn the_first_test_of_the_guide_is_the_one_that_runs() {
    let guide = include_str!("../../../docs/guide/testing.md");
    let test = include_str!("../../../examples/tests/partition.rs");
    assert!(guide.contains(&format!("```rust,test_harness\n{test}```\n")), "they differ");
    assert!(test.lines().count() <= 30);
}
