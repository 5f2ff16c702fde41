//! Callers that give up at any moment leave nothing behind.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use nebula::Node;
use nebula::nodes::Policy;
use nebula::prelude::*;
use tests::{Figures, row, tier};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::keeper::{PLACES, SEATS, ShopClient};
use crate::site::{PATIENCE, Site, until};

const MS: Duration = Duration::from_millis(1);
/// Callers at once.
const CALLERS: u64 = 150;

/// Knuth's generator: moments are to differ, not to be secret.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// A future that is dropped after so many polls.
struct Polls<F>(Pin<Box<F>>, u64);

impl<F: Future> Future for Polls<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        if self.1 == 0 {
            return Poll::Ready(None);
        }
        self.1 -= 1;
        let polls = self.1;
        match self.0.as_mut().poll(task) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polls == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Waits for a call until it is given up at some moment. What came of it, if anything did.
async fn given_up<C: IntoFuture>(call: C, draw: &mut Draw) -> Option<C::Output> {
    let call = call.into_future();
    match draw.below(8) {
        0 => Some(call.await),
        1..4 => Polls(Box::pin(call), draw.below(6)).await,
        _ => timeout(Duration::from_micros(draw.below(15_000)), call).await.ok(),
    }
}

/// One call of any kind. Whether it ended before it was given up.
async fn call(node: &Node, call: u64, draw: &mut Draw) -> bool {
    let shop = ShopClient::new(node).with(|o| o.policy(Policy::Random).timeout(PATIENCE));
    let wait = Duration::from_micros(draw.below(9_000));
    let twice = |answer: &u64| assert_eq!(*answer, call * 2, "the reply to another call");
    match draw.below(8) {
        0 => given_up(shop.write(call, wait).all(), draw).await.is_some(),
        1 => given_up(shop.read(call, wait).first(), draw).await.is_some(),
        2 => given_up(shop.write(call, wait).quorum(at_least(2)), draw).await.is_some(),
        3 => given_up(shop.look(call, wait).hedge(), draw).await.is_some(),
        4 | 5 => {
            let made = given_up(shop.read(call, wait), draw).await;
            made.is_some_and(|answer| answer.inspect(twice).is_ok())
        }
        _ => {
            let made = given_up(shop.write(call, wait), draw).await;
            made.is_some_and(|answer| answer.inspect(twice).is_ok())
        }
    }
}

/// One call that takes a place on this server for a second.
async fn hold(client: Node, server: Node, write: bool) -> Result<u64, CallError> {
    let shop = ShopClient::new(&client).with(|o| o.timeout(PATIENCE));
    match write {
        true => shop.write(1, 1000 * MS).to(server.id()).await,
        false => shop.read(1, 1000 * MS).to(server.id()).await,
    }
}

/// Of each method, on each server, all places and all seats can be taken, and no more than those.
async fn all_places_are_there(site: &Site) {
    for (server, keeper) in &site.servers {
        for write in [true, false] {
            let one = || hold(site.client.clone(), server.clone(), write);
            let calls: JoinSet<_> = (0..PLACES + SEATS).map(|_| one()).collect();
            until("all have come", || server.mesh().serving() == PLACES + SEATS).await;
            assert_eq!(keeper.count().running, PLACES, "on {}", server.name());
            let error = one().await.unwrap_err();
            assert!(matches!(error, CallError::Overloaded { .. }), "{error:#}");
            for answer in calls.join_all().await {
                assert_eq!(answer, Ok(2));
            }
        }
    }
}

/// Nothing runs, waits or is waited for.
async fn quiet(site: &Site) {
    until("nothing runs", || {
        let peers = |node: &Node| {
            site.nodes().map(|peer| node.mesh().peer(&peer.id()).in_flight).sum::<usize>()
        };
        let waited_for: usize = site.nodes().map(peers).sum();
        let serving: usize = site.nodes().map(|node| node.mesh().serving()).sum();
        let running: usize = site.servers.iter().map(|(_, keeper)| keeper.count().running).sum();
        waited_for + serving + running == 0
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn callers_that_give_up_at_any_moment_leave_nothing_behind() {
    let cancels = tier("CHAOS_CANCELS", 10_000);
    let site = Site::start(3).await;
    site.network.delay(MS);
    all_places_are_there(&site).await;
    quiet(&site).await;
    let tasks = Handle::current().metrics().num_alive_tasks();

    // Some call from afar, some from a node that serves.
    let callers: JoinSet<_> = (0..CALLERS)
        .map(|caller| {
            let servers = site.servers.iter().map(|(node, _)| node);
            let nodes: Vec<_> = servers.chain([&site.client, &site.client]).cloned().collect();
            let node = nodes[caller as usize % nodes.len()].clone();
            async move {
                let (mut draw, mut given_up) = (Draw(caller), 0_u64);
                while given_up < cancels.div_ceil(CALLERS) {
                    let number = draw.below(1 << 30);
                    given_up += u64::from(!call(&node, number, &mut draw).await);
                    sleep(Duration::from_micros(draw.below(3_000))).await;
                }
                given_up
            }
        })
        .collect();
    let given_up: u64 = callers.join_all().await.iter().sum();
    quiet(&site).await;
    until("all tasks have ended", || Handle::current().metrics().num_alive_tasks() <= tasks).await;
    let counts: Vec<_> = site.servers.iter().map(|(_, keeper)| keeper.count()).collect();
    let began: usize = counts.iter().map(|count| count.began).sum();
    let ended: usize = counts.iter().map(|count| count.ended).sum();
    all_places_are_there(&site).await;
    quiet(&site).await;
    row(
        19,
        "callers that give up leave nothing behind",
        "0 places leaked",
        "0 running, 0 queued, 0 awaited, no more tasks than before; all places and seats free",
        format!("{given_up} calls given up, {began} bodies begun, {ended} ended"),
    );
    assert!(began > ended, "none was given up while it ran");
}

/// Of a call that is given up while it runs: how long it goes on running.
#[tokio::test(start_paused = true)]
async fn a_body_stops_soon_after_its_caller_has_given_up() {
    const WAY: Duration = Duration::from_millis(50);
    let calls = tier("CHAOS_STOPS", 300);
    let site = Site::start(1).await;
    site.network.delay(WAY);
    let (_, keeper) = &site.servers[0];
    let shop = ShopClient::new(&site.client).with(|o| o.timeout(PATIENCE));
    let mut count = keeper.watch();
    let (mut draw, mut stops) = (Draw(19), Vec::new());
    for number in 0..calls {
        let call = shop.write(number, PATIENCE / 2).into_future();
        // It runs from 50 ms on, and would for half a minute.
        let moment = 2 * WAY + Duration::from_micros(draw.below(1_000_000));
        assert!(timeout(moment, call).await.is_err());
        let gone = Instant::now();
        assert_eq!(count.borrow_and_update().running, 1);
        count.wait_for(|count| count.running == 0).await.unwrap();
        stops.push(gone.elapsed());
    }
    let stops = Figures::of(stops);
    row(
        19,
        "a body stops after its caller has gone",
        "≤ 2 RTT + 100 ms = 300 ms",
        &stops,
        format!("{calls} calls, RTT 100 ms (seed 19)"),
    );
    assert!(stops.longest() <= 4 * WAY + 100 * MS, "{stops}");
    quiet(&site).await;
}
