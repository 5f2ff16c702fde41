//! An encrypted, self-assembling mesh over QUIC.

pub mod directory;
pub mod identity;
pub(crate) mod join;
pub mod rpc;
pub(crate) mod transport;
