//! How bytes travel: QUIC endpoints over UDP or over an in-memory network.

pub(crate) mod memory;
