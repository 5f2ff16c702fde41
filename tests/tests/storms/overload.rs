//! A service that gets twice the calls that it can run does as much as it ever could, and refuses the
//! rest at once.

use std::time::Duration;

use nebula::call::Executed;
use nebula::prelude::*;
use tests::{Figures, tier};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::keeper::{PLACES, SEATS, ShopClient};
use crate::site::{PATIENCE, Site};

const MS: Duration = Duration::from_millis(1);
const WORK: Duration = Duration::from_millis(20);

#[tokio::test(start_paused = true)]
async fn at_twice_its_load_a_service_does_what_it_can_and_refuses_the_rest_at_once() {
    let time = Duration::from_secs(tier("CHAOS_SECONDS", 8));
    let site = Site::start(1).await;
    site.network.delay(MS);
    let (server, keeper) = &site.servers[0];
    let shop = ShopClient::new(&site.client).with(|o| o.timeout(PATIENCE));

    // As many callers as there are places and seats: nothing stands idle, and none is refused.
    let end = Instant::now() + time;
    let callers: JoinSet<_> = (0..PLACES + SEATS)
        .map(|_| {
            let shop = shop.clone();
            async move {
                let mut done = 0_usize;
                while Instant::now() < end {
                    assert_eq!(shop.write(1, WORK).await, Ok(2));
                    done += 1;
                }
                done
            }
        })
        .collect();
    let peak: usize = callers.join_all().await.iter().sum();

    // Twice that, at a steady rate.
    let began = keeper.count().began;
    let mut ticks = interval(5 * MS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut calls, mut queued) = (JoinSet::new(), 0);
    let start = Instant::now();
    while start.elapsed() < time {
        ticks.tick().await;
        let due = start.elapsed().mul_f64(2.0 * peak as f64).div_duration_f64(time) as usize;
        while calls.len() < due {
            let (shop, start) = (shop.clone(), Instant::now());
            calls.spawn(async move { (shop.write(1, WORK).await, start.elapsed()) });
        }
        queued = queued.max(server.mesh().serving() - keeper.count().running);
    }
    let offered = calls.len();
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for (answer, elapsed) in calls.join_all().await {
        match answer {
            Ok(answer) => {
                assert_eq!(answer, 2);
                done.push(elapsed);
            }
            Err(error) => {
                assert!(matches!(error, CallError::Overloaded { .. }), "{error:#}");
                assert_eq!(error.executed(), Executed::No);
                refused.push(elapsed);
            }
        }
    }
    sleep(WORK).await;
    let count = keeper.count();
    let (share, refusals) = (done.len() * 100 / peak, Figures::of(refused));
    let accepted = Figures::of(done.iter().copied());
    println!(
        "| 20 | peak {peak}, of {offered} offered {} done ({share} %) | at most {} ran, {queued} waited \
         | done: {accepted} | refused: {refusals} |",
        done.len(),
        count.most,
    );
    assert_eq!(count.began - began, done.len(), "what was refused did not run");
    assert_eq!((count.most, count.running), (PLACES, 0));
    assert!(queued <= SEATS, "{queued} waited");
    assert!(share >= 90, "{share} % of what it does at its best");
    // On this clock a refusal takes its way there and back, and nothing else.
    assert!(refusals.longest() < 5 * MS, "{refusals}");
    // Who is let in waits for those before, and then runs.
    assert!(accepted.longest() < 5 * WORK, "{accepted}");
}
