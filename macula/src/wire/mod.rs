//! What bytes mean: length-prefixed frames, the messages in them, and the handshake before them.
//!
//! A **lane** is one long-lived stream of frames; a frame is a little-endian `u32` length and
//! that many bytes. A frame too long for a lane travels alone on a unidirectional stream, in the
//! same form. A **message** is the content of a frame: one byte of kind, a few fixed fields, and
//! for requests and replies their headers, if the kind says that there are any, and the encoded
//! body as the rest, which is sliced and never copied.
//!
//! Every decoder is total: any input gives a message or a [`WireError`], and nothing is
//! allocated before its length has been checked against a limit.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod fields;
mod frame;
mod handshake;
mod message;

pub(crate) use frame::{FrameBuffer, put_frame};
pub(crate) use handshake::{Hello, Introduction, VERSION, Welcome};
pub(crate) use message::{Message, Status};

/// Bytes that no peer of ours writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum WireError {
    #[error("a frame of {length} bytes is longer than the limit of {limit}")]
    FrameTooLong { length: usize, limit: usize },
    #[error("a message ends before its last field")]
    Truncated,
    #[error("a message has bytes after its last field")]
    Trailing,
    #[error("a message of unknown kind {0}")]
    UnknownKind(u8),
    #[error("a field has a value that is out of its range")]
    BadField,
    #[error("this is not the macula protocol")]
    NotMacula,
}
