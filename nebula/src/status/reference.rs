#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! What a stranger quotes, and an operator looks for in the log.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

/// The name of one failure whose details are withheld: 128 bits, no two alike as long as they are
/// drawn at random.
///
/// `Display` is 32 hexadecimal digits; so does serde write it where people read, and as 16 bytes
/// elsewhere.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Reference(u128);

impl Reference {
    /// The reference of these bits, which must be random or otherwise never come twice.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// Its bits.
    pub const fn to_bits(self) -> u128 {
        self.0
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            to.collect_str(self)
        } else {
            self.0.to_be_bytes().serialize(to)
        }
    }
}

/// From what `Display` writes, or from 16 bytes.
///
/// # Errors
///
/// A text that is not 32 hexadecimal digits.
impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if !from.is_human_readable() {
            return <[u8; 16]>::deserialize(from).map(|bytes| Self(u128::from_be_bytes(bytes)));
        }
        let text = String::deserialize(from)?;
        let digits = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let bits = digits.then(|| u128::from_str_radix(&text, 16).ok()).flatten();
        bits.map(Self).ok_or_else(|| D::Error::custom("a reference is 32 hexadecimal digits"))
    }
}
