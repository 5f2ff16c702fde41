#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
//! A status of bounded size, for where it travels beside a reply.
//!
//! Promise: [`Status::to_bytes`] always fits and can be read back; code, number, reference and mark
//! are never lost, and what is cut shows it. [`Status::from_bytes`] takes any bytes from anyone.

use super::value::{MAX_CODE, Parts, Status};

/// How many bytes an encoded status has at most.
pub const MAX_BYTES: usize = 4096;

/// How long the message and each value may still be in a status that did not fit, and which keys
/// stay, in bytes.
const MESSAGE: usize = 1024;
const VALUE: usize = 256;
const KEY: usize = 64;
/// What else is in an encoded status: lengths and number of 3 bytes at most, reference and mark.
const HEAD: usize = MAX_CODE + MESSAGE + 4 * 3 + 17 + 1;
/// The lengths of a key and its value.
const LENGTHS: usize = 2 * 2;

/// Bytes that are no status.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedStatus {
    /// They are too many.
    #[error(
        "a status has at most {MAX_BYTES} bytes, this one has {0}: it was not written by this \
             library"
    )]
    TooLong(usize),
    /// They end too early or too late, or are no text where there should be one.
    #[error("the bytes are no status: run the same release on both sides")]
    Unreadable,
    /// The code is none.
    #[error("a status has a code of up to 64 letters `a` to `z`, digits, `_`, `-` and `.`")]
    Code,
    /// HTTP has no such number.
    #[error("a status has a number from 100 to 599, not {0}")]
    Http(u16),
}

impl Status {
    /// The status in at most 4 KiB ([`MAX_BYTES`]).
    ///
    /// One that is longer is cut: the message to 1 KiB and each value of its data to 256 bytes, both
    /// with `…` at the end; then the pairs that do not fit, or whose key has more than 64 bytes,
    /// are left out.
    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes = encoded(self);
        if bytes.len() <= MAX_BYTES { bytes } else { encoded(&self.cut()) }
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. Takes memory in proportion to `bytes`, of
    /// which there may be 4 KiB.
    ///
    /// # Errors
    ///
    /// Anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MalformedStatus> {
        if bytes.len() > MAX_BYTES {
            return Err(MalformedStatus::TooLong(bytes.len()));
        }
        match postcard::take_from_bytes(bytes) {
            Ok((status, [])) => Ok(status),
            _ => Err(MalformedStatus::Unreadable),
        }
    }

    fn cut(&self) -> Self {
        let Parts { code, http, message, data, reference, internal } = &*self.0;
        let mut room = MAX_BYTES.saturating_sub(HEAD);
        let pairs = data.iter().filter(|(key, _)| key.len() <= KEY);
        let pairs = pairs.map(|(key, value)| (key, cut(value, VALUE))).filter(|(key, value)| {
            let left = room.checked_sub(key.len() + value.len() + LENGTHS);
            room = left.unwrap_or(room);
            left.is_some()
        });
        let data = pairs.map(|(key, value)| (key.clone(), value)).collect();
        let message = cut(message, MESSAGE).into();
        let (code, http, reference, internal) = (code.clone(), *http, *reference, *internal);
        Self(Box::new(Parts { code, http, message, data, reference, internal }))
    }
}

/// Postcard refuses only lists whose length is not known, of which there are none.
fn encoded(status: &Status) -> Vec<u8> {
    postcard::to_allocvec(status).unwrap_or_default()
}

/// The text in at most `most` bytes.
fn cut(text: &str, most: usize) -> String {
    const MARK: char = '…';
    if text.len() <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub(MARK.len_utf8());
    let mut end = 0;
    let mut short = String::with_capacity(most);
    for letter in text.chars() {
        end += letter.len_utf8();
        if end > room {
            break;
        }
        short.push(letter);
    }
    short.push(MARK);
    short
}
