use std::time::Duration;

use bytes::Bytes;

use crate::text::Safe;

/// Whether the handler of a call has run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Executed {
    /// It certainly has not, and never will.
    No,
    /// It certainly has, or has at least begun.
    Yes,
    /// The request was sent, and nobody here knows what became of it.
    Unknown,
}

/// How far a call had come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Connecting to the node.
    Dial,
    /// Waiting there for its turn.
    Queue,
    /// Sent, and perhaps running.
    Run,
    /// Ran; its reply was on the way.
    Reply,
}

/// Why a request has no result.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No connection could be made. Not executed.
    #[error("the node cannot be reached: {}", Safe(.0))]
    Unreachable(String),
    /// The connection ended after the request was handed to it. Unknown.
    #[error("the connection was lost while the call was under way")]
    Disconnected,
    /// The node stopped answering. Unknown.
    #[error("the node stopped answering")]
    Silent,
    /// The deadline passed: in `Dial` and `Queue` not executed, in `Run` unknown.
    #[error("the deadline passed")]
    Deadline {
        /// Where the call was.
        phase: Phase,
    },
    /// Too many calls run and wait there. Not executed.
    #[error("too many calls are running and waiting there")]
    Overloaded {
        /// When another try has a chance.
        retry_after: Duration,
    },
    /// The node does not serve the method. Not executed.
    #[error("the node does not serve this method")]
    UnknownMethod,
    /// The method has another shape there. Not executed.
    #[error("the method has another shape there")]
    Incompatible {
        /// The shape there.
        theirs: [u8; 8],
    },
    /// The node is about to stop, or the service takes no calls now. Not executed.
    #[error("the node is draining")]
    Draining,
    /// The node has given up the connection on which the call came: for another one, or since it
    /// held this node for dead, which it unlearns as soon as it is dialled. Not executed.
    #[error("{}", parted(.held_for_dead))]
    Parted {
        /// The node held this one for dead.
        held_for_dead: bool,
    },
    /// The caller may not call this. Not executed. The bytes are what the handler said with its
    /// [`Fault::Denied`](super::Fault::Denied), as they are; at most 4 KiB, possibly none.
    #[error("the node denies this call")]
    Denied(Bytes),
    /// The arguments did not decode there. Not executed.
    #[error("the node could not decode the arguments: {}", Safe(.0))]
    Malformed(String),
    /// The arguments are longer than `limit` bytes. Not executed.
    #[error("the arguments are longer than the limit of {limit} bytes")]
    RequestTooLarge {
        /// The limit that was exceeded, in bytes.
        limit: usize,
    },
    /// The result is longer than `limit` bytes. Executed.
    #[error("the reply is longer than the limit of {limit} bytes")]
    ReplyTooLarge {
        /// The limit that was exceeded, in bytes.
        limit: usize,
    },
    /// The handler panicked. Executed.
    #[error("the handler panicked: {}", Safe(.0))]
    Panicked(String),
    /// The result refuses to be written. Executed.
    #[error("the reply cannot be written: {}", Safe(.0))]
    ReplyUnwritable(String),
    /// The handler was stopped before it returned. It began.
    #[error("the handler was stopped before it returned")]
    Aborted,
    /// The handler was stopped, since it took longer than it may there. It began.
    #[error("the handler took longer than it may there, and was stopped")]
    Overran,
}

impl Failure {
    /// Whether the handler ran.
    pub fn executed(&self) -> Executed {
        match self {
            Self::Overloaded { .. } if cfg!(mutant = "refusal_told_as_run") => Executed::Yes,
            Self::Unreachable(_)
            | Self::Deadline { phase: Phase::Dial | Phase::Queue }
            | Self::Overloaded { .. }
            | Self::UnknownMethod
            | Self::Incompatible { .. }
            | Self::Draining
            | Self::Parted { .. }
            | Self::Denied(_)
            | Self::Malformed(_)
            | Self::RequestTooLarge { .. } => Executed::No,
            Self::Disconnected | Self::Silent | Self::Deadline { .. } => Executed::Unknown,
            Self::ReplyTooLarge { .. }
            | Self::ReplyUnwritable(_)
            | Self::Panicked(_)
            | Self::Aborted
            | Self::Overran => Executed::Yes,
        }
    }

    /// How far the call had come.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Unreachable(_) | Self::RequestTooLarge { .. } => Phase::Dial,
            Self::Deadline { phase } => *phase,
            Self::Disconnected
            | Self::Silent
            | Self::Panicked(_)
            | Self::Aborted
            | Self::Overran => Phase::Run,
            Self::ReplyTooLarge { .. } | Self::ReplyUnwritable(_) => Phase::Reply,
            _ => Phase::Queue,
        }
    }
}

fn parted(held_for_dead: &bool) -> &'static str {
    match held_for_dead {
        true => {
            "the node held this one for dead and gave up the connection, which can be made anew"
        }
        false => "the node gave up this connection for another one",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_refused_did_not_run_and_what_was_lost_may_have() {
        for refused in [
            Failure::Unreachable("gone".into()),
            Failure::Deadline { phase: Phase::Dial },
            Failure::Deadline { phase: Phase::Queue },
            Failure::Overloaded { retry_after: Duration::ZERO },
            Failure::UnknownMethod,
            Failure::Incompatible { theirs: [0; 8] },
            Failure::Draining,
            Failure::Parted { held_for_dead: true },
            Failure::Denied(Bytes::new()),
            Failure::Malformed("no".into()),
            Failure::RequestTooLarge { limit: 1 },
        ] {
            assert_eq!(refused.executed(), Executed::No, "{refused}");
        }
        for lost in
            [Failure::Disconnected, Failure::Silent, Failure::Deadline { phase: Phase::Run }]
        {
            assert_eq!(lost.executed(), Executed::Unknown, "{lost}");
        }
        for ran in [
            Failure::ReplyTooLarge { limit: 1 },
            Failure::ReplyUnwritable("no".into()),
            Failure::Panicked("no".into()),
            Failure::Aborted,
            Failure::Overran,
        ] {
            assert_eq!(ran.executed(), Executed::Yes, "{ran}");
        }
    }
}
