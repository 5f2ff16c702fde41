//! `-- instructions`: how many instructions an operation takes, counted by valgrind's callgrind,
//! which the load of the machine does not change. Held against `instructions.txt`, so that what was
//! made fast stays so.
//!
//! Each operation runs in a process of its own, with two counts of repetitions; what starting costs
//! is in both, and falls out of the difference.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use bytes::Bytes;
use futures_util::future::join_all;
use macula::MemoryNetwork;
use nebula::prelude::*;
use tokio::runtime::Runtime;

use crate::Failure;
use crate::args::Args;
use crate::local::{Counter, CounterClient, SELECTORS, Up, chained, node, thousand};
use crate::peers::Peer;
use crate::peers::nebula::Nebula;
use crate::views;

/// The operations, and how often each is repeated.
const OPERATIONS: [(&str, u32); 16] = [
    ("direct", 10_000),
    ("local", 10_000),
    ("served-here", 5_000),
    ("chain-none", 5_000),
    ("chain-before-1", 5_000),
    ("chain-before-7", 5_000),
    ("chain-around-1", 5_000),
    ("snapshot", 10_000),
    ("selector-parse", 1_000),
    ("selector-match", 20),
    ("news-10", 200),
    ("news-100", 100),
    ("news-1000", 20),
    ("remote-64", 500),
    ("remote-64-by-64", 30),
    ("remote-64k", 30),
];
/// By how much a count may exceed the one in the file, as a share. Remote calls depend on how the
/// packets of a run happen to be cut.
const TOLERANCE: f64 = 0.03;
const TOLERANCE_REMOTE: f64 = 0.08;

/// `instructions [--accept]`.
///
/// # Errors
/// Valgrind is missing, or an operation takes more instructions than the file says.
pub fn run(mut args: Args) -> Result<(), Failure> {
    let accept = args.flag("--accept");
    args.end()?;
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt"));
    let known = read(&std::fs::read_to_string(&path).unwrap_or_default())?;
    let (mut lines, mut over) = (String::new(), Vec::new());
    println!("| operation | instructions | before | |");
    println!("|---|---:|---:|---|");
    for (name, times) in OPERATIONS {
        let (few, many) = (instructions(name, times)?, instructions(name, 3 * times)?);
        let each = many.saturating_sub(few) as f64 / f64::from(2 * times);
        let before = known.get(name).copied();
        let allowed = if name.starts_with("remote") { TOLERANCE_REMOTE } else { TOLERANCE };
        let verdict = match before {
            Some(before) if each > before * (1.0 + allowed) => {
                over.push(name);
                "more"
            }
            Some(before) if each < before * (1.0 - allowed) => "less",
            Some(_) => "",
            None => "new",
        };
        let before = before.map_or("–".to_owned(), |before| format!("{before:.0}"));
        println!("| {name} | {each:.0} | {before} | {verdict} |");
        lines.push_str(&format!("{name} {each:.0}\n"));
    }
    if accept {
        return Ok(std::fs::write(path, lines)?);
    }
    match over.as_slice() {
        [] => Ok(()),
        names => Err(format!(
            "{} take more instructions than instructions.txt says; if that is meant to be, run \
             `instructions --accept`",
            names.join(", ")
        )
        .into()),
    }
}

fn read(text: &str) -> Result<BTreeMap<String, f64>, Failure> {
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs.map(|(name, count)| Ok((name.to_owned(), count.trim().parse()?))).collect()
}

/// The instructions of a process that repeats an operation so often.
fn instructions(name: &str, times: u32) -> Result<u64, Failure> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--"])
        .arg(std::env::current_exe()?)
        .args(["count", name, &times.to_string()])
        .stdout(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind does not start: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find_map(|line| line.split_once("Collected :"));
    match line {
        Some((_, count)) if output.status.success() => Ok(count.trim().parse()?),
        _ => Err(format!("`count {name}` fails under valgrind:\n{text}").into()),
    }
}

/// `count OPERATION TIMES`: what runs under valgrind. One thread and virtual time, so that equal
/// runs do equal work.
///
/// # Errors
/// There is no such operation, or a node does not start.
pub fn count(mut args: Args) -> Result<(), Failure> {
    let name = args.next().ok_or("which operation?")?;
    let times: u32 = args.number("the number of times")?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    match name.as_str() {
        "snapshot" | "selector-parse" | "selector-match" => knowledge(&runtime, &name, times),
        _ if name.starts_with("news-") || name.starts_with("rebuild-") => {
            views::count(&name, times)
        }
        "direct" | "local" | "served-here" => runtime.block_on(here(&name, times)),
        "chain-none" => runtime.block_on(through(0, false, times)),
        "chain-before-1" => runtime.block_on(through(1, false, times)),
        "chain-before-7" => runtime.block_on(through(7, false, times)),
        "chain-around-1" => runtime.block_on(through(0, true, times)),
        "remote-64" => runtime.block_on(remote(times, 1, 64)),
        "remote-64-by-64" => runtime.block_on(remote(times, 64, 64)),
        "remote-64k" => runtime.block_on(remote(times, 1, 64 << 10)),
        _ => Err(format!("there is no operation `{name}`").into()),
    }
}

fn knowledge(runtime: &Runtime, name: &str, times: u32) -> Result<(), Failure> {
    let [.., text] = SELECTORS;
    let selector: Selector = text.parse().map_err(|_| "a selector that does not parse")?;
    let (node, nodes) = (runtime.block_on(node())?, thousand());
    for _ in 0..times {
        match name {
            "snapshot" => drop(black_box(node.nodes())),
            "selector-parse" => drop(black_box(black_box(text).parse::<Selector>())),
            _ => drop(black_box(nodes.matching(black_box(&selector)).count())),
        }
    }
    Ok(())
}

async fn here(name: &str, times: u32) -> Result<(), Failure> {
    let (alone, node) = (CounterClient::local(Up), node().await?);
    let served = CounterClient::new(&node);
    for n in 0..u64::from(times) {
        let n = black_box(n);
        black_box(match name {
            "direct" => Up.next(n).await,
            "local" => alone.next(n).await?,
            _ => served.next(n).await?,
        });
    }
    Ok(())
}

/// Calls of a service here, through so many `before` hooks and perhaps an `around` hook.
async fn through(before: usize, wraps: bool, times: u32) -> Result<(), Failure> {
    let node = chained(before, wraps).await?;
    let served = CounterClient::new(&node);
    for n in 0..u64::from(times) {
        black_box(served.next(black_box(n)).await?);
    }
    Ok(())
}

/// Both ends of calls over a network in memory, so many at once: the whole way but the kernel.
async fn remote(times: u32, callers: usize, bytes: usize) -> Result<(), Failure> {
    let network = MemoryNetwork::new(1);
    let addr = |n: u8| SocketAddr::from(([10, 0, 0, n], 7000));
    let _server = Nebula::serve_in_memory(&network, addr(1)).await?;
    let client = Nebula::in_memory(&network, addr(2), addr(1)).await?;
    client.knows(1).await?;
    let payload = Bytes::from(vec![7; bytes]);
    // Until the size of packets has settled.
    for _ in 0..20 {
        client.echo(payload.clone()).await?;
    }
    for _ in 0..times {
        for reply in join_all((0..callers).map(|_| client.echo(payload.clone()))).await {
            reply?;
        }
    }
    Ok(())
}
