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
    let columns = columns(workload);
    let heads: Vec<_> = columns.iter().map(|column| column.head).collect();
    let _ = writeln!(text, "### {}\n\n| candidate | {} |", workload.title, heads.join(" | "));
    let _ = writeln!(text, "|---|{}", "---:|".repeat(columns.len()));
    for candidate in CANDIDATES {
        let cells: Vec<_> = match results.calls.get(&(workload.id, candidate.id)) {
            Some(series) => {
                let row = Row { sample: series.median(), spread: series.spread(), raw };
                columns.iter().map(|column| (column.cell)(&row)).collect()
            }
            None if workload.suits(candidate) => continue,
            None => vec!["–".to_owned(); columns.len()],
        };
        let _ = writeln!(text, "| {} | {} |", candidate.name, cells.join(" | "));
    }
    text.push('\n');
}

/// What the cells of a row are made of.
struct Row {
    sample: Sample,
    spread: f64,
    raw: Sample,
}

struct Column {
    head: &'static str,
    cell: Box<dyn Fn(&Row) -> String>,
}

fn column(head: &'static str, cell: impl Fn(&Row) -> String + 'static) -> Column {
    Column { head, cell: Box::new(cell) }
}

fn columns(workload: &Workload) -> Vec<Column> {
    let bytes = workload.bytes as f64;
    let mut columns = vec![column("calls/s", |row| thousands(row.sample.per_second))];
    if workload.bytes >= BODIES {
        let rate = move |row: &Row| format!("{:.0}", row.sample.per_second * bytes / 1e6);
        columns.push(column("MB/s", rate));
    }
    columns.push(column("p50 µs", |row| figure(row.sample.p50)));
    columns.push(column("p99 µs", |row| figure(row.sample.p99)));
    if workload.beside.is_some() {
        columns.push(column("transfer MB/s", |row| format!("{:.0}", row.sample.beside)));
        columns.push(column("p99 to raw", |row| over(row.sample.p99, row.raw.p99)));
        return columns;
    }
    columns.push(column("CPU µs", |row| figure(row.sample.cpu)));
    columns.push(column("±", |row| format!("{:.0} %", row.spread * 100.0)));
    columns.push(column("server, client MiB", |row| {
        format!("{:.0}, {:.0}", row.sample.server_memory, row.sample.client_memory)
    }));
    columns.push(column("calls/s to raw", |row| over(row.sample.per_second, row.raw.per_second)));
    columns.push(column("CPU to raw", |row| over(row.sample.cpu, row.raw.cpu)));
    columns
}

fn connections(text: &mut String, results: &Results) {
    if results.connect.is_empty() && results.idle.is_empty() {
        return;
    }
    let _ = writeln!(text, "### Connections\n");
    let _ = writeln!(
        text,
        "| candidate | over | connect + first call, p50 µs | p99 µs | to raw | \
         KiB of the server for an idle peer |",
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
            idle.map_or("–".to_owned(), |(kib, peers)| format!("{kib:.1} (of {peers})")),
        );
    }
    text.push('\n');
}

/// What only nodes have.
fn nodes(text: &mut String, results: &Results) {
    let mut rows: Vec<(String, String)> = Vec::new();
    if let Some(fanout) = &results.fanout {
        let one = fanout.one.median();
        let ways = [
            ("one node", &fanout.one),
            ("one of 5 nodes, as the policy says", &fanout.spread),
            ("`.all()` of 5", &fanout.all),
            ("a quorum of 3 of 5", &fanout.quorum),
        ];
        for (what, series) in ways {
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
        let _ =
            writeln!(text, "| {} | {} | {} | {met} |", target.what, target.goal, target.measured);
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
        assert_eq!(
            [1.0, 999.0, 1000.0, 1234567.0].map(thousands),
            ["1", "999", "1,000", "1,234,567"]
        );
        assert_eq!(over(1.0, 0.0), "–");
    }
}
