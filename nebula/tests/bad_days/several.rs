//! Several nodes at once, not all of them well.

use std::time::Duration;

use futures_util::StreamExt;
use nebula::call::{CallError, Executed, FirstError, QuorumError};
use nebula::prelude::*;
use nebula::{Node, Stragglers};
use tokio::time::{Instant, timeout};

use crate::desk::{Clerk, Count, DeskClient, Mood};
use crate::site::{PATIENCE, Site, met};

const LIMIT: Duration = Duration::from_secs(3);

/// Nodes `a`, `b`, … in these moods, and a client of them.
struct Row {
    clerks: Vec<Clerk>,
    _nodes: Vec<Node>,
    desk: DeskClient,
}

impl Row {
    async fn of(moods: &[Mood]) -> Self {
        let site = Site::new();
        let (mut clerks, mut nodes) = (Vec::new(), Vec::new());
        for (name, mood) in ["a", "b", "c", "d"].into_iter().zip(moods) {
            let clerk = Clerk::new(name, *mood);
            nodes.push(site.serve(name, &clerk).await);
            clerks.push(clerk);
        }
        let client = site.client().await;
        nodes.push(client.clone());
        met(&nodes.iter().collect::<Vec<_>>()).await;
        let desk = DeskClient::new(&client).with(|options| options.timeout(LIMIT));
        Self { clerks, _nodes: nodes, desk }
    }

    async fn until(&self, what: &str, holds: impl Fn(&Count) -> bool) {
        for clerk in &self.clerks {
            clerk.until(what, &holds).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_success_wins_and_the_rest_is_dropped() {
    let row = Row::of(&[Mood::Wait, Mood::Refuse, Mood::Answer, Mood::Panic]).await;
    let began = Instant::now();
    let reply = row.desk.write().stragglers(Stragglers::Cancel).first().await.unwrap();
    assert_eq!((reply.value.as_str(), &*reply.node.name), ("c", "c"));
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    // Whoever has begun is stopped; nothing begins later.
    row.until("ended", |count| count.began == count.ended + count.dropped).await;
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    tokio::time::sleep(LIMIT).await;
    row.until("ended", |count| count.began == count.ended + count.dropped).await;
    assert_eq!(row.clerks[2].count().ended, 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_success_every_node_says_why() {
    let row = Row::of(&[Mood::Wait, Mood::Refuse, Mood::Panic]).await;
    let began = Instant::now();
    let FirstError::NoSuccess(replies) = row.desk.write().first().await.unwrap_err() else {
        panic!("there were targets")
    };
    assert_eq!(began.elapsed().as_secs(), LIMIT.as_secs());
    let result = |name| replies.get(name).unwrap().result.as_ref().unwrap_err();
    assert!(matches!(result("a"), CallError::Deadline(_)));
    assert_eq!(result("a").executed(), Executed::Unknown);
    assert!(matches!(result("b"), CallError::App(_)));
    assert!(matches!(result("c"), CallError::Panicked { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_stream_gives_what_comes_and_accounts_for_the_rest() {
    let row = Row::of(&[Mood::Answer, Mood::Wait, Mood::Panic]).await;
    let began = Instant::now();
    let mut stream = std::pin::pin!(row.desk.write().all().stream());
    let mut early = Vec::new();
    for _ in 0..2 {
        early.push(timeout(LIMIT / 2, stream.next()).await.unwrap().unwrap());
    }
    early.sort_by(|a, b| a.node.name.cmp(&b.node.name));
    assert!(early[0].result.is_ok());
    assert!(matches!(early[1].result, Err(CallError::Panicked { .. })));
    let late = stream.next().await.unwrap();
    assert_eq!(&*late.node.name, "b");
    assert!(matches!(late.result, Err(CallError::Deadline(_))));
    assert_eq!(began.elapsed().as_secs(), LIMIT.as_secs());
    assert!(stream.next().await.is_none());
    row.clerks[1].until("was dropped", |count| count.dropped == 1).await;
}

#[tokio::test(start_paused = true)]
async fn all_waits_for_all_and_lists_each_once() {
    let row = Row::of(&[Mood::Refuse, Mood::Wait, Mood::Answer]).await;
    let replies = row.desk.write().all().await.unwrap();
    let names: Vec<_> = replies.iter().map(|entry| &*entry.node.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!((replies.ok().count(), replies.failures().count()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_quorum_that_cannot_be_reached_any_more_is_not_waited_for() {
    let row = Row::of(&[Mood::Refuse, Mood::Wait, Mood::Panic]).await;
    let began = Instant::now();
    let call = row.desk.write().stragglers(Stragglers::Cancel).quorum(majority());
    let error = call.await.unwrap_err();
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    let text = error.to_string();
    assert!(text.starts_with("a quorum of 2 was not reached: 0 of 3 nodes succeeded"), "{text}");
    let QuorumError::NotReached(replies) = error else { panic!("{error:?}") };
    let silent = replies.get("b").unwrap().result.as_ref().unwrap_err();
    assert!(matches!(silent, CallError::Cancelled(_)), "{silent:?}");
    assert_eq!(silent.executed(), Executed::Unknown);
    row.clerks[1].until("was dropped", |count| count.dropped == 1).await;
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_quorum_that_could_still_be_reached_ends_at_the_deadline() {
    let row = Row::of(&[Mood::Answer, Mood::Wait, Mood::Refuse]).await;
    let began = Instant::now();
    let error = row.desk.write().quorum(majority()).await.unwrap_err();
    assert_eq!(began.elapsed().as_secs(), LIMIT.as_secs());
    let text = error.to_string();
    assert!(text.starts_with("the deadline passed before a quorum of 2: 1 of 3"), "{text}");
    let QuorumError::Deadline(replies) = error else { panic!("{error:?}") };
    assert_eq!(replies.len(), 3);
    let silent = replies.get("b").unwrap().result.as_ref().unwrap_err();
    assert!(matches!(silent, CallError::Deadline(_)), "{silent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_quorum_does_without_one_that_fails_and_one_that_hangs() {
    let row = Row::of(&[Mood::Answer, Mood::Refuse, Mood::Answer, Mood::Wait]).await;
    let votes = row.desk.write().quorum(at_least(2)).await.unwrap();
    let mut names: Vec<_> = votes.successes().iter().map(|reply| reply.value.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["a", "c"]);
    let picky = row.desk.write().quorum(at_least(2)).success(|label| label == "a");
    assert!(matches!(picky.await, Err(QuorumError::Deadline(_) | QuorumError::NotReached(_))));
    let none = row.desk.write().quorum(at_least(5)).await.unwrap_err();
    assert!(matches!(none, QuorumError::Unreachable { workers: 4, required: 5 }), "{none:?}");
}

#[tokio::test(start_paused = true)]
async fn stragglers_are_cancelled_or_finish_as_the_method_says() {
    let row = Row::of(&[Mood::Answer, Mood::Wait, Mood::Answer]).await;
    row.desk.act().quorum(majority()).await.unwrap();
    timeout(LIMIT / 2, row.clerks[1].until("was dropped", |count| count.dropped == 1))
        .await
        .unwrap();

    row.desk.finish().timeout(PATIENCE).quorum(majority()).await.unwrap();
    tokio::time::sleep(LIMIT).await;
    assert_eq!(row.clerks[1].count(), Count { began: 2, dropped: 1, ..Count::default() });
    row.clerks[1].turn(Mood::Answer);
    row.clerks[1].until("finished", |count| count.ended == 1).await;

    // Nobody's deadline is exceeded for it.
    row.clerks[1].turn(Mood::Wait);
    row.desk.finish().quorum(majority()).await.unwrap();
    row.clerks[1].until("was dropped", |count| count.dropped == 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_fan_out_that_is_dropped_stops_everywhere() {
    let row = Row::of(&[Mood::Wait; 3]).await;
    let desk = row.desk.clone();
    let call = tokio::spawn(async move { desk.finish().timeout(PATIENCE).all().await.is_ok() });
    row.until("began", |count| count.began == 1).await;
    call.abort();
    row.until("was dropped", |count| count.dropped == 1).await;
}
