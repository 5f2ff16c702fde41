#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! What a node does with the news of its membership: links, dials, seeds and questions, as
//! `peers.rs`, `transport/pool.rs`, `join/driver.rs` and `doubt.rs` have them.

use bytes::Bytes;
use rand::{Rng, RngExt};
use tokio::sync::oneshot;

use super::super::invariants::{self, Saw};
use super::super::world::{MS, SECOND, Time};
use super::cluster::{Cluster, Event};
use super::node::{Link, id_of, index_of};
use super::records::Doubt;
use crate::doubt::AGAIN;
use crate::membership::{Member, MembershipInput, MembershipNews, Packet};

/// As in the limits of a real node.
const DIAL_TIMEOUT: Time = 3 * SECOND;
const IDLE_TIMEOUT: Time = 30 * SECOND;
/// The first pause after a failed dial, and the longest.
const BACKOFF: (Time, Time) = (100 * MS, 10 * SECOND);
/// The pauses between tries of a seed.
const SEED_ROUND: Time = SECOND;
const SEED_LONGEST: Time = 15 * SECOND;
/// So many nodes, the first ones, are seeds of all.
const SEEDS: usize = 3;

impl Cluster {
    /// As `Inner::on_membership` has it.
    pub(super) fn news(&mut self, index: usize, news: MembershipNews) {
        let now = self.world.now();
        match news {
            MembershipNews::Send { to, packet } => self.send(index, to, packet),
            MembershipNews::Up(member) => {
                let subject = index_of(&member.id);
                if subject == index {
                    return;
                }
                let node = &mut self.nodes[index];
                let new = node.alive.insert(member.id, member).is_none();
                if node.links.get(&subject).is_some_and(|link| link.generation < member.generation)
                {
                    node.links.remove(&subject);
                    node.pauses.remove(&subject);
                }
                self.world
                    .trace
                    .line(now, format_args!("{index} up {subject}.{} {new}", member.generation));
                let reason = invariants::rises(&mut node.highest, &member);
                self.note(reason);
                self.saw.push(Saw { at: now, subject, up: true });
            }
            MembershipNews::Down(member) => {
                let subject = index_of(&member.id);
                let node = &mut self.nodes[index];
                let known = node.alive.get(&member.id);
                if known.is_none_or(|known| known.generation > member.generation) {
                    return;
                }
                node.alive.remove(&member.id);
                invariants::is_over(&mut node.highest, &member);
                self.world
                    .trace
                    .line(now, format_args!("{index} down {subject}.{}", member.generation));
                if let Some(link) = node.links.get(&subject).copied()
                    && link.generation <= member.generation
                {
                    node.links.remove(&subject);
                    self.close(index, subject, link.life);
                }
                self.saw.push(Saw { at: now, subject, up: false });
            }
            MembershipNews::Seek(member) => {
                let subject = index_of(&member.id);
                if subject != index && !self.nodes[index].links.contains_key(&subject) {
                    self.dial(index, subject, None);
                }
            }
            MembershipNews::Renewed(me) => {
                self.world.trace.line(now, format_args!("{index} renews .{}", me.generation));
                self.nodes[index].renewals += 1;
                self.nodes[index].me = me;
                self.update_record(index);
            }
            MembershipNews::Doubt { said, known, dead, from } => {
                self.find_out(index, Doubt { said, dead, from }, known);
            }
            MembershipNews::Introduced => self.nodes[index].introduced = true,
            MembershipNews::Hint { hint, from } => self.hinted(index, &hint, from),
            MembershipNews::ThatIsAll => {}
        }
    }

    /// As `Inner::send_packet` has it.
    fn send(&mut self, from: usize, to: Member, packet: Bytes) {
        let peer = index_of(&to.id);
        let reason = invariants::fits(&packet);
        self.note(reason);
        let node = &mut self.nodes[from];
        let now = self.world.now();
        let quiet = |link: &Link| link.unanswered.is_some_and(|at| at + IDLE_TIMEOUT < now);
        node.links.retain(|index, link| *index != peer || !quiet(link));
        if let Some(link) = node.links.get_mut(&peer) {
            link.unanswered.get_or_insert(now);
            let lives = (node.life, link.life);
            // What waits for a dial is sent once it has succeeded.
            let bytes = packet.len() as u64 + 1;
            for sum in [&mut node.sent, node.purposes.entry(Packet::purpose(&packet)).or_default()]
            {
                *sum = (sum.0 + 1, sum.1 + bytes);
            }
            let trips = self.network.carry(from, peer, now, &mut self.world.rng);
            for after in trips.into_iter().flatten() {
                let packet = packet.clone();
                self.world.plan(now + after, Event::Packet { from, to: peer, lives, packet });
            }
        } else if node.alive.contains_key(&to.id) {
            self.dial(from, peer, Some(packet));
        }
    }

    fn dial(&mut self, from: usize, to: usize, packet: Option<Bytes>) {
        let now = self.world.now();
        let node = &mut self.nodes[from];
        if let Some(waiting) = node.dials.get_mut(&to) {
            waiting.extend(packet);
            return;
        }
        if packet.is_some() && node.pauses.get(&to).is_some_and(|(_, until)| now < *until) {
            return;
        }
        node.dials.insert(to, packet.into_iter().collect());
        node.dialled += 1;
        let life = node.life;
        // The hello, the proof and its answer, each sent again while it is lost.
        let rng = &mut self.world.rng;
        let trips = [(from, to), (to, from), (from, to), (to, from)];
        let mut time = Some(0);
        for (a, b) in trips {
            time = time.and_then(|t| Some(t + self.network.carry_surely(a, b, now + t, rng)?));
        }
        let peer = &self.nodes[to];
        let answers = peer.up && !peer.paused;
        let (after, works) = match time.filter(|time| *time < DIAL_TIMEOUT && answers) {
            Some(time) => (time, true),
            None => (DIAL_TIMEOUT, false),
        };
        self.world.plan(now + after, Event::Dialled { from, to, life, works });
    }

    pub(super) fn dialled(&mut self, from: usize, to: usize, works: bool) {
        let waiting = self.nodes[from].dials.remove(&to).unwrap_or_default();
        let now = self.world.now();
        if !works || !self.nodes[to].up || self.nodes[to].paused {
            let half = self.world.rng.random_range(0..=1000);
            let pause = self.nodes[from].pauses.entry(to).or_insert((0, 0));
            let longest = (BACKOFF.0 << pause.0.min(16)).min(BACKOFF.1);
            *pause = (pause.0 + 1, now + longest / 2 + longest * half / 2000);
            return self.nodes[from].seed_failed(to, now, SEED_ROUND, SEED_LONGEST);
        }
        self.nodes[from].seed_met(to, now + SEED_ROUND);
        self.world.trace.line(now, format_args!("{from}={to}"));
        let joining = [from, to].map(|end| {
            let node = &self.nodes[end];
            node.alive.is_empty() || !node.introduced
        });
        let ends = [(from, to), (to, from)];
        let (mes, lives) =
            ([from, to].map(|end| self.nodes[end].me), [from, to].map(|end| self.nodes[end].life));
        for (at, (here, there)) in ends.into_iter().enumerate() {
            let other = 1 - at;
            let link =
                Link { life: lives[other], generation: mes[other].generation, unanswered: None };
            self.nodes[here].links.insert(there, link);
            self.nodes[here].pauses.remove(&there);
            self.send_record(here, there, here);
            self.take(here, MembershipInput::Alive(mes[other]));
            if joining[other] {
                let (told, mut table) = oneshot::channel();
                self.take(here, MembershipInput::TellTable(told));
                let table = table.try_recv().unwrap();
                let carried = self.network.carry_surely(here, there, now, &mut self.world.rng);
                if let Some(after) = carried {
                    let life = lives[other];
                    let table = Event::Table { from: here, to: there, life, table };
                    self.world.plan(now + after, table);
                }
            }
        }
        for packet in waiting {
            self.send(from, mes[1], packet);
        }
        self.settle(to);
    }

    /// Asks a node, on the connection to it, whether it is alive.
    pub(super) fn ask(&mut self, from: usize, said: Member, patience: Time) {
        let to = index_of(&said.id);
        let (now, question) = (self.world.now(), self.world.rng.next_u64());
        let node = &mut self.nodes[from];
        let Some(link) = node.links.get(&to).copied() else {
            return self.take(from, MembershipInput::Settled(said, true));
        };
        node.questions.insert(question, said);
        let (life, lives) = (node.life, (node.life, link.life));
        let end = Event::Answered { to: from, life, question, alive: false };
        self.world.plan(now + patience, end);
        for again in (0..patience).step_by(AGAIN.as_micros() as usize) {
            let asked = self.network.carry_surely(from, to, now + again, &mut self.world.rng);
            if let Some(after) = asked {
                let question = Event::Asked { from, to, lives, question };
                self.world.plan(now + again + after, question);
            }
        }
    }

    pub(super) fn asked(&mut self, from: usize, to: usize, lives: (u32, u32), question: u64) {
        let now = self.world.now();
        if let Some(after) = self.network.carry_surely(to, from, now, &mut self.world.rng) {
            let answer = Event::Answered { to: from, life: lives.0, question, alive: true };
            self.world.plan(now + after, answer);
        }
    }

    pub(super) fn answered(&mut self, to: usize, question: u64, alive: bool) {
        if let Some(said) = self.nodes[to].questions.remove(&question) {
            self.take(to, MembershipInput::Settled(said, !alive));
        }
    }

    pub(super) fn plan_seeds(&mut self, node: usize, after: Time) {
        let life = self.nodes[node].life;
        self.world.plan(self.world.now() + after, Event::Seeds { node, life });
    }

    pub(super) fn seeds(&mut self, index: usize) {
        let now = self.world.now();
        for seed in (0..SEEDS.min(self.nodes.len())).filter(|seed| *seed != index) {
            let node = &self.nodes[index];
            let due = node.seeds.get(&seed).is_none_or(|(_, due)| *due <= now);
            if due && !node.alive.contains_key(&id_of(seed)) {
                self.dial(index, seed, None);
            }
        }
        self.plan_seeds(index, SEED_ROUND);
    }
}
