//! Keeps the directory of a node current: what it tells its peers, and what it takes from them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use tokio::time::Instant;

use super::facts::{decode_batch, encode_batch};
use super::record::{NodeRecord, RecordError, SealedRecord};
use super::replica::{DigestEntry, Inserted, decode_digest, encode_digest};
use crate::identity::NodeId;
use crate::limits;
use crate::membership::{Hint, Member, MembershipInput};
use crate::mesh::{Inner, State};
use crate::quiet::{Kind, Who};
use crate::transport::lane::LaneClosed;
use crate::transport::link::Link;
use crate::wire::Message;

/// The first byte of a datagram that carries facts.
pub(crate) const FACTS: u8 = 1;
/// How often two directories are compared, and facts are passed on.
const ROUND: Duration = Duration::from_secs(1);
/// To how many peers facts are passed in a round.
const FANOUT: usize = 2;
/// A directory of so many nodes is compared in each round, whatever happens: its digest is short.
const SHORT: usize = 32;
/// A larger one is, once no record has changed for so long that all have heard of the last one.
const SETTLES: Duration = Duration::from_secs(5);
/// Until then once in so many rounds.
const MEANWHILE: u32 = 8;
/// What a message takes beside its body, on the lane: its length, its kind and what it has for fields.
const HEAD: usize = 8;
/// How many records one request may pull.
const PULL: usize = 1024;

impl Inner {
    /// Tells a new peer what we are, and has it compare what we know, unless it is one that must know
    /// both: neither it nor this node is `joining`, and no record has changed for a while.
    pub(crate) fn greet(&self, link: &Arc<Link>, joining: bool) {
        let (own, summary) = {
            let state = self.state();
            let joined = !joining && *self.introduced.borrow();
            let knows = state.replica.get(&link.peer.id).is_some();
            if joined && knows && state.replica.len() > SHORT && state.has_settled() {
                return;
            }
            (state.own.bytes().clone(), state.replica.summary())
        };
        // A link that closes meanwhile needs no greeting.
        let _ = self.tell(link, Message::Record(own));
        let _ = self.tell(link, Message::Summary(summary));
    }

    /// Sends a message that is about the directory.
    fn tell(&self, link: &Arc<Link>, message: Message) -> Result<(), LaneClosed> {
        self.traffic.directory.add(HEAD + message.body_len());
        link.send(message)
    }

    /// Changes what this node says of itself, and tells everybody; a record that cannot be told is
    /// left as it was.
    pub(crate) fn update_record(&self, change: impl FnOnce(&mut NodeRecord)) {
        if let Err(error) = self.try_update_record(change) {
            tracing::error!(%error, "this node's record cannot be told");
        }
    }

    /// Changes what this node says of itself, and tells everybody.
    ///
    /// # Errors
    /// The record would exceed a limit: nothing has changed then.
    pub(crate) fn try_update_record(
        &self,
        change: impl FnOnce(&mut NodeRecord),
    ) -> Result<(), RecordError> {
        self.try_update_record_then(change, || ())
    }

    /// The same, and has `then` done once the record is sure to be told, and before it is. What is
    /// known of the nodes is locked meanwhile.
    ///
    /// # Errors
    /// The record would exceed a limit: nothing has changed then, and `then` is not done.
    pub(crate) fn try_update_record_then(
        &self,
        change: impl FnOnce(&mut NodeRecord),
        then: impl FnOnce(),
    ) -> Result<(), RecordError> {
        let own = {
            let mut state = self.state();
            let mut record = NodeRecord::clone(state.own.record());
            change(&mut record);
            record.version += 1;
            let sealed =
                SealedRecord::seal(record, self.realm.tag(), |bytes| self.key.sign(bytes))?;
            state.own = sealed.clone();
            let own = sealed.bytes().clone();
            state.replica.insert(sealed, Instant::now().into_std());
            state.changed = Instant::now();
            state.stale.insert(self.me().id);
            then();
            own
        };
        self.publish();
        self.announce();
        for link in self.links() {
            let _ = self.tell(&link, Message::Record(own.clone()));
        }
        Ok(())
    }

    /// Has a hint of this node's newest record travel through the cluster.
    pub(crate) fn announce(&self) {
        let (incarnation, version) = self.state().own.record().stamp();
        let hint = Hint { node: self.me().id, incarnation, version };
        self.membership.insist(MembershipInput::Announce(hint));
    }

    pub(crate) fn on_record(&self, link: &Arc<Link>, bytes: Bytes) {
        if self.state().replica.has(&bytes) {
            return;
        }
        // A copy, lest a small record keeps the large buffer alive that it arrived in.
        let bytes = Bytes::copy_from_slice(&bytes);
        let sealed = match SealedRecord::open(bytes, self.realm.tag(), NodeId::verify) {
            Ok(sealed) => sealed,
            Err(error) => {
                if let Some(left_out) = self.may_say(Kind::BadRecord, Who::Node(link.peer.id)) {
                    tracing::warn!(from = %link.peer.id, %error, left_out, "a record was refused");
                }
                return;
            }
        };
        if sealed.record().node == self.me().id {
            return self.outlive(sealed.record());
        }
        let node = sealed.record().node;
        let mut state = self.state();
        match state.replica.insert(sealed, Instant::now().into_std()) {
            Inserted::New | Inserted::Updated => {
                state.changed = Instant::now();
                self.show(&mut state, node);
            }
            Inserted::Stale => {}
            Inserted::Refused(_) => {
                if let Some(left_out) = self.may_say(Kind::DirectoryFull, Who::Me) {
                    tracing::warn!(left_out, "the directory is full: a record was refused");
                }
            }
        }
    }

    /// Somebody has a record of an earlier life of this node, or of its last moments, that looks
    /// newer than the present one, as when the clock was set back: live on above it.
    fn outlive(&self, theirs: &NodeRecord) {
        let ours = self.state().own.record().clone();
        if theirs.stamp() > ours.stamp() {
            let incarnation = theirs.incarnation.saturating_add(1);
            tracing::warn!(incarnation, "others know a newer record of this node than its own");
            self.update_record(|record| record.incarnation = incarnation);
            // Others go by the record: it and the membership must not say different lives.
            self.membership.insist(MembershipInput::Rise(incarnation));
        }
    }

    pub(crate) fn on_summary(&self, link: &Arc<Link>, theirs: u64) {
        let digest = {
            let state = self.state();
            if state.replica.summary() == theirs {
                return;
            }
            encode_digest(&state.replica.digest())
        };
        match digest {
            // A link that closes meanwhile compares with another.
            Ok(digest) => drop(self.tell(link, Message::Digest(digest.into()))),
            Err(error) => tracing::error!(%error, "the directory's digest cannot be told"),
        }
    }

    pub(crate) fn on_digest(&self, link: &Arc<Link>, bytes: &[u8]) {
        let Ok(theirs) = decode_digest(bytes) else {
            if let Some(left_out) = self.may_say(Kind::BadDigest, Who::Node(link.peer.id)) {
                tracing::warn!(from = %link.peer.id, left_out, "a digest does not decode");
            }
            return;
        };
        let (wanted, newer) = {
            let state = self.state();
            let compared = state.replica.compare(&theirs);
            let newer: Vec<_> = compared
                .newer_here
                .iter()
                .filter_map(|node| Some(state.replica.get(node)?.bytes().clone()))
                .collect();
            (compared.wanted, newer)
        };
        self.send_records(link, newer);
        self.pull(link, wanted);
    }

    pub(crate) fn on_pull(&self, link: &Arc<Link>, nodes: &[NodeId]) {
        let records: Vec<_> = {
            let state = self.state();
            let wanted = nodes.iter().take(PULL);
            wanted.filter_map(|node| Some(state.replica.get(node)?.bytes().clone())).collect()
        };
        self.send_records(link, records);
    }

    /// Sends records no faster than the lane takes them, so that calls are not kept waiting.
    fn send_records(&self, link: &Arc<Link>, records: Vec<Bytes>) {
        if records.is_empty() {
            return;
        }
        // A peer that asks for more before it has read what it asked for compares again later.
        let Ok(transfer) = link.transfers.clone().try_acquire_owned() else { return };
        let bytes = |record: &Bytes| self.traffic.directory.add(HEAD + record.len());
        records.iter().for_each(bytes);
        let link = link.clone();
        self.spawn(async move {
            for record in records {
                // A link that closes meanwhile compares with another.
                if link.lane.ready().await.is_err() || link.send(Message::Record(record)).is_err() {
                    return;
                }
            }
            drop(transfer);
        });
    }

    /// Somebody's record has a new version: ask for it if it is new here too.
    pub(crate) fn on_hint(&self, hint: &Hint, from: Option<Member>) {
        if hint.node == self.me().id {
            return;
        }
        let entry =
            DigestEntry { node: hint.node, incarnation: hint.incarnation, version: hint.version };
        if !self.state().replica.compare(&[entry]).wanted.is_empty() {
            let from = from.map(|member| member.id);
            let link = self.link(&hint.node).or_else(|| self.link(&from?));
            if let Some(link) = link {
                self.pull(&link, vec![hint.node]);
            }
        }
    }

    pub(crate) fn pull(&self, link: &Arc<Link>, wanted: Vec<NodeId>) {
        for nodes in wanted.chunks(PULL) {
            let _ = self.tell(link, Message::Pull(nodes.to_vec()));
        }
    }

    pub(crate) fn on_facts(&self, bytes: &[u8]) {
        match decode_batch(bytes) {
            Ok(entries) => self.state().facts.merge(entries, Instant::now().into_std()),
            Err(error) => tracing::debug!(%error, "a batch of facts does not decode"),
        }
    }

    /// Once a round: compare with one peer, pass on facts, forget the dead.
    pub(crate) async fn keep_directory(self: Arc<Self>) {
        let mut rounds = tokio::time::interval(ROUND);
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // Each peer in turn, in a circle that begins elsewhere on each node.
        let mut last = self.me().id;
        loop {
            rounds.tick().await;
            let now = Instant::now().into_std();
            self.pool().sweep(Instant::now());
            self.end_unused();
            self.wake_quiet();
            let links = self.pool().next_links(&last, FANOUT);
            let (summary, batch) = {
                let mut state = self.state();
                let State { replica, facts, alive, .. } = &mut *state;
                let me = self.me().id;
                let lives = |node: &NodeId| *node == me || alive.contains_key(node);
                replica.expire(lives, now);
                facts.retain(lives);
                let batch = facts.batch(limits::DATAGRAM - 1, now, &mut rand::rng());
                let compares = state.replica.len() <= SHORT
                    || state.has_settled()
                    || rand::rng().random_ratio(1, MEANWHILE);
                (compares.then(|| state.replica.summary()), batch)
            };
            let Some(furthest) = links.last() else { continue };
            last = furthest.peer.id;
            if let (Some(link), Some(summary)) = (links.first(), summary) {
                let _ = self.tell(link, Message::Summary(summary));
            }
            let mut datagram = vec![FACTS];
            datagram.extend_from_slice(&encode_batch(&batch).unwrap_or_default());
            let datagram = Bytes::from(datagram);
            for link in &links {
                self.traffic.facts.add(datagram.len());
                link.send_datagram(datagram.clone());
            }
        }
    }
}

impl State {
    /// No record has changed for so long that everybody must have heard of the last change.
    fn has_settled(&self) -> bool {
        self.changed.elapsed() >= SETTLES
    }
}
