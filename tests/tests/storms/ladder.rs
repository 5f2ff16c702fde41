//! Links from good to very bad.

use std::time::Duration;

use macula::Faults;
use nebula::CallError;
use nebula::call::Executed;
use tests::{Figures, row, tier};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::keeper::ShopClient;
use crate::site::Site;

/// Callers at once.
const CALLERS: u64 = 20;
const DEADLINE: Duration = Duration::from_secs(30);

/// A kind of link, in both directions.
struct Step {
    name: &'static str,
    faults: Faults,
    /// Between all nodes, or else between the client and the others.
    everywhere: bool,
    /// Whether the members may take one of them for dead now and then: a probe that is answered
    /// after half a second is late, and bursts take those that ask others along.
    gives_up: bool,
}

/// The steps, from the best. Bursts are outages of the way, not of a number of packets: those would
/// last the longer the less is sent.
fn ladder() -> [Step; 7] {
    let step = |name, way: u64, jitter: u64| {
        let ms = Duration::from_millis;
        (name, Faults::none().delay(ms(way)).jitter(ms(jitter)))
    };
    let very_bad = "very bad uplink: 450 ms, 8 % lost in bursts of 400 ms";
    let all = [
        (step("good: 16 ms there and back, 0.1 % lost", 8, 0), 0.001, 0, true),
        (step("mobile: 90 ms, 2 % lost", 40, 10), 0.02, 0, true),
        (step("poor: 200 ms, 3 % lost, 3 % out of order", 85, 30), 0.03, 0, true),
        (step("bad: 300 ms, 5 % lost in bursts of 100 ms", 130, 40), 0.05, 100, true),
        (step(very_bad, 225, 0), 0.08, 400, false),
        (step("the same between all nodes", 225, 0), 0.08, 400, true),
        (step("the same uplink with 450 ms one way", 450, 0), 0.08, 400, false),
    ];
    all.map(|((name, faults), lost, burst, everywhere)| {
        let faults = match burst {
            0 => faults.loss(lost).reorder(lost, Duration::from_millis(30)),
            burst => faults.outages(lost, Duration::from_millis(burst)),
        };
        Step { name, faults, everywhere, gives_up: burst > 0 }
    })
}

/// What came of a call, and when.
type Outcome = (u64, Result<u64, CallError>, Duration);

/// Makes so many calls over such links. Half of them may run twice.
async fn climb(step: &Step, calls: u64) -> Vec<Outcome> {
    let site = Site::start(3).await;
    let client = site.client.local_addr();
    for (from, to) in site.nodes().flat_map(|a| site.nodes().map(move |b| (a, b))) {
        let (from, to) = (from.local_addr(), to.local_addr());
        if step.everywhere || from == client || to == client {
            site.network.link_faults(from, to, |_| step.faults);
        }
    }
    let callers: JoinSet<_> = (0..CALLERS)
        .map(|caller| {
            let shop = ShopClient::new(&site.client).with(|o| o.timeout(DEADLINE));
            async move {
                let mut outcomes = Vec::new();
                for call in (caller..calls).step_by(CALLERS as usize) {
                    let start = Instant::now();
                    let answer = match may_run_twice(call) {
                        true => shop.look(call, Duration::ZERO).await,
                        false => shop.write(call, Duration::ZERO).await,
                    };
                    outcomes.push((call, answer, start.elapsed()));
                }
                outcomes
            }
        })
        .collect();
    callers.join_all().await.concat()
}

#[tokio::test(start_paused = true)]
async fn every_call_ends_in_time_on_links_from_good_to_very_bad() {
    let calls = tier("CHAOS_LADDER", 200);
    for step in ladder() {
        let outcomes = climb(&step, calls).await;
        let figures = Figures::of(outcomes.iter().map(|(_, _, elapsed)| *elapsed));
        let failed = outcomes.iter().filter(|(call, answer, _)| *answer != Ok(call * 2));
        let (twice, once): (Vec<_>, Vec<_>) = failed.partition(|(call, ..)| may_run_twice(*call));
        row(
            21,
            step.name,
            "100 % end by a deadline of 30 s, 0 that may run twice fail",
            format!(
                "{} that may run twice failed, {} others \"may have run\"; {figures}",
                twice.len(),
                once.len(),
            ),
            format!("{calls} calls (seed 7)"),
        );
        assert!(twice.is_empty(), "{}: {twice:#?}", step.name);
        // A node that is taken for dead loses what it was asked.
        let lost = |(_, answer, _): &&Outcome| {
            answer.as_ref().is_err_and(|error| error.executed() == Executed::Unknown)
        };
        assert!(once.iter().all(lost), "{}: {once:#?}", step.name);
        assert!(once.is_empty() || step.gives_up, "{}: {once:#?}", step.name);
        assert_eq!(outcomes.len() as u64, calls);
        assert!(figures.longest() <= DEADLINE, "{}: {figures}", step.name);
    }
}

fn may_run_twice(call: u64) -> bool {
    (call / CALLERS).is_multiple_of(2)
}
