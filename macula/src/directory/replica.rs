//! One node's copy of everybody's records.
//!
//! Merging is a maximum by `(incarnation, version)`, so that records may arrive in any order and
//! any number of times: replicas that have seen the same records are the same.
//!
//! A record that is removed leaves a tombstone for [`TOMBSTONE_TIME`], so that a copy still
//! travelling does not bring it back; only a newer record does, or [`Replica::welcome`], which is
//! for a member that had merely been out of reach and has nothing newer to say.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::list::{ListError, decode_list, encode_list};
use super::record::SealedRecord;
use crate::identity::NodeId;

/// Records in a replica at most, and as many tombstones beside them.
pub(crate) const MAX_RECORDS: usize = 16_384;
/// How long a removed record cannot be brought back by a copy of it.
pub(crate) const TOMBSTONE_TIME: Duration = Duration::from_secs(600);
/// How long the record of a node that is no member is kept.
pub(crate) const ABSENCE_TIME: Duration = Duration::from_secs(30);

/// An id, and two integers of at least a byte.
const LEAST_DIGEST_ENTRY_BYTES: usize = 34;

/// The records of all nodes that this node knows, by node.
#[derive(Debug, Default)]
pub(crate) struct Replica {
    rows: BTreeMap<NodeId, Row>,
    tombstones: Tombstones,
    /// As long as no row comes, goes or changes.
    summary: Cell<Option<u64>>,
}

#[derive(Debug)]
struct Row {
    sealed: SealedRecord,
    absent_since: Option<Instant>,
}

/// What became of a record given to [`Replica::insert`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Inserted {
    /// It is the first of its node: pass it on.
    New,
    /// It replaces an older one: pass it on.
    Updated,
    /// It is known, or older than what is known or was removed. Nothing changed.
    Stale,
    /// Nothing changed.
    Refused(Full),
}

/// There is no room for the record of another node.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the directory is full with {MAX_RECORDS} nodes: split the cluster into several realms")]
pub(crate) struct Full;

/// Which record of a node a replica has.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) struct DigestEntry {
    pub(crate) node: NodeId,
    pub(crate) incarnation: u64,
    pub(crate) version: u64,
}

/// What two replicas have to send each other to become the same.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Comparison {
    /// Nodes whose records to ask for: there they are newer, or known at all. Sorted.
    pub(crate) wanted: Vec<NodeId>,
    /// Nodes whose records to send: here they are newer, or known at all. Sorted.
    pub(crate) newer_here: Vec<NodeId>,
}

impl Replica {
    /// Keeps `sealed` if it is newer than what is known of its node. Its signature is not looked
    /// at: a [`SealedRecord`] is genuine.
    pub(crate) fn insert(&mut self, sealed: SealedRecord, now: Instant) -> Inserted {
        let node = sealed.record().node;
        let full = self.rows.len() >= MAX_RECORDS;
        match self.rows.entry(node) {
            Entry::Occupied(mut row) => {
                let row = row.get_mut();
                let older = sealed.record().stamp() <= row.sealed.record().stamp();
                if older && !cfg!(mutant = "old_record_accepted") {
                    return Inserted::Stale;
                }
                row.sealed = sealed;
                self.summary.set(None);
                Inserted::Updated
            }
            Entry::Vacant(row) => {
                self.tombstones.purge(now);
                let buried = self.tombstones.get(&node);
                let buried = buried.filter(|_| !cfg!(mutant = "buried_record_returns"));
                if buried.is_some_and(|at| sealed.record().stamp() <= at) {
                    return Inserted::Stale;
                }
                if full {
                    return Inserted::Refused(Full);
                }
                self.tombstones.lift(&node);
                row.insert(Row { sealed, absent_since: None });
                self.summary.set(None);
                Inserted::New
            }
        }
    }

    /// The newest known record of `node`.
    pub(crate) fn get(&self, node: &NodeId) -> Option<&SealedRecord> {
        self.rows.get(node).map(|row| &row.sealed)
    }

    /// Whether these are the bytes of a record that is known already: then there is nothing to check
    /// or to keep. Peers tell theirs on each new connection, mostly after the gossip has.
    pub(crate) fn has(&self, sealed: &[u8]) -> bool {
        let node = sealed.first_chunk::<32>().map(|node| NodeId::from_bytes(*node));
        node.and_then(|node| self.get(&node)).is_some_and(|known| known.bytes() == sealed)
    }

    /// Forgets the record of `node`, returns it, and keeps copies of it or of older ones out for
    /// [`TOMBSTONE_TIME`]. For a node that left.
    pub(crate) fn remove(&mut self, node: &NodeId, now: Instant) -> Option<SealedRecord> {
        let row = self.rows.remove(node)?;
        self.summary.set(None);
        self.tombstones.purge(now);
        self.tombstones.bury(*node, row.sealed.record().stamp(), now);
        Some(row.sealed)
    }

    /// Lifts the tombstone of a node that has become a member: it had been out of reach, and its
    /// unchanged record is as good as before.
    pub(crate) fn welcome(&mut self, node: &NodeId) {
        self.tombstones.lift(node);
    }

    /// Removes the records of nodes that have not been members for [`ABSENCE_TIME`] and returns
    /// those nodes. The time runs from the first call that finds a node not alive, and starts
    /// anew when a call finds it alive in between. `alive` must hold for the own node.
    pub(crate) fn expire(&mut self, alive: impl Fn(&NodeId) -> bool, now: Instant) -> Vec<NodeId> {
        self.tombstones.purge(now);
        let mut gone = Vec::new();
        for (node, row) in &mut self.rows {
            if alive(node) {
                row.absent_since = None;
            } else {
                let since = *row.absent_since.get_or_insert(now);
                if now.saturating_duration_since(since) >= ABSENCE_TIME {
                    gone.push(*node);
                }
            }
        }
        for node in &gone {
            self.remove(node, now);
        }
        gone
    }

    /// All records, in the order of their nodes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &SealedRecord> {
        self.rows.values().map(|row| &row.sealed)
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Which records there are, sorted by node.
    pub(crate) fn digest(&self) -> Vec<DigestEntry> {
        self.iter().map(DigestEntry::of).collect()
    }

    /// A hash of the digest. Replicas with equal summaries have equal digests, except for one
    /// pair in 2⁶⁴.
    pub(crate) fn summary(&self) -> u64 {
        if let Some(summary) = self.summary.get() {
            return summary;
        }
        let mut hash = blake3::Hasher::new_derive_key("macula directory digest v1");
        for entry in self.iter().map(DigestEntry::of) {
            hash.update(entry.node.as_bytes());
            hash.update(&entry.incarnation.to_le_bytes());
            hash.update(&entry.version.to_le_bytes());
        }
        let mut first = [0; 8];
        hash.finalize_xof().fill(&mut first);
        let summary = u64::from_le_bytes(first);
        self.summary.set(Some(summary));
        summary
    }

    /// What to ask of, and to send to, the node with that digest.
    ///
    /// `theirs` may be in any order and name a node several times; the newest counts. Records
    /// that [`Replica::insert`] would refuse are not asked for: those behind a tombstone, and
    /// those of unknown nodes beyond [`MAX_RECORDS`].
    pub(crate) fn compare(&self, theirs: &[DigestEntry]) -> Comparison {
        let mut newest = BTreeMap::new();
        for entry in theirs {
            let stamp = newest.entry(entry.node).or_insert(entry.stamp());
            *stamp = entry.stamp().max(*stamp);
        }
        let mut room = MAX_RECORDS.saturating_sub(self.rows.len());
        let mut comparison = Comparison::default();
        for (node, there) in &newest {
            match self.get(node).map(|here| here.record().stamp().cmp(there)) {
                Some(Ordering::Less) => comparison.wanted.push(*node),
                Some(_) => {}
                None if room == 0 || self.tombstones.get(node).is_some_and(|at| *there <= at) => {}
                None => {
                    room -= 1;
                    comparison.wanted.push(*node);
                }
            }
        }
        for here in self.iter().map(|sealed| sealed.record()) {
            if newest.get(&here.node).is_none_or(|there| here.stamp() > *there) {
                comparison.newer_here.push(here.node);
            }
        }
        comparison
    }
}

impl DigestEntry {
    fn of(sealed: &SealedRecord) -> Self {
        let (incarnation, version) = sealed.record().stamp();
        Self { node: sealed.record().node, incarnation, version }
    }

    fn stamp(&self) -> (u64, u64) {
        (self.incarnation, self.version)
    }
}

/// The bytes of a digest: at most 52 an entry and 3 for their number.
///
/// # Errors
/// There are more than [`MAX_RECORDS`] entries.
pub(crate) fn encode_digest(digest: &[DigestEntry]) -> Result<Vec<u8>, ListError> {
    encode_list(digest, MAX_RECORDS)
}

/// A peer's digest, of at most [`MAX_RECORDS`] entries in whatever order it sent them.
///
/// # Errors
/// The bytes are not a digest.
pub(crate) fn decode_digest(bytes: &[u8]) -> Result<Vec<DigestEntry>, ListError> {
    decode_list(bytes, LEAST_DIGEST_ENTRY_BYTES, MAX_RECORDS)
}

/// The stamps of removed records, each until its time is over. When there are too many, those
/// that would end first make room.
#[derive(Debug, Default)]
struct Tombstones {
    by_node: BTreeMap<NodeId, Tombstone>,
    by_end: BTreeSet<(Instant, NodeId)>,
}

#[derive(Debug)]
struct Tombstone {
    stamp: (u64, u64),
    end: Instant,
}

impl Tombstones {
    fn get(&self, node: &NodeId) -> Option<(u64, u64)> {
        self.by_node.get(node).map(|tombstone| tombstone.stamp)
    }

    fn bury(&mut self, node: NodeId, stamp: (u64, u64), now: Instant) {
        self.lift(&node);
        if self.by_node.len() >= MAX_RECORDS {
            self.lift_first();
        }
        let end = now + TOMBSTONE_TIME;
        self.by_end.insert((end, node));
        self.by_node.insert(node, Tombstone { stamp, end });
    }

    fn lift(&mut self, node: &NodeId) {
        if let Some(tombstone) = self.by_node.remove(node) {
            self.by_end.remove(&(tombstone.end, *node));
        }
    }

    fn lift_first(&mut self) {
        if let Some((_, node)) = self.by_end.pop_first() {
            self.by_node.remove(&node);
        }
    }

    fn purge(&mut self, now: Instant) {
        while self.by_end.first().is_some_and(|(end, _)| *end <= now) {
            self.lift_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::subsequence;

    use super::super::record::{NodeRecord, NodeStatus};
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

    /// The record of node `n` with that stamp; as with an honest node, the stamp decides the rest.
    fn sealed(n: u32, incarnation: u64, version: u64) -> SealedRecord {
        let record = NodeRecord {
            node: id(n),
            incarnation,
            version,
            name: format!("n{n}.{incarnation}.{version}"),
            tags: BTreeSet::new(),
            addrs: Vec::new(),
            status: NodeStatus::Serving,
            services: Vec::new(),
            topology: None,
        };
        SealedRecord::seal(record, [0; 8], |_| [0; 64]).unwrap()
    }

    #[test]
    fn only_the_very_record_is_known() {
        let mut replica = Replica::default();
        let known = sealed(1, 2, 3);
        assert!(!replica.has(known.bytes()));
        replica.insert(known.clone(), origin());
        assert!(replica.has(known.bytes()));
        let mut forged = known.bytes().to_vec();
        *forged.last_mut().unwrap() ^= 1;
        for other in [&forged[..], &forged[..forged.len() - 1], sealed(1, 2, 4).bytes(), b""] {
            assert!(!replica.has(other));
        }
    }

    fn all(replica: &Replica) -> Vec<SealedRecord> {
        replica.iter().cloned().collect()
    }

    fn filled(records: &[SealedRecord], now: Instant) -> Replica {
        let mut replica = Replica::default();
        for record in records {
            replica.insert(record.clone(), now);
        }
        replica
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn newer_replaces_older_and_nothing_else_does() {
        let now = origin();
        let mut replica = Replica::default();
        assert_eq!(replica.insert(sealed(1, 2, 5), now), Inserted::New);
        assert_eq!(replica.insert(sealed(1, 2, 5), now), Inserted::Stale);
        assert_eq!(replica.insert(sealed(1, 2, 4), now), Inserted::Stale);
        assert_eq!(replica.insert(sealed(1, 1, 9), now), Inserted::Stale);
        assert_eq!(replica.insert(sealed(1, 2, 6), now), Inserted::Updated);
        assert_eq!(replica.insert(sealed(1, 3, 0), now), Inserted::Updated);
        assert_eq!(replica.get(&id(1)), Some(&sealed(1, 3, 0)));
        assert_eq!(replica.get(&id(2)), None);
    }

    #[test]
    fn a_removed_record_stays_away_for_its_time() {
        let now = origin();
        let mut replica = filled(&[sealed(1, 2, 5)], now);
        assert_eq!(replica.remove(&id(1), now), Some(sealed(1, 2, 5)));
        assert_eq!(replica.remove(&id(1), now), None);

        let late = now + TOMBSTONE_TIME - SECOND;
        assert_eq!(replica.insert(sealed(1, 2, 5), late), Inserted::Stale);
        assert_eq!(replica.insert(sealed(1, 1, 9), late), Inserted::Stale);
        assert_eq!(replica.len(), 0);
        let ask = |stamp| replica.compare(&[DigestEntry::of(&stamp)]).wanted;
        assert_eq!(ask(sealed(1, 2, 5)), []);
        assert_eq!(ask(sealed(1, 2, 6)), [id(1)]);
        assert_eq!(replica.insert(sealed(1, 2, 5), now + TOMBSTONE_TIME), Inserted::New);
    }

    #[test]
    fn a_higher_version_or_incarnation_returns_at_once() {
        let now = origin();
        for newer in [sealed(1, 2, 6), sealed(1, 3, 0)] {
            let mut replica = filled(&[sealed(1, 2, 5)], now);
            replica.remove(&id(1), now);
            assert_eq!(replica.insert(newer, now), Inserted::New);
            assert!(replica.tombstones.by_node.is_empty() && replica.tombstones.by_end.is_empty());
        }
    }

    #[test]
    fn a_welcomed_node_returns_with_its_old_record() {
        let now = origin();
        let mut replica = filled(&[sealed(1, 2, 5)], now);
        replica.remove(&id(1), now);
        replica.welcome(&id(1));
        assert_eq!(replica.compare(&[DigestEntry::of(&sealed(1, 2, 5))]).wanted, [id(1)]);
        assert_eq!(replica.insert(sealed(1, 2, 5), now), Inserted::New);
    }

    #[test]
    fn nodes_expire_only_after_an_unbroken_absence() {
        let start = origin();
        let mut replica = filled(&[sealed(1, 1, 1), sealed(2, 1, 1)], start);
        let first_alive = |node: &NodeId| *node == id(1);
        let at = |seconds| start + SECOND * seconds;

        assert_eq!(replica.expire(first_alive, at(100)), []);
        assert_eq!(replica.expire(first_alive, at(129)), []);
        assert_eq!(replica.expire(|_| true, at(129)), []);
        assert_eq!(replica.expire(first_alive, at(131)), []);
        // A third party's copy is no sign of life.
        replica.insert(sealed(2, 1, 2), at(150));
        assert_eq!(replica.expire(first_alive, at(160)), []);
        assert_eq!(replica.expire(first_alive, at(161)), [id(2)]);
        assert_eq!(all(&replica), [sealed(1, 1, 1)]);
        assert_eq!(replica.insert(sealed(2, 1, 2), at(162)), Inserted::Stale);
    }

    #[test]
    fn records_and_tombstones_are_bounded() {
        let now = origin();
        let most = MAX_RECORDS as u32;
        let mut replica = Replica::default();
        for n in 0..most {
            assert_eq!(replica.insert(sealed(n, 1, 1), now), Inserted::New);
        }
        assert_eq!(replica.insert(sealed(most, 1, 1), now), Inserted::Refused(Full));
        assert_eq!(replica.insert(sealed(0, 1, 2), now), Inserted::Updated);
        assert_eq!(replica.compare(&[DigestEntry::of(&sealed(most, 1, 1))]).wanted, []);

        assert!(replica.remove(&id(0), now).is_some());
        assert_eq!(replica.insert(sealed(most, 1, 1), now), Inserted::New);
        let later = now + SECOND;
        for n in 1..=most {
            assert!(replica.remove(&id(n), later).is_some());
        }
        assert_eq!(replica.tombstones.by_node.len(), MAX_RECORDS);
        assert_eq!(replica.tombstones.by_end.len(), MAX_RECORDS);
        assert_eq!(replica.insert(sealed(0, 1, 2), later), Inserted::New, "the oldest made room");
        assert_eq!(replica.insert(sealed(1, 1, 1), later), Inserted::Stale);
    }

    #[test]
    fn a_summary_tells_every_part_of_a_digest() {
        let now = origin();
        let replicas = [
            vec![],
            vec![sealed(1, 1, 1)],
            vec![sealed(2, 1, 1)],
            vec![sealed(1, 2, 1)],
            vec![sealed(1, 1, 2)],
            vec![sealed(1, 1, 1), sealed(2, 1, 1)],
        ];
        let summaries: BTreeSet<_> =
            replicas.iter().map(|records| filled(records, now).summary()).collect();
        assert_eq!(summaries.len(), replicas.len());
    }

    #[test]
    fn a_digest_survives_the_wire_and_may_be_untidy() {
        let now = origin();
        let here = filled(&[sealed(1, 1, 5), sealed(2, 1, 5), sealed(3, u64::MAX, 5)], now);
        let digest = here.digest();
        assert_eq!(decode_digest(&encode_digest(&digest).unwrap()), Ok(digest.clone()));
        assert!(digest.is_sorted());
        assert!(decode_digest(&[0xff; 40]).is_err());

        let untidy: Vec<_> = [(4, 1, 1), (2, 1, 9), (1, 1, 5), (2, 1, 2), (4, 1, 1)]
            .map(|(n, incarnation, version)| DigestEntry { node: id(n), incarnation, version })
            .into();
        let comparison = here.compare(&untidy);
        assert_eq!(comparison.wanted, [id(2), id(4)]);
        assert_eq!(comparison.newer_here, [id(3)]);
    }

    fn records() -> impl Strategy<Value = Vec<SealedRecord>> {
        prop::collection::vec((0..12_u32, 0..3_u64, 0..4_u64), 0..40)
            .prop_map(|all| all.into_iter().map(|(n, i, v)| sealed(n, i, v)).collect())
    }

    /// The same records twice: as they were made, and shuffled with some of them repeated.
    fn two_orders() -> impl Strategy<Value = (Vec<SealedRecord>, Vec<SealedRecord>)> {
        records().prop_flat_map(|list| {
            let repeated = subsequence(list.clone(), 0..=list.len());
            let shuffled = repeated
                .prop_map({
                    let list = list.clone();
                    move |repeated| [list.clone(), repeated].concat()
                })
                .prop_shuffle();
            (Just(list), shuffled)
        })
    }

    /// One round: each asks for what the other has newer, and is sent what it lacks.
    fn exchange(left: &mut Replica, right: &mut Replica, now: Instant) {
        let comparison = left.compare(&right.digest());
        for node in &comparison.wanted {
            let sealed = right.get(node).unwrap().clone();
            assert_ne!(left.insert(sealed, now), Inserted::Stale, "it was asked for");
        }
        for node in &comparison.newer_here {
            let sealed = left.get(node).unwrap().clone();
            assert_ne!(right.insert(sealed, now), Inserted::Stale, "it was announced as newer");
        }
    }

    proptest! {
        #[test]
        fn order_and_repetition_do_not_matter((list, shuffled) in two_orders()) {
            let now = origin();
            let (one, other) = (filled(&list, now), filled(&shuffled, now));
            prop_assert_eq!(all(&one), all(&other));
            prop_assert_eq!(one.digest(), other.digest());
            prop_assert_eq!(one.summary(), other.summary());
        }

        #[test]
        fn merging_is_associative(a in records(), b in records(), c in records()) {
            let now = origin();
            let merge = |left: &Replica, right: &Replica| {
                filled(&[all(left), all(right)].concat(), now)
            };
            let [a, b, c] = [a, b, c].map(|list| filled(&list, now));
            prop_assert_eq!(all(&merge(&merge(&a, &b), &c)), all(&merge(&a, &merge(&b, &c))));
        }

        #[test]
        fn one_exchange_makes_two_replicas_equal(a in records(), b in records()) {
            let now = origin();
            let union = filled(&[a.clone(), b.clone()].concat(), now);
            let (mut left, mut right) = (filled(&a, now), filled(&b, now));
            exchange(&mut left, &mut right, now);
            prop_assert_eq!(all(&left), all(&right));
            prop_assert_eq!(all(&left), all(&union));
            prop_assert_eq!(left.compare(&right.digest()), Comparison::default());
        }

        #[test]
        fn summaries_are_equal_exactly_when_digests_are(a in records(), b in records()) {
            let now = origin();
            let (left, right) = (filled(&a, now), filled(&b, now));
            prop_assert_eq!(left.summary() == right.summary(), left.digest() == right.digest());
        }

        #[test]
        fn no_stale_copy_brings_a_removed_record_back(
            list in records(), copies in records(), gone in 0..12_u32, seconds in 0..600_u32,
        ) {
            let now = origin();
            let mut replica = filled(&list, now);
            if let Some(last) = replica.remove(&id(gone), now) {
                let mut newer = false;
                for copy in copies.into_iter().chain(list) {
                    newer |= copy.record().node == id(gone)
                        && copy.record().stamp() > last.record().stamp();
                    replica.insert(copy, now + SECOND * seconds);
                    prop_assert_eq!(replica.get(&id(gone)).is_some(), newer);
                }
            }
        }

        #[test]
        fn no_bytes_panic_as_a_digest(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(digest) = decode_digest(&bytes) {
                prop_assert!(Replica::default().compare(&digest).wanted.len() <= digest.len());
            }
        }
    }
}
