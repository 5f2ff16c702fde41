#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::task::noop_waker_ref;
use macula::rpc::admission::{Entry, Gate, Permit};

use super::world::Time;

/// How a server fares.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Health {
    Fine,
    /// Its bodies take so many times as long.
    Slow(u64),
    /// Its bodies end at once, with an error of their own.
    Errs,
    /// It stands still: nothing that came is looked at, nothing is sent, and bodies do not go on.
    Silent,
    /// There is no process: dials fail at once.
    Down,
}

/// What became of a request.
#[derive(Debug)]
pub(super) enum Admission {
    Runs,
    Waits,
    Refused(Duration),
}

/// A server with the real gate before its bodies. Attempts are known by number.
pub(super) struct Server {
    pub(super) gate: Arc<Gate>,
    pub(super) places: usize,
    pub(super) seats: usize,
    pub(super) health: Health,
    /// When it stood still for the last time.
    pub(super) awake_since: Time,
    /// Counts its processes: what was sent to a former one is lost.
    pub(super) life: u64,
    pub(super) running: BTreeMap<usize, Permit>,
    pub(super) waiting: VecDeque<(usize, BoxFuture<'static, Permit>)>,
}

impl Server {
    pub(super) fn new(places: usize, seats: usize) -> Self {
        Self {
            gate: Gate::new(places, seats),
            places,
            seats,
            health: Health::Fine,
            awake_since: 0,
            life: 0,
            running: BTreeMap::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Requests that run and wait.
    pub(super) fn load(&self) -> usize {
        self.running.len() + self.waiting.len()
    }

    /// A request comes to the gate, with so much time left.
    pub(super) fn admit(&mut self, attempt: usize, left: Duration) -> Admission {
        match self.gate.enter_for(|| left) {
            Entry::Admitted(permit) => {
                self.running.insert(attempt, permit);
                Admission::Runs
            }
            Entry::Queued(turn) => {
                self.waiting.push_back((attempt, turn));
                Admission::Waits
            }
            Entry::Refused { retry_after } => Admission::Refused(retry_after),
        }
    }

    /// A request has ended or is given up. Gives those that begin instead, in order.
    pub(super) fn leaves(&mut self, attempt: usize) -> Vec<usize> {
        self.running.remove(&attempt);
        self.waiting.retain(|(waiting, _)| *waiting != attempt);
        let mut begun = Vec::new();
        while let Some((_, turn)) = self.waiting.front_mut() {
            let Poll::Ready(permit) = turn.poll_unpin(&mut Context::from_waker(noop_waker_ref()))
            else {
                break;
            };
            if let Some((attempt, _)) = self.waiting.pop_front() {
                self.running.insert(attempt, permit);
                begun.push(attempt);
            }
        }
        begun
    }

    /// The process ends.
    pub(super) fn crash(&mut self) {
        self.waiting.clear();
        self.running.clear();
        self.gate = Gate::new(self.places, self.seats);
        self.life += 1;
    }
}
