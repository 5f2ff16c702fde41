//! A service that gets twice the calls that it can run does as much as it ever could, and refuses the
//! rest at once.

use std::time::Duration;

use nebula::call::Executed;
use nebula::prelude::*;
use tests::{Figures, row, tier};
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

    // Nobody else is there.
    let mut idle = Vec::new();
    for _ in 0..100 {
        let start = Instant::now();
        assert_eq!(shop.write(1, WORK).await, Ok(2));
        idle.push(start.elapsed());
    }
    let idle = Figures::of(idle);

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
    let times = accepted.permille(990).div_duration_f64(idle.permille(990));
    row(
        20,
        "twice the load it can bear, on a paused clock",
        "goodput ≥ 90 %, refused in < 5 ms, queue ≤ 16, p99 of what is done ≤ 3 × idle",
        format!(
            "{share} %; refused: longest {:.1} ms of {}; at most {} ran and {queued} waited; p99 is \
             {times:.2} × idle",
            refusals.longest().as_secs_f64() * 1000.0,
            offered - done.len(),
            count.most,
        ),
        format!("{offered} calls in {} s, {} done", time.as_secs(), done.len()),
    );
    assert_eq!(count.began - began, done.len(), "what was refused did not run");
    assert_eq!((count.most, count.running), (PLACES, 0));
    assert!(queued <= SEATS, "{queued} waited");
    assert!(share >= 90, "{share} % of what it does at its best");
    // On this clock a refusal takes its way there and back, and nothing else.
    assert!(refusals.longest() < 5 * MS, "{refusals}");
    // Who is let in waits for those before, and then runs.
    assert!(accepted.longest() < 5 * WORK, "{accepted}");
    assert!(times <= 3.0, "{accepted}; idle: {idle}");
}
