//! What the programs of the fuzzer share.

use nebula::__fuzz::Target;

/// Runs the target of this name.
///
/// # Panics
///
/// When there is none, or when the target finds a bug.
pub fn run(targets: &[Target], name: &str, bytes: &[u8]) {
    let target = targets.iter().find(|target| target.name == name);
    (target.expect("the target exists").run)(bytes);
}
