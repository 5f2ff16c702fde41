//! A network that loses one packet in ten.

use std::time::Duration;

use nebula::prelude::*;
use tests::{Figures, row, tier};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::keeper::ShopClient;
use crate::site::Site;

/// Callers at once.
const CALLERS: u64 = 50;

#[tokio::test(start_paused = true)]
async fn a_network_that_loses_one_packet_in_ten_fails_no_call() {
    let calls = tier("CHAOS_CALLS", 2_000);
    let site = Site::start(3).await;
    site.network.loss(0.1);
    site.network.delay(Duration::from_millis(50));
    let callers: JoinSet<_> = (0..CALLERS)
        .map(|caller| {
            let shop = ShopClient::new(&site.client).with(|o| o.timeout(Duration::from_secs(30)));
            async move {
                let mut outcomes = Vec::new();
                for call in (caller..calls).step_by(CALLERS as usize) {
                    let start = Instant::now();
                    // Half of them may run twice.
                    let answer = match call % 2 {
                        0 => shop.look(call, Duration::ZERO).await,
                        _ => shop.write(call, Duration::ZERO).await,
                    };
                    outcomes.push((call, answer, start.elapsed()));
                }
                outcomes
            }
        })
        .collect();
    let outcomes = callers.join_all().await.concat();
    let began: usize = site.servers.iter().map(|(_, keeper)| keeper.count().began).sum();
    let figures = Figures::of(outcomes.iter().map(|(_, _, elapsed)| *elapsed));
    let right =
        |(call, answer, _): &&(u64, Result<u64, CallError>, Duration)| *answer != Ok(call * 2);
    let failed: Vec<_> = outcomes.iter().filter(right).collect();
    row(
        21,
        "10 % of all packets lost, each takes 50 ms",
        "0 failed of 10 000",
        format!("{} failed; {figures}", failed.len()),
        format!("{calls} calls, {began} bodies begun (seed 7)"),
    );
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(outcomes.len() as u64, calls);
}
