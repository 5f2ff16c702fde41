//! Values that are kept for a time, and of which those not used for longest go first.
//!
//! Promise: what [`get`](Lru::get) gives was inserted under that key, last, and is younger than asked;
//! never are there more entries, or more bytes, than the bounds say that were given last.
//!
//! Limits: a bound on entries and one on bytes, in which each entry counts with its key, its value
//! and what the tables take. One of more than an eighth of all bytes is not kept. Times are in
//! nanoseconds.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;

/// What an entry takes beside its key and value, about.
pub(super) const OVERHEAD: usize = 192;
/// The largest share of all bytes that one entry may take.
const SHARE: usize = 8;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Lru<K, V> {
    entries: BTreeMap<K, Entry<V>>,
    /// By when they were used: the last one is the latest.
    used: BTreeMap<u64, K>,
    /// Counts uses.
    next: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    used: u64,
    inserted: u64,
    bytes: usize,
}

impl<K, V> Default for Lru<K, V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), used: BTreeMap::new(), next: 0, bytes: 0 }
    }
}

impl<K, V> Lru<K, V>
where
    K: AsRef<[u8]> + Clone + Ord,
    V: AsRef<[u8]>,
{
    /// The value of a key, if it was inserted less than `ttl` ago. That is a use of it.
    pub(super) fn get(&mut self, key: &K, now: u64, ttl: u64) -> Option<&V> {
        if now.saturating_sub(self.entries.get(key)?.inserted) >= ttl {
            self.remove(key);
            return None;
        }
        let entry = self.entries.get_mut(key)?;
        let key = self.used.remove(&entry.used)?;
        entry.used = self.next;
        self.used.insert(self.next, key);
        self.next += 1;
        Some(&entry.value)
    }

    /// Keeps a value, in the place of the one of its key.
    pub(super) fn insert(&mut self, key: K, value: V, now: u64, bounds: Bounds) {
        self.remove(&key);
        let bytes = key.as_ref().len() + value.as_ref().len() + OVERHEAD;
        if bytes > bounds.bytes / SHARE {
            return;
        }
        self.bytes += bytes;
        self.used.insert(self.next, key.clone());
        self.entries.insert(key, Entry { value, used: self.next, inserted: now, bytes });
        self.next += 1;
        self.shrink(bounds);
    }

    /// Drops what is over the bounds.
    pub(super) fn shrink(&mut self, bounds: Bounds) {
        while self.entries.len() > bounds.entries || self.bytes > bounds.bytes {
            let Some((_, key)) = self.used.pop_first() else { return };
            self.remove(&key);
        }
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.used.clear();
        self.bytes = 0;
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.used.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Op {
        Get(u8),
        /// Key, length of the value.
        Insert(u8, usize),
        /// The time to live from now on.
        Ttl(u64),
        Wait(u64),
        Shrink(usize),
        Clear,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            8 => (0..12_u8).prop_map(Op::Get),
            8 => (0..12_u8, 0..200_usize).prop_map(|(k, l)| Op::Insert(k, l)),
            1 => (1..50_u64).prop_map(Op::Ttl),
            4 => (0..20_u64).prop_map(Op::Wait),
            1 => (1..8_usize).prop_map(Op::Shrink),
            1 => Just(Op::Clear),
        ]
    }

    /// The same in a list, the one not used for longest first, each with when it was inserted.
    type Model = Vec<(u8, Vec<u8>, u64)>;

    fn size(model: &Model) -> usize {
        model.iter().map(|(_, value, _)| 1 + value.len() + OVERHEAD).sum()
    }

    fn shrink(model: &mut Model, bounds: Bounds) {
        while model.len() > bounds.entries || size(model) > bounds.bytes {
            model.remove(0);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn it_is_a_list_by_use(
            ops in prop::collection::vec(op(), 1..200),
            entries in 1..8_usize,
            bytes in 1500..4000_usize,
        ) {
            let mut bounds = Bounds { entries, bytes };
            let (mut lru, mut model) = (Lru::<Vec<u8>, Vec<u8>>::default(), Model::new());
            let (mut now, mut ttl) = (0, 20);
            for (n, op) in ops.into_iter().enumerate() {
                match op {
                    Op::Wait(time) => now += time,
                    Op::Ttl(time) => ttl = time,
                    Op::Clear => {
                        lru.clear();
                        model.clear();
                    }
                    Op::Shrink(entries) => {
                        bounds.entries = entries;
                        lru.shrink(bounds);
                        shrink(&mut model, bounds);
                    }
                    Op::Insert(key, length) => {
                        let value = vec![n as u8; length];
                        lru.insert(vec![key], value.clone(), now, bounds);
                        model.retain(|(known, _, _)| *known != key);
                        if 1 + length + OVERHEAD <= bounds.bytes / SHARE {
                            model.push((key, value, now));
                        }
                        shrink(&mut model, bounds);
                    }
                    Op::Get(key) => {
                        let at = model.iter().position(|(known, _, _)| *known == key);
                        let found = at.map(|at| model.remove(at));
                        let found = found.filter(|(_, _, inserted)| now - inserted < ttl);
                        let given = lru.get(&vec![key], now, ttl).cloned();
                        prop_assert_eq!(given, found.as_ref().map(|(_, value, _)| value.clone()));
                        model.extend(found);
                    }
                }
                prop_assert_eq!(lru.len(), model.len());
                prop_assert_eq!(lru.used.len(), model.len());
                prop_assert_eq!(lru.bytes, size(&model));
                prop_assert!(lru.len() <= bounds.entries && lru.bytes <= bounds.bytes);
            }
        }
    }
}
