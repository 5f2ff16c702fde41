#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Which seeds a scenario runs with, and what is said of one that fails.

use std::env;

/// Runs the scenario `name`, a path of tests, with `usual` seeds, or as the environment says.
///
/// # Panics
/// With the line that replays it, when a seed fails.
pub(super) fn each(name: &str, usual: u64, scenario: impl Fn(u64) -> Result<(), String>) {
    let seeds = match (number("SEED"), number("SIM_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(seeds)) => 0..seeds,
        (None, None) => 0..usual,
    };
    for seed in seeds {
        if let Err(reason) = scenario(seed) {
            panic!("SEED={seed} cargo test -p macula --lib sim::{name}   # {reason}");
        }
    }
}

/// A number from the environment.
///
/// # Panics
/// If it is none.
pub(super) fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number of seeds")))
}
