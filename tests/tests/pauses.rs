//! Eleven processes, one of which stands still for a while again and again, each time for less than
//! it takes to be given up, while calls go on: nobody may take one of the others for dead.
//!
//! A process that wakes finds its own questions unanswered, and must not blame those that it asked.
//! `PAUSES_SECONDS` makes it longer. In the end one leaves and one is killed and restarted, which
//! gives figures and is judged elsewhere, on a paused clock.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tests::{Figures, Load, Members, Process, Seen, Site, Work, row, tier, until};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);
const SEED: u64 = 4;
const NAMES: [&str; 10] = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"];
/// The one in ten that stands still.
const SLOW: usize = 7;

/// Knuth's generator: moments are to differ, not to be secret.
struct Draw(u64);

impl Draw {
    fn between(&mut self, from: Duration, to: Duration) -> Duration {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        from + (to - from).mul_f64((self.0 >> 33) as f64 / (1_u64 << 31) as f64)
    }
}

/// Watches how late this process itself is: on a machine that stands still, so do they all.
struct Lateness(JoinHandle<()>, Arc<Mutex<Duration>>);

impl Lateness {
    fn watch() -> Self {
        let longest = Arc::<Mutex<Duration>>::default();
        let of_it = longest.clone();
        let task = tokio::spawn(async move {
            loop {
                let start = Instant::now();
                sleep(SECOND / 20).await;
                let late = start.elapsed().saturating_sub(SECOND / 20);
                let mut longest = of_it.lock().unwrap();
                *longest = late.max(*longest);
            }
        });
        Self(task, longest)
    }

    fn longest(self) -> Duration {
        self.0.abort();
        *self.1.lock().unwrap()
    }
}

/// What each of the servers, and the client, has learned.
fn seen(site: &Site) -> Vec<Vec<Seen>> {
    let names = NAMES.iter().chain(&["client"]);
    names.map(|name| Members::read(&site.members(), name)).collect()
}

/// How many of the others have learned that this node is gone, since they had learned so much.
fn gone(site: &Site, before: &[Vec<Seen>], id: &str) -> usize {
    let after = seen(site);
    let since = after.iter().zip(before).map(|(after, before)| &after[before.len()..]);
    since.filter(|seen| seen.iter().any(|seen| !seen.up && seen.id == id)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_taken_for_dead_because_another_one_stands_still() {
    let time = Duration::from_secs(tier("PAUSES_SECONDS", 1));
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path(), env!("CARGO_BIN_EXE_node"));
    let node = site.node("client").start().await.unwrap();
    Members::write(&node, &site.members()).unwrap();
    let mut servers: Vec<Process> = site.serve_all(NAMES).await.into();
    site.sees(&node, &NAMES).await;
    until("each knows all the others", async || {
        let up = |seen: &[Seen]| seen.iter().map(|seen| seen.id.clone()).collect::<BTreeSet<_>>();
        seen(&site).iter().all(|seen| up(seen).len() == NAMES.len() + 1)
    })
    .await;

    let before = seen(&site);
    let load = Load::start(&site, &node, 100, Work::Find, 15 * SECOND);
    let (lateness, mut draw, mut blocks) = (Lateness::watch(), Draw(SEED), Vec::new());
    let start = Instant::now();
    while start.elapsed() < time {
        let frozen = servers[SLOW].freeze().await;
        // It is suspected after a period of a second at least, and then has three seconds and more to
        // say no: about half of them before it is asked on its connection.
        let block = draw.between(SECOND / 2, 7 * SECOND / 2);
        sleep(block).await;
        frozen.thaw().await;
        blocks.push(block);
        sleep(draw.between(SECOND / 2, 3 * SECOND / 2)).await;
    }
    let outcomes = load.stop().await;
    // A suspicion that was on its way has come to its end.
    sleep(6 * SECOND).await;
    let late = lateness.longest();

    let slow = servers[SLOW].id().to_owned();
    let after = seen(&site);
    let since = after.iter().zip(&before).flat_map(|(after, before)| &after[before.len()..]);
    let dead: Vec<_> = since.filter(|seen| !seen.up).collect();
    let healthy = dead.iter().filter(|seen| seen.id != slow).count();
    let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
    row(
        4,
        "1 in 10 processes stands still (SIGSTOP) for less than its time to be given up",
        "0 healthy processes taken for dead",
        format!(
            "{healthy} healthy ones taken for dead, {} times the slow one; {failed} of {} calls \
             failed",
            dead.len() - healthy,
            outcomes.len(),
        ),
        format!(
            "11 processes, {} blocks of 0.5 to 3.5 s in {} s (seed {SEED})",
            blocks.len(),
            start.elapsed().as_secs(),
        ),
    );
    assert_eq!(healthy, 0, "{dead:?}; this process was late by {late:?} at most");
    assert!(failed == 0 && !blocks.is_empty());

    // One leaves.
    let before = seen(&site);
    let leaving = servers.remove(0);
    let (id, begun) = (leaving.id().to_owned(), Instant::now());
    leaving.leave().await;
    let exited = begun.elapsed();
    until("all know that it left", async || gone(&site, &before, &id) == NAMES.len()).await;
    row(
        5,
        "an orderly end of a process is known everywhere",
        "≤ 2 T = 2 s",
        Figures::of([begun.elapsed()]),
        format!("1 departure from 11 processes; it had exited after {} ms", exited.as_millis()),
    );

    // One is killed, and back at once.
    let victim = servers.remove(0);
    let (name, addr) = (victim.name().to_owned(), victim.addr());
    victim.kill().await;
    let begun = Instant::now();
    let back = site.serve_at(&name, addr).await;
    let started = begun.elapsed();
    site.reaches(&node, &back).await;
    row(
        6,
        "a process restarted with its key is usable by the client",
        "≤ 3 T = 3 s",
        Figures::of([begun.elapsed()]),
        format!("1 crash among 11 processes; it was ready after {} ms", started.as_millis()),
    );
}
