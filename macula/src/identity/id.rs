use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a node that nobody else can take: its Ed25519 public key.
///
/// Written as 64 lower-case hexadecimal digits by `Display`, and as the first ten of them by
/// `Debug`. On the wire it is 32 bytes.
#[derive(Clone, Copy, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct NodeId([u8; 32]);

impl NodeId {
    /// Takes 32 bytes of a public key as they are. Whether they are a valid key shows when a
    /// peer proves that it holds the secret half.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the public key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first ten hexadecimal digits: enough to tell nodes apart in a log line.
    pub fn short(&self) -> String {
        format!("{self:?}")
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(5).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is not a node id: 64 hexadecimal digits are expected")]
pub struct ParseNodeIdError {
    text: String,
}

impl FromStr for NodeId {
    type Err = ParseNodeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ParseNodeIdError { text: text.chars().take(80).collect() };
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(refuse());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let mut value = 0;
            for digit in pair {
                let digit = char::from(*digit).to_digit(16).ok_or_else(refuse)?;
                value = value << 4 | digit as u8;
            }
            *byte = value;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        let id = NodeId::from_bytes(std::array::from_fn(|i| (i * 7) as u8));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.short(), &id.to_string()[..10]);
    }

    #[test]
    fn malformed_text_is_refused() {
        for text in ["", "00", &"g".repeat(64), &"é".repeat(32), &"0".repeat(65)] {
            assert!(text.parse::<NodeId>().is_err(), "{text}");
        }
    }
}
