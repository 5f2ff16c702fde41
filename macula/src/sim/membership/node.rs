#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;

use bytes::Bytes;

use super::super::invariants::Highest;
use super::super::world::Time;
use super::cluster::{Event, machine};
use super::records::Doubt;
use crate::identity::NodeId;
use crate::membership::{Machine, Member};

/// One process, and what its connections and its view are.
pub(super) struct Node {
    pub(super) life: u32,
    pub(super) me: Member,
    pub(super) machine: Machine,
    pub(super) up: bool,
    pub(super) paused: bool,
    pub(super) introduced: bool,
    /// What came while it stood still.
    pub(super) waiting: Vec<Event>,
    /// What the rest of the node takes to be alive.
    pub(super) alive: BTreeMap<NodeId, Member>,
    pub(super) links: BTreeMap<usize, Link>,
    /// Dials under way, with the packets that wait for them.
    pub(super) dials: BTreeMap<usize, Vec<Bytes>>,
    /// By peer: failed dials, and until when there is none.
    pub(super) pauses: BTreeMap<usize, (u32, Time)>,
    /// The same of the seeds.
    pub(super) seeds: BTreeMap<usize, (u32, Time)>,
    /// Questions whether somebody is alive that are not answered.
    pub(super) questions: BTreeMap<u64, Member>,
    /// By node: the latest generation of which it has the node's own record.
    pub(super) records: BTreeMap<usize, u64>,
    /// Later lives that it has been told of, whose records have not come.
    pub(super) unproved: BTreeMap<u64, Doubt>,
    /// When it is woken, and the event that does it.
    pub(super) wake: Option<(Time, u64)>,
    /// Packets and bytes.
    pub(super) sent: (u64, u64),
    /// Dials that it began.
    pub(super) dialled: u64,
    /// The packets by what they are for.
    pub(super) purposes: BTreeMap<&'static str, (u64, u64)>,
    /// How often it learned that it was declared dead.
    pub(super) renewals: u32,
    pub(super) highest: BTreeMap<NodeId, Highest>,
}

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// The life of the peer, and the generation that it named.
    pub(super) life: u32,
    pub(super) generation: u64,
    /// When the first packet was sent that was not acknowledged, nor any after it.
    pub(super) unanswered: Option<Time>,
}

impl Node {
    pub(super) fn new(index: usize, life: u32, seed: u64) -> Self {
        let me = member(index, life);
        Self {
            life,
            me,
            machine: machine(me, seed),
            up: true,
            paused: false,
            introduced: false,
            waiting: Vec::new(),
            alive: BTreeMap::new(),
            links: BTreeMap::new(),
            dials: BTreeMap::new(),
            pauses: BTreeMap::new(),
            seeds: BTreeMap::new(),
            questions: BTreeMap::new(),
            records: BTreeMap::from([(index, me.generation)]),
            unproved: BTreeMap::new(),
            wake: None,
            sent: (0, 0),
            dialled: 0,
            purposes: BTreeMap::new(),
            renewals: 0,
            highest: BTreeMap::new(),
        }
    }

    /// A seed, if it is one, answered.
    pub(super) fn seed_met(&mut self, seed: usize, due: Time) {
        self.seeds.insert(seed, (0, due));
    }

    /// A seed, if it is one, did not.
    pub(super) fn seed_failed(&mut self, seed: usize, now: Time, round: Time, longest: Time) {
        let (failures, due) = self.seeds.entry(seed).or_insert((0, 0));
        *due = now + (round << (*failures).min(8)).min(longest);
        *failures += 1;
    }
}

/// The name of a node's life. A start raises the generation by a lot, as clocks do, so that the
/// renewals of the life before stay below it.
pub(super) fn member(index: usize, life: u32) -> Member {
    let port = u16::try_from(1000 + index).unwrap();
    let addr = ([127, 0, 0, 1], port).into();
    Member { id: id_of(index), addr, generation: 1 + 1000 * u64::from(life) }
}

/// The id of the node with that index.
pub(super) fn id_of(index: usize) -> NodeId {
    let mut bytes = [7; 32];
    bytes[24..].copy_from_slice(&(index as u64).to_be_bytes());
    NodeId::from_bytes(bytes)
}

/// The index of the node with that id.
pub(super) fn index_of(id: &NodeId) -> usize {
    u64::from_be_bytes(id.as_bytes()[24..].try_into().unwrap()) as usize
}
