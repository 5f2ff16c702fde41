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
use crate::limits;

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

    /// A doubt about this life of a node has been settled: gives back the claim, if it was true.
    pub(super) fn settle(&mut self, said: &Member, true_: bool) -> Option<Claim> {
        let doubted = self.doubted.get(&said.id)?;
        if doubted.id().generation != said.generation {
            return None;
        }
        let claim = self.doubted.remove(&said.id).filter(|_| true_);
        if claim.is_some() {
            self.rumoured.remove(&said.id);
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

    /// The same packet for another member, if it may as well go to any: news, and the question for
    /// members.
    pub(crate) fn redirected(packet: &[u8], to: Member) -> Option<Vec<u8>> {
        let mut rest = packet;
        let header: Header<Member> = PostcardCodec.decode_header(&mut rest).ok()?;
        if !matches!(header.message, Message::Gossip | Message::Announce) {
            return None;
        }
        let mut packet = postcard::to_allocvec(&Header { dst: to, ..header }).ok()?;
        packet.extend(rest);
        (packet.len() < limits::DATAGRAM).then_some(packet)
    }

    /// What it is for, in a word, for figures.
    #[cfg(test)]
    pub(crate) fn purpose(packet: &[u8]) -> &'static str {
        let header: Option<Header<Member>> = PostcardCodec.decode_header(packet).ok();
        match header.map(|header| header.message) {
            Some(Message::Ping(_)) => "probe",
            Some(Message::Ack(_)) => "answer",
            Some(Message::PingReq { .. }) => "probe through another, asked for",
            Some(Message::IndirectPing { .. }) => "probe for another",
            Some(Message::IndirectAck { .. }) => "answer to another's probe",
            Some(Message::ForwardedAck { .. }) => "answer passed on",
            Some(Message::Announce) => "question for members",
            Some(Message::Feed) => "members",
            Some(Message::Gossip | Message::Broadcast) => "news",
            Some(Message::TurnUndead) => "you are dead",
            None => "none",
        }
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "an `Instant` has no other source")]
    fn origin() -> Instant {
        Instant::now()
    }

    fn life(n: u8, generation: u64) -> Member {
        let addr = SocketAddr::from(([10, 0, 0, n], 1));
        Member { id: NodeId::from_bytes([n; 32]), addr, generation }
    }

    /// What becomes of a claim by node 1 about node `n`, at node 9 in generation 5, which knows
    /// node 2 in generation 5, alive.
    fn judged(n: u8, generation: u64, incarnation: u16, state: State) -> Verdict {
        let known = Claim::alive(life(2, 5));
        let known = (n == 2).then_some(&known);
        let claim = Claim::new(life(n, generation), incarnation, state);
        let from = Some(life(1, 1).id);
        Hearsay::new(8).judge(&claim, from, &life(9, 5), (known, 1), origin())
    }

    #[test]
    fn claims_about_third_parties_count_for_what_they_can() {
        use State::{Alive, Down, Suspect};
        use Verdict::{Believe, Doubt, Drop};
        for (generation, incarnation, state, verdict) in [
            (5, 0, Alive, Believe),
            (5, 7, Suspect, Believe),
            (5, MOST_REFUTATIONS, Suspect, Drop),
            (5, u16::MAX, Alive, Drop),
            (5, 0, Down, Doubt),
            (5, u16::MAX, Down, Doubt),
            (6, 0, Alive, Doubt),
            (u64::MAX, 0, Down, Doubt),
            (4, 0, Down, Believe),
        ] {
            assert_eq!(
                judged(2, generation, incarnation, state),
                verdict,
                "{generation} {state:?}"
            );
            // Of itself a node may say all of that, and of an unknown one most.
            assert_eq!(judged(1, generation, incarnation, state), Believe);
            let unknown = if verdict == Drop { Drop } else { Believe };
            assert_eq!(judged(3, generation, incarnation, state), unknown);
        }
        for state in [Alive, Suspect, Down] {
            assert_eq!(judged(9, 6, 0, state), Drop, "nobody else knows this node's life");
            assert_eq!(judged(9, 5, 0, state), Believe);
        }
        assert_eq!(judged(9, 5, u16::MAX, Suspect), Drop);
    }

    #[test]
    fn there_is_one_doubt_about_a_node_until_it_is_settled() {
        let mut hearsay = Hearsay::new(8);
        let (me, known) = (life(9, 5), Claim::alive(life(2, 5)));
        let judge = |hearsay: &mut Hearsay, generation| {
            let claim = Claim::down(life(2, generation));
            hearsay.judge(&claim, None, &me, (Some(&known), 1), origin())
        };
        assert_eq!(judge(&mut hearsay, 5), Verdict::Doubt);
        assert_eq!(judge(&mut hearsay, 6), Verdict::Drop);
        assert_eq!(hearsay.settle(&life(2, 5), false), None);
        assert_eq!(judge(&mut hearsay, 6), Verdict::Doubt);
        assert_eq!(hearsay.settle(&life(2, 5), true), None, "that is another life");
        assert_eq!(hearsay.settle(&life(2, 6), true), Some(Claim::down(life(2, 6))));
        assert_eq!(hearsay.settle(&life(2, 6), true), None);
    }

    #[test]
    fn new_lives_and_unknown_nodes_are_bounded() {
        let now = origin();
        let mut hearsay = Hearsay::new(2);
        assert!(hearsay.may_be_reborn(now) && !hearsay.may_be_reborn(now));
        assert!(hearsay.may_be_reborn(now + REBIRTH));
        for n in 20..30 {
            let claim = Claim::alive(life(n, 1));
            let mut judge = |nodes| hearsay.judge(&claim, None, &life(9, 5), (None, nodes), now);
            assert_eq!((judge(1), judge(2)), (Verdict::Believe, Verdict::Drop));
        }
        assert_eq!(hearsay.rumoured.len(), 2);
        let last = life(29, 0).id;
        assert!(hearsay.meet(&last) && !hearsay.meet(&last));
    }

    fn packets() -> impl Strategy<Value = Vec<u8>> {
        let state = prop::sample::select(vec![State::Alive, State::Suspect, State::Down]);
        let claim = (any::<u8>(), any::<u64>(), any::<u16>(), state);
        let claim = claim.prop_map(|(n, generation, incarnation, state)| {
            postcard::to_stdvec(&Claim::new(life(n, generation), incarnation, state)).unwrap()
        });
        let claims = prop::collection::vec(claim, 0..10);
        let tail = prop::collection::vec(any::<u8>(), 0..60);
        let message = prop::sample::select(vec![Message::Gossip, Message::Ping(3), Message::Feed]);
        (message, claims, tail).prop_map(|(message, claims, tail)| {
            let (src, dst) = (life(1, 1), life(9, 5));
            let header = Header { src, src_incarnation: 3, dst, message };
            let mut packet = postcard::to_stdvec(&header).unwrap();
            packet.extend((claims.len() as u16).to_be_bytes());
            packet.extend(claims.concat());
            packet.extend(tail);
            packet
        })
    }

    proptest! {
        #[test]
        fn a_packet_is_put_together_as_it_was(packet in packets()) {
            let read = Packet::read(&packet).unwrap();
            prop_assert_eq!(read.write(true), &packet[..]);
            let without = &packet[..packet.len() - read.tail.len()];
            prop_assert_eq!(read.write(false), without);
            prop_assert_eq!(Packet::sender(&packet), Some(life(1, 1).id));
            let to = life(4, 1);
            if let Some(other) = Packet::redirected(&packet, to) {
                let header: Header<Member> = PostcardCodec.decode_header(&other[..]).unwrap();
                prop_assert_eq!((header.src, header.dst), (life(1, 1), to));
                prop_assert_eq!(&header.message, &Message::Gossip);
                prop_assert!(other.ends_with(&packet[packet.len() - read.tail.len()..]));
                let claims = Packet::read(&other).unwrap().claims;
                prop_assert_eq!(claims, read.claims);
            }
        }

        #[test]
        fn any_bytes_are_a_packet_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(read) = Packet::read(&bytes) {
                prop_assert!(read.write(true).len() >= read.tail.len());
            }
        }
    }
}
