//! How bytes travel: QUIC endpoints over UDP or over an in-memory network.

mod memory;

pub use memory::MemoryNetwork;
