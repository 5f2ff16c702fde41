//! The same calls by all candidates, in turn, so that whatever else the machine does meets all of
//! them alike.

use super::workload::{WORKLOADS, Workload};
use super::{Plan, Results};
use crate::Failure;
use crate::peers::Candidate;
use crate::process::{Client, Server};

/// How long each candidate runs a workload before it counts.
const WARM_UP: u128 = 100;

struct Pair {
    candidate: &'static Candidate,
    // The client ends first.
    client: Client,
    _server: Server,
}

/// Runs the workloads that are for one core, or those that are not.
///
/// # Errors
/// Nobody takes part. What one candidate fails in is said and left out.
pub fn run(plan: &Plan, results: &mut Results, core: Option<usize>) -> Result<(), Failure> {
    let mut pairs = Vec::new();
    for candidate in &plan.candidates {
        match pair(candidate, core) {
            Ok(pair) => pairs.push(pair),
            Err(error) => {
                results.absent.push((candidate.id, format!("{error}")));
                eprintln!("        {} does not start: {error}", candidate.id);
            }
        }
    }
    if pairs.is_empty() {
        return Err("no candidate takes part".into());
    }
    for workload in WORKLOADS.iter().filter(|workload| workload.pinned == core.is_some()) {
        eprintln!("        {}", workload.title);
        turns(plan, results, &mut pairs, workload);
    }
    Ok(())
}

fn pair(candidate: &'static Candidate, core: Option<usize>) -> Result<Pair, Failure> {
    let server = Server::start(&[candidate.id], core)?;
    let client = Client::start(candidate.id, &server, core)?;
    Ok(Pair { candidate, client, _server: server })
}

fn turns(plan: &Plan, results: &mut Results, pairs: &mut [Pair], workload: &Workload) {
    let mut able: Vec<_> = pairs.iter_mut().filter(|one| workload.suits(one.candidate)).collect();
    let failed = |pair: &Pair, error: Failure| {
        eprintln!("        {} fails: {error}", pair.candidate.id);
        false
    };
    able.retain_mut(|pair| match pair.client.order(&workload.order(WARM_UP)) {
        Ok(_) => true,
        Err(error) => failed(pair, error),
    });
    for _ in 0..plan.rounds {
        able.retain_mut(|pair| {
            let order = workload.order(plan.slice.as_millis());
            match pair.client.order(&order).and_then(|line| line.parse()) {
                Ok(sample) => {
                    let key = (workload.id, pair.candidate.id);
                    results.calls.entry(key).or_default().push(sample);
                    true
                }
                Err(error) => failed(pair, error),
            }
        });
    }
}
