//! A cluster of twenty processes under steady calls and steady churn: `soak [SECONDS]`, an hour
//! unless said. It prints a line a sample, and in the end by how much memory grew in an hour, and
//! whether that is at most one percent.
//!
//! Four of the servers are killed or asked to leave in turn, and come back where they were. The
//! others and the client, which is this process, run all the time: memory and tasks are theirs.
//! `SOAK_SERVERS` (19), `SOAK_RATE` (100 calls a second) and `SOAK_EVERY` (10 seconds from one
//! departure to the next) change what they have to bear. It needs the program `node` beside it, and Linux.
//!
//! It fails if a call failed that may run twice, and if calls are still under way, or more tasks are
//! alive than before, once nobody calls any more. The slope, that of the second half, is for people:
//! in a short run it says little, so its standard error is printed with it. (Samples a minute apart
//! are not independent, so the error is rather larger than that.) Of resident memory, which the
//! allocator keeps, and of what of the heap is in use; a leak shows in both.

use std::alloc::System;
use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use nebula::Node;
use nebula::prelude::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tests::{LedgerClient, PATIENCE, Process, Site, Work, heap_kib, row, tier, until};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SECOND: Duration = Duration::from_secs(1);
/// How many servers come and go.
const CHURN: usize = 4;
const TIMEOUT: Duration = Duration::from_secs(15);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(3600), |text| text.parse())?;
    let time = Duration::from_secs(seconds);
    let servers = tier("SOAK_SERVERS", 19).max(CHURN as u64 + 1) as usize;
    let dir = std::env::temp_dir().join(format!("soak-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let site = Site::new(&dir, std::env::current_exe()?.with_file_name("node"));
    let soaked = soak(&site, time, servers).await;
    fs::remove_dir_all(&dir)?;
    soaked
}

async fn soak(site: &Site, time: Duration, servers: usize) -> Result<(), Box<dyn Error>> {
    let mut stay = Vec::new();
    for n in 0..servers {
        stay.push(site.serve(&format!("s{n:02}")).await);
    }
    let node = site.node("client").start().await?;
    let names: Vec<_> = stay.iter().map(|server| server.name().to_owned()).collect();
    site.sees(&node, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let go = stay.split_off(servers - CHURN);
    let tasks = settled(&node, &stay, None).await;

    let (calls, stop) = (Arc::<Calls>::default(), Arc::<AtomicBool>::default());
    let caller = tokio::spawn(call(site.clone(), node.clone(), calls.clone(), stop.clone()));
    let sampling = sample(site, &node, &stay, &calls, time);
    let sampling = async {
        let samples = sampling.await;
        stop.store(true, Relaxed);
        samples
    };
    let (mut samples, (departures, go)) = tokio::join!(sampling, churn(site, &node, go, &stop));
    caller.await?;
    let everybody: Vec<_> = names.iter().map(String::as_str).collect();
    site.sees(&node, &everybody).await;
    let after = settled(&node, &stay, Some(tasks)).await;

    let warm = time.as_secs_f64() / 3600.0 / 2.0;
    samples.retain(|sample| sample.hours >= warm);
    println!("{departures} departures; {} samples after the first half", samples.len());
    let mut figures = Vec::new();
    for (name, of) in [
        ("resident memory of a server", Sample::server as fn(&Sample) -> f64),
        ("its heap", Sample::server_heap),
        ("resident memory of the client", Sample::client),
        ("its heap", Sample::heap),
    ] {
        let points: Vec<_> = samples.iter().map(|sample| (sample.hours, of(sample))).collect();
        let (mean, slope, error) = slope(&points);
        println!("{name}: {mean:.0} KiB, {slope:+.0} ± {error:.0} KiB an hour");
        let [slope, error] = [slope, error].map(|change| 100.0 * change / mean);
        figures.push(format!("{name} {slope:+.2} ± {error:.2} %/h: {}", verdict(slope, error)));
    }
    row(
        24,
        "an hour of calls of all kinds with churn",
        "memory ≤ 1 %/h, tasks as before",
        format!("{}; tasks {tasks} before, {after} after", figures.join("; ")),
        format!(
            "{} calls in {} s, {} processes, {departures} departures",
            calls.made.load(Relaxed),
            time.as_secs(),
            servers + 1,
        ),
    );
    println!("tasks: {tasks} before, {after} after, on {} nodes", stay.len() + 1);
    for server in stay.into_iter().chain(go) {
        server.kill().await;
    }
    match calls.failed.load(Relaxed) {
        0 => Ok(()),
        failed => Err(format!("{failed} calls that may run twice failed").into()),
    }
}

/// Looks at the processes that stay, 360 times in all, at least every minute and at most every two
/// seconds: memory goes up and down, and the more samples, the better its slope is known.
async fn sample(
    site: &Site,
    node: &Node,
    stay: &[Process],
    calls: &Calls,
    time: Duration,
) -> Vec<Sample> {
    let start = Instant::now();
    let every = (time / 360).clamp(2 * SECOND, 60 * SECOND);
    let mut samples = Vec::new();
    println!(
        "seconds | calls | failed: idempotent, others | a server KiB, of which in use | client KiB, of which in use | tasks"
    );
    while start.elapsed() < time {
        sleep_until(start + every * (samples.len() as u32 + 1)).await;
        let resident: u64 = stay.iter().filter_map(|server| resident_kib(server.pid())).sum();
        let sample = Sample {
            hours: start.elapsed().as_secs_f64() / 3600.0,
            server: resident as f64 / stay.len() as f64,
            server_heap: stay.iter().filter_map(|server| site.heap_kib(server.name())).sum::<f64>()
                / stay.len() as f64,
            client: resident_kib(std::process::id()).unwrap_or_default() as f64,
            heap: heap_kib(&HEAP.stats()),
        };
        println!(
            "{} | {} | {}, {} | {:.0}, {:.0} | {:.0}, {:.0} | {}",
            start.elapsed().as_secs(),
            calls.made.load(Relaxed),
            calls.failed.load(Relaxed),
            calls.failed_once.load(Relaxed),
            sample.server,
            sample.server_heap,
            sample.client,
            sample.heap,
            alive(node, stay).map_or("?".to_owned(), |alive| alive.tasks.to_string()),
        );
        samples.push(sample);
    }
    samples
}

/// What became of the calls so far.
#[derive(Debug, Default)]
struct Calls {
    made: AtomicU64,
    /// Of those that may run twice.
    failed: AtomicU64,
    /// Of those that must not: their servers are killed while they run.
    failed_once: AtomicU64,
}

/// Makes calls of all kinds, at a steady rate.
async fn call(site: Site, node: Node, calls: Arc<Calls>, stop: Arc<AtomicBool>) {
    let rate = tier("SOAK_RATE", 100).clamp(1, 10_000);
    let mut ticks = interval(SECOND / rate as u32);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut under_way = JoinSet::new();
    let ms = Duration::from_millis;
    for number in 0_u64.. {
        if stop.load(Relaxed) {
            break;
        }
        ticks.tick().await;
        while under_way.try_join_next().is_some() {}
        let (site, node, calls) = (site.clone(), node.clone(), Arc::clone(&calls));
        under_way.spawn(async move {
            let ledger = LedgerClient::new(&node).with(|options| options.timeout(TIMEOUT));
            let work = match number % 20 {
                // Who was just killed does not answer such a call, which is no failure of it.
                0 => return drop(ledger.whoami().timeout(SECOND).all().await),
                1 => return drop(ledger.whoami().timeout(SECOND).quorum(majority()).await),
                2 => {
                    let bytes = vec![7; 100_000];
                    let reversed = ledger.reversed(bytes).await.is_ok();
                    calls.failed.fetch_add(u64::from(!reversed), Relaxed);
                    calls.made.fetch_add(1, Relaxed);
                    return;
                }
                3..8 => Work::AddSlowly(ms(20)),
                8..14 => Work::FindSlowly(ms(20)),
                _ => Work::Find,
            };
            let outcome = work.once(&site, &node, TIMEOUT).await;
            calls.made.fetch_add(1, Relaxed);
            if let Err(error) = &outcome.result {
                let failed = if outcome.idempotent { &calls.failed } else { &calls.failed_once };
                failed.fetch_add(1, Relaxed);
                if outcome.idempotent {
                    eprintln!("{error:#}");
                }
            }
        });
    }
    under_way.join_all().await;
}

/// Has servers leave in turn, one killed, the next in order, and come back. How many left, and the
/// servers in the end.
async fn churn(
    site: &Site,
    node: &Node,
    mut go: Vec<Process>,
    stop: &AtomicBool,
) -> (u32, Vec<Process>) {
    let every = Duration::from_secs(tier("SOAK_EVERY", 10));
    let (start, mut departures) = (Instant::now(), 0);
    while !stop.load(Relaxed) {
        let server = go.remove(0);
        let (name, addr) = (server.name().to_owned(), server.addr());
        if departures % 2 == 0 {
            server.kill().await;
        } else {
            server.leave().await;
        }
        departures += 1;
        let back = site.serve_at(&name, addr).await;
        site.reaches(node, &back).await;
        go.push(back);
        sleep_until(start + every * departures).await;
    }
    (departures, go)
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    hours: f64,
    server: f64,
    server_heap: f64,
    client: f64,
    heap: f64,
}

impl Sample {
    fn server(&self) -> f64 {
        self.server
    }

    fn server_heap(&self) -> f64 {
        self.server_heap
    }

    fn client(&self) -> f64 {
        self.client
    }

    fn heap(&self) -> f64 {
        self.heap
    }
}

/// What the nodes that stay say of themselves, and the client.
#[derive(Clone, Copy, Debug, Default)]
struct Alive {
    tasks: u64,
    calls: u64,
}

/// `None` while one of them has not said it yet.
fn alive(node: &Node, stay: &[Process]) -> Option<Alive> {
    let nodes = node.nodes();
    let mut sum = Alive::default();
    for name in stay.iter().map(Process::name).chain(["client"]) {
        let info = nodes.by_name(name)?;
        let runtime = info.runtime()?;
        sum.tasks += u64::from(runtime.tasks);
        sum.calls += u64::from(runtime.in_flight) + u64::from(runtime.queued);
    }
    Some(sum)
}

/// Waits until no calls are under way, and until no more tasks are alive than `most`, if that is
/// given. How many are.
async fn settled(node: &Node, stay: &[Process], most: Option<u64>) -> u64 {
    let mut tasks = 0;
    let start = Instant::now();
    until("the nodes come to rest", async || {
        let Some(alive) = alive(node, stay) else { return false };
        tasks = alive.tasks;
        // What they say of themselves is a few seconds old.
        let said = start.elapsed() > PATIENCE / 5;
        said && alive.calls == 0 && most.is_none_or(|most| tasks <= most)
    })
    .await;
    tasks
}

/// The resident memory of a process in KiB; `None` once it has gone.
fn resident_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Whether that is at most one percent, as far as two standard errors allow to say.
fn verdict(slope: f64, error: f64) -> &'static str {
    match () {
        () if slope + 2.0 * error <= 1.0 => "met",
        () if slope - 2.0 * error > 1.0 => "missed",
        // A short run has not seen enough.
        () => "cannot be told",
    }
}

/// The mean of the points, the slope of the line that fits them best, and its standard error.
fn slope(points: &[(f64, f64)]) -> (f64, f64, f64) {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let slope = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>() / spread;
    let rest: f64 = points.iter().map(|point| (point.1 - y - slope * (point.0 - x)).powi(2)).sum();
    (y, slope, (rest / (count - 2.0) / spread).sqrt())
}

#[cfg(test)]
mod tests_of_figures {
    use super::*;

    #[test]
    fn a_line_has_its_slope_and_no_error() {
        let points: Vec<_> = (0..10).map(|n| (f64::from(n), 100.0 + 3.0 * f64::from(n))).collect();
        let (mean, slope, error) = slope(&points);
        assert!((mean - 113.5).abs() < 1e-9 && (slope - 3.0).abs() < 1e-9 && error < 1e-6);
    }

    #[test]
    fn one_percent_is_met_missed_or_not_known() {
        let words = [(0.5, 0.2), (-3.0, 1.0), (0.5, 0.3), (1.5, 0.3), (1.5, 0.2), (f64::NAN, 0.0)];
        let words = words.map(|(slope, error)| verdict(slope, error));
        let unknown = "cannot be told";
        assert_eq!(words, ["met", "met", unknown, unknown, "missed", unknown]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory_and_no_process_has_none() {
        assert!(resident_kib(std::process::id()).unwrap() > 100);
        assert_eq!(resident_kib(u32::MAX), None);
    }
}
