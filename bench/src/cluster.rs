//! `-- cluster`: what a node costs that nobody calls, in clusters of several sizes.
//!
//! Bytes are counted where they cannot depend on the machine: all nodes run in this process, on a
//! network in memory and a paused clock. CPU time is that of processes of their own, on loopback.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use macula::{MemoryNetwork, Sent, Traffic};
use nebula::prelude::*;
use tokio::time::sleep;

use crate::Failure;
use crate::args::Args;
use crate::meter::cpu_time;
use crate::peers::nebula::Parrot;
use crate::process::Server;
use crate::report::{between, machine};

const COOKIE: &str = "for measurements in memory only";
/// How many nodes are seeds of all others.
const SEEDS: u16 = 3;
/// How long a datagram takes.
const WAY: Duration = Duration::from_millis(1);
/// How long a cluster is left alone before it is measured: connections that were made for joining
/// have ended then.
const SETTLES: Duration = Duration::from_secs(60);
/// What UDP and IPv4 add to a datagram.
const HEADERS: f64 = 28.0;
/// The target of the first line below the table.
const MOST: f64 = 4096.0;

/// What each node of a cluster sends in a second.
#[derive(Clone, Copy, Debug)]
struct Row {
    nodes: usize,
    membership: f64,
    directory: f64,
    facts: f64,
    messages: f64,
    /// All of it as it travels.
    wire: f64,
    datagrams: f64,
    dials: f64,
    connections: f64,
}

/// `cluster [--nodes 10,100,1000] [--seconds 30] [--processes 20] [--dry]`.
///
/// # Errors
/// A node or a process does not start, or the document cannot be written.
pub fn run(mut args: Args) -> Result<(), Failure> {
    let sizes = args.option("--nodes").unwrap_or_else(|| "10,100,1000".to_owned());
    let seconds = args.number_option("--seconds", 30)?;
    let processes = args.number_option("--processes", 20)?;
    let dry = args.flag("--dry");
    args.end()?;
    let mut text =
        "| nodes | membership | directory | facts | together | messages | on the wire | \
                    packets | new connections | connections |\n"
            .to_owned();
    text.push_str(&format!("|---:|{}\n", "---:|".repeat(9)));
    for size in sizes.split(',') {
        let row = quiet(size.parse()?, Duration::from_secs(seconds))?;
        eprintln!("        {row:?}");
        let _ = writeln!(
            text,
            "| {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} | {:.0} | {:.1} | {:.2} | {:.1} |",
            row.nodes,
            row.membership,
            row.directory,
            row.facts,
            row.membership + row.directory + row.facts,
            row.messages,
            row.wire,
            row.datagrams,
            row.dials,
            row.connections,
        );
    }
    if processes > 0 {
        let (cpu, others) = idle(processes, Duration::from_secs(seconds))?;
        let _ = writeln!(
            text,
            "\n{processes} processes, one node each, on {}: {cpu:.2} ms of CPU time for each node \
             and second; other programs kept {others:.2} cores busy.",
            machine::processor(),
        );
    }
    println!("{text}");
    match target_of(&text) {
        Some((met, measured)) => println!("{measured}: {}", if met { "met" } else { "not met" }),
        None => println!("the target needs --nodes 100,1000"),
    }
    if dry {
        return Ok(());
    }
    let path = document();
    let old = std::fs::read_to_string(&path)?;
    Ok(std::fs::write(path, between(&old, "cluster", &text)?)?)
}

/// The target of gossip, by what was measured last and stands in the document.
pub fn target() -> Option<(bool, String)> {
    let text = std::fs::read_to_string(document()).ok()?;
    let (_, rest) = text.split_once("<!-- cluster: begin -->")?;
    target_of(rest.split_once("<!-- cluster: end -->")?.0)
}

fn target_of(table: &str) -> Option<(bool, String)> {
    let together = |nodes: &str| -> Option<f64> {
        let mut rows = table.lines().map(|line| line.split('|').map(str::trim));
        rows.find_map(|mut cells| cells.nth(1).filter(|cell| *cell == nodes).and(cells.nth(3)))?
            .parse()
            .ok()
    };
    let (hundred, thousand) = (together("100")?, together("1000")?);
    let ratio = thousand / hundred;
    let met = thousand <= MOST && (0.8..=1.2).contains(&ratio);
    Some((met, format!("{:.2} KiB/s, {ratio:.2} × that of 100", thousand / 1024.0)))
}

fn document() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/performance.md"))
}

/// A cluster in which nothing happens, for so long.
fn quiet(nodes: usize, lasts: Duration) -> Result<Row, Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    runtime.block_on(async {
        let network = MemoryNetwork::new(1);
        network.delay(WAY);
        let all = started(&network, nodes).await?;
        sleep(SETTLES).await;
        let before = (sum(&all), network.sent());
        sleep(lasts).await;
        let after = (sum(&all), network.sent());
        let each = |count: fn(&(Traffic, Sent)) -> u64| {
            (count(&after) - count(&before)) as f64 / nodes as f64 / lasts.as_secs_f64()
        };
        let connections: usize = all.iter().map(|node| node.mesh().connections()).sum();
        let datagrams = each(|(_, sent)| sent.messages);
        let row = Row {
            nodes,
            membership: each(|(traffic, _)| traffic.membership.bytes),
            directory: each(|(traffic, _)| traffic.directory.bytes),
            facts: each(|(traffic, _)| traffic.facts.bytes),
            messages: each(|(traffic, _)| {
                let all = [traffic.membership, traffic.directory, traffic.facts];
                all.iter().map(|sent| sent.messages).sum()
            }),
            wire: each(|(_, sent)| sent.bytes) + HEADERS * datagrams,
            datagrams,
            dials: each(|(traffic, _)| traffic.dials),
            connections: connections as f64 / nodes as f64,
        };
        // Without goodbyes, which would take longer than all the rest.
        all.iter().for_each(|node| node.mesh().abort());
        Ok(row)
    })
}

async fn started(network: &MemoryNetwork, nodes: usize) -> Result<Vec<Node>, Failure> {
    let addr = |n: u16| {
        let [high, low] = n.to_be_bytes();
        SocketAddr::from(([10, 0, high, low], 7000))
    };
    let mut all = Vec::with_capacity(nodes);
    for n in 0..u16::try_from(nodes)? {
        let mut node = Node::builder(format!("node-{n}")).cookie(COOKIE).serve(Parrot);
        for seed in 0..SEEDS.min(n) {
            node = node.seed(addr(seed).to_string());
        }
        all.push(node.memory(network.clone(), addr(n)).start().await?);
    }
    for node in &all {
        let known = || node.mesh().view();
        while known().nodes().len() < nodes || !known().is_complete() {
            sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(all)
}

fn sum(nodes: &[Node]) -> Traffic {
    let mut sum = Traffic::default();
    let add = |sum: &mut Sent, one: Sent| {
        sum.messages += one.messages;
        sum.bytes += one.bytes;
    };
    for traffic in nodes.iter().map(|node| node.mesh().traffic()) {
        add(&mut sum.membership, traffic.membership);
        add(&mut sum.directory, traffic.directory);
        add(&mut sum.facts, traffic.facts);
        sum.dials += traffic.dials;
    }
    sum
}

/// The CPU time that each of so many processes with a node takes in a second, in milliseconds, and how
/// many cores others kept busy meanwhile.
fn idle(processes: usize, lasts: Duration) -> Result<(f64, f64), Failure> {
    let first = Server::start(&["nebula", "1"], None)?;
    let seed = first.addr.clone();
    let mut all = vec![first];
    for _ in 1..processes {
        all.push(Server::start(&["nebula", "1", &seed], None)?);
    }
    let pids: Vec<_> = all.iter().flat_map(|server| server.pids.clone()).collect();
    std::thread::sleep(Duration::from_secs(10));
    let used = || pids.iter().map(|pid| cpu_time(*pid)).sum::<Result<Duration, _>>();
    let meter = crate::meter::Meter::with(&pids);
    let (mark, before) = (meter.mark()?, used()?);
    std::thread::sleep(lasts);
    let (since, after) = (meter.since(mark)?, used()?);
    let cpu = after.saturating_sub(before).as_secs_f64() * 1000.0;
    Ok((cpu / processes as f64 / lasts.as_secs_f64(), since.others))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_read_from_the_table() {
        let table = "| nodes | a | b | c | together |\n| 100 | 1 | 2 | 3 | 3000 | 9 |\n\
                     | 1000 | 1 | 2 | 3 | 3072 | 9 |\n";
        let (met, text) = target_of(table).unwrap();
        assert!(met);
        assert_eq!(text, "3.00 KiB/s, 1.02 × that of 100");
        assert!(!target_of(&table.replace("3072", "4097")).unwrap().0);
        assert!(!target_of(&table.replace("3072", "3700")).unwrap().0);
        assert_eq!(target_of("| 100 | 1 | 2 | 3 | 3000 |"), None);
    }
}
