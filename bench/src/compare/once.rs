//! What happens once in the life of a connection or a node.

use super::{Plan, Results};
use crate::Failure;
use crate::peers::macula::MANY;
use crate::process::{Client, Process, Server};
use crate::sample::median;

/// How many nodes are started.
const STARTS: usize = 9;

/// Connections with their first call.
///
/// # Errors
/// None: what one candidate fails in is said and left out.
pub fn connect(plan: &Plan, results: &mut Results) -> Result<(), Failure> {
    let nodes = MANY.to_string();
    let pair = |id| {
        let server = Server::start(&[id, &nodes], None)?;
        Ok::<_, Failure>((id, Client::start(id, &server, None)?, server))
    };
    let mut pairs = Vec::new();
    for candidate in plan.candidates.iter().filter(|one| one.many) {
        match pair(candidate.id) {
            Ok(pair) => pairs.push(pair),
            Err(error) => eprintln!("        {} does not start: {error}", candidate.id),
        }
    }
    let order = format!("connect {}", plan.slice.as_millis());
    for _ in 0..plan.rounds {
        for (id, client, _server) in &mut pairs {
            match client.order(&order).and_then(|line| line.parse()) {
                Ok(sample) => results.connect.entry(id).or_default().push(sample),
                Err(error) => eprintln!("        {id} fails: {error}"),
            }
        }
    }
    Ok(())
}

/// How much memory of a server goes with each peer that only stays connected.
///
/// # Errors
/// None: what one candidate fails in is said and left out.
pub fn idle(plan: &Plan, results: &mut Results) -> Result<(), Failure> {
    for candidate in plan.candidates.iter().filter(|one| one.many) {
        let peers = if candidate.nodes { plan.idle_nodes } else { plan.idle };
        eprintln!("        {peers} of {}", candidate.id);
        match grown(candidate.id, peers) {
            Ok(kib) => {
                results.idle.insert(candidate.id, (kib, peers));
            }
            Err(error) => eprintln!("        {} fails: {error}", candidate.id),
        }
    }
    Ok(())
}

fn grown(id: &str, peers: usize) -> Result<f64, Failure> {
    let server = Server::start(&[id], None)?;
    let mut client = Client::start(id, &server, None)?;
    Ok(client.order(&format!("idle {peers}"))?.parse()?)
}

/// The time from the first line of a process to the first answer that its node got.
///
/// # Errors
/// A process fails.
pub fn start(_: &Plan, results: &mut Results) -> Result<(), Failure> {
    let server = Server::start(&["nebula"], None)?;
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let mut process = Process::start(&["start", &server.addr], None)?;
        times.push(process.line()?.parse()?);
    }
    results.start = Some(median(times));
    Ok(())
}
