use std::time::Duration;

use bytes::{BufMut, Bytes};

use super::WireError;
use super::fields::{Fields, put_varint};
use crate::identity::NodeId;
use crate::rpc::Headers;

/// What two admitted peers say to each other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Message {
    /// Run a method and answer under this id.
    Request {
        id: u64,
        method: u64,
        key: [u8; 8],
        remaining: Duration,
        /// By how much the deadline may move later in all, and in how many steps.
        room: Duration,
        extensions: u32,
        headers: Headers,
        body: Bytes,
    },
    /// The one answer to a request, with the load of the node that gives it.
    Reply {
        id: u64,
        load: u16,
        status: Status,
        headers: Headers,
        body: Bytes,
    },
    /// Nobody waits for this answer any more.
    Cancel {
        id: u64,
    },
    /// The deadline of a request that runs here has moved later by so much.
    Extend {
        id: u64,
        by: Duration,
    },
    /// Answer at once with a `Pong` of the same number.
    Ping(u64),
    Pong(u64),
    /// A sealed directory record.
    Record(Bytes),
    /// The hash of all that the sender's directory holds.
    Summary(u64),
    /// All versions that the sender's directory holds, encoded by the directory.
    Digest(Bytes),
    /// The records of these nodes are wanted.
    Pull(Vec<NodeId>),
    /// The sender's member table, encoded by the membership.
    Members(Bytes),
    /// The sender leaves the cluster.
    Goodbye,
    /// The sender has answered all requests of this connection that it has begun, and begins none of
    /// those that still come on it: nothing that is not answered has run.
    Done,
}

/// How a request ended, as told by the node that got it. The body of the reply holds the encoded
/// result for `Done` and a readable text for those that carry one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Status {
    /// The handler returned; the body is what it returned.
    Done,
    /// Refused before it ran: too many calls are running and waiting.
    Overloaded { retry_after: Duration },
    /// Refused before it ran: nobody serves this method here.
    UnknownMethod,
    /// Refused before it ran: the method has another shape here.
    Incompatible { theirs: [u8; 8] },
    /// Refused before it ran: the node is about to stop, or the service takes no calls now.
    Draining,
    /// Refused before it ran: there was no time left.
    Expired,
    /// Refused before it ran: the caller may not call it; the body says why, to whom that means
    /// something.
    Denied,
    /// Refused before it ran: the arguments do not decode; the body says why.
    Malformed,
    /// Refused before it ran: the arguments are longer than the limit here.
    RequestTooLarge { limit: u64 },
    /// It ran, and its result is longer than the limit there.
    ReplyTooLarge { limit: u64 },
    /// It ran and panicked; the body says with what.
    Panicked,
    /// It began and was stopped before it returned.
    Aborted,
    /// It ran, and its result refuses to be written; the body says why.
    ReplyUnwritable,
    /// Refused before it ran: the node has given up the connection for another one.
    Replaced,
    /// Refused before it ran: the node has given up the connection, since it held the caller for
    /// dead.
    HeldForDead,
    /// It began and was stopped, since it took longer than it may there.
    Overran,
}

/// What the fields of a request or a reply take beside its headers and its body, at most.
const HEAD: usize = 64;

mod kind {
    pub(super) const REQUEST: u8 = 1;
    pub(super) const REPLY: u8 = 2;
    pub(super) const CANCEL: u8 = 3;
    pub(super) const PING: u8 = 4;
    pub(super) const PONG: u8 = 5;
    pub(super) const RECORD: u8 = 6;
    pub(super) const SUMMARY: u8 = 7;
    pub(super) const DIGEST: u8 = 8;
    pub(super) const PULL: u8 = 9;
    pub(super) const MEMBERS: u8 = 10;
    pub(super) const GOODBYE: u8 = 11;
    pub(super) const EXTEND: u8 = 12;
    pub(super) const DONE: u8 = 13;
    pub(super) const REQUEST_WITH_HEADERS: u8 = 14;
    pub(super) const REPLY_WITH_HEADERS: u8 = 15;
}

impl Message {
    /// Appends the content of a frame.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Request { id, method, key, remaining, room, extensions, headers, body } => {
                out.reserve(HEAD + headers.block().len() + body.len());
                out.put_u8(match headers.is_empty() {
                    true => kind::REQUEST,
                    false => kind::REQUEST_WITH_HEADERS,
                });
                put_varint(out, *id);
                out.put_u64_le(*method);
                out.extend_from_slice(key);
                put_micros(out, *remaining);
                put_micros(out, *room);
                put_varint(out, u64::from(*extensions));
                put_headers(out, headers);
                out.extend_from_slice(body);
            }
            Self::Reply { id, load, status, headers, body } => {
                out.reserve(HEAD + headers.block().len() + body.len());
                out.put_u8(match headers.is_empty() {
                    true => kind::REPLY,
                    false => kind::REPLY_WITH_HEADERS,
                });
                put_varint(out, *id);
                out.put_u16_le(*load);
                status.encode(out);
                put_headers(out, headers);
                out.extend_from_slice(body);
            }
            Self::Cancel { id } => {
                out.put_u8(kind::CANCEL);
                put_varint(out, *id);
            }
            Self::Extend { id, by } => {
                out.put_u8(kind::EXTEND);
                put_varint(out, *id);
                put_micros(out, *by);
            }
            Self::Ping(number) => {
                out.put_u8(kind::PING);
                put_varint(out, *number);
            }
            Self::Pong(number) => {
                out.put_u8(kind::PONG);
                put_varint(out, *number);
            }
            Self::Record(bytes) => put_bytes(out, kind::RECORD, bytes),
            Self::Summary(hash) => {
                out.put_u8(kind::SUMMARY);
                out.put_u64_le(*hash);
            }
            Self::Digest(bytes) => put_bytes(out, kind::DIGEST, bytes),
            Self::Pull(nodes) => {
                out.put_u8(kind::PULL);
                nodes.iter().for_each(|node| out.extend_from_slice(node.as_bytes()));
            }
            Self::Members(bytes) => put_bytes(out, kind::MEMBERS, bytes),
            Self::Goodbye => out.put_u8(kind::GOODBYE),
            Self::Done => out.put_u8(kind::DONE),
        }
    }

    /// The number of the call that these first bytes of a message belong to: `Ok` of a request,
    /// `Err` of a reply.
    pub(super) fn peek_call(head: &[u8]) -> Option<Result<u64, u64>> {
        // A kind and a number take eleven bytes at most.
        let mut fields = Fields::new(Bytes::copy_from_slice(head.get(..11).unwrap_or(head)));
        match fields.u8().ok()? {
            kind::REQUEST | kind::REQUEST_WITH_HEADERS => fields.varint().ok().map(Ok),
            kind::REPLY | kind::REPLY_WITH_HEADERS => fields.varint().ok().map(Err),
            _ => None,
        }
    }

    /// The length of the part that has no small bound, in bytes.
    pub(crate) fn body_len(&self) -> usize {
        match self {
            Self::Request { body, .. } | Self::Reply { body, .. } => body.len(),
            Self::Record(bytes) | Self::Digest(bytes) | Self::Members(bytes) => bytes.len(),
            Self::Pull(nodes) => nodes.len() * 32,
            _ => 0,
        }
    }

    /// The content of a frame in two parts, the body uncopied where there is one.
    pub(crate) fn split(mut self) -> (Vec<u8>, Bytes) {
        let body = match &mut self {
            Self::Request { body, .. } | Self::Reply { body, .. } => std::mem::take(body),
            Self::Record(bytes) | Self::Digest(bytes) | Self::Members(bytes) => {
                std::mem::take(bytes)
            }
            _ => Bytes::new(),
        };
        let mut head = Vec::new();
        self.encode(&mut head);
        (head, body)
    }

    /// Reads the content of a frame, all of it.
    pub(crate) fn decode(frame: Bytes) -> Result<Self, WireError> {
        let mut fields = Fields::new(frame);
        let kind = fields.u8()?;
        let message = match kind {
            kind::REQUEST | kind::REQUEST_WITH_HEADERS => {
                let (id, method, key) = (fields.varint()?, fields.u64()?, fields.array()?);
                let (remaining, room) = (fields.micros()?, fields.micros()?);
                let extensions = fields.varint()?.try_into().map_err(|_| WireError::BadField)?;
                let headers = match kind {
                    kind::REQUEST => Headers::new(),
                    _ => read_headers(&mut fields)?,
                };
                let body = fields.rest();
                return Ok(Self::Request {
                    id,
                    method,
                    key,
                    remaining,
                    room,
                    extensions,
                    headers,
                    body,
                });
            }
            kind::REPLY | kind::REPLY_WITH_HEADERS => {
                let (id, load) = (fields.varint()?, fields.u16()?);
                let status = Status::decode(&mut fields)?;
                let headers = match kind {
                    kind::REPLY => Headers::new(),
                    _ => read_headers(&mut fields)?,
                };
                return Ok(Self::Reply { id, load, status, headers, body: fields.rest() });
            }
            kind::RECORD => return Ok(Self::Record(fields.rest())),
            kind::DIGEST => return Ok(Self::Digest(fields.rest())),
            kind::MEMBERS => return Ok(Self::Members(fields.rest())),
            kind::PULL => return decode_pull(&fields.rest()),
            kind::CANCEL => Self::Cancel { id: fields.varint()? },
            kind::EXTEND => Self::Extend { id: fields.varint()?, by: fields.micros()? },
            kind::PING => Self::Ping(fields.varint()?),
            kind::PONG => Self::Pong(fields.varint()?),
            kind::SUMMARY => Self::Summary(fields.u64()?),
            kind::GOODBYE => Self::Goodbye,
            kind::DONE => Self::Done,
            unknown => return Err(WireError::UnknownKind(unknown)),
        };
        fields.end()?;
        Ok(message)
    }
}

impl Status {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Done => out.put_u8(0),
            Self::Overloaded { retry_after } => {
                out.put_u8(1);
                put_micros(out, *retry_after);
            }
            Self::UnknownMethod => out.put_u8(2),
            Self::Incompatible { theirs } => {
                out.put_u8(3);
                out.extend_from_slice(theirs);
            }
            Self::Draining => out.put_u8(4),
            Self::Expired => out.put_u8(5),
            Self::Denied => out.put_u8(6),
            Self::Malformed => out.put_u8(7),
            Self::RequestTooLarge { limit } => {
                out.put_u8(8);
                put_varint(out, *limit);
            }
            Self::ReplyTooLarge { limit } => {
                out.put_u8(9);
                put_varint(out, *limit);
            }
            Self::Panicked => out.put_u8(10),
            Self::Aborted => out.put_u8(11),
            Self::ReplyUnwritable => out.put_u8(12),
            Self::Replaced => out.put_u8(13),
            Self::HeldForDead => out.put_u8(14),
            Self::Overran => out.put_u8(15),
        }
    }

    fn decode(fields: &mut Fields) -> Result<Self, WireError> {
        Ok(match fields.u8()? {
            0 => Self::Done,
            1 => Self::Overloaded { retry_after: fields.micros()? },
            2 => Self::UnknownMethod,
            3 => Self::Incompatible { theirs: fields.array()? },
            4 => Self::Draining,
            5 => Self::Expired,
            6 => Self::Denied,
            7 => Self::Malformed,
            8 => Self::RequestTooLarge { limit: fields.varint()? },
            9 => Self::ReplyTooLarge { limit: fields.varint()? },
            10 => Self::Panicked,
            11 => Self::Aborted,
            12 => Self::ReplyUnwritable,
            13 => Self::Replaced,
            14 => Self::HeldForDead,
            15 => Self::Overran,
            _ => return Err(WireError::BadField),
        })
    }
}

fn put_bytes(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    out.put_u8(kind);
    out.extend_from_slice(bytes);
}

/// None at all leave no trace: the kind of the message says so.
fn put_headers(out: &mut Vec<u8>, headers: &Headers) {
    if !headers.is_empty() {
        put_varint(out, headers.block().len() as u64);
        out.extend_from_slice(headers.block().as_bytes());
    }
}

/// Those of a message whose kind says that it has some. They are copied, lest they keep the large
/// buffer alive that they arrived in.
fn read_headers(fields: &mut Fields) -> Result<Headers, WireError> {
    let length = fields.varint()?;
    let block = fields.bytes(length)?;
    Headers::read(&block).ok_or(WireError::BadField)
}

fn put_micros(out: &mut Vec<u8>, duration: Duration) {
    put_varint(out, u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
}

fn decode_pull(bytes: &[u8]) -> Result<Message, WireError> {
    let (nodes, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(WireError::Truncated);
    }
    Ok(Message::Pull(nodes.iter().copied().map(NodeId::from_bytes).collect()))
}

#[cfg(test)]
mod tests;
