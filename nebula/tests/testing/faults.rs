//! Partitions, cuts and pauses.

use nebula::prelude::*;
use nebula::testing::{Cluster, TestNode, ms};
use tokio::time::{Instant, timeout};

use crate::kit::known;
use crate::notes::{Book, NotesClient};

async fn four(cluster: &mut Cluster) -> [TestNode; 4] {
    let a = cluster.node("a").serve(Book::new()).start().await;
    let b = cluster.node("b").serve(Book::new()).start().await;
    let c = cluster.node("c").serve(Book::new()).start().await;
    let d = cluster.node("d").start().await;
    cluster.settle().await;
    [a, b, c, d]
}

#[tokio::test(start_paused = true)]
async fn two_sides_of_a_partition_go_on_apart_and_come_together() {
    let mut cluster = Cluster::new(3);
    let [a, b, c, d] = four(&mut cluster).await;
    let begun = Instant::now();
    cluster.partition(&[&a, &b], &[&c, &d]);
    cluster.settle().await;
    assert!(begun.elapsed() > ms(1000), "nobody is given up at once");
    for (node, members) in [(&a, ["a", "b"]), (&b, ["a", "b"]), (&c, ["c", "d"]), (&d, ["c", "d"])]
    {
        assert_eq!(known(node), members);
    }
    let (left, right) = (NotesClient::new(&a), NotesClient::new(&d));
    assert_eq!(left.echo(1).all().await.unwrap().len(), 2);
    assert_eq!(right.echo(1).all().await.unwrap().len(), 1);
    cluster.heal();
    cluster.settle().await;
    for node in [&a, &b, &c, &d] {
        assert_eq!(known(node), ["a", "b", "c", "d"]);
    }
    let all = right.echo(1).all().await.unwrap();
    assert_eq!((all.len(), all.all_ok()), (3, true));
}

/// Cut off for so long that it is suspected, and healed before it is given up.
#[tokio::test(start_paused = true)]
async fn a_doubt_that_is_on_its_way_is_waited_for() {
    for cut_off in (2000..5000).step_by(500) {
        let mut cluster = Cluster::new(cut_off);
        let db = cluster.node("db").serve(Book::new()).start().await;
        let web = cluster.node("web").start().await;
        cluster.settle().await;
        cluster.partition(&[&db], &[&web]);
        tokio::time::sleep(ms(cut_off)).await;
        cluster.heal();
        cluster.settle().await;
        for number in 0..40 {
            let answer = NotesClient::new(&web).echo(number).await;
            assert_eq!(answer, Ok(number), "cut off for {cut_off} ms");
            tokio::time::sleep(ms(200)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn halves_meet_again_without_the_first_node() {
    let mut cluster = Cluster::new(4);
    let [a, b, c, d] = four(&mut cluster).await;
    cluster.kill(&a);
    cluster.settle().await;
    cluster.partition(&[&b], &[&c, &d]);
    cluster.settle().await;
    cluster.heal();
    cluster.settle().await;
    assert_eq!(known(&b), ["b", "c", "d"]);
}

#[tokio::test(start_paused = true)]
async fn one_way_is_no_connection() {
    let mut cluster = Cluster::new(5);
    let db = cluster.node("db").serve(Book::new()).start().await;
    let web = cluster.node("web").start().await;
    cluster.settle().await;
    let notes = NotesClient::new(&web);
    assert_eq!(notes.keep("first".into()).await, Ok(1));
    // The question arrives, the answer does not.
    cluster.cut(&db, &web);
    let error = notes.keep("second".into()).timeout(ms(300)).await.unwrap_err();
    assert_eq!(error.executed(), Executed::Unknown, "{error:#}");
    cluster.settle().await;
    assert_eq!((known(&db), known(&web)), (vec!["db".to_owned()], vec!["web".to_owned()]));
    cluster.heal();
    cluster.settle().await;
    // It ran, and ran once.
    assert_eq!(notes.keep("third".into()).await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_from_one_and_not_from_others_stays_a_member() {
    let mut cluster = Cluster::new(6);
    let [a, b, _c, _d] = four(&mut cluster).await;
    cluster.cut(&a, &b);
    tokio::time::sleep(ms(60_000)).await;
    cluster.settle().await;
    assert_eq!(known(&a), ["a", "b", "c", "d"]);
    assert_eq!(known(&b), ["a", "b", "c", "d"]);
}

#[tokio::test(start_paused = true)]
async fn a_paused_node_is_passed_over_and_comes_back() {
    let mut cluster = Cluster::new(7);
    let [a, b, c, d] = four(&mut cluster).await;
    cluster.pause(&a);
    // A pause is no partition.
    cluster.heal();
    let notes = NotesClient::new(&d);
    for number in 0..20 {
        assert_eq!(notes.echo(number).await, Ok(number));
    }
    let alone = notes.echo(1).to(a.id()).timeout(ms(2000)).await.unwrap_err();
    assert!(matches!(alone, CallError::Deadline(_) | CallError::Disconnected(_)), "{alone:#}");
    cluster.settle().await;
    assert_eq!(known(&d), ["b", "c", "d"]);
    // The node itself is not stopped: it sees the others fall silent.
    assert_eq!(known(&a), ["a"]);
    cluster.resume(&a);
    cluster.settle().await;
    assert_eq!(known(&a), ["a", "b", "c", "d"]);
    assert_eq!(notes.echo(1).to(a.id()).await, Ok(1));
    assert!(cluster.is_running(&b) && cluster.is_running(&c));
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_out_a_short_pause() {
    let mut cluster = Cluster::new(8);
    let db = cluster.node("db").serve(Book::new()).start().await;
    let web = cluster.node("web").start().await;
    cluster.settle().await;
    cluster.pause(&db);
    let notes = NotesClient::new(&web);
    let call = notes.keep("a note".into()).timeout(ms(5000)).into_future();
    tokio::pin!(call);
    assert!(timeout(ms(1500), &mut call).await.is_err());
    cluster.resume(&db);
    assert_eq!(call.await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn everything_can_be_repaired_at_once() {
    let mut cluster = Cluster::new(9);
    let [a, b, c, d] = four(&mut cluster).await;
    cluster.partition(&[&a], &[&b]);
    cluster.pause(&c);
    cluster.around(&d).loss(1.0);
    cluster.everywhere().delay(ms(400)).duplicate(0.5);
    cluster.settle().await;
    assert_eq!(known(&d), ["d"]);
    cluster.repair();
    cluster.settle().await;
    let begun = Instant::now();
    let all = NotesClient::new(&d).echo(1).all().await.unwrap();
    assert_eq!((all.len(), all.all_ok()), (3, true));
    assert!(begun.elapsed() < ms(50));
}
