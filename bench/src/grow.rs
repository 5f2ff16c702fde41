//! `-- grow`: how the CPU time of a call grows with its payload, with callers, with nodes that could
//! answer it, and with what a node serves.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::Failure;
use crate::args::Args;
use crate::meter::Meter;
use crate::process::{Client, Server};
use crate::report::{between, machine};
use crate::sample::{Sample, Series};

/// Bytes of each request and each reply, by [`SOME`] callers.
const PAYLOADS: [usize; 8] =
    [64, 1 << 10, 4 << 10, 16 << 10, 32 << 10, 64 << 10, 256 << 10, 1 << 20];
/// Callers at once, of 64 B each.
const CALLERS: [usize; 6] = [1, 4, 16, 64, 256, 1024];
/// Nodes that serve the method, all in one process.
const NODES: [usize; 4] = [2, 8, 32, 64];
/// Services of a node, and methods of each of them.
const SERVED: [(usize, usize); 5] = [(1, 1), (16, 1), (256, 1), (1, 16), (1, 256)];
/// Callers at once where something else grows.
const SOME: usize = 16;
/// Bytes where something else grows.
const SMALL: usize = 64;
/// How long a new node is left alone, until it knows all others and they know it.
const SETTLES: Duration = Duration::from_secs(2);
/// Before a turn counts, in milliseconds.
const WARM_UP: u64 = 100;

/// How often each point is measured, and for how long.
#[derive(Clone, Copy, Debug)]
struct Turns {
    rounds: usize,
    millis: u64,
}

/// One client and what it is to do.
struct Point {
    client: Client,
    order: (usize, usize),
    series: Series,
}

/// `grow [--rounds 3] [--slice 400] [--dry]`.
///
/// # Errors
/// A process or a call fails, or the document cannot be written.
pub fn run(mut args: Args) -> Result<(), Failure> {
    let turns = Turns {
        rounds: args.number_option("--rounds", 3)?,
        millis: args.number_option("--slice", 400)?,
    };
    let dry = args.flag("--dry");
    args.end()?;
    let mut all = Vec::new();
    let mut text = String::new();
    for table in [payloads, callers, nodes, served] {
        let (table, samples) = table(turns)?;
        eprintln!("{table}");
        text.push_str(&table);
        all.extend(samples);
    }
    let busy = crate::sample::median(all.iter().map(|sample| sample.others).collect());
    let text = format!(
        "{}; {} turns of {} ms each, medians of each figure. Other programs kept {busy:.2} cores \
         busy in the median turn.\n\n{text}",
        machine::processor(),
        turns.rounds,
        turns.millis,
    );
    println!("{text}");
    if dry {
        return Ok(());
    }
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/performance.md"));
    let old = std::fs::read_to_string(&path)?;
    Ok(std::fs::write(path, between(&old, "grow", &text)?)?)
}

type Table = (String, Vec<Sample>);

fn payloads(turns: Turns) -> Result<Table, Failure> {
    let orders = PAYLOADS.map(|bytes| (SOME, bytes));
    let samples = one_server(turns, &orders)?;
    let mut text = format!(
        "**Payload**, {SOME} callers of a typed method.\n\n| bytes | CPU µs | CPU ns a byte | \
         calls/s | MB/s | p50 µs | p99 µs |\n|---:|---:|---:|---:|---:|---:|---:|\n"
    );
    for (bytes, sample) in PAYLOADS.iter().zip(&samples) {
        let Sample { cpu, per_second, p50, p99, .. } = sample;
        let a_byte = cpu * 1000.0 / *bytes as f64;
        let moved = per_second * *bytes as f64 / 1e6;
        let bytes = size(*bytes);
        let _ = writeln!(
            text,
            "| {bytes} | {cpu:.2} | {a_byte:.2} | {per_second:.0} | {moved:.0} | {p50:.0} | {p99:.0} |"
        );
    }
    text.push('\n');
    Ok((text, samples))
}

fn callers(turns: Turns) -> Result<Table, Failure> {
    let orders = CALLERS.map(|callers| (callers, SMALL));
    let samples = one_server(turns, &orders)?;
    let mut text = format!(
        "**Callers**, {SMALL} B.\n\n| callers | CPU µs | calls/s | p50 µs | p99 µs |\n\
         |---:|---:|---:|---:|---:|\n"
    );
    for (callers, sample) in CALLERS.iter().zip(&samples) {
        let Sample { cpu, per_second, p50, p99, .. } = sample;
        let _ = writeln!(text, "| {callers} | {cpu:.2} | {per_second:.0} | {p50:.0} | {p99:.0} |");
    }
    text.push('\n');
    Ok((text, samples))
}

fn nodes(turns: Turns) -> Result<Table, Failure> {
    let mut text = format!(
        "**Nodes that serve the method**, {SOME} callers, {SMALL} B. They share a process; what it and \
         the client use while nobody calls is taken off, and stands in the last column.\n\n\
         | nodes | a named one, CPU µs | as the policy says, CPU µs | calls/s | idle, CPU ms a second \
         |\n|---:|---:|---:|---:|---:|\n"
    );
    let mut all = Vec::new();
    for nodes in NODES {
        let server = Server::start(&["nebula", &nodes.to_string()], None)?;
        let client = |id| Client::start(id, &server, None);
        let mut points = ["nebula-one", "nebula"]
            .map(|id| Ok(Point::new(client(id)?, (SOME, SMALL))))
            .into_iter()
            .collect::<Result<Vec<_>, Failure>>()?;
        std::thread::sleep(SETTLES);
        // This process sleeps meanwhile, so it adds nothing.
        let pids: Vec<_> =
            server.pids.iter().copied().chain(points.iter().map(|one| one.client.pid())).collect();
        let meter = Meter::with(&pids);
        let mark = meter.mark()?;
        std::thread::sleep(Duration::from_millis(2 * turns.millis));
        let used = meter.since(mark)?;
        let idle = used.cpu.as_secs_f64() / used.lasted.as_secs_f64();
        measure(turns, &mut points)?;
        let cpu: Vec<_> = points
            .iter()
            .map(|point| point.series.median())
            .map(|sample| (sample.cpu - idle * 1e6 / sample.per_second, sample))
            .collect();
        if let [(one, _), (spread, sample)] = cpu[..] {
            let _ = writeln!(
                text,
                "| {nodes} | {one:.2} | {spread:.2} | {:.0} | {:.0} |",
                sample.per_second,
                idle * 1000.0,
            );
        }
        all.extend(cpu.into_iter().map(|(_, sample)| sample));
    }
    text.push('\n');
    Ok((text, all))
}

fn served(turns: Turns) -> Result<Table, Failure> {
    let mut servers = Vec::new();
    let mut points = Vec::new();
    for (services, methods) in SERVED {
        let words = ["--services", &services.to_string(), "--methods", &methods.to_string()];
        let server = Server::start(&[&["macula"], &words[..]].concat(), None)?;
        points.push(Point::new(Client::start("macula", &server, None)?, (SOME, SMALL)));
        servers.push(server);
    }
    std::thread::sleep(SETTLES);
    measure(turns, &mut points)?;
    let mut text = format!(
        "**What a node serves**, {SOME} callers of an untyped method, {SMALL} B.\n\n\
         | services | methods of each | CPU µs | calls/s |\n|---:|---:|---:|---:|\n"
    );
    let samples: Vec<_> = points.iter().map(|point| point.series.median()).collect();
    for ((services, methods), Sample { cpu, per_second, .. }) in SERVED.iter().zip(&samples) {
        let _ = writeln!(text, "| {services} | {methods} | {cpu:.2} | {per_second:.0} |");
    }
    text.push('\n');
    Ok((text, samples))
}

/// Calls of several kinds, in turn, from one client to one server.
fn one_server(turns: Turns, orders: &[(usize, usize)]) -> Result<Vec<Sample>, Failure> {
    let server = Server::start(&["nebula"], None)?;
    let mut client = Client::start("nebula", &server, None)?;
    let mut all = vec![Series::default(); orders.len()];
    for _ in 0..turns.rounds {
        for (series, order) in all.iter_mut().zip(orders) {
            series.push(turn(&mut client, *order, turns.millis)?);
        }
    }
    Ok(all.iter().map(Series::median).collect())
}

impl Point {
    fn new(client: Client, order: (usize, usize)) -> Self {
        Self { client, order, series: Series::default() }
    }
}

fn measure(turns: Turns, points: &mut [Point]) -> Result<(), Failure> {
    for _ in 0..turns.rounds {
        for point in &mut *points {
            point.series.push(turn(&mut point.client, point.order, turns.millis)?);
        }
    }
    Ok(())
}

fn turn(client: &mut Client, order: (usize, usize), millis: u64) -> Result<Sample, Failure> {
    let (callers, bytes) = order;
    client.order(&format!("run {callers} {bytes} {WARM_UP}"))?;
    client.order(&format!("run {callers} {bytes} {millis}"))?.parse()
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}
