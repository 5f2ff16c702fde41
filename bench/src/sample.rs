use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::Failure;

/// What one slice of one workload gave.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Calls a second.
    pub per_second: f64,
    /// Half of the calls took at most this, in microseconds.
    pub p50: f64,
    /// All but one in a hundred took at most this, in microseconds.
    pub p99: f64,
    /// CPU time of all processes of the candidate for one call, in microseconds.
    pub cpu: f64,
    /// Resident memory of the servers, in MiB.
    pub server_memory: f64,
    /// Resident memory of the client, in MiB.
    pub client_memory: f64,
    /// MB a second that a transfer beside it moved, in each direction; zero without one.
    pub beside: f64,
    /// Cores that others kept busy meanwhile: near 0, or the figures are those of a busy machine.
    pub others: f64,
}

const FIGURES: usize = 8;
/// The names of the figures, for the line that a client answers with.
const NAMES: [&str; FIGURES] =
    ["per_second", "p50", "p99", "cpu", "server", "client", "beside", "others"];

impl Sample {
    fn figures(&self) -> [f64; FIGURES] {
        [
            self.per_second,
            self.p50,
            self.p99,
            self.cpu,
            self.server_memory,
            self.client_memory,
            self.beside,
            self.others,
        ]
    }

    fn of(figures: [f64; FIGURES]) -> Self {
        let [per_second, p50, p99, cpu, server_memory, client_memory, beside, others] = figures;
        Self { per_second, p50, p99, cpu, server_memory, client_memory, beside, others }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, figure) in NAMES.iter().zip(self.figures()) {
            write!(f, "{name}={figure} ")?;
        }
        Ok(())
    }
}

impl FromStr for Sample {
    type Err = Failure;

    fn from_str(line: &str) -> Result<Self, Failure> {
        let parts = line.split_whitespace().filter_map(|part| part.split_once('='));
        let parts: BTreeMap<_, _> = parts.collect();
        let mut figures = [0.0; FIGURES];
        for (name, figure) in NAMES.iter().zip(&mut figures) {
            let text = parts.get(name).ok_or_else(|| format!("`{name}` is missing in: {line}"))?;
            *figure = text.parse()?;
        }
        Ok(Self::of(figures))
    }
}

/// The repetitions of one workload by one candidate.
#[derive(Clone, Debug, Default)]
pub struct Series(Vec<Sample>);

impl Series {
    /// Adds a repetition.
    pub fn push(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    /// The median of each figure, taken by itself.
    pub fn median(&self) -> Sample {
        let mut figures = [0.0; FIGURES];
        for (at, figure) in figures.iter_mut().enumerate() {
            *figure = median(self.0.iter().map(|sample| sample.figures()[at]).collect());
        }
        Sample::of(figures)
    }

    /// How far the CPU time per call lay from its median in the worst repetition, as a share.
    pub fn spread(&self) -> f64 {
        let middle = self.median().cpu;
        let far = self.0.iter().map(|sample| (sample.cpu - middle).abs());
        far.fold(0.0, f64::max) / middle.max(f64::MIN_POSITIVE)
    }

    /// All of them.
    pub fn samples(&self) -> &[Sample] {
        &self.0
    }
}

/// The one in the middle, the upper of two; zero of none.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back() {
        let sample = Sample::of([1.5, 2.0, 3.25, 4.0, 5.0, 6.0, 0.125, 1e-9]);
        assert_eq!(sample.to_string().parse::<Sample>().unwrap(), sample);
        assert!("per_second=1".parse::<Sample>().is_err());
    }

    #[test]
    fn medians_are_of_each_figure_by_itself() {
        let mut series = Series::default();
        for (cpu, p50) in [(1.0, 9.0), (2.0, 8.0), (4.0, 1.0)] {
            series.push(Sample { cpu, p50, ..Sample::default() });
        }
        assert_eq!((series.median().cpu, series.median().p50), (2.0, 8.0));
        assert_eq!(series.spread(), 1.0);
    }
}
