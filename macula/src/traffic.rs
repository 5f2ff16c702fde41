//! What a node sends to keep up with its cluster.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// So many messages, and their bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sent {
    /// Messages.
    pub messages: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// What a node has sent to keep up with its cluster since it started: the messages themselves,
/// without what QUIC adds to them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Traffic {
    /// Probes, their answers, and news of who is alive.
    pub membership: Sent,
    /// Records of nodes, and what compares directories.
    pub directory: Sent,
    /// Samples of machines, as [`share_fact`](crate::Mesh::share_fact) takes them.
    pub facts: Sent,
    /// Connections that this node began to make.
    pub dials: u64,
    /// Connections that this node ended because no calls went over them.
    pub unused: u64,
}

/// Counts one kind.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Counter {
    pub(crate) fn add(&self, bytes: usize) {
        self.messages.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    fn sent(&self) -> Sent {
        Sent { messages: self.messages.load(Relaxed), bytes: self.bytes.load(Relaxed) }
    }
}

/// Counts all kinds.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) membership: Counter,
    pub(crate) directory: Counter,
    pub(crate) facts: Counter,
    pub(crate) dials: AtomicU64,
    pub(crate) unused: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> Traffic {
        Traffic {
            membership: self.membership.sent(),
            directory: self.directory.sent(),
            facts: self.facts.sent(),
            dials: self.dials.load(Relaxed),
            unused: self.unused.load(Relaxed),
        }
    }
}
