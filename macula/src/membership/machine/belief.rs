//! What the machine believes of what it is told, and of its own suspicions.

use bytes::Bytes;
use foca::Timer;
use tokio::time::Instant;

use super::super::Member;
use super::super::config::config_for;
use super::super::hearsay::{Claim, Packet, Verdict};
use super::super::news::MembershipNews;
use super::Machine;
use crate::directory::list::decode_list;
use crate::identity::NodeId;
use crate::quiet::{Kind, Who};

/// The fewest bytes that a claim takes: an id, an address, and four small numbers.
const LEAST_CLAIM: usize = 41;

/// How this node comes to hear a claim.
#[derive(Clone, Copy)]
pub(super) enum Word {
    /// In a packet of this member.
    Packet(NodeId),
    /// In the member table of this one, by which nobody speaks for itself.
    Table(NodeId),
}

impl Machine {
    /// Leaves out of a packet what is not to be believed; none if nothing is left.
    pub(super) fn screen(&mut self, packet: Bytes, now: Instant) -> Option<Bytes> {
        let mut read = Packet::read(&packet)?;
        if !self.has_room_for(&read.from) {
            return None;
        }
        self.forget_inventions(&read.from);
        let accused = read.accused.is_some_and(|accused| accused == *self.foca.identity());
        if accused && !self.hearsay.may_be_reborn(now) {
            return None;
        }
        let said = read.claims.len();
        let from = read.from.id;
        read.claims.retain(|claim| self.believes(claim, Word::Packet(from), now));
        // More hints than there may be nodes are about nodes that there are not.
        let full = self.foca.custom_broadcast_backlog() >= self.max_members;
        if read.claims.len() == said && !full {
            return Some(packet);
        }
        Some(read.write(!full).into())
    }

    /// What is to be believed of a member table; none if it is not one.
    pub(super) fn read_table(
        &mut self,
        teller: NodeId,
        table: &[u8],
        now: Instant,
    ) -> Option<Vec<Claim>> {
        let mut table: Vec<Claim> = match decode_list(table, LEAST_CLAIM, usize::MAX) {
            Ok(table) => table,
            Err(error) => {
                if let Some(left_out) = self.quiet.may_say(Kind::BadTable, Who::Node(teller), now) {
                    let from = teller;
                    tracing::warn!(%from, %error, left_out, "a member table does not decode");
                }
                return None;
            }
        };
        self.finally.push(MembershipNews::Introduced);
        table.truncate(self.max_members);
        table.retain(|claim| self.believes(claim, Word::Table(teller), now));
        Some(table)
    }

    /// Whether a node may speak for itself here: one that is known, in whatever life, or one more.
    pub(super) fn has_room_for(&self, member: &Member) -> bool {
        let mut known = self.foca.iter_membership_state();
        let room = self.foca.num_members() < self.max_members
            && known.len() < self.max_members.saturating_mul(2);
        room || known.any(|known| known.id().id == member.id)
    }

    pub(super) fn believes(&mut self, claim: &Claim, word: Word, now: Instant) -> bool {
        let (from, teller) = match word {
            Word::Packet(from) => (Some(from), from),
            Word::Table(teller) => (None, teller),
        };
        if from == Some(claim.id().id) && claim.state() == foca::State::Down {
            self.is_gone(claim.id());
        }
        let mut members = self.foca.iter_membership_state();
        let nodes = members.len();
        let known = members.find(|known| known.id().id == claim.id().id);
        let me = self.foca.identity();
        match self.hearsay.judge(claim, from, me, (known, nodes), now) {
            Verdict::Believe => true,
            Verdict::Drop => false,
            Verdict::Doubt => {
                let known = known.map_or(0, |known| known.id().generation);
                let dead = claim.state() == foca::State::Down;
                let (said, from) = (*claim.id(), Some(teller));
                self.finally.push(MembershipNews::Doubt { said, known, dead, from });
                false
            }
        }
    }

    /// A node said that it leaves.
    pub(super) fn is_gone(&mut self, member: &Member) {
        if self.gone.len() < self.max_members || self.gone.contains_key(&member.id) {
            let life = self.gone.entry(member.id).or_insert(member.generation);
            *life = member.generation.max(*life);
        }
    }

    /// A node says itself which life it is in: forgets a later one that others made up.
    pub(super) fn forget_inventions(&mut self, member: &Member) {
        if !self.hearsay.meet(&member.id) {
            return;
        }
        let invented =
            |known: &Member| known.id == member.id && known.generation > member.generation;
        let known = self.foca.iter_membership_state().map(|known| *known.id()).find(invented);
        let Some(known) = known else { return };
        let down = foca::Member::new(known, u16::MAX, foca::State::Down);
        // Neither fails: nothing is encoded, and nothing is sent.
        let _ = self.foca.apply_many([down].into_iter(), false, &mut self.outputs);
        let _ = self.foca.handle_timer(Timer::RemoveDown(known), &mut self.outputs);
    }

    /// A suspicion has run out. Probes are datagrams, and each may be lost; before their silence
    /// makes a node dead, it is asked once more where nothing is lost, on its connection.
    pub(super) fn ask(&mut self, timer: Timer<Member>) {
        let Timer::ChangeSuspectToDown { member_id, .. } = &timer else { return };
        if self.is_refuted(&timer) {
            return;
        }
        let (said, known) = (*member_id, member_id.generation);
        self.overdue.insert(said.id, timer);
        self.finally.push(MembershipNews::Doubt { said, known, dead: true, from: None });
    }

    /// A doubt about this life of a node, or a suspicion of it, was true or was not. What is said of
    /// another life of it at the same time is another question.
    pub(super) fn settle(
        &mut self,
        said: &Member,
        true_: bool,
        now: Instant,
    ) -> Result<(), foca::Error> {
        let overdue = self.overdue.get(&said.id).and_then(suspected);
        let overdue = overdue.filter(|(member, _)| member.generation == said.generation);
        match overdue.and_then(|_| self.overdue.remove(&said.id)) {
            Some(timer) if true_ && !self.is_refuted(&timer) => self.elapse(timer),
            // It has time once more to hear of the suspicion, and to refute it. Each probe that
            // failed meanwhile has given it some already.
            Some(timer) if !true_ && !self.is_pending(&timer) => {
                let after = config_for(self.sized_for).suspect_to_down_after;
                self.timer_number += 1;
                self.timers.insert((now + after, self.timer_number), timer);
            }
            _ => {}
        }
        let claim = self.hearsay.settle(said, true_);
        self.foca.apply_many(claim.into_iter(), true, &mut self.outputs)
    }

    /// Whether the same suspicion runs out later as well.
    fn is_pending(&self, timer: &Timer<Member>) -> bool {
        self.timers.values().any(|other| suspected(other) == suspected(timer))
    }

    /// Whether a suspicion that runs out is none any more. foca then declares nobody dead, but
    /// tells the member that it was, which would take a new name for nothing.
    fn is_refuted(&self, timer: &Timer<Member>) -> bool {
        let Timer::ChangeSuspectToDown { member_id, incarnation, .. } = timer else { return false };
        let mut known = self.foca.iter_membership_state();
        !known.any(|known| {
            known.id() == member_id
                && known.incarnation() == *incarnation
                && known.state() == foca::State::Suspect
        })
    }
}

/// Whom a suspicion is about, and in which incarnation.
fn suspected(timer: &Timer<Member>) -> Option<(Member, u16)> {
    let Timer::ChangeSuspectToDown { member_id, incarnation, .. } = timer else { return None };
    Some((*member_id, *incarnation))
}
