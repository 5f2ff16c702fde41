//! Calls between nodes: one request, one reply, by a deadline.
//!
//! Promise: a call ends by its deadline with the reply, or with a [`Failure`] that says whether
//! the handler ran: `No`, `Yes`, or `Unknown`, never a guess. A caller that stops waiting cancels
//! the handler at its next await. A handler runs at most once per request.
//!
//! Protocol: a request carries the time that is left, never a point in time, so clocks need not
//! agree. The server admits it through the [`Gate`](admission::Gate) of the method, polls the
//! handler once in place and spawns it only if it is pending. Every reply carries the load of its
//! node. A request says how often and by how much its deadline may move; the handler moves it through
//! its [`Lease`], which tells the caller, who reckons by the same [`Term`].

pub mod admission;
mod answer;
mod calling;
pub(crate) mod client;
mod extension;
mod failure;
pub(crate) mod headers;
pub(crate) mod health;
pub(crate) mod inflight;
mod lease;
pub(crate) mod refused;
mod said;
pub(crate) mod server;
mod service;
pub(crate) mod services;

pub use crate::limits::{MAX_DENIED_BYTES, MAX_EXTENSIONS};
pub use answer::Answer;
use bytes::Bytes;
pub use calling::Calling;
pub use extension::{NotExtended, Term};
pub use failure::{Executed, Failure, Phase};
pub use headers::{
    HeaderError, Headers, MAX_HEADER_KEY_BYTES, MAX_HEADER_VALUE_BYTES, MAX_HEADERS,
    MAX_HEADERS_BYTES,
};
pub use lease::{Lease, Moved, Sent};
pub use service::{Caller, Fault, Handler, Incoming, Method, Service};

/// What is asked of one node.
#[derive(Clone, Debug)]
pub struct Request {
    /// The wire id of the method: a hash of the names of its service and its own.
    pub method: u64,
    /// The shape of the method as the caller knows it.
    pub key: [u8; 8],
    /// The encoded arguments, at most [`Limits::max_body`](crate::Limits) bytes.
    pub body: Bytes,
    /// What travels beside them.
    pub headers: Headers,
    /// When the caller stops waiting, and how much later it may come to do so.
    pub term: Term,
    /// Where to say by how much the deadline has moved, while the call is under way.
    pub moved: Option<Moved>,
    /// Where to say that the request has left.
    pub sent: Option<Sent>,
    /// End the call with [`Failure::Silent`] when the node stops answering, instead of waiting for
    /// the deadline: after half a second or four round trips without a sound, and within a second
    /// if it was silent before. For calls that may be run again elsewhere.
    pub leave_if_silent: bool,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub struct Response {
    /// The encoded result, or why there is none.
    pub result: Result<Bytes, Failure>,
    /// What came beside it; none of a request that the node did not answer.
    pub headers: Headers,
    /// How many calls the node was running and queueing when it replied.
    pub load: Option<u16>,
    /// The term of the request as it is now: what is left of it for another try.
    pub term: Term,
}
