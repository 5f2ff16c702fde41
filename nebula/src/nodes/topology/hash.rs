use std::fmt;

/// A fingerprint of a [`Topology`](crate::Topology): which nodes it declares, and with which tags.
///
/// `Display` and `Debug` are 16 hexadecimal digits. Two topologies with the same nodes and tags
/// have the same one, in whatever order they were declared, over releases and machines. It shows
/// configurations that differ by accident; it is no proof against somebody who looks for two that
/// collide.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TopologyHash([u8; 8]);

impl TopologyHash {
    /// The hash that these bytes are, as in
    /// [`NodeRecord::topology`](macula::directory::NodeRecord::topology).
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// Its bytes, in the order in which they are printed.
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0
    }
}

impl fmt::Display for TopologyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TopologyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// FNV-1a, 64 bits.
pub(super) struct Hasher(u64);

impl Hasher {
    pub(super) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Lengths come before what they measure, so that no two topologies give the same bytes.
    pub(super) fn length(&mut self, length: usize) {
        self.add(&(length as u64).to_le_bytes());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.length(text.len());
        self.add(text.as_bytes());
    }

    pub(super) fn finish(self) -> TopologyHash {
        TopologyHash(self.0.to_be_bytes())
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_printed_as_sixteen_digits() {
        let hash = TopologyHash::from_bytes([0, 1, 2, 3, 0xab, 0xcd, 0xef, 0xff]);
        assert_eq!(hash.to_string(), "00010203abcdefff");
        assert_eq!(format!("{hash:?}"), "00010203abcdefff");
        assert_eq!(TopologyHash::from_bytes(hash.to_bytes()), hash);
    }
}
