//! Five processes, two of which are killed, stopped or cut off while calls to all, to the first, to
//! most and to four of them are under way.
//!
//! The bodies of these calls wait at a gate, so that it is certain what has happened before the
//! first answer: all five have begun, and then two are gone. Nothing here waits for luck.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::time::Duration;

use nebula::call::{Entry, Executed, FirstError, NoTarget, QuorumError, Replies, Reply, Votes};
use nebula::prelude::*;
use tempfile::TempDir;
use tests::{Five, Mark, PATIENCE, Relay, Site, row, until};
use tokio::join;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The time of calls that are to end at their deadline. A node that is silent for so long is not
/// yet taken for dead.
const SHORT: Duration = Duration::from_secs(2);

/// In which order pairs of the five are hurt, and so which of them are in the longer scenarios.
const SEED: u64 = 5;

/// Two of the five.
type Pair = [&'static str; 2];

/// All ten, in an order that follows from a number.
fn pairs() -> Vec<Pair> {
    let mut seed = SEED;
    let firsts = Five::NAMES.iter().enumerate();
    let mut pairs: Vec<Pair> = firsts
        .flat_map(|(at, first)| Five::NAMES[at + 1..].iter().map(|second| [*first, *second]))
        .collect();
    assert_eq!(pairs.len(), 10);
    for left in (1..pairs.len()).rev() {
        // Knuth's generator: the order is to be mixed, not secret.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        pairs.swap(left, (seed >> 33) as usize % (left + 1));
    }
    pairs
}

async fn five(relay: Option<Relay>) -> (TempDir, Five) {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path(), env!("CARGO_BIN_EXE_node"));
    let five = Five::start(site, relay).await;
    (dir, five)
}

/// One call of each kind, all under way, which wait at their gates.
struct Calls {
    numbers: [u64; 4],
    /// How much time those that may have to wait for all have.
    time: Duration,
    all: JoinHandle<Result<Replies<u64>, NoTarget>>,
    first: JoinHandle<Result<Reply<u64>, FirstError<u64>>>,
    most: JoinHandle<Result<Votes<u64>, QuorumError<u64>>>,
    four: JoinHandle<Result<Votes<u64>, QuorumError<u64>>>,
}

impl Calls {
    /// Makes them, and waits until each has begun on each server. If the machine was so busy that
    /// one who was away has been taken for dead, it is waited for first.
    async fn begin(five: &Five, time: Duration) -> Self {
        five.converges().await;
        let numbers = [(); 4].map(|()| five.site().call());
        let [all, first, most, four] = numbers;
        let clients = [(); 4].map(|()| five.replica());
        let [for_all, for_first, for_most, for_four] = clients;
        let calls = Self {
            numbers,
            time,
            all: tokio::spawn(async move { for_all.put(all).timeout(time).all().await }),
            first: tokio::spawn(
                async move { for_first.put(first).timeout(PATIENCE).first().await },
            ),
            most: tokio::spawn(async move {
                for_most.put(most).timeout(PATIENCE).quorum(majority()).await
            }),
            four: tokio::spawn(async move {
                for_four.put(four).timeout(time).quorum(at_least(4)).await
            }),
        };
        until("each call begins on each server", async || {
            numbers.iter().all(|call| five.marks_of_all(Mark::Began, *call) == 5)
        })
        .await;
        calls
    }

    /// Lets the bodies go on, now that two are gone: the first and most are told at once, by the
    /// other three.
    async fn without(&mut self, five: &Five, pair: Pair) {
        self.go_on(five);
        let [_, first, most, _] = self.numbers;
        let answer = (&mut self.first).await.unwrap().unwrap();
        assert_eq!(answer.value, first * 2);
        assert!(!pair.contains(&&*answer.node.name), "{pair:?} could not answer: {answer:?}");
        wrote(five, first, &answer.node.name);
        let votes = (&mut self.most).await.unwrap().unwrap();
        assert_eq!(voters(five, &votes, most), Five::others(&pair).into_iter().collect());
        assert!(votes.failures().is_empty(), "{votes:?}");
    }

    /// Lets the bodies go on.
    fn go_on(&self, five: &Five) {
        for number in self.numbers {
            five.gate().open(&Five::NAMES, number);
        }
    }

    /// The others, with two that stay away until the deadline: all is told then, and four are not
    /// reached.
    async fn lacking(self, five: &Five, pair: Pair) {
        let [all, _, _, four] = self.numbers;
        let replies = self.all.await.unwrap().unwrap();
        lacks(five, &replies, all, pair, self.time);
        match self.four.await.unwrap() {
            Err(QuorumError::Deadline(replies)) => lacks(five, &replies, four, pair, self.time),
            other => panic!("{pair:?}: {other:?}"),
        }
    }

    /// The others, when all five answer.
    async fn whole(self, five: &Five) {
        let [all, _, _, four] = self.numbers;
        let replies = self.all.await.unwrap().unwrap();
        answered(five, &replies, all, &Five::NAMES);
        let votes = self.four.await.unwrap().unwrap();
        assert_eq!((voters(five, &votes, four).len(), votes.required()), (4, 4));
    }
}

/// A server that is said to have answered has written the value.
fn wrote(five: &Five, call: u64, name: &str) {
    assert_eq!(five.marks(name, Mark::Ended, call), 1, "{name} answered {call}");
}

/// Who made up a quorum.
fn voters<'a>(five: &Five, votes: &'a Votes<u64>, call: u64) -> BTreeSet<&'a str> {
    assert_eq!(votes.successes().len(), votes.required());
    for vote in votes.successes() {
        assert_eq!(vote.value, call * 2);
        wrote(five, call, &vote.node.name);
    }
    let voters: BTreeSet<_> = votes.successes().iter().map(|vote| &*vote.node.name).collect();
    assert_eq!(voters.len(), votes.required(), "each has one vote: {votes:?}");
    voters
}

/// Exactly these answered, in this order.
fn answered(five: &Five, replies: &Replies<u64>, call: u64, names: &[&str]) {
    let asked: Vec<_> = replies.iter().map(|entry| &*entry.node.name).collect();
    assert_eq!(asked, names);
    for entry in replies {
        assert_eq!(entry.result, Ok(call * 2));
        wrote(five, call, &entry.node.name);
    }
}

/// Each of the five is in it once, in the same order each time; the pair is silent in it.
fn lacks(five: &Five, replies: &Replies<u64>, call: u64, pair: Pair, time: Duration) {
    let asked: Vec<_> = replies.iter().map(|entry| &*entry.node.name).collect();
    assert_eq!(asked, Five::NAMES);
    for Entry { node, result, elapsed } in replies {
        match result {
            Ok(value) => {
                assert_eq!((pair.contains(&&*node.name), *value), (false, call * 2), "{node}");
                wrote(five, call, &node.name);
            }
            Err(error) => {
                assert!(matches!(error, CallError::Deadline(_)), "{node}: {error:#}");
                assert_eq!(error.executed(), Executed::Unknown, "{node}: {error:#}");
                assert!(pair.contains(&&*node.name), "{node}: {error:#}");
                assert!(*elapsed >= time, "{node} after {elapsed:?}");
            }
        }
    }
}

/// The client knows that only these are there: they alone are asked, and quorums that need more
/// are refused before any call. `most` is whether they are a majority of the five.
async fn without_the_dead(five: &Five, there: &[&str], most: bool) {
    let replica = five.replica().with(|options| options.timeout(PATIENCE));

    let mut refused = vec![five.site().call()];
    let start = Instant::now();
    let result =
        known(five, there, async || replica.put(refused[0]).quorum(at_least(4)).await).await;
    println!("4 of {} were refused after {:?}", there.len(), start.elapsed());
    unreachable(result, there.len(), 4);
    let call = five.site().call();
    five.gate().open(&Five::NAMES, call);
    let start = Instant::now();
    match known(five, there, async || replica.put(call).quorum(majority()).await).await {
        Ok(votes) if most => {
            assert_eq!(voters(five, &votes, call), there.iter().copied().collect());
        }
        result => {
            assert!(!most, "{result:?}");
            println!("most of 5 were refused after {:?}", start.elapsed());
            unreachable(result, there.len(), 3);
            refused.push(call);
        }
    }
    // Had anything been asked, it would have begun before what is asked now.
    let call = five.site().call();
    five.gate().open(&Five::NAMES, call);
    answered(five, &replica.put(call).all().await.unwrap(), call, there);
    for call in refused {
        assert_eq!(five.marks_of_all(Mark::Began, call), 0, "refused, and asked all the same");
    }
}

/// What becomes of a quorum when these are known to be there. On a busy machine one of them may be
/// taken for dead for a while: then it is asked for once more.
async fn known(
    five: &Five,
    there: &[&str],
    quorum: impl AsyncFn() -> Result<Votes<u64>, QuorumError<u64>>,
) -> Result<Votes<u64>, QuorumError<u64>> {
    for _ in 0..100 {
        five.sees(there).await;
        match quorum().await {
            Err(QuorumError::Unreachable { workers, .. }) if workers != there.len() => {}
            result => return result,
        }
    }
    panic!("{there:?} come and go");
}

fn unreachable(result: Result<Votes<u64>, QuorumError<u64>>, live: usize, needed: usize) {
    match result {
        Err(QuorumError::Unreachable { workers, required }) => {
            assert_eq!((workers, required), (live, needed));
        }
        other => panic!("{needed} of {live}: {other:?}"),
    }
}

/// The five are as they were: all answer a call, and nothing came of the calls before but what was
/// told of them.
async fn as_before(five: &Five) {
    five.converges().await;
    let call = five.site().call();
    five.gate().open(&Five::NAMES, call);
    let replica = five.replica().with(|options| options.timeout(PATIENCE));
    answered(five, &replica.put(call).all().await.unwrap(), call, &Five::NAMES);
    for (name, call) in Five::NAMES.iter().flat_map(|name| (1..=call).map(move |call| (name, call)))
    {
        let [began, ended, dropped] =
            [Mark::Began, Mark::Ended, Mark::Dropped].map(|mark| five.marks(name, mark, call));
        assert!(began <= 1 && ended + dropped <= began, "{name}: {call}");
    }
}

async fn killed(pair: Pair) {
    let (_dir, mut five) = five(None).await;
    let mut calls = Calls::begin(&five, SHORT).await;
    for name in pair {
        five.kill(name).await;
    }
    calls.without(&five, pair).await;
    calls.lacking(&five, pair).await;
    without_the_dead(&five, &Five::others(&pair), true).await;
    for name in pair {
        five.restart(name).await;
    }
    as_before(&five).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_five_are_killed() {
    let pairs = pairs();
    join!(killed(pairs[0]), killed(pairs[1]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_two_of_five_are_stopped() {
    let (_dir, five) = five(None).await;
    for (number, pair) in pairs().into_iter().enumerate() {
        // With two of the pairs, the calls end before the stopped ones go on.
        let short = number < 2;
        let mut calls = Calls::begin(&five, if short { SHORT } else { PATIENCE }).await;
        let frozen = join!(five.server(pair[0]).freeze(), five.server(pair[1]).freeze());
        calls.without(&five, pair).await;
        if short {
            calls.lacking(&five, pair).await;
            join!(frozen.0.thaw(), frozen.1.thaw());
        } else {
            join!(frozen.0.thaw(), frozen.1.thaw());
            calls.whole(&five).await;
        }
    }
    as_before(&five).await;
    let nodes = five.client().nodes();
    let late = nodes.iter().map(|node| five.client().mesh().peer(&node.id()).late_replies);
    row(
        15,
        "the same, while two of five processes are stopped",
        "each vote is that of another node, which has done it",
        format!("0 others; {} replies came after their callers had gone", late.sum::<u64>()),
        "40 calls to all, the first, most and four, over all 10 pairs",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_two_of_five_are_cut_off() {
    let (_dir, five) = five(Some(Relay::new())).await;
    for (number, pair) in pairs().into_iter().enumerate() {
        let mut others = Five::others(&pair);
        others.push(Five::CLIENT);
        let short = number < 2;
        let mut calls = Calls::begin(&five, if short { SHORT } else { PATIENCE }).await;
        five.relay().part(&pair, &others);
        calls.without(&five, pair).await;
        if short {
            calls.lacking(&five, pair).await;
            five.relay().heal();
        } else {
            five.relay().heal();
            calls.whole(&five).await;
        }

        // They hear, but are not heard.
        let mut calls = Calls::begin(&five, PATIENCE).await;
        five.relay().cut(&pair, &others);
        calls.without(&five, pair).await;
        five.relay().heal();
        calls.whole(&five).await;

        // They do not hear, but what they say is heard.
        let calls = Calls::begin(&five, PATIENCE).await;
        five.relay().cut(&others, &pair);
        calls.go_on(&five);
        calls.whole(&five).await;
        five.relay().heal();
    }
    as_before(&five).await;
    row(
        15,
        "the same, while two of five processes are cut off, in both directions or one",
        "each vote is that of another node, which has done it",
        "0 others",
        "120 calls to all, the first, most and four, over all 10 pairs",
    );
    assert!(five.relay().stopped() > 0);
    assert_eq!(five.relay().strangers(), 0, "everyone goes by the doors");
}

/// The client is with the three, or with the two.
async fn cut_off_for_long(pair: Pair, with_three: bool) {
    let (_dir, five) = five(Some(Relay::new())).await;
    let three = Five::others(&pair);
    let (there, lost) = if with_three { (&three[..], &pair[..]) } else { (&pair[..], &three[..]) };
    five.relay().part(&[there, &[Five::CLIENT]].concat(), lost);
    without_the_dead(&five, there, with_three).await;
    five.relay().heal();
    as_before(&five).await;
    assert_eq!(five.relay().strangers(), 0, "everyone goes by the doors");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_lasts_has_one_majority_and_heals() {
    let pairs = pairs();
    join!(cut_off_for_long(pairs[2], true), cut_off_for_long(pairs[3], false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_slow_replica_of_a_quorum_is_written_if_stragglers_finish() {
    let (_dir, five) = five(None).await;
    for slow in Five::NAMES {
        for finish in [true, false] {
            let (replica, call) =
                (five.replica().with(|o| o.timeout(PATIENCE)), five.site().call());
            let four = Five::others(&[slow]);
            let quorum = tokio::spawn(async move {
                match finish {
                    true => replica.put_through(call).quorum(at_least(4)).await,
                    false => replica.put(call).quorum(at_least(4)).await,
                }
            });
            let began = async || five.marks_of_all(Mark::Began, call) == 5;
            until("the call begins on each server", began).await;
            five.gate().open(&four, call);
            let votes = quorum.await.unwrap().unwrap();
            assert_eq!(voters(&five, &votes, call), four.into_iter().collect());

            let marks = || {
                let marks = [Mark::Ended, Mark::Dropped];
                marks.map(|mark| five.marks(slow, mark, call))
            };
            if finish {
                five.converges().await;
                assert_eq!(marks(), [0, 0], "{slow} is still at it");
                five.gate().open(&[slow], call);
                until("the slow replica is written", async || marks() == [1, 0]).await;
            } else {
                until("the slow replica gives up", async || marks() == [0, 1]).await;
                five.gate().open(&[slow], call);
                five.converges().await;
                assert_eq!(marks(), [0, 1], "{slow} gave up");
            }
        }
    }
}
