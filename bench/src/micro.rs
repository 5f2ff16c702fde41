//! `-- micro`: another program, since counting allocations slows all that allocates.

use std::process::Command;

use crate::Failure;

/// Builds and runs it.
///
/// # Errors
/// It cannot be built, or fails.
pub fn rebuild() -> Result<(), Failure> {
    let status = cargo().status()?;
    status.success().then_some(()).ok_or_else(|| "the micro-benchmarks failed".into())
}

/// The allocations of a call to the client of a service in this process, as it prints them.
///
/// # Errors
/// It cannot be built, or prints something else.
pub fn local_allocations() -> Result<usize, Failure> {
    let output = cargo().arg("--").arg("allocations").output()?;
    let text = String::from_utf8(output.stdout)?;
    text.trim().parse().map_err(|_| "the micro-benchmarks failed".into())
}

fn cargo() -> Command {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(program);
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    command.args(["run", "--release", "--quiet", "--bin", "micro", "--manifest-path", manifest]);
    command
}
