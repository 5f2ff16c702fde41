//! What a call costs: beside a raw QUIC echo and other ways to call another process, in one run.
//!
//! Three programs in one: the one that compares starts servers and clients (this same program in
//! other [`roles`](role)), has each client measure its workloads in turn, and writes what came out.
//! How to read the figures is said in `docs/performance.md`.

pub mod args;
pub mod cluster;
pub mod compare;
pub mod grow;
pub mod instructions;
pub mod load;
pub mod local;
pub mod meter;
pub mod micro;
pub mod peers;
pub mod process;
pub mod profile;
pub mod report;
pub mod role;
pub mod sample;
pub mod views;

/// Why a measurement could not be made; it ends the program, so a sentence is all that is needed.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
