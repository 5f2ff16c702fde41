use std::fmt::Write;

use crate::compare::Results;
use crate::compare::targets;
use crate::compare::workload::{WORKLOADS, Workload};
use crate::peers::CANDIDATES;
use crate::sample::Sample;

/// From how many bytes on a workload is given in MB/s too.
const BODIES: usize = 4 << 10;

/// All tables but that of the targets.
pub fn figures(results: &Results) -> String {
    let mut text = String::new();
    for workload in &WORKLOADS {
        calls(&mut text, results, workload);
    }
    connections(&mut text, results);
    nodes(&mut text, results);
    text
}

fn calls(text: &mut String, results: &Results, workload: &Workload) {
    if !results.calls.keys().any(|(id, _)| *id == workload.id) {
        return;
    }
    let raw = results.sample(workload.id, "quinn").unwrap_or_default();
    let bodies = workload.bytes >= BODIES;
    let (head, rule) = if bodies { (" MB/s |", "---:|") } else { ("", "") };
    let _ = writeln!(text, "### {}\n", workload.title);
    let _ = writeln!(
        text,
        "| candidate | calls/s |{head} p50 µs | p99 µs | CPU µs | ± | server, client MiB | \
         calls/s to raw | CPU to raw |"
    );
    let _ = writeln!(text, "|---|---:|{rule}---:|---:|---:|---:|---:|---:|---:|");
    for candidate in CANDIDATES {
        let Some(series) = results.calls.get(&(workload.id, candidate.id)) else {
            if workload.suits(candidate) {
                continue;
            }
            let cells = " – |".repeat(if bodies { 9 } else { 8 });
            let _ = writeln!(text, "| {} |{cells}", candidate.name);
            continue;
        };
        let sample = series.median();
        let rate = sample.per_second * workload.bytes as f64 / 1e6;
        let rate = if bodies { format!(" {rate:.0} |") } else { String::new() };
        let _ = writeln!(
            text,
            "| {} | {} |{rate} {} | {} | {} | {:.0} % | {:.0}, {:.0} | {} | {} |",
            candidate.name,
            thousands(sample.per_second),
            figure(sample.p50),
            figure(sample.p99),
            figure(sample.cpu),
            series.spread() * 100.0,
            sample.server_memory,
            sample.client_memory,
            over(sample.per_second, raw.per_second),
            over(sample.cpu, raw.cpu),
        );
    }
    text.push('\n');
}

fn connections(text: &mut String, results: &Results) {
    if results.connect.is_empty() && results.idle.is_empty() {
        return;
    }
    let _ = writeln!(text, "### Connections\n");
    let _ = writeln!(
        text,
        "| candidate | over | connect + first call, p50 µs | p99 µs | to raw | \
         KiB of the server for an idle peer, of {} |",
        results.idle_peers
    );
    let _ = writeln!(text, "|---|---|---:|---:|---:|---:|");
    let raw = results.connect.get("quinn").map_or(Sample::default(), |series| series.median());
    for candidate in CANDIDATES {
        let connect = results.connect.get(candidate.id).map(|series| series.median());
        let idle = results.idle.get(candidate.id);
        if connect.is_none() && idle.is_none() {
            continue;
        }
        let sample = connect.unwrap_or_default();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            candidate.name,
            candidate.over,
            figure(sample.p50),
            figure(sample.p99),
            over(sample.p50, raw.p50),
            idle.map_or("–".to_owned(), |kib| format!("{kib:.1}")),
        );
    }
    text.push('\n');
}

/// What only nodes have.
fn nodes(text: &mut String, results: &Results) {
    let mut rows = Vec::new();
    if let Some(fanout) = &results.fanout {
        let one = fanout.one.median();
        let ways = [("one of 5 nodes", &fanout.one), ("`.all()` of 5", &fanout.all)];
        for (what, series) in ways.into_iter().chain([("a quorum of 3 of 5", &fanout.quorum)]) {
            let sample = series.median();
            let figures = format!(
                "{} calls/s, p50 {} µs, p99 {} µs, CPU {} µs ({} × one)",
                thousands(sample.per_second),
                figure(sample.p50),
                figure(sample.p99),
                figure(sample.cpu),
                over(sample.cpu, one.cpu),
            );
            rows.push((format!("{what}, 16 callers"), figures));
        }
    }
    if let Some(lossy) = &results.lossy {
        let ways = [
            ("nebula", lossy.nebula),
            ("raw quinn, a stream per call", lossy.streams),
            ("raw quinn, one stream", lossy.one),
        ];
        for (who, tail) in ways {
            let what = format!("1 % loss, 20 ms, 64 callers: {who}");
            rows.push((what, format!("p50 {:.1} ms, p99 {:.1} ms", tail.p50, tail.p99)));
        }
    }
    if let Some(start) = results.start {
        let text = format!("{:.1} ms", start / 1000.0);
        rows.push(("start of a process to the first answer to its node".to_owned(), text));
    }
    if let Some(local) = results.local {
        let mut row = |what: &str, text: String| rows.push((what.to_owned(), text));
        row("a method called directly", format!("{:.1} ns", local.direct));
        row("through `CounterClient::local(..)`", format!("{:.1} ns", local.client));
        row("through a node that serves it", format!("{:.1} ns", local.node));
        row("a selector over 1,000 nodes", format!("{:.1} µs", local.selector / 1000.0));
    }
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(text, "### Nodes\n\n| what | measured |\n|---|---|");
    for (what, figures) in rows {
        let _ = writeln!(text, "| {what} | {figures} |");
    }
}

/// The table of the targets.
pub fn targets(results: &Results) -> String {
    let mut text = "| what | target | measured | |\n|---|---|---|---|\n".to_owned();
    for target in targets::targets(results) {
        let met = match target.met {
            Some(true) => "met",
            Some(false) => "**not met**",
            None => "–",
        };
        let _ = writeln!(text, "| {} | {} | {} | {met} |", target.what, target.goal, target.measured);
    }
    text
}

/// Three digits that mean something.
fn figure(value: f64) -> String {
    let digits = match value {
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// A count with its thousands apart.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

fn over(value: f64, raw: f64) -> String {
    if raw > 0.0 && value > 0.0 { format!("{:.2}", value / raw) } else { "–".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_readable() {
        assert_eq!([0.5, 12.34, 123.4].map(figure), ["0.50", "12.3", "123"]);
        assert_eq!([1.0, 999.0, 1000.0, 1234567.0].map(thousands), ["1", "999", "1,000", "1,234,567"]);
        assert_eq!(over(1.0, 0.0), "–");
    }
}
