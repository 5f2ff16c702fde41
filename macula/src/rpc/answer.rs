use bytes::Bytes;

use super::Headers;
use crate::wire::{Message, Status};

/// What a handler returns: the encoded result, and what travels beside it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answer {
    /// The encoded result, at most [`Limits::max_body`](crate::Limits) bytes.
    pub body: Bytes,
    /// What travels beside it.
    pub headers: Headers,
}

impl Answer {
    /// The reply to the request of this number, with the load of this node.
    pub(crate) fn reply(self, id: u64, load: u16, status: Status) -> Message {
        Message::Reply { id, load, status, headers: self.headers, body: self.body }
    }
}

/// A result with nothing beside it.
impl From<Bytes> for Answer {
    fn from(body: Bytes) -> Self {
        Self { body, headers: Headers::new() }
    }
}
