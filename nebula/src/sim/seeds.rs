#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Which seeds a scenario runs with, and what is said of one that fails.

use std::env;

/// Runs the scenario `name`, a path of tests, with `usual` seeds, or as the environment says, each
/// with a clock of its own. Gives what each of them measured.
///
/// # Panics
/// With the line that replays it, when a seed fails.
pub(super) fn each<T>(
    name: &str,
    usual: u64,
    scenario: impl Fn(u64) -> Result<T, String>,
) -> Vec<T> {
    let seeds = match (number("SEED"), number("SIM_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(seeds)) => 0..seeds,
        (None, None) => 0..usual,
    };
    seeds
        .map(|seed| {
            in_paused_time(|| scenario(seed)).unwrap_or_else(|reason| {
                panic!("SEED={seed} cargo test -p nebula --lib sim::{name}   # {reason}")
            })
        })
        .collect()
}

/// Whether many seeds are run: what is true of their sum is not true of each.
pub(super) fn are_many() -> bool {
    number("SEED").is_none() && number("SIM_SEEDS").is_none_or(|seeds| seeds >= 20)
}

/// A clock that stands still unless the world moves it.
pub(super) fn in_paused_time<T>(what: impl FnOnce() -> T) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    let _entered = runtime.enter();
    what()
}

/// A number from the environment.
///
/// # Panics
/// If it is none.
fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number of seeds")))
}
