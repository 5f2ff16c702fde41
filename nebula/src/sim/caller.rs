#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::time::Duration;

use macula::identity::NodeId;
use tokio::time::Instant;

use super::world::{SECOND, Time};
use crate::call::retry::RetryBudget;
use crate::call::usual::UsualTime;
use crate::nodes::StickyKey;
use crate::nodes::choices::Choices;
use crate::nodes::policy::Candidate;
use crate::nodes::trouble::Trouble;

/// How long what a server told of its load is believed, as links do.
const LOAD_HOLDS: Time = 2 * SECOND;

/// What a caller knows of a server.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// Attempts of this caller that are open there.
    pub(super) in_flight: usize,
    /// What it told of others' calls, and when.
    pub(super) foreign: Option<(u32, Time)>,
    /// The time to it and back, once it was measured.
    pub(super) trip: Option<Time>,
    /// When something came from it last.
    pub(super) heard: Time,
    /// It does not answer.
    pub(super) silent: bool,
}

/// A node that calls, with the machines that it has.
pub(super) struct Caller {
    pub(super) choices: &'static Choices,
    pub(super) trouble: &'static Trouble,
    pub(super) budget: RetryBudget,
    pub(super) usual: UsualTime,
    pub(super) known: Vec<Known>,
    /// Calls that it made.
    pub(super) calls: u64,
    /// Attempts of calls to one node.
    pub(super) attempts: u64,
}

impl Caller {
    /// One that knows so many servers. An attempt that is watched holds on to the machines that
    /// outlive it, so these are never given back: some hundred bytes a seed.
    pub(super) fn new(seed: u64, servers: usize, (permille, reserve): (u32, u32)) -> Self {
        Self {
            choices: Box::leak(Box::new(Choices::new(Some(seed)))),
            trouble: Box::leak(Box::default()),
            budget: RetryBudget::new(permille, reserve),
            usual: UsualTime::new(),
            known: vec![Known::default(); servers],
            calls: 0,
            attempts: 0,
        }
    }

    /// The candidates of a call, with those under suspicion that are silent, and then with those
    /// that are passed over, too. `itself` is the server that this caller is.
    pub(super) fn candidates(
        &self,
        itself: Option<(usize, usize)>,
        now: Time,
        instant: Instant,
    ) -> (Vec<Candidate>, Vec<Candidate>) {
        let one = |(server, known): (usize, &Known)| {
            let foreign = known.foreign.filter(|(_, at)| now - at < LOAD_HOLDS);
            let foreign = foreign.map_or(0, |(load, _)| load);
            let here = itself.filter(|(place, _)| *place == server).map(|(_, load)| load);
            Candidate {
                node: id(server),
                itself: here.is_some(),
                load: here.map_or(foreign + known.in_flight as u32, |load| load as u32),
                trip: known.trip.filter(|_| here.is_none()).map(Duration::from_micros),
                suspect: known.silent,
            }
        };
        let before: Vec<_> = self.known.iter().enumerate().map(one).collect();
        let mut after = before.clone();
        self.trouble.pass_over(&mut after, instant);
        (before, after)
    }
}

/// The identity of a server, with bytes as those of keys are: any.
pub(super) fn id(server: usize) -> NodeId {
    let mut bytes = [0; 32];
    for (word, at) in bytes.chunks_mut(8).zip(0_usize..) {
        word.copy_from_slice(&StickyKey::of(&(server, at)).number().to_le_bytes());
    }
    NodeId::from_bytes(bytes)
}
