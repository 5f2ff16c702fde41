//! What the figures are held against.

use super::Results;
use crate::sample::Sample;

/// One target.
#[derive(Clone, Debug)]
pub struct Target {
    /// What is measured.
    pub what: &'static str,
    /// What it should be.
    pub goal: &'static str,
    /// What it is, or why that is not known.
    pub measured: String,
    /// Whether it is met, if it was measured.
    pub met: Option<bool>,
}

const NOT_MEASURED: &str = "not measured in this run";

impl Results {
    /// The medians of one candidate under one workload.
    pub fn sample(&self, workload: &str, candidate: &str) -> Option<Sample> {
        let found = self.calls.iter().find(|((w, c), _)| *w == workload && *c == candidate);
        found.map(|(_, series)| series.median())
    }

    /// A figure of nebula over that of another.
    fn ratio(&self, workload: &str, other: &str, figure: fn(Sample) -> f64) -> Option<f64> {
        let (ours, theirs) = (self.sample(workload, "nebula")?, self.sample(workload, other)?);
        Some(figure(ours) / figure(theirs))
    }
}

/// All of them, in the order of the issue that set them.
pub fn targets(results: &Results) -> Vec<Target> {
    let rate = |sample: Sample| sample.per_second;
    let fanout = results.fanout.as_ref().map(|fanout| {
        let (one, all) = (fanout.one.median().cpu, fanout.all.median().cpu);
        (all / one, format!("{all:.1} µs, {:.2} × {one:.1} µs", all / one))
    });
    let connect = |id| results.connect.get(id).map(|series| series.median().p50);
    let connects = connect("nebula").zip(connect("quinn"));
    let beside = results.sample("beside", "nebula").zip(results.sample("seq", "nebula"));
    let idle = results.idle.get("nebula").copied();
    let local = results.local.zip(results.allocations);
    vec![
        most(
            "64 callers, 64 B: CPU per call",
            "≤ 1.15 × raw quinn",
            1.15,
            results.ratio("c64", "quinn", |sample| sample.cpu),
        ),
        peers(results),
        least(
            "256 callers, 64 B: calls/s",
            "≥ 0.9 × raw quinn",
            0.9,
            results.ratio("c256", "quinn", rate),
        ),
        most(
            "one at a time, both processes on one core: p50",
            "≤ 1.1 × raw quinn",
            1.1,
            results.ratio("pinned-seq", "quinn", |sample| sample.p50),
        ),
        bulk(results),
        target(
            "small-call p99 beside a transfer",
            "≤ 3 × alone",
            beside.map(|(beside, alone)| {
                let ratio = beside.p99 / alone.p99;
                let text =
                    format!("{ratio:.2} × ({:.0} µs beside {:.0} µs)", beside.p99, alone.p99);
                (ratio <= 3.0, text)
            }),
        ),
        target(
            "64 callers, 1 % loss, 20 ms: p99",
            "≤ 1.2 × a stream per call",
            results.lossy.map(|lossy| {
                let (ours, theirs) = (lossy.nebula.p99, lossy.streams.p99);
                let text = format!("{:.2} × ({ours:.1} ms beside {theirs:.1} ms)", ours / theirs);
                (ours / theirs <= 1.2, text)
            }),
        ),
        target(
            "a local call over a direct one",
            "≤ 100 ns, one allocation",
            local.map(|(local, allocations)| {
                let over = local.client - local.direct;
                let text = format!("{over:.0} ns, {allocations} allocations");
                (over <= 100.0 && allocations <= 1, text)
            }),
        ),
        target(
            "`.all()` of 5: CPU",
            "≤ 5.5 × one call",
            fanout.map(|(ratio, text)| (ratio <= 5.5, text)),
        ),
        target(
            "connection, mutual proof and first call",
            "≤ 1.3 × raw quinn",
            connects.map(|(ours, theirs)| {
                let text = format!("{:.2} × ({ours:.0} µs beside {theirs:.0} µs)", ours / theirs);
                (ours / theirs <= 1.3, text)
            }),
        ),
        target(
            "memory of a server for an idle peer",
            "≤ 60 KiB",
            idle.map(|(kib, peers)| (kib <= 60.0, format!("{kib:.1} KiB, with {peers} of them"))),
        ),
        target(
            "start of a node to its first remote answer",
            "≤ 50 ms",
            results.start.map(|micros| (micros <= 50_000.0, format!("{:.1} ms", micros / 1000.0))),
        ),
        target(
            "gossip for each node, of 1,000",
            "≤ 4 KiB/s, within 20 % of that of 100",
            // By another run, of `cluster`.
            crate::cluster::target(),
        ),
    ]
}

fn target(what: &'static str, goal: &'static str, measured: Option<(bool, String)>) -> Target {
    match measured {
        Some((met, measured)) => Target { what, goal, measured, met: Some(met) },
        None => Target { what, goal, measured: NOT_MEASURED.to_owned(), met: None },
    }
}

fn most(what: &'static str, goal: &'static str, limit: f64, ratio: Option<f64>) -> Target {
    target(what, goal, ratio.map(|ratio| (ratio <= limit, format!("{ratio:.2} ×"))))
}

fn least(what: &'static str, goal: &'static str, limit: f64, ratio: Option<f64>) -> Target {
    target(what, goal, ratio.map(|ratio| (ratio >= limit, format!("{ratio:.2} ×"))))
}

/// Met when it is met beside each of them that took part.
fn peers(results: &Results) -> Target {
    let goals = [("tarpc", 2.5), ("tonic", 5.0), ("irpc", 4.0), ("nats", 3.0)];
    let measured: Vec<_> = goals
        .into_iter()
        .filter_map(|(id, goal)| {
            Some((id, goal, results.ratio("c64", id, |sample| sample.per_second)?))
        })
        .collect();
    let text = |(id, _, ratio): &(&str, f64, f64)| format!("{id} {ratio:.2} ×");
    let texts: Vec<_> = measured.iter().map(text).collect();
    let met = measured.iter().all(|(_, goal, ratio)| ratio >= goal);
    target(
        "64 callers, 64 B: calls/s",
        "≥ 2.5 × tarpc, 5 × tonic, 4 × irpc, 3 × NATS",
        (!measured.is_empty()).then(|| (met, texts.join(", "))),
    )
}

fn bulk(results: &Results) -> Target {
    let rate = |sample: Sample| sample.per_second;
    let (quinn, tls) = (results.ratio("bulk", "quinn", rate), results.ratio("bulk", "tls", rate));
    target(
        "64 KiB, 8 callers: bytes/s",
        "≥ 0.9 × raw quinn, ≥ 1.0 × TLS over TCP",
        quinn.zip(tls).map(|(quinn, tls)| {
            (quinn >= 0.9 && tls >= 1.0, format!("raw quinn {quinn:.2} ×, TLS {tls:.2} ×"))
        }),
    )
}
