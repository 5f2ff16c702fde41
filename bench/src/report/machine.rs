use std::fmt::Write;

use crate::compare::{Plan, Results};
use crate::peers::CANDIDATES;
use crate::sample::median;

/// Busy cores of others from which on the figures are said to be those of a busy machine.
const BUSY: f64 = 0.15;

/// How many cores there are, and of what.
pub fn processor() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("an unknown processor", |text| text.trim_matches([' ', '\t', ':']));
    format!("{cores} cores of {model}")
}

/// Where and how the figures were taken, and whether anything else ran meanwhile.
pub fn describe(plan: &Plan, results: &Results) -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.split('-').next().unwrap_or_default();
    let mut text = format!(
        "{}, Linux {}; {} turns of {} ms each, medians of each figure.\n",
        processor(),
        kernel.trim(),
        plan.rounds,
        plan.slice.as_millis(),
    );
    let series = results.calls.values().chain(results.connect.values());
    let samples = series.flat_map(|series| series.samples());
    let others: Vec<_> = samples.map(|sample| sample.others).collect();
    let worst = others.iter().copied().fold(0.0, f64::max);
    let usual = median(others);
    let _ = writeln!(
        text,
        "Other programs kept {usual:.2} cores busy in the median turn and {worst:.2} in the worst.",
    );
    if usual > BUSY {
        text.push_str(
            "**The machine was busy: compare the ratios of CPU time with care, and nothing else.**\n",
        );
    }
    for (id, why) in &results.absent {
        let name = CANDIDATES.iter().find(|one| one.id == *id).map_or(*id, |one| one.name);
        let _ = writeln!(text, "{name}: not present ({why}).");
    }
    text
}
