//! Replicas of the directory between nodes that come and go, over paths that lose, repeat and
//! reorder, with one node that forges.
//!
//! What `directory/driver.rs` does with messages is done here; who is alive, nodes learn from the
//! world, each at its own time. Messages that really travel on streams are lost here, too.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rand::{Rng, RngExt};

use super::invariants::{Genuine, Stamps};
use super::link::{Conditions, Network, chance};
use super::seeds;
use super::trace::Trace;
use super::world::{MS, SECOND, Time, World};
use crate::directory::record::{NodeRecord, NodeStatus, SealedRecord};
use crate::directory::replica::{DigestEntry, Inserted, Replica, decode_digest, encode_digest};
use crate::identity::{NodeId, SecretKey};

mod scenario;

const REALM: [u8; 8] = [3; 8];
/// How long the news that a node is up or down takes.
const NEWS: (Time, Time) = (SECOND, 10 * SECOND);

#[derive(Clone, Debug)]
enum Message {
    Record(Bytes),
    Summary(u64),
    Digest(Bytes),
    Pull(Vec<NodeId>),
    Hint(DigestEntry),
}

#[derive(Debug)]
enum Event {
    Arrives {
        from: usize,
        to: usize,
        life: u64,
        message: Message,
    },
    Round {
        node: usize,
        life: u64,
    },
    /// `observer` learns how `subject` is.
    News {
        observer: usize,
        subject: usize,
    },
}

struct Node {
    key: SecretKey,
    life: u64,
    up: bool,
    own: SealedRecord,
    replica: Replica,
    alive: BTreeSet<NodeId>,
    stamps: Stamps,
}

struct Directory {
    world: World<Event>,
    network: Network,
    nodes: Vec<Node>,
    by_id: BTreeMap<NodeId, usize>,
    genuine: Genuine,
    broken: Option<String>,
    forged: u64,
    refused: u64,
}

impl Directory {
    fn new(count: usize, seed: u64, conditions: Conditions, trace: Trace) -> Self {
        let mut world = World::new(seed, trace);
        let mut genuine = Genuine::default();
        let mut nodes = Vec::new();
        for _ in 0..count {
            let mut bytes = [0; 32];
            world.rng.fill_bytes(&mut bytes);
            let key = SecretKey::from_bytes(bytes);
            let own = sealed(&key, 1000, 1, NodeStatus::Serving);
            genuine.signed(&own);
            nodes.push(Node {
                key,
                life: 1,
                up: false,
                own,
                replica: Replica::default(),
                alive: BTreeSet::new(),
                stamps: Stamps::default(),
            });
        }
        let by_id = nodes.iter().enumerate().map(|(index, node)| (node.key.id(), index)).collect();
        let network = Network::new(conditions);
        let (forged, refused) = (0, 0);
        let mut directory =
            Self { world, network, nodes, by_id, genuine, broken: None, forged, refused };
        (0..count).for_each(|index| directory.start(index, 1000));
        directory
    }

    fn run(&mut self, time: Time) -> Result<(), String> {
        let end = self.world.now() + time;
        while let Some(event) = self.world.next(end) {
            match event {
                Event::Arrives { from, to, life, message } if self.runs(to, life) => {
                    self.arrives(from, to, message);
                }
                Event::Round { node, life } if self.runs(node, life) => self.round(node),
                Event::News { observer, subject } if self.nodes[observer].up => {
                    self.learn(observer, subject);
                }
                _ => {}
            }
            if let Some(reason) = self.broken.take() {
                return Err(format!("at {} ms: {reason}", self.world.now() / MS));
            }
        }
        Ok(())
    }

    fn runs(&self, index: usize, life: u64) -> bool {
        self.nodes[index].up && self.nodes[index].life == life
    }

    /// A process starts, with an empty replica.
    fn start(&mut self, index: usize, incarnation: u64) {
        let node = &mut self.nodes[index];
        (node.up, node.life) = (true, node.life + 1);
        node.own = sealed(&node.key, incarnation, 1, NodeStatus::Serving);
        node.replica = Replica::default();
        node.stamps = Stamps::default();
        node.alive.clear();
        let life = node.life;
        self.keep_own(index);
        let first = self.world.now() + self.world.rng.random_range(0..SECOND);
        self.world.plan(first, Event::Round { node: index, life });
        for other in 0..self.nodes.len() {
            self.tell(other, index);
            self.tell(index, other);
        }
    }

    fn stop(&mut self, index: usize) {
        self.nodes[index].up = false;
        (0..self.nodes.len()).for_each(|other| self.tell(other, index));
    }

    /// The node says that it goes, in its last record.
    fn leave(&mut self, index: usize) {
        self.update(index, |record| record.status = NodeStatus::Left);
        self.stop(index);
    }

    /// Has `observer` learn, in a while, how `subject` is then.
    fn tell(&mut self, observer: usize, subject: usize) {
        if observer != subject {
            let at = self.world.now() + self.world.rng.random_range(NEWS.0..NEWS.1);
            self.world.plan(at, Event::News { observer, subject });
        }
    }

    fn learn(&mut self, observer: usize, subject: usize) {
        let reached = self.nodes[subject].up
            && !self.network.is_cut(observer, subject)
            && !self.network.is_cut(subject, observer);
        let id = self.nodes[subject].key.id();
        let node = &mut self.nodes[observer];
        if !reached {
            node.alive.remove(&id);
        } else if node.alive.insert(id) {
            node.replica.welcome(&id);
            node.stamps.welcome(&id);
            let (own, summary) = (node.own.bytes().clone(), node.replica.summary());
            self.send(observer, subject, Message::Record(own));
            self.send(observer, subject, Message::Summary(summary));
        }
    }

    fn update(&mut self, index: usize, change: impl FnOnce(&mut NodeRecord)) {
        let node = &mut self.nodes[index];
        let mut record = NodeRecord::clone(node.own.record());
        change(&mut record);
        record.version += 1;
        node.own = SealedRecord::seal(record, REALM, |bytes| node.key.sign(bytes)).unwrap();
        self.keep_own(index);
        let own = self.nodes[index].own.clone();
        let (incarnation, version) = own.record().stamp();
        let hint = DigestEntry { node: own.record().node, incarnation, version };
        for peer in self.peers(index) {
            self.send(index, peer, Message::Record(own.bytes().clone()));
            if chance(&mut self.world.rng, 500) {
                self.send(index, peer, Message::Hint(hint));
            }
        }
    }

    fn keep_own(&mut self, index: usize) {
        let now = self.world.instant().into_std();
        let node = &mut self.nodes[index];
        self.genuine.signed(&node.own);
        node.replica.insert(node.own.clone(), now);
    }

    fn peers(&self, index: usize) -> Vec<usize> {
        self.nodes[index].alive.iter().map(|id| self.by_id[id]).collect()
    }

    fn send(&mut self, from: usize, to: usize, message: Message) {
        let (now, life) = (self.world.now(), self.nodes[to].life);
        let trips = self.network.carry(from, to, now, &mut self.world.rng);
        for after in trips.into_iter().flatten() {
            let message = message.clone();
            self.world.plan(now + after, Event::Arrives { from, to, life, message });
        }
    }

    /// As the driver does it.
    fn round(&mut self, index: usize) {
        let now = self.world.instant().into_std();
        let node = &mut self.nodes[index];
        let me = node.key.id();
        for gone in node.replica.expire(|id| *id == me || node.alive.contains(id), now) {
            node.stamps.removed(&gone);
            self.world
                .trace
                .line(self.world.now(), format_args!("{index} forgets {}", self.by_id[&gone]));
        }
        let (summary, life) = (node.replica.summary(), node.life);
        let peers = self.peers(index);
        if !peers.is_empty() {
            let peer = peers[self.world.rng.random_range(0..peers.len())];
            self.send(index, peer, Message::Summary(summary));
        }
        self.world.plan(self.world.now() + SECOND, Event::Round { node: index, life });
    }

    fn arrives(&mut self, from: usize, to: usize, message: Message) {
        match message {
            Message::Record(bytes) => self.record(to, bytes),
            Message::Summary(theirs) => {
                let replica = &self.nodes[to].replica;
                if replica.summary() != theirs {
                    let digest = encode_digest(&replica.digest()).unwrap();
                    self.send(to, from, Message::Digest(digest.into()));
                }
            }
            Message::Digest(bytes) => {
                let replica = &self.nodes[to].replica;
                let compared = replica.compare(&decode_digest(&bytes).unwrap());
                let newer = compared.newer_here.iter().filter_map(|node| replica.get(node));
                let newer: Vec<_> = newer.map(|sealed| sealed.bytes().clone()).collect();
                newer.into_iter().for_each(|record| self.send(to, from, Message::Record(record)));
                self.pull(to, from, compared.wanted);
            }
            Message::Pull(wanted) => {
                let replica = &self.nodes[to].replica;
                let records = wanted.iter().filter_map(|node| replica.get(node));
                let records: Vec<_> = records.map(|sealed| sealed.bytes().clone()).collect();
                records.into_iter().for_each(|one| self.send(to, from, Message::Record(one)));
            }
            Message::Hint(hint) => {
                if !self.nodes[to].replica.compare(&[hint]).wanted.is_empty() {
                    self.pull(to, self.by_id[&hint.node], vec![hint.node]);
                }
            }
        }
    }

    fn pull(&mut self, from: usize, to: usize, wanted: Vec<NodeId>) {
        if !wanted.is_empty() {
            self.send(from, to, Message::Pull(wanted));
        }
    }

    fn record(&mut self, to: usize, bytes: Bytes) {
        let Ok(sealed) = SealedRecord::open(bytes, REALM, NodeId::verify) else {
            self.refused += 1;
            return;
        };
        let (owner, stamp) = (sealed.record().node, sealed.record().stamp());
        if owner == self.nodes[to].key.id() {
            // Others know a newer record than its own: live on above it.
            if stamp > self.nodes[to].own.record().stamp() {
                self.update(to, |record| record.incarnation = stamp.0 + 1);
            }
            return;
        }
        let now = self.world.instant().into_std();
        let node = &mut self.nodes[to];
        if matches!(node.replica.insert(sealed, now), Inserted::New | Inserted::Updated) {
            let kept = node.replica.get(&owner).unwrap();
            let checked = self.genuine.check(kept).and_then(|()| node.stamps.has(kept));
            self.broken = self.broken.take().or(checked.err());
            let owner = self.by_id[&owner];
            self.world
                .trace
                .line(self.world.now(), format_args!("{to} has {owner}.{}.{}", stamp.0, stamp.1));
        }
    }

    /// Somebody sends a newer record of `victim` that `victim` did not sign.
    fn forge(&mut self, forger: usize, victim: usize, to: usize) {
        let mut record = NodeRecord::clone(self.nodes[victim].own.record());
        record.version += 1000;
        record.name = "forged".into();
        let key = &self.nodes[forger].key;
        let forged = SealedRecord::seal(record, REALM, |bytes| key.sign(bytes)).unwrap();
        let mut bytes = match self.world.rng.random_range(0..3) {
            // Signed by another key.
            0 => forged.bytes().to_vec(),
            // The signature of another record of the victim.
            1 => {
                let (body, _) = forged.bytes().split_last_chunk::<64>().unwrap();
                let own = self.nodes[victim].own.bytes();
                [body, own.split_last_chunk::<64>().unwrap().1].concat()
            }
            // A genuine one with another byte.
            _ => self.nodes[victim].own.bytes().to_vec(),
        };
        let at = self.world.rng.random_range(32..bytes.len());
        bytes[at] ^= 1 << self.world.rng.random_range(0..8);
        self.forged += 1;
        self.send(forger, to, Message::Record(bytes.into()));
    }
}

fn sealed(key: &SecretKey, incarnation: u64, version: u64, status: NodeStatus) -> SealedRecord {
    let record = NodeRecord {
        node: key.id(),
        incarnation,
        version,
        name: "node".into(),
        tags: BTreeSet::new(),
        addrs: Vec::new(),
        status,
        services: Vec::new(),
        topology: None,
    };
    SealedRecord::seal(record, REALM, |bytes| key.sign(bytes)).unwrap()
}
