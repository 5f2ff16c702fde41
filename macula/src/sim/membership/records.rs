#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! How a node finds out whether what it is told of another is true, as `doubt.rs` has it, and as much
//! of the directory as that takes: of each record, the generation that its owner says it is in. Here
//! records come with a new connection, when their owner takes another generation, and when somebody
//! asks for one. Nodes do not compare all that they have, so they know less than real ones.

use rand::Rng;

use super::super::world::Time;
use super::cluster::{Cluster, Event};
use super::node::{id_of, index_of};
use crate::doubt::RECORD;
use crate::identity::NodeId;
use crate::membership::{ANSWER, Hint, LAST_WORD, Member, MembershipInput};

/// What is said of a life of a node, and by whom, if not by this node's own probes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    pub(super) said: Member,
    pub(super) dead: bool,
    pub(super) from: Option<NodeId>,
}

impl Cluster {
    /// As `Inner::find_out` has it.
    pub(super) fn find_out(&mut self, index: usize, doubt: Doubt, known: u64) {
        let Doubt { said, from, .. } = doubt;
        let subject = index_of(&said.id);
        if said.generation <= known || self.has_record(index, &said) {
            return self.has_begun(index, doubt);
        }
        let question = self.world.rng.next_u64();
        self.nodes[index].unproved.insert(question, doubt);
        let links = &self.nodes[index].links;
        let teller = from.map(|from| index_of(&from)).filter(|from| links.contains_key(from));
        self.pull(index, teller.unwrap_or(subject), subject);
        let end = self.world.now() + RECORD.as_micros() as Time;
        let life = self.nodes[index].life;
        self.world.plan(end, Event::Unproved { to: index, life, question });
    }

    fn has_record(&self, index: usize, said: &Member) -> bool {
        let known = self.nodes[index].records.get(&index_of(&said.id));
        known.is_some_and(|known| *known >= said.generation)
    }

    /// The life has begun; it may be over.
    fn has_begun(&mut self, index: usize, Doubt { said, dead, from }: Doubt) {
        if dead {
            let patience = from.map_or(LAST_WORD, |_| ANSWER);
            self.ask(index, said, patience.as_micros() as Time);
        } else {
            self.take(index, MembershipInput::Settled(said, true));
        }
    }

    pub(super) fn unproved(&mut self, index: usize, question: u64) {
        if let Some(doubt) = self.nodes[index].unproved.remove(&question) {
            self.take(index, MembershipInput::Settled(doubt.said, false));
        }
    }

    /// Asks a node that it is connected to for the record of another.
    fn pull(&mut self, from: usize, to: usize, subject: usize) {
        let now = self.world.now();
        let Some(link) = self.nodes[from].links.get(&to) else { return };
        let lives = (self.nodes[from].life, link.life);
        if let Some(after) = self.network.carry_surely(from, to, now, &mut self.world.rng) {
            self.world.plan(now + after, Event::Pulled { from, to, lives, subject });
        }
    }

    pub(super) fn pulled(&mut self, from: usize, to: usize, lives: (u32, u32), subject: usize) {
        if self.nodes[to].links.get(&from).is_some_and(|link| link.life == lives.0) {
            self.send_record(to, from, subject);
        }
    }

    /// Sends a record that it has on the connection to another node.
    pub(super) fn send_record(&mut self, from: usize, to: usize, subject: usize) {
        let now = self.world.now();
        let node = &self.nodes[from];
        let (Some(link), Some(generation)) = (node.links.get(&to), node.records.get(&subject))
        else {
            return;
        };
        let (life, generation) = (link.life, *generation);
        if let Some(after) = self.network.carry_surely(from, to, now, &mut self.world.rng) {
            self.world.plan(now + after, Event::Record { to, life, subject, generation });
        }
    }

    pub(super) fn recorded(&mut self, index: usize, subject: usize, generation: u64) {
        let known = self.nodes[index].records.entry(subject).or_insert(0);
        *known = generation.max(*known);
        let unproved = self.nodes[index].unproved.clone();
        for (question, doubt) in unproved {
            if self.has_record(index, &doubt.said) {
                self.nodes[index].unproved.remove(&question);
                self.has_begun(index, doubt);
            }
        }
    }

    /// A node has a new generation, which it says in its record.
    pub(super) fn update_record(&mut self, index: usize) {
        let generation = self.nodes[index].me.generation;
        self.nodes[index].records.insert(index, generation);
        self.announce(index);
        let peers: Vec<_> = self.nodes[index].links.keys().copied().collect();
        peers.into_iter().for_each(|peer| self.send_record(index, peer, index));
    }

    /// Has others know that there is a new record of a node.
    pub(super) fn announce(&mut self, index: usize) {
        let incarnation = self.nodes[index].me.generation;
        let hint = Hint { node: id_of(index), incarnation, version: 1 };
        self.take(index, MembershipInput::Announce(hint));
    }

    /// As `Inner::on_hint` has it.
    pub(super) fn hinted(&mut self, index: usize, hint: &Hint, from: Option<Member>) {
        let (subject, node) = (index_of(&hint.node), &self.nodes[index]);
        if subject == index || node.records.get(&subject).is_some_and(|at| *at >= hint.incarnation)
        {
            return;
        }
        let from = from.map(|from| index_of(&from.id));
        let of = [Some(subject), from].into_iter().flatten().find(|of| node.links.contains_key(of));
        if let Some(of) = of {
            self.pull(index, of, subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::link::Conditions;
    use super::super::super::trace::Trace;
    use super::super::super::world::{MS, SECOND};
    use super::super::node::member;
    use super::*;

    /// A later life takes its record, which takes its time; and where nobody has it, it is none.
    #[test]
    fn a_later_life_is_believed_once_its_record_is_there() {
        let mut cluster = Cluster::new(3, 1, Conditions::good(), Trace::default());
        cluster.run(10 * SECOND).unwrap();
        let later = Member { generation: 7, ..member(2, 0) };
        let tell = |cluster: &mut Cluster| {
            let table = postcard::to_allocvec([foca::Member::alive(later)].as_slice()).unwrap();
            cluster.take(0, MembershipInput::Table(id_of(1), table.into()));
        };
        let believed = |cluster: &Cluster| cluster.nodes[0].alive[&later.id] == later;
        tell(&mut cluster);
        for _ in 0..20 {
            cluster.run(SECOND / 10).unwrap();
            assert!(!believed(&cluster), "nobody has its record");
        }
        cluster.nodes[1].records.insert(2, later.generation);
        tell(&mut cluster);
        assert!(!believed(&cluster), "its record is on its way");
        cluster.run(20 * MS).unwrap();
        assert!(believed(&cluster));
    }
}
