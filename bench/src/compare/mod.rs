//! `-- compare`: all candidates in turn under all workloads, and what only nodes have.

pub mod calls;
pub mod fanout;
pub mod lossy;
pub mod once;
pub mod targets;
pub mod workload;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::local::{self, Local};
use crate::peers::{CANDIDATES, Candidate, nats};
use crate::report;
use crate::sample::Series;
use crate::{Failure, micro, role};

use fanout::Fanout;
use lossy::Lossy;

/// The parts of a comparison, in the order in which they run.
const PARTS: [&str; 8] = ["calls", "pinned", "connect", "idle", "fanout", "start", "loss", "local"];

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How often each candidate has its turn.
    pub rounds: usize,
    /// How long a turn lasts.
    pub slice: Duration,
    /// Who takes part.
    pub candidates: Vec<&'static Candidate>,
    /// Which parts.
    pub parts: Vec<String>,
    /// How many idle connections to keep.
    pub idle: usize,
    /// How many idle nodes, where peers are nodes: each of them gossips with all others, so that
    /// in one process far fewer of them find room.
    pub idle_nodes: usize,
    /// Whether the documents stay as they are.
    pub dry: bool,
}

/// What was measured; what was not is missing.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// Calls, by the ids of workload and candidate.
    pub calls: BTreeMap<(&'static str, &'static str), Series>,
    /// Connections with their first call, by candidate.
    pub connect: BTreeMap<&'static str, Series>,
    /// KiB of the server for an idle peer, and how many there were, by candidate.
    pub idle: BTreeMap<&'static str, (f64, usize)>,
    /// One node, all, and a quorum.
    pub fanout: Option<Fanout>,
    /// From the start of a process to the first answer to its node, in microseconds.
    pub start: Option<f64>,
    /// Calls over a bad way.
    pub lossy: Option<Lossy>,
    /// Calls within the process.
    pub local: Option<Local>,
    /// Allocations of such a call.
    pub allocations: Option<usize>,
    /// Who did not take part, and why.
    pub absent: Vec<(&'static str, String)>,
}

impl Plan {
    fn read(mut args: Args) -> Result<Self, Failure> {
        let quick = args.flag("--quick");
        let (rounds, slice, idle, nodes) =
            if quick { (2, 250, 200, 50) } else { (5, 500, 1000, 100) };
        let list = |text: String| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let only = args.option("--only").map(list);
        let parts = args.option("--part").map(list);
        let all = || PARTS.map(str::to_owned).to_vec();
        let plan = Self {
            rounds: args.number_option("--rounds", rounds)?,
            slice: Duration::from_millis(args.number_option("--slice", slice)?),
            idle: args.number_option("--idle", idle)?,
            idle_nodes: args.number_option("--idle-nodes", nodes)?,
            candidates: CANDIDATES
                .iter()
                .filter(|one| match &only {
                    Some(ids) => ids.iter().any(|id| id == one.id),
                    None => !one.extra,
                })
                .collect(),
            parts: parts.unwrap_or_else(all),
            dry: args.flag("--dry"),
        };
        args.end()?;
        match plan.parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
            Some(part) => Err(format!("no part `{part}`, but {}", PARTS.join(", ")).into()),
            None => Ok(plan),
        }
    }
}

/// Measures, prints and writes.
///
/// # Errors
/// A word is wrong, or a measurement that all others rest on fails.
pub fn run(args: Args) -> Result<(), Failure> {
    let mut plan = Plan::read(args)?;
    let mut results = Results::default();
    if !nats::is_present() {
        plan.candidates.retain(|one| one.id != "nats");
        results.absent.push(("nats", "no `nats-server` on the path or in NATS_SERVER".into()));
    }
    let began = Instant::now();
    for part in PARTS.iter().filter(|part| plan.parts.iter().any(|wanted| wanted == *part)) {
        eprintln!("{:4.0} s  {part}", began.elapsed().as_secs_f64());
        let measured = match *part {
            "calls" => calls::run(&plan, &mut results, None),
            "pinned" => calls::run(&plan, &mut results, Some(0)),
            "connect" => once::connect(&plan, &mut results),
            "idle" => once::idle(&plan, &mut results),
            "fanout" => fanout::run(&plan, &mut results),
            "start" => once::start(&plan, &mut results),
            "loss" => lossy::run(&plan, &mut results),
            _ => local(&mut results),
        };
        if let Err(error) = measured {
            eprintln!("        {part} ended early: {error}");
        }
    }
    eprintln!("{:4.0} s  done", began.elapsed().as_secs_f64());
    report::publish(&plan, &results)
}

fn local(results: &mut Results) -> Result<(), Failure> {
    results.local = Some(role::runtime()?.block_on(local::measure())?);
    results.allocations = Some(micro::local_allocations()?);
    Ok(())
}
