//! How far a member is believed about others.
//!
//! Members are equal, so any of them may say anything about anyone. What a node says of itself
//! holds at once. What it says of a third party is weaker than this node's own knowledge: a death,
//! or a new life in place of a known one, is a *doubt*, which the node settles by asking the one
//! concerned, or by its signed record. Nobody else can say that this node has a later life.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use foca::{Codec, Header, Message, PostcardCodec, State};
use tokio::time::Instant;

use super::Member;
use crate::identity::NodeId;

/// What is said of a life of a node.
pub(crate) type Claim = foca::Member<Member>;

/// A node refutes suspicions by raising its incarnation, one by one; nobody gets as far as this
/// within one life, and beyond the end of the numbers a suspicion could not be refuted.
const MOST_REFUTATIONS: u16 = 1 << 15;
/// However often others say that this node is dead, it takes a new life at most this often.
const REBIRTH: Duration = Duration::from_secs(1);

/// What is to become of a claim.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// Take it in.
    Believe,
    /// Find out whether it is true, then take it in or [`settle`](Hearsay::settle) it.
    Doubt,
    /// Forget it.
    Drop,
}

/// A packet in its parts.
pub(crate) struct Packet<'p> {
    header: &'p [u8],
    /// Who sent it.
    pub(super) from: Member,
    /// Whom it tells that it is dead.
    pub(super) accused: Option<Member>,
    counted: bool,
    /// What it says of others.
    pub(super) claims: Vec<Claim>,
    tail: &'p [u8],
}

/// What this node has heard about others and not from themselves.
#[derive(Debug)]
pub(super) struct Hearsay {
    /// Doubts that are not settled, one a node.
    doubted: BTreeMap<NodeId, Claim>,
    /// Members that were unknown when somebody else told of them.
    rumoured: BTreeSet<NodeId>,
    /// Nodes that may be known at once, the dead among them.
    limit: usize,
    reborn: Option<Instant>,
}

impl Hearsay {
    pub(super) fn new(limit: usize) -> Self {
        Self { doubted: BTreeMap::new(), rumoured: BTreeSet::new(), limit, reborn: None }
    }

    /// Judges what `from` says, or a member table if it is nobody. `known` is what is known of the
    /// node concerned, and `nodes` how many nodes are known.
    pub(super) fn judge(
        &mut self,
        claim: &Claim,
        from: Option<NodeId>,
        me: &Member,
        (known, nodes): (Option<&Claim>, usize),
        now: Instant,
    ) -> Verdict {
        let said = claim.id();
        if said.id == me.id {
            return match claim.state() {
                // Nobody knows better than this node which life it is in.
                _ if said.generation > me.generation => Verdict::Drop,
                _ if said.generation < me.generation => Verdict::Believe,
                State::Suspect if claim.incarnation() >= MOST_REFUTATIONS => Verdict::Drop,
                State::Down if !self.may_be_reborn(now) => Verdict::Drop,
                _ => Verdict::Believe,
            };
        }
        if from == Some(said.id) {
            return Verdict::Believe;
        }
        if claim.state() != State::Down && claim.incarnation() >= MOST_REFUTATIONS {
            return Verdict::Drop;
        }
        let Some(known) = known else {
            if nodes >= self.limit {
                return Verdict::Drop;
            }
            if self.rumoured.len() >= self.limit {
                // What is heard of it from now on is checked all the same.
                self.rumoured.pop_first();
            }
            self.rumoured.insert(said.id);
            return Verdict::Believe;
        };
        let later = said.generation > known.id().generation;
        let dies = said.generation == known.id().generation
            && claim.state() == State::Down
            && known.state() != State::Down;
        if !later && !dies {
            return Verdict::Believe;
        }
        if self.doubted.contains_key(&said.id) {
            return Verdict::Drop;
        }
        self.doubted.insert(said.id, claim.clone());
        Verdict::Doubt
    }

    /// A doubt has been settled: gives back the claim, if it was true.
    pub(super) fn settle(&mut self, node: &NodeId, true_: bool) -> Option<Claim> {
        let claim = self.doubted.remove(node).filter(|_| true_);
        if claim.is_some() {
            self.rumoured.remove(node);
        }
        claim
    }

    /// A node speaks for itself: whether it was known by the word of others alone until now.
    pub(super) fn meet(&mut self, node: &NodeId) -> bool {
        self.rumoured.remove(node)
    }

    /// This node may take a new life because others say that it is dead. It is taken to do so.
    pub(super) fn may_be_reborn(&mut self, now: Instant) -> bool {
        let may = self.reborn.is_none_or(|at| now.saturating_duration_since(at) >= REBIRTH);
        if may {
            self.reborn = Some(now);
        }
        may
    }
}

impl<'p> Packet<'p> {
    /// Who says that they sent it.
    pub(crate) fn sender(packet: &[u8]) -> Option<NodeId> {
        let header: Header<Member> = PostcardCodec.decode_header(packet).ok()?;
        Some(header.src.id)
    }

    /// Takes a packet apart; none if it is malformed.
    pub(super) fn read(packet: &'p [u8]) -> Option<Self> {
        let mut rest = packet;
        let header: Header<Member> = PostcardCodec.decode_header(&mut rest).ok()?;
        let whole = packet.len() - rest.len();
        let mut claims = Vec::new();
        let counted = header.message != Message::Broadcast && rest.len() >= 2;
        if counted && let Some((count, mut members)) = rest.split_first_chunk() {
            for _ in 0..u16::from_be_bytes(*count) {
                claims.push(PostcardCodec.decode_member(&mut members).ok()?);
            }
            rest = members;
        }
        let accused = (header.message == Message::TurnUndead).then_some(header.dst);
        Some(Self {
            header: packet.get(..whole)?,
            from: header.src,
            accused,
            counted,
            claims,
            tail: rest,
        })
    }

    /// Puts it together again, with or without what rides behind the claims.
    pub(super) fn write(&self, with_tail: bool) -> Vec<u8> {
        let mut packet = self.header.to_vec();
        if self.counted {
            packet.extend(u16::try_from(self.claims.len()).unwrap_or(0).to_be_bytes());
        }
        for claim in &self.claims {
            // Writing into memory fails for no value of this type.
            packet.extend(postcard::to_allocvec(claim).unwrap_or_default());
        }
        if with_tail {
            packet.extend(self.tail);
        }
        packet
    }
}
