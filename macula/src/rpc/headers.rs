//! What travels beside the arguments and the result of a call.
//!
//! Protocol: the block of a message that has headers is a run of entries in the order of their
//! keys. An entry is the length of the key in one byte, that of the value in two, the lower seven
//! bits first, then the key and the value. Each byte of a length is below 128, so that a block is
//! text as a whole.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

use std::fmt;
use std::sync::Arc;

/// Headers of one message at most.
pub const MAX_HEADERS: usize = 32;
/// Bytes of a key at most; it has at least one.
pub const MAX_HEADER_KEY_BYTES: usize = 64;
/// Bytes of a value at most; it may be empty.
pub const MAX_HEADER_VALUE_BYTES: usize = 1024;
/// Bytes of all headers of one message at most, each with three more than its key and its value.
pub const MAX_HEADERS_BYTES: usize = 4096;

/// The lengths before a key and its value.
const LENGTHS: usize = 3;

/// Small texts by name that travel with a call, such as `traceparent`: at most [`MAX_HEADERS`], in
/// [`MAX_HEADERS_BYTES`] in all.
///
/// Keys are tokens of RFC 9110 without upper-case letters, of at most [`MAX_HEADER_KEY_BYTES`]
/// bytes; values are any text of at most [`MAX_HEADER_VALUE_BYTES`]. Each key is there once, and
/// they are kept in their order. A clone is cheap, and none at all allocates nothing.
// Most calls have none and carry this along all the same: it is one word.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Headers(Option<Arc<Box<str>>>);

impl Headers {
    /// None at all.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// The value of a key, which is found as it is written: in lower case.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// All keys and values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        Entries(self.block())
    }

    /// Puts a value under a key, in the place of the one before.
    ///
    /// # Errors
    /// The key is no lower-case token, or a limit is exceeded: nothing has changed then.
    pub fn insert(&mut self, key: &str, value: &str) -> Result<(), HeaderError> {
        check(key, value)?;
        let size = |key: &str, value: &str| LENGTHS + key.len() + value.len();
        let (mut count, mut bytes) = (1, size(key, value));
        for (key, value) in self.without(key) {
            count += 1;
            bytes += size(key, value);
        }
        if count > MAX_HEADERS {
            return Err(HeaderError::TooMany);
        }
        if bytes > MAX_HEADERS_BYTES {
            return Err(HeaderError::TooLarge { bytes });
        }
        let mut block = String::with_capacity(bytes);
        let mut new = Some((key, value));
        for (known, old) in self.without(key) {
            if let Some((key, value)) = new.take_if(|(key, _)| *key < known) {
                put(&mut block, key, value);
            }
            put(&mut block, known, old);
        }
        if let Some((key, value)) = new {
            put(&mut block, key, value);
        }
        self.0 = Some(Arc::new(block.into()));
        Ok(())
    }

    /// Removes a key with its value; false if it is not there.
    pub fn remove(&mut self, key: &str) -> bool {
        if self.get(key).is_none() {
            return false;
        }
        let mut block = String::with_capacity(self.block().len());
        self.without(key).for_each(|(key, value)| put(&mut block, key, value));
        self.0 = (!block.is_empty()).then(|| Arc::new(block.into()));
        true
    }

    fn without(&self, key: &str) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(move |(known, _)| *known != key)
    }

    /// The entries as they travel, at most [`MAX_HEADERS_BYTES`].
    pub(crate) fn block(&self) -> &str {
        self.0.as_deref().map_or("", |block| block)
    }

    /// Reads a block that is not empty; none if it is not one that [`block`](Self::block) gives.
    pub(crate) fn read(block: &[u8]) -> Option<Self> {
        if block.is_empty() || block.len() > MAX_HEADERS_BYTES {
            return None;
        }
        let block = std::str::from_utf8(block).ok()?;
        let (mut entries, mut last) = (Entries(block), "");
        for count in 1.. {
            let (key, value) = entries.next()?;
            // No key is empty, so the first one comes after nothing, too.
            if count > MAX_HEADERS || check(key, value).is_err() || !follows(key, last) {
                return None;
            }
            last = key;
            if entries.0.is_empty() {
                break;
            }
        }
        Some(Self(Some(Arc::new(block.into()))))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Why a header is not taken. Nothing has changed then.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The key is empty, too long, or not a token in lower case.
    #[error(
        "a header's key has 1 to {MAX_HEADER_KEY_BYTES} bytes of `a`-`z`, `0`-`9` and \
         `!#$%&'*+-.^_`|~`: write it so"
    )]
    Key,
    /// The value is too long.
    #[error("a header's value takes {bytes} bytes, more than {MAX_HEADER_VALUE_BYTES}: shorten it")]
    Value {
        /// The bytes it takes.
        bytes: usize,
    },
    /// There is no place for one more.
    #[error("a message has {MAX_HEADERS} headers at most: remove another one first")]
    TooMany,
    /// There is no room for it beside the others.
    #[error("the headers would take {bytes} bytes, more than {MAX_HEADERS_BYTES}: shorten them")]
    TooLarge {
        /// The bytes that all would take.
        bytes: usize,
    },
}

/// What is left of a block.
struct Entries<'a>(&'a str);

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let [key, low, high] = *self.0.as_bytes().first_chunk::<LENGTHS>()?;
        let middle = LENGTHS + usize::from(key);
        let end = middle + usize::from(low) + (usize::from(high) << 7);
        let entry = self.0.get(LENGTHS..middle).zip(self.0.get(middle..end))?;
        self.0 = self.0.get(end..)?;
        Some(entry)
    }
}

fn put(block: &mut String, key: &str, value: &str) {
    let seven = |length: usize| char::from((length & 0x7f) as u8);
    block.push(seven(key.len()));
    block.push(seven(value.len()));
    block.push(seven(value.len() >> 7));
    block.push_str(key);
    block.push_str(value);
}

/// Whether a key comes after the one before it, and so is another one.
fn follows(key: &str, last: &str) -> bool {
    key > last || cfg!(mutant = "headers_in_any_order")
}

fn check(key: &str, value: &str) -> Result<(), HeaderError> {
    let token = |byte: u8| match byte {
        b'a'..=b'z' | b'0'..=b'9' => true,
        _ => b"!#$%&'*+-.^_`|~".contains(&byte),
    };
    if !(1..=MAX_HEADER_KEY_BYTES).contains(&key.len()) || !key.bytes().all(token) {
        return Err(HeaderError::Key);
    }
    match value.len() {
        bytes if bytes > MAX_HEADER_VALUE_BYTES => Err(HeaderError::Value { bytes }),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
