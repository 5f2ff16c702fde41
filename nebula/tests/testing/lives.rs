//! Crashes, restarts and orderly ends.

use std::time::Duration;

use nebula::prelude::*;
use nebula::testing::{Cluster, TestNode, ms};
use tokio::time::Instant;

use crate::kit::known;
use crate::notes::{Book, NotesClient};

async fn pair(cluster: &mut Cluster, book: Book) -> (TestNode, TestNode) {
    let db = cluster.node("db").serve(book).start().await;
    let web = cluster.node("web").start().await;
    cluster.settle().await;
    (db, web)
}

#[tokio::test(start_paused = true)]
async fn a_crash_says_no_goodbye_and_stops_what_runs() {
    let mut cluster = Cluster::new(1);
    let (book, mut told) = Book::telling();
    let (db, web) = pair(&mut cluster, book).await;
    let notes = NotesClient::new(&web);
    let calling = tokio::spawn(async move { notes.hang().timeout(ms(8000)).await });
    assert_eq!(told.recv().await, Some("began"));
    let died = Instant::now();
    cluster.kill(&db);
    assert!(!cluster.is_running(&db) && cluster.is_running(&web));
    assert_eq!(told.recv().await, Some("dropped"));
    assert_eq!(died.elapsed(), ms(0));
    // The others find it out by themselves, and the caller cannot know how far it came.
    assert_eq!(known(&web), ["db", "web"]);
    cluster.settle().await;
    assert!(died.elapsed() > ms(1000));
    assert_eq!(known(&web), ["web"]);
    assert_eq!(calling.await.unwrap().unwrap_err().executed(), Executed::Unknown);
    // Nor does the dead node do anything any more for who still holds it.
    let dead = NotesClient::new(&db).echo(1).timeout(ms(500)).await.unwrap_err();
    assert_eq!(dead.executed(), Executed::No, "{dead:#}");
    cluster.kill(&db);
}

#[tokio::test(start_paused = true)]
async fn the_tasks_of_a_crashed_node_end() {
    let mut cluster = Cluster::new(1);
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (_db, _web) = pair(&mut cluster, Book::new()).await;
    tokio::time::sleep(ms(60_000)).await;
    let before = tasks();
    let third = cluster.node("third").serve(Book::new()).start().await;
    cluster.settle().await;
    assert!(tasks() > before);
    cluster.kill(&third);
    drop(third);
    tokio::time::sleep(ms(60_000)).await;
    assert_eq!(tasks(), before);
}

#[tokio::test(start_paused = true)]
async fn a_restart_with_its_key_is_the_same_node_in_a_new_life() {
    let mut cluster = Cluster::new(2);
    let (db, web) = pair(&mut cluster, Book::new()).await;
    let notes = NotesClient::new(&web);
    assert_eq!(notes.keep("before".into()).await, Ok(1));
    let (id, addr) = (db.id(), db.local_addr());
    let mut life = web.mesh().record(&id).unwrap().incarnation;
    let mut db = db;
    for count in 0..5 {
        // Before the crash is noticed, and after it.
        cluster.kill(&db);
        if count % 2 == 1 {
            cluster.settle().await;
        }
        db = cluster.restart(&db).await;
        assert_eq!((db.id(), db.local_addr()), (id, addr));
        cluster.settle().await;
        let now = web.mesh().record(&id).unwrap().incarnation;
        assert!(now > life, "an old life came back");
        life = now;
        // The value is the one that was served before.
        assert_eq!(notes.keep("after".into()).await, Ok(count + 2));
    }
    // For a while longer, no echo of the old lives comes back.
    for _ in 0..60 {
        tokio::time::sleep(ms(1000)).await;
        let now = web.mesh().record(&id).map(|record| record.incarnation);
        assert_eq!((now, known(&web)), (Some(life), vec!["db".to_owned(), "web".to_owned()]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_with_a_new_key_is_another_node() {
    let mut cluster = Cluster::new(3);
    let (db, web) = pair(&mut cluster, Book::new()).await;
    let old = db.id();
    // It runs: it is killed first.
    let db = cluster.restart_as_new(&db).await;
    assert_ne!(db.id(), old);
    cluster.settle().await;
    assert_eq!(known(&web), ["db", "web"]);
    assert_eq!(NotesClient::new(&web).echo(1).to(db.id()).await, Ok(1));
    let gone = NotesClient::new(&web).echo(1).to(old).timeout(ms(500)).await.unwrap_err();
    assert_eq!(gone.executed(), Executed::No, "{gone:#}");
    for _ in 0..60 {
        tokio::time::sleep(ms(1000)).await;
        assert!(web.nodes().get(old).is_none(), "the node before came back");
    }
}

/// Ten years.
const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_between_two_lives_keeps_nobody_out() {
    let mut cluster = Cluster::new(7);
    let db = cluster.node("db").serve(Book::new()).start().await;
    let web = cluster.node("web").start().await;
    let third = cluster.node("third").start().await;
    cluster.settle().await;
    let life = |node: &Node| web.mesh().record(&node.id()).unwrap().incarnation;
    let usual = life(&db);

    let usable = async |db: &TestNode| {
        cluster.settle().await;
        for node in [&web, &third] {
            assert_eq!(known(node), ["db", "third", "web"]);
            assert_eq!(NotesClient::new(node).echo(1).to(db.id()).await, Ok(1));
        }
        life(db)
    };
    cluster.clock_ahead(&db, FAR);
    assert_eq!(life(&db), usual, "it has looked at its clock when it started");
    let db = cluster.restart(&db).await;
    let ahead = usable(&db).await;
    assert!(ahead - usual >= FAR.as_millis() as u64);
    cluster.clock_behind(&db, FAR);
    let db = cluster.restart(&db).await;
    assert_eq!(usable(&db).await, ahead + 1, "lives are counted upwards");

    // Declared dead while it lives, it has counted on by itself, further than its file says.
    for _ in 0..2 {
        cluster.partition(&[&db], &[&web, &third]);
        cluster.settle().await;
        cluster.heal();
        cluster.settle().await;
    }
    let counted = life(&db);
    assert!(counted > ahead + 2, "{counted} after {ahead}");
    let db = cluster.restart(&db).await;
    let back = usable(&db).await;
    assert!(back > counted, "{back} after {counted}");
    // For a while longer, no echo of the old lives comes back.
    for _ in 0..60 {
        tokio::time::sleep(ms(1000)).await;
        assert_eq!((life(&db), known(&web).len()), (back, 3));
    }

    // Another node, whose clock is right again.
    cluster.repair();
    let db = cluster.restart_as_new(&db).await;
    let new = usable(&db).await;
    assert!((usual..usual + FAR.as_millis() as u64 / 2).contains(&new), "{new}");
}

#[tokio::test(start_paused = true)]
async fn what_is_made_afresh_forgets() {
    let mut cluster = Cluster::new(4);
    let db = cluster.node("db").serve_fresh(Book::new).start().await;
    let web = cluster.node("web").start().await;
    let notes = NotesClient::new(&web);
    assert_eq!(notes.keep("lost".into()).await, Ok(1));
    let _db = cluster.restart(&db).await;
    cluster.settle().await;
    assert_eq!(notes.keep("kept".into()).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn an_orderly_end_is_known_at_once() {
    let mut cluster = Cluster::new(5);
    let (db, web) = pair(&mut cluster, Book::new()).await;
    let begun = Instant::now();
    cluster.shutdown(&db).await.unwrap();
    cluster.settle().await;
    assert!(begun.elapsed() < ms(1000), "{:?}", begun.elapsed());
    assert_eq!(known(&web), ["web"]);
    cluster.shutdown(&db).await.unwrap();
    let db = cluster.restart(&db).await;
    cluster.settle().await;
    assert_eq!(known(&db), ["db", "web"]);
    // One that stops by itself has stopped, too.
    Node::from(&db).shutdown().await.unwrap();
    cluster.settle().await;
    assert!(!cluster.is_running(&db));
}

#[tokio::test(start_paused = true)]
async fn a_restarted_node_has_the_seeds_that_it_began_with() {
    let mut cluster = Cluster::new(8);
    let first = cluster.node("first").start().await;
    let second = cluster.node("second").start().await;
    let third = cluster.node("third").start().await;
    let named = first.local_addr().to_string();
    let fourth = cluster.node("fourth").with(|node| node.seed(named)).start().await;
    cluster.settle().await;
    // The others were not there yet when it was configured.
    cluster.partition(&[&second], &[&first, &third, &fourth]);
    let begun = Instant::now();
    let second = cluster.restart(&second).await;
    assert!(begun.elapsed() >= ms(5000), "it met a seed in {:?}", begun.elapsed());
    let tried = second.mesh().joining().borrow().tried.clone();
    let target = |node: &TestNode| node.local_addr().to_string();
    assert_eq!(tried.iter().map(|tried| &tried.target).collect::<Vec<_>>(), [&target(&first)]);
    cluster.heal();
    cluster.settle().await;

    // A seed that does not run does not answer, and does not hold up the start by another one.
    cluster.kill(&first);
    let begun = Instant::now();
    let third = cluster.restart(&third).await;
    assert!(begun.elapsed() < ms(1000), "{:?}", begun.elapsed());
    assert!(third.mesh().joining().borrow().joined);

    // Without any seed that runs, by whoever runs: the first one never had another.
    let begun = Instant::now();
    let second = cluster.restart(&second).await;
    let first = cluster.restart(&first).await;
    assert!(begun.elapsed() < ms(1000), "{:?}", begun.elapsed());
    cluster.settle().await;
    assert_eq!(known(&first), ["first", "fourth", "second", "third"]);

    // Who was told of seeds is not given others.
    for node in [&first, &second, &third] {
        cluster.kill(node);
    }
    let fifth = cluster.node("fifth").start().await;
    cluster.partition(&[&fourth], &[&fifth]);
    let begun = Instant::now();
    let fourth = cluster.restart(&fourth).await;
    assert!(begun.elapsed() >= ms(5000), "it met a seed in {:?}", begun.elapsed());
    let tried = fourth.mesh().joining().borrow().tried.clone();
    assert!(tried.iter().all(|tried| tried.target != target(&fifth)), "{tried:?}");
}

#[tokio::test(start_paused = true)]
async fn all_can_crash_and_start_again() {
    let mut cluster = Cluster::new(6);
    let (db, web) = pair(&mut cluster, Book::new()).await;
    cluster.kill(&web);
    cluster.kill(&db);
    cluster.settle().await;
    let web = cluster.restart(&web).await;
    let db = cluster.restart(&db).await;
    cluster.settle().await;
    assert_eq!((known(&web), known(&db)), (known(&db), vec!["db".into(), "web".into()]));
}
