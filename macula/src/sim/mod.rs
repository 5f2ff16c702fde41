//! A cluster in one thread, with its own time: the pure machines of this crate between lossy links
//! and failing nodes.
//!
//! Everything follows from one seed, bit for bit. A scenario hurts its nodes first and heals them
//! then; a cluster that does not heal has failed, and the invariants are looked at all along. A
//! failure prints the one line that replays it. Which seeds: `SEED` names one, `SIM_SEEDS` says how
//! many; otherwise a few, for seconds. Measurements and long runs are `#[ignore]`d tests: `just
//! sim` and `just nightly-sim`.
//!
//! Limits: what is simulated ends where a socket begins. A connection is a dial of three trips that
//! may fail, and then carries datagrams that may be lost, and messages that are late instead.

mod directory;
mod invariants;
mod link;
mod membership;
mod seeds;
mod trace;
mod world;
