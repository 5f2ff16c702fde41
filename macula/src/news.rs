//! What a node tells of others.

use std::net::SocketAddr;
use std::time::Duration;

use crate::identity::NodeId;

/// A change of the membership.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum MemberEvent {
    /// The node is alive.
    Up(NodeId),
    /// The node has left or died.
    Down(NodeId),
}

/// How this node stands with a peer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PeerState {
    /// There is a connection.
    pub connected: bool,
    /// It does not answer, or the last dials failed: choose it last.
    pub suspect: bool,
    /// Calls of this node that wait for it.
    pub in_flight: usize,
    /// Replies, and extensions of calls, that came from it after their callers had gone.
    pub late_replies: u64,
    /// The load it reported with a reply of the last two seconds, else 0: calls of other nodes
    /// that run and wait there, the one it answered not among them.
    pub load: u16,
    /// The part of `load` that was not calls of this node.
    pub foreign_load: u16,
    /// The smoothed time to it and back, as measured; none without a connection.
    pub round_trip: Option<Duration>,
}

/// A peer that was not let in.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Where it came from.
    pub addr: SocketAddr,
    /// Why it was refused; this is never told to the peer.
    pub reason: String,
}
