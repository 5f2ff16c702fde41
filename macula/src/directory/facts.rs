//! Fast facts: one small opaque blob per node, such as samples of its processor and memory, that
//! changes every second and must never delay a record.
//!
//! Facts spread as an epidemic: each node now and then sends a batch to a random peer, its own
//! fact first, then the youngest it knows. Each fact carries its age, and every node that passes
//! it on adds the time it kept it, so that no clocks are compared. Only the time on the wire is
//! missing from the age. Of two facts of a node the one with the greater `(incarnation, seq)`
//! holds. After [`MAX_AGE`] a fact is neither sent nor taken, and any younger one replaces it: a
//! forged sequence number does no lasting harm.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::list::{ListError, decode_list, encode_list};
use crate::identity::NodeId;

/// Bytes of one fact at most.
pub(crate) const MAX_FACT_BYTES: usize = 192;
/// Nodes whose facts are kept at most, beside the own.
pub(crate) const MAX_NODES: usize = 16_384;
/// Entries of one batch at most.
pub(crate) const MAX_BATCH_ENTRIES: usize = 1024;
/// How old a fact may be and still travel.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(60);

/// An id, three integers and the length of the blob.
const LEAST_ENTRY_BYTES: usize = 36;

/// The newest facts of all nodes that this node has heard of.
#[derive(Debug)]
pub(crate) struct Facts {
    node: NodeId,
    incarnation: u64,
    own: Option<Row>,
    others: BTreeMap<NodeId, Row>,
}

/// A fact as it was when it came here.
#[derive(Clone, Debug)]
struct Row {
    incarnation: u64,
    seq: u64,
    bytes: Bytes,
    age: Duration,
    since: Instant,
}

/// What is known of a node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fact {
    /// What the node said, at most [`MAX_FACT_BYTES`].
    pub(crate) bytes: Bytes,
    /// How long ago it said so, the time on the wire not counted.
    pub(crate) age: Duration,
}

/// A fact on its way.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct FactEntry {
    pub(crate) node: NodeId,
    pub(crate) incarnation: u64,
    pub(crate) seq: u64,
    /// Milliseconds, rounded up at each hop.
    pub(crate) age_ms: u32,
    #[serde(with = "blob")]
    pub(crate) bytes: Bytes,
}

/// The own fact is too long; the one before it stays.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the facts of this node take {bytes} bytes, more than {MAX_FACT_BYTES}: say less")]
pub(crate) struct FactTooLong {
    pub(crate) bytes: usize,
}

impl Facts {
    /// No facts yet. `incarnation` is that of the own record: it rises with every start of the
    /// node, so that the facts of this life replace those of the last.
    pub(crate) fn new(node: NodeId, incarnation: u64) -> Self {
        Self { node, incarnation, own: None, others: BTreeMap::new() }
    }

    /// Replaces the own fact.
    ///
    /// # Errors
    /// It takes more than [`MAX_FACT_BYTES`].
    pub(crate) fn set_own(&mut self, bytes: Bytes, now: Instant) -> Result<(), FactTooLong> {
        if bytes.len() > MAX_FACT_BYTES {
            return Err(FactTooLong { bytes: bytes.len() });
        }
        let incarnation = self.incarnation;
        let seq = self.own.as_ref().map_or(0, |own| own.seq) + 1;
        self.own = Some(Row { incarnation, seq, bytes, age: Duration::ZERO, since: now });
        Ok(())
    }

    /// Keeps what is newer than what is known. Leaves out facts about the own node, those that
    /// are too old or too long, and, when [`MAX_NODES`] are known, those of further nodes.
    pub(crate) fn merge(&mut self, entries: Vec<FactEntry>, now: Instant) {
        let mut purged = false;
        for entry in entries {
            let row = Row::of(&entry, now);
            if entry.node == self.node || row.age > MAX_AGE || row.bytes.len() > MAX_FACT_BYTES {
                continue;
            }
            if let Some(known) = self.others.get_mut(&entry.node) {
                if row.stamp() > known.stamp() || !known.young(now) {
                    *known = row;
                }
                continue;
            }
            if self.others.len() >= MAX_NODES && !purged {
                // Once a batch, for it looks at every row.
                self.others.retain(|_, row| row.young(now));
                purged = true;
            }
            if self.others.len() < MAX_NODES {
                self.others.insert(entry.node, row);
            }
        }
    }

    /// What to send to a peer: the own fact, then those of others, youngest first, chance deciding
    /// between equals; none older than [`MAX_AGE`], at most [`MAX_BATCH_ENTRIES`], and no more
    /// than [`encode_batch`] turns into `budget_bytes`. An entry that does not fit is passed over
    /// for a smaller one.
    pub(crate) fn batch(
        &self,
        budget_bytes: usize,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Vec<FactEntry> {
        let fit = (budget_bytes / LEAST_ENTRY_BYTES).min(MAX_BATCH_ENTRIES);
        let own = self.own.iter().map(|row| (&self.node, row)).filter(|(_, row)| row.young(now));
        let mut others: Vec<_> = (self.others.iter())
            .filter(|(_, row)| row.young(now))
            .map(|(node, row)| (row.age(now), rng.next_u32(), node, row))
            .collect();
        let order = |entry: &(Duration, u32, &NodeId, &Row)| (entry.0, entry.1);
        if fit < others.len() {
            // Only these can be sent; the rest needs no order.
            others.select_nth_unstable_by_key(fit, order);
            others.truncate(fit);
        }
        others.sort_unstable_by_key(order);

        let mut batch = Vec::new();
        let mut spent = 0;
        for (node, row) in own.chain(others.into_iter().map(|(_, _, node, row)| (node, row))) {
            let entry = row.entry(*node, now);
            let more = spent + entry.encoded_len();
            let count = batch.len() + 1;
            if count <= MAX_BATCH_ENTRIES && more + varint_len(count as u64) <= budget_bytes {
                spent = more;
                batch.push(entry);
            }
        }
        batch
    }

    /// The newest fact of `node`, however old. The own fact too.
    pub(crate) fn get(&self, node: &NodeId, now: Instant) -> Option<Fact> {
        let row = if *node == self.node { self.own.as_ref()? } else { self.others.get(node)? };
        Some(Fact { bytes: row.bytes.clone(), age: row.age(now) })
    }

    /// Forgets the nodes that are not alive. The own fact stays.
    pub(crate) fn retain(&mut self, alive: impl Fn(&NodeId) -> bool) {
        self.others.retain(|node, _| alive(node));
    }
}

impl Row {
    fn of(entry: &FactEntry, now: Instant) -> Self {
        Self {
            incarnation: entry.incarnation,
            seq: entry.seq,
            bytes: entry.bytes.clone(),
            age: Duration::from_millis(entry.age_ms.into()),
            since: now,
        }
    }

    fn entry(&self, node: NodeId, now: Instant) -> FactEntry {
        let age = self.age(now).as_micros().div_ceil(1000);
        FactEntry {
            node,
            incarnation: self.incarnation,
            seq: self.seq,
            age_ms: age.try_into().unwrap_or(u32::MAX),
            bytes: self.bytes.clone(),
        }
    }

    fn stamp(&self) -> (u64, u64) {
        (self.incarnation, self.seq)
    }

    fn age(&self, now: Instant) -> Duration {
        self.age + now.saturating_duration_since(self.since)
    }

    fn young(&self, now: Instant) -> bool {
        self.age(now) <= MAX_AGE
    }
}

impl FactEntry {
    /// Bytes of this entry in a batch.
    fn encoded_len(&self) -> usize {
        let integers = [self.incarnation, self.seq, self.age_ms.into(), self.bytes.len() as u64];
        32 + integers.map(varint_len).iter().sum::<usize>() + self.bytes.len()
    }
}

/// Bytes of an integer in postcard: seven bits in each.
fn varint_len(value: u64) -> usize {
    (value.max(1).ilog2() / 7 + 1) as usize
}

/// The bytes of a batch.
///
/// # Errors
/// There are more than [`MAX_BATCH_ENTRIES`].
pub(crate) fn encode_batch(batch: &[FactEntry]) -> Result<Vec<u8>, ListError> {
    encode_list(batch, MAX_BATCH_ENTRIES)
}

/// A peer's batch, of at most [`MAX_BATCH_ENTRIES`] with at most [`MAX_FACT_BYTES`] each.
///
/// # Errors
/// The bytes are not a batch, or it exceeds these limits.
pub(crate) fn decode_batch(bytes: &[u8]) -> Result<Vec<FactEntry>, ListError> {
    decode_list(bytes, LEAST_ENTRY_BYTES, MAX_BATCH_ENTRIES)
}

/// A blob on the wire: its length, then its bytes.
mod blob {
    use std::fmt;

    use bytes::Bytes;
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    use super::MAX_FACT_BYTES;

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        from.deserialize_bytes(Blob)
    }

    struct Blob;

    impl Visitor<'_> for Blob {
        type Value = Bytes;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX_FACT_BYTES} bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
            if bytes.len() > MAX_FACT_BYTES {
                return Err(E::invalid_length(bytes.len(), &self));
            }
            Ok(Bytes::copy_from_slice(bytes))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// Any moment: the tests count from it.
    #[expect(clippy::disallowed_methods, reason = "an `Instant` has no other source")]
    fn origin() -> Instant {
        Instant::now()
    }

    fn id(n: u32) -> NodeId {
        let mut bytes = [0; 32];
        bytes[28..].copy_from_slice(&n.to_be_bytes());
        NodeId::from_bytes(bytes)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn rng() -> StdRng {
        StdRng::seed_from_u64(1)
    }

    fn entry(n: u32, incarnation: u64, seq: u64, age_ms: u32) -> FactEntry {
        let bytes = format!("{n}.{incarnation}.{seq}").into();
        FactEntry { node: id(n), incarnation, seq, age_ms, bytes }
    }

    fn merged(entries: Vec<FactEntry>, now: Instant) -> Facts {
        let mut facts = Facts::new(id(0), 7);
        facts.merge(entries, now);
        facts
    }

    fn nodes(batch: &[FactEntry]) -> Vec<NodeId> {
        batch.iter().map(|entry| entry.node).collect()
    }

    #[test]
    fn own_facts_rise_and_nobody_else_sets_them() {
        let now = origin();
        let mut facts = Facts::new(id(0), 7);
        assert_eq!(facts.get(&id(0), now), None);
        facts.set_own("a".into(), now).unwrap();
        facts.set_own("b".into(), now).unwrap();
        facts.merge(vec![entry(0, 9, 9, 0)], now);
        let own = FactEntry { node: id(0), incarnation: 7, seq: 2, age_ms: 5, bytes: "b".into() };
        assert_eq!(facts.batch(1000, now + ms(5), &mut rng()), [own]);

        let long = facts.set_own(vec![0; 193].into(), now);
        assert_eq!(long, Err(FactTooLong { bytes: 193 }));
        assert_eq!(facts.get(&id(0), now).unwrap().bytes, "b");
        facts.set_own(vec![0; 192].into(), now).unwrap();
    }

    #[test]
    fn newest_wins_and_a_copy_does_not_rejuvenate() {
        let now = origin();
        let mut facts = merged(vec![entry(1, 2, 5, 100)], now);
        let later = now + ms(50);
        facts.merge(vec![entry(1, 2, 5, 0), entry(1, 2, 4, 0), entry(1, 1, 9, 0)], later);
        let known = facts.get(&id(1), later);
        assert_eq!(known, Some(Fact { bytes: "1.2.5".into(), age: ms(150) }));
        facts.merge(vec![entry(1, 2, 6, 0)], later);
        assert_eq!(facts.get(&id(1), later).unwrap().bytes, "1.2.6");
        facts.merge(vec![entry(1, 3, 0, 0)], later);
        assert_eq!(facts.get(&id(1), later).unwrap().bytes, "1.3.0");
    }

    #[test]
    fn old_facts_neither_travel_nor_hold_their_place() {
        let now = origin();
        let mut facts = merged(vec![entry(1, 9, 9, 59_000), entry(2, 1, 1, 60_001)], now);
        facts.set_own("own".into(), now).unwrap();
        assert_eq!(facts.get(&id(2), now), None);
        assert_eq!(nodes(&facts.batch(1000, now, &mut rng())), [id(0), id(1)]);

        let later = now + ms(2000);
        assert_eq!(nodes(&facts.batch(1000, later, &mut rng())), [id(0)]);
        assert_eq!(facts.get(&id(1), later).unwrap().age, ms(61_000));
        facts.merge(vec![entry(1, 1, 1, 0)], later);
        assert_eq!(facts.get(&id(1), later).unwrap().bytes, "1.1.1");
        assert_eq!(nodes(&facts.batch(1000, now + ms(60_001), &mut rng())), [id(1)]);
    }

    #[test]
    fn batches_take_the_youngest() {
        let start = origin();
        let mut facts = Facts::new(id(0), 7);
        facts.set_own("own".into(), start).unwrap();
        let now = start + ms(500);
        facts.merge((1..=100).map(|n| entry(n, 1, 1, (n * 37) % 101)).collect(), now);
        let batch = facts.batch(600, now, &mut rng());
        let ages: Vec<_> = batch.iter().map(|entry| entry.age_ms).collect();
        let others: Vec<_> = (1..ages.len() as u32).collect();
        assert_eq!(ages, [&[500], &others[..]].concat());
        assert!(ages.len() > 10, "{ages:?}");
        assert_eq!(facts.batch(20, now, &mut rng()), []);
        assert_eq!(facts.batch(0, now, &mut rng()), []);
    }

    #[test]
    fn a_budget_is_used_to_its_last_byte() {
        let now = origin();
        let facts = merged(vec![entry(1, 1, 1, 5), entry(2, 1, 1, 6)], now);
        let both = facts.batch(1000, now, &mut rng());
        let bytes = encode_batch(&both).unwrap().len();
        assert_eq!(facts.batch(bytes, now, &mut rng()), both);
        assert_eq!(facts.batch(bytes - 1, now, &mut rng()), both[..1]);
    }

    #[test]
    fn chance_decides_between_equals() {
        let now = origin();
        let facts = merged((1..=100).map(|n| entry(n, 1, 1, 5)).collect(), now);
        let mut rng = rng();
        let first = nodes(&facts.batch(400, now, &mut rng));
        assert_ne!(first, nodes(&facts.batch(400, now, &mut rng)));
    }

    #[test]
    fn batches_and_nodes_are_bounded() {
        let now = origin();
        let most = MAX_NODES as u32;
        let mut facts = Facts::new(id(0), 7);
        facts.merge((1..=most).map(|n| entry(n, 1, 1, n)).collect(), now);
        facts.set_own("own".into(), now).unwrap();
        let batch = facts.batch(usize::MAX, now, &mut rng());
        assert_eq!(batch.len(), MAX_BATCH_ENTRIES);
        assert_eq!(decode_batch(&encode_batch(&batch).unwrap()), Ok(batch));

        let further = || vec![entry(most + 1, 1, 1, 0), entry(most + 2, 1, 1, 0)];
        facts.merge(further(), now);
        assert_eq!(facts.get(&id(most + 1), now), None);
        // By then the eldest is too old, which makes room for one.
        let later = now + MAX_AGE - ms(most.into()) + Duration::from_micros(1);
        facts.merge(further(), later);
        assert_eq!(facts.get(&id(most), later), None);
        assert_eq!(facts.get(&id(most + 1), later).unwrap().bytes, format!("{}.1.1", most + 1));
        assert_eq!(facts.get(&id(most + 2), later), None);
        assert_eq!(facts.others.len(), MAX_NODES);

        facts.retain(|node| *node == id(3));
        assert_eq!(nodes(&facts.batch(usize::MAX, now, &mut rng())), [id(0), id(3)]);
    }

    #[test]
    fn long_blobs_and_long_batches_are_refused() {
        let with = |len| FactEntry { bytes: vec![1; len].into(), ..entry(1, 1, 1, 1) };
        assert_eq!(decode_batch(&encode_batch(&[with(192)]).unwrap()), Ok(vec![with(192)]));
        assert_eq!(decode_batch(&encode_batch(&[with(193)]).unwrap()), Err(ListError::Malformed));
        assert_eq!(merged(vec![with(193)], origin()).others.len(), 0);
        assert!(encode_batch(&vec![with(1); MAX_BATCH_ENTRIES + 1]).is_err());
    }

    fn entries() -> impl Strategy<Value = Vec<FactEntry>> {
        let one = (1..10_u32, any::<bool>(), 0..3_u64, 0..5_u64, 0..60_000_u32, 0..192_usize);
        let one = one.prop_map(|(n, wide, incarnation, seq, age_ms, len)| {
            let high = if wide { u64::MAX - 10 } else { 0 };
            let (incarnation, seq) = (incarnation + high, seq + high);
            // As with an honest node, the stamp decides the bytes.
            let bytes = vec![incarnation.wrapping_mul(5).wrapping_add(seq) as u8; len].into();
            FactEntry { node: id(n), incarnation, seq, age_ms, bytes }
        });
        prop::collection::vec(one, 0..60)
    }

    /// Honest entries: where the stamp is equal, so is all the rest.
    fn distinct() -> impl Strategy<Value = Vec<FactEntry>> {
        entries().prop_map(|mut entries| {
            entries.sort_by_key(|entry| (entry.node, entry.incarnation, entry.seq));
            entries.dedup_by_key(|entry| (entry.node, entry.incarnation, entry.seq));
            entries
        })
    }

    proptest! {
        #[test]
        fn the_newest_wins_in_any_order(
            (sorted, shuffled) in distinct()
                .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
            cut in 0..60_usize,
        ) {
            let now = origin();
            let newest: BTreeMap<_, _> = sorted.iter().map(|entry| (entry.node, entry)).collect();
            let (first, rest) = shuffled.split_at(cut.min(shuffled.len()));
            let mut facts = merged(first.to_vec(), now);
            facts.merge(rest.to_vec(), now);
            facts.merge(first.to_vec(), now);
            prop_assert_eq!(facts.others.len(), newest.len());
            for (node, entry) in newest {
                let age = ms(entry.age_ms.into());
                let expected = Fact { bytes: entry.bytes.clone(), age };
                prop_assert_eq!(facts.get(&node, now), Some(expected));
            }
        }

        #[test]
        fn no_batch_exceeds_its_budget(
            entries in distinct(),
            budget in 0..3000_usize,
            own in 0..192_usize,
            seed in any::<u64>(),
        ) {
            let now = origin();
            let mut facts = merged(entries, now);
            facts.set_own(vec![0; own].into(), now).unwrap();
            let batch = facts.batch(budget, now, &mut StdRng::seed_from_u64(seed));
            let bytes = encode_batch(&batch).unwrap();
            let spent: usize = batch.iter().map(FactEntry::encoded_len).sum();
            prop_assert_eq!(bytes.len(), 1 + spent);
            prop_assert!(batch.is_empty() || bytes.len() <= budget);
            if budget >= 40 + own {
                prop_assert_eq!(batch.first().map(|entry| entry.node), Some(id(0)));
            }
            prop_assert_eq!(decode_batch(&bytes), Ok(batch));
        }

        #[test]
        fn ages_are_never_below_the_truth(seed in any::<u64>(), steps in 1..200_usize) {
            let mut rng = StdRng::seed_from_u64(seed);
            let start = origin();
            let mut truth = Duration::ZERO;
            // Each node has a clock of its own, which starts anywhere.
            let offsets: [Duration; 5] = std::array::from_fn(|_| ms(rng.random_range(0..100_000)));
            let mut all: Vec<_> = (0..5).map(|n| Facts::new(id(n), 1)).collect();
            let mut hops = 0;
            for _ in 0..steps {
                truth += Duration::from_micros(rng.random_range(0..400_000));
                let [from, to] = [rng.random_range(0..5), rng.random_range(0..5)];
                if rng.random_ratio(1, 3) {
                    // The fact says when it was made.
                    let made = (truth.as_micros() as u64).to_le_bytes().to_vec();
                    all[from].set_own(made.into(), start + offsets[from] + truth).unwrap();
                } else {
                    hops += 1;
                    let batch = all[from].batch(130, start + offsets[from] + truth, &mut rng);
                    all[to].merge(batch, start + offsets[to] + truth);
                }
                for (facts, offset) in all.iter().zip(offsets) {
                    for n in 0..5 {
                        let now = start + offset + truth;
                        let Some(fact) = facts.get(&id(n), now) else { continue };
                        let made = u64::from_le_bytes(fact.bytes[..].try_into().unwrap());
                        let real = truth - Duration::from_micros(made);
                        prop_assert!(fact.age >= real, "{:?} < {real:?}", fact.age);
                        prop_assert!(fact.age <= real + ms(hops), "{:?} > {real:?}", fact.age);
                    }
                }
            }
        }

        #[test]
        fn no_bytes_panic_as_a_batch(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(batch) = decode_batch(&bytes) {
                let facts = merged(batch, origin());
                prop_assert!(facts.others.len() <= bytes.len() / LEAST_ENTRY_BYTES);
            }
        }
    }

    #[test]
    fn integers_take_the_bytes_that_are_reckoned() {
        for shift in 0..64 {
            for value in [1_u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                assert_eq!(
                    varint_len(value),
                    postcard::to_stdvec(&value).unwrap().len(),
                    "{value}"
                );
            }
        }
    }
}
