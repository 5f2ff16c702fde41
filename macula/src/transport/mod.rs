//! How bytes travel: QUIC over UDP, or over a network in memory with the same QUIC and TLS above
//! it. One connection per pair of peers carries everything.

pub(crate) mod admission;
mod body;
mod congestion;
pub(crate) mod endpoint;
pub(crate) mod lane;
pub(crate) mod link;
mod memory;
pub(crate) mod pool;

use std::time::Duration;

use self::admission::AdmissionError;
pub use memory::{Faults, MemoryNetwork};

/// Why a peer could not be connected to.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("{0}")]
    Refused(#[from] AdmissionError),
    #[error("the address cannot be dialled: {0}")]
    Address(String),
    #[error("earlier dials failed, the next is due in {0:?}")]
    Backoff(Duration),
    #[error("this address is the node's own")]
    Myself,
    #[error("this node is shutting down")]
    Closed,
}
