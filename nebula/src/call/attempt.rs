#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! One try of a call on one node: where, how far it came, and whether the method may have run.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use macula::identity::NodeId;
use macula::text::Safe;

use crate::Status;
use crate::node::Node;

/// One try of a call on one node.
///
/// `Display` is one line: the node, the path, the phase, the time taken and the outcome.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Attempt {
    /// The node that was asked, or `None` when no node was involved (a service called in process
    /// without a node, or a name that was not resolved).
    pub node: Option<NodeId>,
    /// The node's name, for people.
    pub name: Arc<str>,
    /// How the bytes travelled, or would have travelled.
    pub path: Path,
    /// How far the attempt came.
    pub phase: Phase,
    /// From the start of this attempt to its end.
    pub elapsed: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether the method ran in this attempt.
    pub executed: Executed,
}

impl Attempt {
    /// One of which nothing was sent, by the node that was to send it, if there is one.
    pub(crate) fn unsent(by: Option<&Node>, elapsed: Duration, outcome: Outcome) -> Self {
        Self {
            node: by.map(Node::id),
            name: by.map_or("", Node::name).into(),
            path: Path::Local,
            phase: Phase::Resolve,
            elapsed,
            outcome,
            executed: Executed::No,
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, phase, elapsed, outcome, executed, .. } = self;
        let name = Safe(&self.name);
        write!(f, "{name} ({path}), {phase} phase, after {elapsed:.1?}: {outcome}; {executed}")
    }
}

/// How a call travels to a node.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Path {
    /// It stays in this process.
    Local,
    /// Over a connection between the two nodes.
    Direct,
    /// Through a third node that forwards the bytes, which it cannot read.
    Relayed,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Direct => "direct",
            Self::Relayed => "relayed",
        })
    }
}

/// How far an attempt came, in the order of a call's life.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Phase {
    /// Finding the node's address.
    Resolve,
    /// Connecting and proving the realm.
    Dial,
    /// Waiting for a place: in a send queue here or for admission there.
    Queue,
    /// The method was admitted and may be running.
    Run,
    /// A reply was on its way.
    Reply,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolve",
            Self::Dial => "dial",
            Self::Queue => "queue",
            Self::Run => "run",
            Self::Reply => "reply",
        })
    }
}

/// How an attempt ended without a usable reply.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// No connection came about; the text says why.
    Unreachable(Box<str>),
    /// The node had no room for one more call.
    Overloaded,
    /// The service there takes no calls now: it is paused or drained, or its node is shutting down.
    Draining,
    /// The node does not serve the method (any more).
    NotServed,
    /// The node serves another shape of the method.
    Incompatible,
    /// The node does not let this caller in, with its reason if it gave one.
    Denied(Option<Status>),
    /// The arguments are over the limit.
    RequestTooLarge,
    /// The reply is over the limit.
    ReplyTooLarge,
    /// The method panicked.
    Panicked,
    /// The connection ended while the call was under way; the text says why.
    Reset(Box<str>),
    /// The deadline passed.
    TimedOut,
    /// The method took longer than its service allows, and was stopped.
    Overran,
    /// Nobody waited for the answer any more.
    Cancelled,
    /// The answer could not be understood; the text says why.
    Malformed(Box<str>),
    /// The arguments, or a header beside them, could not be written here, so nothing was sent; the
    /// text says which and why.
    Unwritable(Box<str>),
    /// The arguments could not be read there; the text says why.
    Unreadable(Box<str>),
    /// The arguments, in JSON, are not what the method takes; the text says why.
    Untaken(Box<str>),
    /// The method ran, but its reply could not be written there; the text says why.
    ReplyUnwritable(Box<str>),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "unreachable: {}", Safe(why)),
            Self::Overloaded => f.write_str("overloaded"),
            Self::Draining => f.write_str("takes no calls now"),
            Self::NotServed => f.write_str("does not serve the method"),
            Self::Incompatible => f.write_str("serves another shape of the method"),
            Self::Denied(None) => f.write_str("denied"),
            Self::Denied(Some(status)) => write!(f, "denied: {status}"),
            Self::RequestTooLarge => f.write_str("the arguments are too large"),
            Self::ReplyTooLarge => f.write_str("the reply is too large"),
            Self::Panicked => f.write_str("the method panicked"),
            Self::Reset(why) => write!(f, "connection lost: {}", Safe(why)),
            Self::TimedOut => f.write_str("timed out"),
            Self::Overran => f.write_str("stopped, since it took longer than the service allows"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Malformed(why) => write!(f, "not understood: {}", Safe(why)),
            Self::Unwritable(why) => write!(f, "cannot be sent: {}", Safe(why)),
            Self::Unreadable(why) => write!(f, "the arguments cannot be read there: {}", Safe(why)),
            Self::Untaken(why) => write!(f, "does not take the arguments: {}", Safe(why)),
            Self::ReplyUnwritable(why) => {
                write!(f, "the reply cannot be written there: {}", Safe(why))
            }
        }
    }
}

/// Whether a method ran: a proof or an admission of not knowing, never a guess.
///
/// `Display` says it in words: `did not run`, `ran`, `may have run`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Executed {
    /// It did not run and will not: nothing was sent, or the node refused it.
    #[default]
    No,
    /// It ran, at least in part.
    Yes,
    /// It was sent and no answer tells.
    Unknown,
}

impl Executed {
    /// What two attempts say together: `Yes` over `Unknown` over `No`.
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::No, Self::No) => Self::No,
        }
    }
}

impl fmt::Display for Executed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "did not run",
            Self::Yes => "ran",
            Self::Unknown => "may have run",
        })
    }
}
