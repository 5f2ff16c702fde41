//! See the library of this package, and `docs/performance.md`.

use bench::args::Args;
use bench::{Failure, cluster, compare, grow, instructions, micro, profile, role};

const USAGE: &str = "\
give one of
  compare [--quick] [--rounds N] [--slice MS] [--only id,id] [--part name,name] [--dry]
          [--idle CONNECTIONS] [--idle-nodes NODES]
  cluster [--nodes 10,100,1000] [--seconds 30] [--processes 20] [--dry]
  grow [--rounds 3] [--slice MS] [--dry]
  micro
  profile CANDIDATE CALLERS SECONDS [BYTES]
  instructions [--accept]
or nothing, for `compare --quick --dry`";

fn main() -> Result<(), Failure> {
    // Libraries that look for a provider of the process find the one that all others are given.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut args = Args::new(std::env::args().skip(1));
    // Before any thread runs, so that the runtime sees how many cores there are.
    if let Some(core) = args.option("--core") {
        role::pin(core.parse()?)?;
    }
    match args.next().as_deref() {
        Some("serve") => role::serve(args),
        Some("drive") => role::drive(args),
        Some("start") => role::start(args),
        Some("count") => instructions::count(args),
        Some("cluster") => cluster::run(args),
        Some("grow") => grow::run(args),
        Some("compare") => compare::run(args),
        Some("profile") => profile::run(args),
        Some("instructions") => instructions::run(args),
        Some("micro") => micro::rebuild(),
        None => compare::run(Args::new(["--quick", "--dry"].map(str::to_owned))),
        Some(other) => Err(format!("unknown word `{other}`: {USAGE}").into()),
    }
}
