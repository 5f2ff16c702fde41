//! Which node a key belongs to: rendezvous hashing.
//!
//! Promise: whoever knows the same nodes ranks them the same for a key, on every machine and in
//! every release; when a node goes, only its keys move, each to the next of its own ranking, and a
//! node that comes takes a fair share of the keys and moves no other.
//!
//! Source: D. Thaler and C. Ravishankar, "Using name-based mappings to increase hit rates" (1998).
//! The hashes are FNV-1a with the finalizer of SplitMix64; they resist no attacker who may choose
//! keys or node ids.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::hash::{Hash, Hasher};

use macula::identity::NodeId;

/// A key, hashed: what [`Policy::sticky`](super::Policy::sticky) makes of what it is given.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct StickyKey(u64);

impl StickyKey {
    pub(crate) fn of(key: &(impl Hash + ?Sized)) -> Self {
        let mut hasher = StableHasher(FNV_OFFSET);
        key.hash(&mut hasher);
        Self(hasher.finish())
    }

    /// The hash.
    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// The weight of a node for this key: the heaviest one is the key's.
    pub(crate) fn weight(self, node: &NodeId) -> u64 {
        let (words, _) = node.as_bytes().as_chunks::<8>();
        words.iter().fold(self.0, |hash, word| mix(hash ^ u64::from_le_bytes(*word)))
    }
}

/// Spreads every bit of a number over all of them: the finalizer of SplitMix64.
pub(crate) fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a over what a key writes, integers least significant byte first and as wide everywhere.
struct StableHasher(u64);

impl Hasher for StableHasher {
    fn finish(&self) -> u64 {
        mix(self.0)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
        }
    }

    fn write_u16(&mut self, number: u16) {
        self.write(&number.to_le_bytes());
    }

    fn write_u32(&mut self, number: u32) {
        self.write(&number.to_le_bytes());
    }

    fn write_u64(&mut self, number: u64) {
        self.write(&number.to_le_bytes());
    }

    fn write_u128(&mut self, number: u128) {
        self.write(&number.to_le_bytes());
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_i16(&mut self, number: i16) {
        self.write(&number.to_le_bytes());
    }

    fn write_i32(&mut self, number: i32) {
        self.write(&number.to_le_bytes());
    }

    fn write_i64(&mut self, number: i64) {
        self.write(&number.to_le_bytes());
    }

    fn write_i128(&mut self, number: i128) {
        self.write(&number.to_le_bytes());
    }

    fn write_isize(&mut self, number: isize) {
        self.write_i64(number as i64);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(number: u64) -> NodeId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&mix(number).to_le_bytes());
        bytes[8..16].copy_from_slice(&number.to_le_bytes());
        NodeId::from_bytes(bytes)
    }

    fn owner(key: u64, nodes: &[NodeId]) -> NodeId {
        let key = StickyKey::of(&key);
        *nodes.iter().max_by_key(|node| key.weight(node)).unwrap()
    }

    #[test]
    fn hashes_are_the_same_in_every_release() {
        // Keys are kept where these say: a change moves all of them.
        assert_eq!(StickyKey::of("ada").0, PINNED[0]);
        assert_eq!(StickyKey::of(&7_u64).0, PINNED[1]);
        assert_eq!(StickyKey::of(&(7_u32, "ada", -1_i16, true, 'x')).0, PINNED[2]);
        assert_eq!(StickyKey::of(&7_u64).weight(&id(1)), PINNED[3]);
        assert_eq!(StickyKey::of(&7_usize).0, StickyKey::of(&7_u64).0);
        assert_eq!(StickyKey::of("ada").0, StickyKey::of(&String::from("ada")).0);
        // The published first output of SplitMix64 seeded with 0.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
    }

    /// Computed apart from this code.
    const PINNED: [u64; 4] = [
        0xc07d_dc8c_1780_ce3a,
        0xfe79_3e3c_e142_343a,
        0x19bc_8333_074a_605d,
        0x88a6_ffe2_36e1_8efc,
    ];

    #[test]
    fn keys_spread_evenly() {
        let nodes: Vec<_> = (0..5).map(id).collect();
        let mut counts = [0_u32; 5];
        for key in 0..10_000 {
            let owner = owner(key, &nodes);
            counts[nodes.iter().position(|node| *node == owner).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| count.abs_diff(2000) < 200), "{counts:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// A node that comes takes about one key of n and moves no other; one that goes gives up
        /// its own and no other.
        #[test]
        fn only_the_keys_of_who_comes_or_goes_move(count in 1_u64..12, first: u64) {
            let all: Vec<_> = (0..=count).map(|number| id(first.wrapping_add(number))).collect();
            let (newcomer, before) = all.split_last().unwrap();
            let keys = 1000_u64;
            let mut moved = 0;
            for key in 0..keys {
                let (old, new) = (owner(key, before), owner(key, &all));
                if old != new {
                    prop_assert_eq!(new, *newcomer);
                    moved += 1;
                }
            }
            let share = keys / (count + 1);
            // Six standard deviations of a fair draw.
            let slack = 6.0 * (share as f64).sqrt();
            prop_assert!((moved as f64 - share as f64).abs() < slack + 1.0, "{moved} of {share}");
        }
    }
}
