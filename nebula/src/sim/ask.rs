#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use macula::rpc::Term;

use super::leases::Leased;
use super::several::Machine;
use super::world::{MS, SECOND, Time};
use crate::call::Executed;
use crate::call::retry::FailoverMachine;
use crate::nodes::Policy;
use crate::nodes::choices::Draw;

/// To whom calls are made, and how.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// To one node.
    One(Policy),
    /// To one node, for one of so many keys.
    Keys(u64),
    /// To one node, and to a second one if the first is slow.
    Hedged(Policy),
    /// To all, for all.
    All,
    /// To all, for the first success.
    First,
    /// To all, for so many successes.
    Quorum(usize),
}

/// What a world is made of. Times are in microseconds.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) servers: usize,
    pub(super) places: usize,
    pub(super) seats: usize,
    /// A body takes half of this to one and a half times this.
    pub(super) body: Time,
    pub(super) callers: usize,
    /// Each caller is the server of the same number, too.
    pub(super) at_home: bool,
    /// Between the calls of one caller, on average.
    pub(super) apart: Time,
    pub(super) way: Way,
    /// The method may run twice.
    pub(super) idempotent: bool,
    pub(super) timeout: Time,
    /// By how much a deadline may move later in all, and in how many steps. For calls to one node.
    pub(super) room: (Time, u32),
    /// A body that needs more time asks for so much at once.
    pub(super) step: Time,
    /// Bodies of a thousand that never end, and do not ask for more time.
    pub(super) hang: u32,
    /// From one node to another.
    pub(super) trip: Time,
    /// The retry budget of each caller: thousandths of its calls, and the reserve.
    pub(super) budget: (u32, u32),
    /// Loads are told once in this time only, rather than with each reply.
    pub(super) told_every: Option<Time>,
    /// Answers of a thousand that come twice.
    pub(super) twice: u32,
    pub(super) traced: bool,
}

impl Plan {
    /// Four servers of two places each, under two callers that use 70 % of them.
    pub(super) fn usual(way: Way) -> Self {
        Self {
            servers: 4,
            places: 2,
            seats: 32,
            body: 10 * MS,
            callers: 2,
            at_home: false,
            apart: 3500,
            way,
            idempotent: true,
            timeout: 2 * SECOND,
            room: (0, 0),
            step: 0,
            hang: 0,
            trip: MS / 4,
            budget: (200, 50),
            told_every: None,
            twice: 0,
            traced: false,
        }
    }

    /// Servers are chosen by what is known of their loads.
    pub(super) fn way_is_by_load(&self) -> bool {
        matches!(self.way, Way::One(Policy::LeastLoaded) | Way::Hedged(Policy::LeastLoaded))
    }
}

/// A call.
pub(super) struct Ask {
    pub(super) caller: usize,
    pub(super) began: Time,
    pub(super) deadline: Time,
    /// The same as the caller keeps account of it, and how far it may still move.
    pub(super) term: Term,
    /// What it carries: the value of a success is made of it.
    pub(super) key: u64,
    pub(super) policy: Policy,
    pub(super) idempotent: bool,
    /// Attempts on which it waits, in the order in which they began.
    pub(super) open: Vec<usize>,
    pub(super) course: Course,
    /// What attempts have said of its execution so far.
    pub(super) executed: Executed,
    pub(super) told: Option<Told>,
    /// The events of its deadline, and of its second attempt.
    pub(super) timers: Vec<u64>,
}

/// How far a call has come.
pub(super) enum Course {
    One(Box<One>),
    Several(Option<Machine>),
}

/// A call to one node.
pub(super) struct One {
    pub(super) draw: Draw,
    /// Servers that were not tried in this round, the next one last.
    pub(super) left: Vec<usize>,
    pub(super) failover: FailoverMachine,
    /// It may ask a second node, and has not yet.
    pub(super) hedges: bool,
    /// What this node itself refused is no word of another one.
    pub(super) first: Option<usize>,
}

/// What a caller was told in the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Told {
    pub(super) at: Time,
    /// The server whose answer it is, if it is a success of one.
    pub(super) by: Option<usize>,
    pub(super) ok: bool,
    pub(super) executed: Executed,
}

/// What a server says to an attempt.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Value(u64),
    /// The method's own error.
    Error,
    Failure(macula::rpc::Failure),
}

/// An attempt on a server, as its caller sees it.
pub(super) struct Attempt {
    pub(super) ask: usize,
    pub(super) server: usize,
    /// The life of the server that it was sent to.
    pub(super) life: u64,
    pub(super) began: Time,
    /// What the request says of its deadline.
    pub(super) term: Term,
    /// The same at the server, once it is there, if it may move.
    pub(super) lease: Option<Leased>,
    /// Its caller still waits for it.
    pub(super) open: bool,
    /// Its caller sent word that it does not.
    pub(super) cancelled: bool,
    pub(super) watched: Option<crate::nodes::trouble::Watched<'static>>,
}
