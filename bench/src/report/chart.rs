//! The chart: bars by hand, since a library for plots is more than four panels of bars need.

use std::fmt::Write;

use crate::compare::Results;
use crate::peers::CANDIDATES;
use crate::sample::Sample;

const WIDTH: f64 = 860.0;
const MARGIN: f64 = 16.0;
/// Where bars begin, and how long the longest is.
const BARS: f64 = 220.0;
const LONGEST: f64 = 500.0;
const ROW: f64 = 22.0;
const HEAD: f64 = 44.0;

/// Both schemes, so that a page may show it on either ground.
const STYLE: &str = "\
    text { font: 13px system-ui, sans-serif; fill: #1f2328 }
    .head { font-weight: 600; font-size: 15px }
    .bar { fill: #8c959f }
    .ours { fill: #0969da }
    .raw { fill: #57606a }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .bar { fill: #6e7681 }
      .ours { fill: #58a6ff }
      .raw { fill: #b1bac4 }
    }";

/// A panel of bars.
struct Panel {
    title: &'static str,
    workload: &'static str,
    unit: &'static str,
    figure: fn(Sample) -> f64,
}

const PANELS: [Panel; 4] = [
    Panel {
        title: "64 callers, 64 B: CPU time per call (shorter is better)",
        workload: "c64",
        unit: "µs",
        figure: |sample| sample.cpu,
    },
    Panel {
        title: "64 callers, 64 B: thousand calls a second (longer is better)",
        workload: "c64",
        unit: "k/s",
        figure: |sample| sample.per_second / 1e3,
    },
    Panel {
        title: "One at a time, both processes on one core: p50 (shorter is better)",
        workload: "pinned-seq",
        unit: "µs",
        figure: |sample| sample.p50,
    },
    Panel {
        title: "64 KiB, 8 callers: MB a second in each direction (longer is better)",
        workload: "bulk",
        unit: "MB/s",
        figure: |sample| sample.per_second * 65536.0 / 1e6,
    },
];

/// Draws it.
pub fn draw(results: &Results) -> String {
    let mut body = String::new();
    let mut y = MARGIN;
    for panel in &PANELS {
        let bars: Vec<_> = CANDIDATES
            .iter()
            .filter_map(|one| Some((one, (panel.figure)(results.sample(panel.workload, one.id)?))))
            .collect();
        let most = bars.iter().map(|(_, figure)| *figure).fold(f64::MIN_POSITIVE, f64::max);
        if bars.is_empty() {
            continue;
        }
        let _ = writeln!(
            body,
            r#"  <text class="head" x="{MARGIN}" y="{:.0}">{}</text>"#,
            y + 18.0,
            panel.title
        );
        y += HEAD - 12.0;
        for (candidate, figure) in bars {
            let class = match candidate.id {
                "nebula" | "macula" => "bar ours",
                "quinn" => "bar raw",
                _ => "bar",
            };
            let length = (figure / most * LONGEST).max(1.0);
            let base = y + 14.0;
            let _ = writeln!(
                body,
                r#"  <text x="{:.0}" y="{base:.0}" text-anchor="end">{}</text>"#,
                BARS - 8.0,
                candidate.name
            );
            let _ = writeln!(
                body,
                r#"  <rect class="{class}" x="{BARS}" y="{:.0}" width="{length:.1}" height="14" rx="2"/>"#,
                y + 3.0
            );
            let _ = writeln!(
                body,
                r#"  <text x="{:.1}" y="{base:.0}">{} {}</text>"#,
                BARS + length + 6.0,
                digits(figure),
                panel.unit
            );
            y += ROW;
        }
        y += HEAD - ROW;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y:.0}\" width=\"{WIDTH}\" \
         height=\"{y:.0}\" role=\"img\" aria-label=\"What calls cost\">\n  \
         <style>\n{STYLE}\n  </style>\n{body}</svg>\n"
    )
}

fn digits(figure: f64) -> String {
    if figure < 10.0 { format!("{figure:.2}") } else { format!("{figure:.0}") }
}
