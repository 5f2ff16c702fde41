//! Bad links, and what calls make of them.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use nebula::testing::{Cluster, TestNode, ms};
use tokio::time::Instant;

use crate::notes::{Book, NotesClient};

/// One that serves, one that asks, and a third: two nodes have nobody else who could vouch for
/// either when the link between them is bad, and now and then give each other up.
async fn three(cluster: &mut Cluster) -> [TestNode; 3] {
    let db = cluster.node("db").serve(Book::new()).start().await;
    let web = cluster.node("web").start().await;
    let third = cluster.node("third").start().await;
    cluster.settle().await;
    [db, web, third]
}

/// How many of so many calls fail, so many at a time, and how long the slowest took.
async fn failed(node: &TestNode, calls: u32, at_once: usize, limit: Duration) -> (u32, Duration) {
    let notes = &NotesClient::new(node);
    let call = |number| async move {
        let begun = Instant::now();
        let answer = notes.echo(number).timeout(limit).await;
        if let Err(error) = &answer {
            eprintln!("{number}: {error:#}");
        }
        (u32::from(answer != Ok(number)), begun.elapsed())
    };
    let calls = stream::iter(0..calls).map(call).buffer_unordered(at_once);
    calls.fold((0, Duration::ZERO), async |all, one| (all.0 + one.0, all.1.max(one.1))).await
}

#[tokio::test(start_paused = true)]
async fn no_call_fails_at_10_percent_loss_and_50_ms() {
    let mut cluster = Cluster::new(10);
    let [db, web, _third] = three(&mut cluster).await;
    cluster.link(&db, &web).loss(0.1).delay(ms(50));
    let (failed, slowest) = failed(&web, 2000, 20, ms(10_000)).await;
    assert_eq!(failed, 0, "of 2000, seed 10");
    assert!(slowest >= ms(100), "{slowest:?}");
}

/// The step "very bad" of iroh's ladder of links: 8 % lost in bursts, and 450 ms there and back.
#[tokio::test(start_paused = true)]
async fn all_calls_end_on_a_very_bad_link() {
    let mut cluster = Cluster::new(11);
    let [db, web, _third] = three(&mut cluster).await;
    cluster.link(&db, &web).outages(0.08, ms(400)).delay(ms(225));
    let (failed, slowest) = failed(&web, 200, 4, ms(30_000)).await;
    assert_eq!(failed, 0, "of 200, seed 11");
    assert!(slowest >= ms(450), "{slowest:?}");
}

#[tokio::test(start_paused = true)]
async fn copies_disorder_and_a_narrow_way_cost_time_and_nothing_else() {
    let mut cluster = Cluster::new(12);
    let [db, web, _third] = three(&mut cluster).await;
    cluster.link(&db, &web).duplicate(0.3).reorder(0.2, ms(40)).delay(ms(10)).jitter(ms(15));
    let notes = NotesClient::new(&web);
    for number in 1..=100 {
        assert_eq!(notes.keep("once".into()).await, Ok(number));
    }
    cluster.link(&db, &web).clear().bandwidth(20_000);
    let begun = Instant::now();
    assert_eq!(notes.keep("x".repeat(40_000)).await, Ok(101));
    assert!(begun.elapsed() > ms(1900), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_way_is_one_direction_and_a_link_both() {
    let mut cluster = Cluster::new(13);
    let [db, web, third] = three(&mut cluster).await;
    let trip = async |node: &TestNode| {
        // What was sent before the link changed has arrived.
        tokio::time::sleep(ms(1000)).await;
        let begun = Instant::now();
        NotesClient::new(node).echo(1).await.unwrap();
        begun.elapsed()
    };
    let near =
        |time: Duration, milliseconds| (ms(milliseconds)..ms(milliseconds + 15)).contains(&time);
    // The first call of a node may have to connect.
    for node in [&web, &third] {
        trip(node).await;
    }
    cluster.one_way(&web, &db).delay(ms(100));
    assert!(near(trip(&web).await, 100) && near(trip(&third).await, 0));
    cluster.link(&web, &db).delay(ms(100));
    assert!(near(trip(&web).await, 200) && near(trip(&third).await, 0));
    cluster.around(&db).delay(ms(50));
    assert!(near(trip(&web).await, 100) && near(trip(&third).await, 100));
    cluster.around(&db).clear();
    assert!(near(trip(&web).await, 0));
    cluster.everywhere().each(|faults| faults.delay(ms(30)));
    assert!(near(trip(&web).await, 60) && near(trip(&third).await, 60));
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "a share is between 0 and 1, and 10 is not: write `.loss(0.1)` for 10 %")]
async fn ten_percent_are_not_ten() {
    let mut cluster = Cluster::new(10);
    let [db, web, _third] = three(&mut cluster).await;
    cluster.link(&db, &web).loss(10.0);
}
