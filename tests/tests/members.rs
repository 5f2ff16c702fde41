//! How soon everybody knows that a node has left, and can use one that is back: clusters of ten on a
//! paused clock, over links of 10 ms. `MEMBERS_ROUNDS` makes it longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use macula::MemberEvent;
use nebula::prelude::*;
use nebula::testing::{Cluster, TestNode, ms};
use tests::{Figures, row, tier};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// From one probe of a member to the next: the unit in which membership is judged.
const T: Duration = Duration::from_secs(1);
const NODES: usize = 10;
const SEED: u64 = 5;

#[service(global)]
trait Lives {
    /// Which life of its node this is.
    #[api(idempotent)]
    async fn life(&self) -> u64;
}

struct Life(u64);

impl Lives for Life {
    async fn life(&self) -> u64 {
        self.0
    }
}

/// Ten nodes, each of which tells the number of its life.
async fn ten(cluster: &mut Cluster) -> Vec<TestNode> {
    let mut nodes = Vec::new();
    for n in 0..NODES {
        let lives = Arc::<AtomicU64>::default();
        let fresh = move || Life(lives.fetch_add(1, Ordering::Relaxed) + 1);
        nodes.push(cluster.node(format!("n{n}")).serve_fresh(fresh).start().await);
    }
    cluster.everywhere().delay(ms(10));
    cluster.settle().await;
    nodes
}

/// When the last of the others is told that this node is gone, once something is done.
async fn known_everywhere(
    nodes: &[TestNode],
    gone: &TestNode,
    act: impl Future<Output = ()>,
) -> Duration {
    let id = gone.id();
    let others = nodes.iter().filter(|node| node.id() != id);
    let told: JoinSet<_> = others
        .map(|node| {
            let mut events = node.mesh().watch_members();
            async move {
                while events.recv().await.expect("events") != MemberEvent::Down(id) {}
                Instant::now()
            }
        })
        .collect();
    let begun = Instant::now();
    act.await;
    let told = told.join_all().await;
    assert_eq!(told.len(), NODES - 1);
    told.into_iter().max().expect("others") - begun
}

/// When the last of the others has had an answer of this life, counted from now.
async fn usable_everywhere(nodes: &[TestNode], back: &TestNode, life: u64) -> Duration {
    let (begun, id) = (Instant::now(), back.id());
    let others = nodes.iter().filter(|node| node.id() != id);
    let answered: JoinSet<_> = others
        .map(|node| {
            let lives = LivesClient::new(node).with(|o| o.timeout(T / 4));
            async move {
                while lives.life().to(id).await != Ok(life) {
                    sleep(ms(10)).await;
                }
                Instant::now()
            }
        })
        .collect();
    answered.join_all().await.into_iter().max().expect("others") - begun
}

#[tokio::test(start_paused = true)]
async fn a_node_that_leaves_is_known_to_have_left_by_everybody_within_two_periods() {
    let rounds = tier("MEMBERS_ROUNDS", 7);
    let mut cluster = Cluster::new(SEED);
    let mut nodes = ten(&mut cluster).await;
    let mut times = Vec::new();
    for round in 0..rounds as usize {
        let leaving = nodes[round % NODES].clone();
        let leave = async { cluster.shutdown(&leaving).await.expect("nothing runs there") };
        times.push(known_everywhere(&nodes, &leaving, leave).await);
        nodes[round % NODES] = cluster.restart(&leaving).await;
        cluster.settle().await;
    }
    let times = Figures::of(times);
    let sample = format!("{rounds} departures from a cluster of {NODES} (seed {SEED})");
    row(5, "an orderly end is known everywhere", "≤ 2 T = 2 s", &times, sample);
    assert!(times.longest() <= 2 * T, "{times}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_back_with_its_key_is_usable_by_everybody_within_three_periods() {
    let rounds = tier("MEMBERS_ROUNDS", 7);
    let mut cluster = Cluster::new(SEED + 1);
    let mut nodes = ten(&mut cluster).await;
    let mut lives = [1; NODES];
    let mut times = Vec::new();
    for round in 0..rounds as usize {
        let (place, victim) = (round % NODES, nodes[round % NODES].clone());
        cluster.kill(&victim);
        // At once, before anybody has noticed; while it is suspected; and when it is given up.
        sleep(T.mul_f64([0.0, 0.7, 1.6, 3.0, 4.5, 6.0, 20.0][round % 7])).await;
        lives[place] += 1;
        let begun = Instant::now();
        let back = cluster.restart(&victim).await;
        let started = begun.elapsed();
        let usable = usable_everywhere(&nodes, &back, lives[place]).await;
        times.push(started + usable);
        nodes[place] = back;
        // From then on nobody goes back to the life before.
        let incarnation = nodes[place].mesh().record(&victim.id()).expect("its own").incarnation;
        for _ in 0..20 {
            sleep(T).await;
            for node in &nodes {
                let record = node.mesh().record(&victim.id()).expect("a member");
                assert!(record.incarnation >= incarnation, "an old life is back");
            }
        }
        cluster.settle().await;
    }
    let times = Figures::of(times);
    let sample = format!("{rounds} crashes in a cluster of {NODES} (seed {})", SEED + 1);
    row(6, "a node restarted with its key is usable by all", "≤ 3 T = 3 s", &times, sample);
    assert!(times.longest() <= 3 * T, "{times}");
}
