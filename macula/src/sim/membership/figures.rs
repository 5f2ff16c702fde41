#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::super::world::{SECOND, Time};

/// Times that were measured, to be told in probe periods.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures(Vec<Time>);

impl Figures {
    pub(super) fn add(&mut self, time: Time) {
        self.0.push(time);
    }

    pub(super) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn mean(&self) -> f64 {
        periods(self.0.iter().sum::<Time>()) / self.0.len().max(1) as f64
    }

    /// The time that so many of a hundred are not above.
    pub(super) fn percentile(&self, hundredths: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * hundredths).div_ceil(100).max(1) - 1;
        periods(sorted.get(at).copied().unwrap_or_default())
    }

    pub(super) fn max(&self) -> f64 {
        periods(self.0.iter().max().copied().unwrap_or_default())
    }

    /// `p50 / p99 / max`.
    pub(super) fn row(&self) -> String {
        let (half, most, max) = (self.percentile(50), self.percentile(99), self.max());
        format!("{half:.1} / {most:.1} / {max:.1}")
    }
}

fn periods(time: Time) -> f64 {
    time as f64 / SECOND as f64
}
