//! An encrypted, self-assembling mesh over QUIC: who is there, where they are, and calls between
//! them. No broker, no database, no control plane.
//!
//! A [`Mesh`] is one node. It holds an Ed25519 key, which is its name; it admits whoever proves
//! to know the cookie of its realm, and nobody else; it learns who is alive by gossip (SWIM),
//! what each node serves from a replicated directory, and it carries calls, each with a deadline
//! and an honest account of whether it ran.
//!
//! **Goals**: a cluster that assembles itself from one seed address, or with none on one machine;
//! every byte encrypted and authenticated; bounded memory whatever a peer sends.
//! **Not goals**: consistent membership, exactly-once calls, a broker that keeps messages.
//!
//! Services with types are built on it by the crate `nebula`.

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
#[path = "fuzz.rs"]
pub mod __fuzz;
mod config;
pub mod directory;
mod doubt;
mod error;
pub mod identity;
mod io;
mod join;
pub(crate) mod limits;
mod membership;
mod mesh;
mod news;
mod peers;
mod quiet;
pub mod rpc;
#[cfg(test)]
mod sim;
mod start;
pub mod text;
mod traffic;
mod transport;
mod wire;

pub use config::MeshBuilder;
pub use error::{ServeError, StartError};
pub use io::Io;
pub use join::{DEFAULT_PORT, Joining, LocalError, SeedError, Tried};
pub use limits::Limits;
pub use mesh::Mesh;
pub use news::{MemberEvent, PeerState, Refusal};
pub use traffic::{Sent, Traffic};
pub use transport::{Faults, MemoryNetwork};
