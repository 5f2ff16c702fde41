#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Nodes with the membership machine, what happens to them, and what reaches them.

use std::collections::BTreeMap;

use bytes::Bytes;
use rand::{Rng, RngExt};
use tokio::sync::oneshot;

use super::super::invariants::{self, Saw};
use super::super::link::{Conditions, Network};
use super::super::trace::Trace;
use super::super::world::{MS, SECOND, Time, World};
use super::node::{Link, Node, id_of, index_of, member};
use crate::membership::{Machine, Member, MembershipInput};

/// What is to happen.
#[derive(Debug)]
pub(super) enum Event {
    Wake {
        node: usize,
    },
    Packet {
        from: usize,
        to: usize,
        lives: (u32, u32),
        packet: Bytes,
    },
    Table {
        from: usize,
        to: usize,
        life: u32,
        table: Bytes,
    },
    Goodbye {
        to: usize,
        life: u32,
        member: Member,
    },
    Closed {
        to: usize,
        life: u32,
        by: usize,
        by_life: u32,
    },
    Dialled {
        from: usize,
        to: usize,
        life: u32,
        works: bool,
    },
    Seeds {
        node: usize,
        life: u32,
    },
    Resume {
        node: usize,
    },
    /// A question whether a node is alive, its answer, and the end of the time for it.
    Asked {
        from: usize,
        to: usize,
        lives: (u32, u32),
        question: u64,
    },
    Answered {
        to: usize,
        life: u32,
        question: u64,
        alive: bool,
    },
    /// The record of a node is wanted.
    Pulled {
        from: usize,
        to: usize,
        lives: (u32, u32),
        subject: usize,
    },
    /// A record comes, in which a node says that it is in this generation at least.
    Record {
        to: usize,
        life: u32,
        subject: usize,
        generation: u64,
    },
    /// The time for a record to come is over.
    Unproved {
        to: usize,
        life: u32,
        question: u64,
    },
}

/// A cluster.
pub(super) struct Cluster {
    pub(super) world: World<Event>,
    pub(super) network: Network,
    pub(super) nodes: Vec<Node>,
    /// What the nodes came to believe of others.
    pub(super) saw: Vec<Saw>,
    /// When each node was first suspected by another's probe since this was cleared.
    pub(super) accused: BTreeMap<usize, Time>,
    pub(super) broken: Option<String>,
    /// Nodes that came back after a pause look at their timers before their packets, or after.
    pub(super) timers_first: u32,
}

impl Cluster {
    /// So many nodes that have known each other for a while.
    pub(super) fn new(count: usize, seed: u64, conditions: Conditions, trace: Trace) -> Self {
        let mut cluster = Self {
            world: World::new(seed, trace),
            network: Network::new(conditions),
            nodes: Vec::new(),
            saw: Vec::new(),
            accused: BTreeMap::new(),
            broken: None,
            timers_first: 500,
        };
        for index in 0..count {
            let node = Node::new(index, 0, cluster.world.rng.next_u64());
            cluster.nodes.push(node);
        }
        let all: Vec<_> = (0..count).map(|index| foca::Member::alive(member(index, 0))).collect();
        let table = Bytes::from(postcard::to_allocvec(&all).unwrap());
        for index in 0..count {
            let others = table.clone();
            cluster.nodes[index].introduced = true;
            cluster.nodes[index].records =
                (0..count).map(|n| (n, member(n, 0).generation)).collect();
            let at = cluster.world.rng.random_range(0..SECOND);
            cluster.world.plan(
                at,
                Event::Table { from: (index + 1) % count, to: index, life: 0, table: others },
            );
            cluster.plan_seeds(index, SECOND);
        }
        cluster
    }

    /// Lets so much time pass, or less if an invariant breaks.
    ///
    /// # Errors
    /// Says which one.
    pub(super) fn run(&mut self, time: Time) -> Result<(), String> {
        let end = self.world.now() + time;
        while let Some(event) = self.world.next(end) {
            self.happen(event);
            if let Some(reason) = self.broken.take() {
                return Err(format!("at {} ms: {reason}", self.world.now() / MS));
            }
        }
        // In large clusters a few are looked at, others each time.
        let apart = self.nodes.len().div_ceil(32);
        let first = (self.world.now() / MS) as usize % apart;
        let nodes = self.nodes.iter().skip(first).step_by(apart);
        invariants::views_agree(nodes.map(|node| (&node.machine, &node.alive)))
    }

    /// The process of a node is killed.
    pub(super) fn crash(&mut self, index: usize) {
        self.world.trace.line(self.world.now(), format_args!("{index} crashes"));
        self.nodes[index].up = false;
        self.call_off_wake(index);
    }

    /// A node starts anew with the same key, and knows the seeds alone.
    pub(super) fn restart(&mut self, index: usize) {
        self.world.trace.line(self.world.now(), format_args!("{index} starts"));
        self.call_off_wake(index);
        let life = self.nodes[index].life + 1;
        self.nodes[index] = Node::new(index, life, self.world.rng.next_u64());
        self.announce(index);
        self.plan_seeds(index, 0);
    }

    /// A node says goodbye and ends.
    pub(super) fn leave(&mut self, index: usize) {
        self.world.trace.line(self.world.now(), format_args!("{index} leaves"));
        let (told, _) = oneshot::channel();
        self.take(index, MembershipInput::Leave(told));
        let me = self.nodes[index].me;
        for (peer, Link { life, .. }) in self.nodes[index].links.clone() {
            let now = self.world.now();
            if let Some(after) = self.network.carry_surely(index, peer, now, &mut self.world.rng) {
                self.world.plan(now + after, Event::Goodbye { to: peer, life, member: me });
            }
        }
        self.crash(index);
    }

    /// A node stands still for so long: what comes for it waits.
    pub(super) fn pause(&mut self, index: usize, time: Time) {
        if self.nodes[index].up && !self.nodes[index].paused {
            self.world.trace.line(self.world.now(), format_args!("{index} pauses"));
            self.nodes[index].paused = true;
            self.call_off_wake(index);
            self.world.plan(self.world.now() + time, Event::Resume { node: index });
        }
    }

    fn happen(&mut self, event: Event) {
        let to = match &event {
            Event::Packet { to, .. }
            | Event::Asked { to, .. }
            | Event::Answered { to, .. }
            | Event::Pulled { to, .. }
            | Event::Record { to, .. }
            | Event::Unproved { to, .. }
            | Event::Table { to, .. }
            | Event::Goodbye { to, .. }
            | Event::Closed { to, .. } => *to,
            Event::Dialled { from, .. } => *from,
            Event::Seeds { node, .. } => *node,
            Event::Wake { node } => return self.wake(*node),
            Event::Resume { node } => return self.resume(*node),
        };
        if self.nodes[to].paused {
            self.nodes[to].waiting.push(event);
        } else if self.nodes[to].up {
            self.deliver(event);
            self.settle(to);
        }
    }

    /// Something reaches a node that runs.
    fn deliver(&mut self, event: Event) {
        match event {
            Event::Packet { from, to, lives, packet } => {
                self.packet(from, to, lives, packet);
            }
            Event::Table { from, to, life, table } if self.nodes[to].life == life => {
                self.take(to, MembershipInput::Table(id_of(from), table));
            }
            Event::Goodbye { to, life, member } if self.nodes[to].life == life => {
                let known = self.nodes[to].alive.get(&member.id).copied();
                self.take(to, MembershipInput::Left(known.unwrap_or(member)));
            }
            Event::Closed { to, life, by, by_life } if self.nodes[to].life == life => {
                self.nodes[to].links.retain(|peer, link| (*peer, link.life) != (by, by_life));
            }
            Event::Dialled { from, to, life, works } if self.nodes[from].life == life => {
                self.dialled(from, to, works);
            }
            Event::Seeds { node, life } if self.nodes[node].life == life => self.seeds(node),
            Event::Asked { from, to, lives, question } if self.nodes[to].life == lives.1 => {
                self.asked(from, to, lives, question);
            }
            Event::Answered { to, life, question, alive } if self.nodes[to].life == life => {
                self.answered(to, question, alive);
            }
            Event::Pulled { from, to, lives, subject } if self.nodes[to].life == lives.1 => {
                self.pulled(from, to, lives, subject);
            }
            Event::Record { to, life, subject, generation } if self.nodes[to].life == life => {
                self.recorded(to, subject, generation);
            }
            Event::Unproved { to, life, question } if self.nodes[to].life == life => {
                self.unproved(to, question);
            }
            _ => {}
        }
    }

    fn packet(&mut self, from: usize, to: usize, lives: (u32, u32), packet: Bytes) {
        let now = self.world.now();
        if self.nodes[to].life != lives.1 {
            // Another process has the port: it cannot say a word about this connection.
            return;
        }
        let link = self.nodes[to].links.get_mut(&from);
        let Some(link) = link.filter(|link| link.life == lives.0) else {
            return self.close(to, from, lives.0);
        };
        link.unanswered = None;
        if let Some(link) = self.nodes[from].links.get_mut(&to)
            && link.life == lives.1
        {
            link.unanswered = None;
        }
        let (bytes, sum) = (packet.len(), check(&packet));
        self.world.trace.line(now, format_args!("{from}>{to} {bytes} {sum:x}"));
        self.take(to, MembershipInput::Datagram(packet));
    }

    /// Tells a peer in that life that the connection is closed here.
    pub(super) fn close(&mut self, here: usize, there: usize, life: u32) {
        let (now, by_life) = (self.world.now(), self.nodes[here].life);
        if let Some(after) = self.network.carry(here, there, now, &mut self.world.rng)[0] {
            let closed = Event::Closed { to: there, life, by: here, by_life };
            self.world.plan(now + after, closed);
        }
    }

    fn wake(&mut self, index: usize) {
        self.nodes[index].wake = None;
        let now = self.world.instant();
        self.nodes[index].machine.fire(now);
        self.flush(index);
        self.settle(index);
    }

    fn resume(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.paused = false;
        let waiting = std::mem::take(&mut node.waiting);
        if !node.up {
            return;
        }
        // Whether the sockets or the timers are looked at first is nobody's choice.
        if super::super::link::chance(&mut self.world.rng, self.timers_first) {
            self.wake(index);
        }
        for event in waiting {
            self.deliver(event);
        }
        self.wake(index);
    }

    pub(super) fn take(&mut self, index: usize, input: MembershipInput) {
        let now = self.world.instant();
        let mut news = Vec::new();
        self.nodes[index].machine.take(input, now, &mut |item| news.push(item));
        news.into_iter().for_each(|item| self.news(index, item));
        self.flush(index);
    }

    fn flush(&mut self, index: usize) {
        let now = self.world.instant();
        let mut news = Vec::new();
        let machine = &mut self.nodes[index].machine;
        machine.flush(now, &mut |item| news.push(item));
        for accused in std::mem::take(&mut machine.accused) {
            self.accused.entry(index_of(&accused.id)).or_insert(self.world.now());
            self.world
                .trace
                .line(self.world.now(), format_args!("{index} accuses {}", index_of(&accused.id)));
        }
        news.into_iter().for_each(|item| self.news(index, item));
    }

    /// Timers that are due by now are handled, and the node is woken for the next one.
    pub(super) fn settle(&mut self, index: usize) {
        if !self.nodes[index].up || self.nodes[index].paused {
            return;
        }
        let Some(due) = self.nodes[index].machine.due() else { return };
        let due = self.world.time_of(due);
        match self.nodes[index].wake {
            Some((at, _)) if at <= due => {}
            _ => {
                self.call_off_wake(index);
                let number = self.world.plan(due, Event::Wake { node: index });
                self.nodes[index].wake = Some((due, number));
            }
        }
    }

    fn call_off_wake(&mut self, index: usize) {
        if let Some((_, number)) = self.nodes[index].wake.take() {
            self.world.cancel(number);
        }
    }

    pub(super) fn note(&mut self, reason: Result<(), String>) {
        if let Err(reason) = reason {
            self.broken.get_or_insert(reason);
        }
    }
}

/// A few bits of a packet's content, for traces.
fn check(packet: &[u8]) -> u16 {
    packet.iter().fold(7, |sum: u16, byte| sum.wrapping_mul(31).wrapping_add(u16::from(*byte)))
}

/// Kept apart, so that a machine is only made in one place.
pub(super) fn machine(me: Member, seed: u64) -> Machine {
    Machine::new(me, seed, crate::Limits::default().max_members)
}
