use std::fmt;
use std::time::Duration;

/// Times, of which it tells a few: `p50 1.2 ms, p99 …, p99.9 …, longest … of 1000`.
#[derive(Clone, Debug)]
pub struct Figures(Vec<Duration>);

impl Figures {
    /// Of these times, in any order.
    pub fn of(times: impl IntoIterator<Item = Duration>) -> Self {
        let mut times: Vec<_> = times.into_iter().collect();
        times.sort_unstable();
        Self(times)
    }

    /// The time within which so many in a thousand are; zero if there is none.
    pub fn permille(&self, share: usize) -> Duration {
        let within = (self.0.len() * share).div_ceil(1000).max(1);
        self.0.get(within - 1).or(self.0.last()).copied().unwrap_or_default()
    }

    /// The longest of them; zero if there is none.
    pub fn longest(&self) -> Duration {
        self.permille(1000)
    }
}

/// Prints a row of the table of figures: its number in that table, the property, what it is to be,
/// what it was, and of how much. `tests/figure` adds the command.
pub fn row(
    number: u8,
    property: &str,
    target: &str,
    figure: impl fmt::Display,
    sample: impl fmt::Display,
) {
    println!("| {number} | {property} | {target} | {figure} | {sample} |");
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, share) in [("p50", 500), ("p99", 990), ("p99.9", 999), ("longest", 1000)] {
            write!(f, "{name} {:.1} ms, ", self.permille(share).as_secs_f64() * 1000.0)?;
        }
        write!(f, "of {}", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_a_thousand_and_of_a_few() {
        let ms = Duration::from_millis;
        let thousand = Figures::of((1..=1000).rev().map(ms));
        assert_eq!([500, 990, 999].map(|share| thousand.permille(share)), [500, 990, 999].map(ms));
        assert_eq!(thousand.longest(), ms(1000));
        let few = Figures::of([ms(3), ms(1)]);
        assert_eq!([0, 500, 501, 1000].map(|share| few.permille(share)), [1, 1, 3, 3].map(ms));
        assert_eq!(few.to_string(), "p50 1.0 ms, p99 3.0 ms, p99.9 3.0 ms, longest 3.0 ms, of 2");
        assert_eq!(Figures::of([]).longest(), Duration::ZERO);
    }
}
