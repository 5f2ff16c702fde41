use std::env;

/// How long, fast or often a test is to run: the number in this variable of the environment, or
/// else the usual one, which is meant for every `cargo test`.
///
/// # Panics
/// If the variable is no number: a long run that was asked for is never a short one.
pub fn tier(variable: &str, usual: u64) -> u64 {
    match env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}: {text:?} is no number")),
        Err(_) => usual,
    }
}
