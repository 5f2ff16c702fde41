#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Calls that get more time than they were given at first: the real leases of servers, and the real
//! accounts of callers. Both ends keep their own, and a word from the one to the other is all that
//! passes between them.

use std::time::Duration;

use macula::rpc::{Failure, Lease, Phase, Term};

use super::ask::{Attempt, Course, Said};
use super::cluster::{Cluster, Event};
use super::server::Health;
use super::world::{MS, Time};

/// The lease of an attempt at its server.
pub(super) struct Leased {
    pub(super) lease: Lease,
    /// When its body ends, if it is let.
    ends: Time,
    /// It has asked for more time and has not got it.
    refused: bool,
    /// The word that it has more time comes when its caller has given up: it began too late.
    pub(super) late: bool,
}

impl Cluster {
    /// A request is at its server, where its time begins.
    pub(super) fn leased(&mut self, attempt: usize) {
        let Attempt { ask, life, term, began, .. } = self.attempts[attempt];
        if self.plan.room.1 == 0 || !matches!(self.asks[ask].course, Course::One(_)) {
            return;
        }
        let sent = self.world.instant() - Duration::from_micros(self.world.now() - began);
        let left = term.deadline().saturating_duration_since(sent);
        let term = Term::new(self.world.instant() + left, term.room(), term.extensions());
        let lease = Lease::new(term);
        self.attempts[attempt].lease = Some(Leased { lease, ends: 0, refused: false, late: false });
        self.world.plan(left.as_micros() as Time, Event::Expires(attempt, life));
    }

    /// The body of an attempt takes so long.
    pub(super) fn needs(&mut self, attempt: usize, takes: Time) {
        let (now, life) = (self.world.now(), self.attempts[attempt].life);
        if let Some(leased) = &mut self.attempts[attempt].lease {
            leased.ends = now + takes;
            self.renews(attempt, life);
        }
    }

    /// A body looks whether it needs more time, in good time: so that the word of it reaches the
    /// caller before that one's clock runs out.
    pub(super) fn renews(&mut self, attempt: usize, life: u64) {
        let ahead = Duration::from_micros(4 * self.plan.trip + MS);
        let (now, server) = (self.world.instant(), self.server_of(attempt));
        if server.life != life || !server.running.contains_key(&attempt) {
            return;
        }
        let (step, trip) = (Duration::from_micros(self.plan.step), self.trip(attempt));
        let Some(leased) = &mut self.attempts[attempt].lease else { return };
        let rest = Duration::from_micros(leased.ends.saturating_sub(self.world.now()));
        while leased.lease.deadline() < now + rest + ahead {
            let early = leased.lease.deadline().saturating_duration_since(now + ahead);
            if !early.is_zero() {
                let after = early.as_micros() as Time;
                self.world.plan(after, Event::Renews(attempt, life));
                return;
            }
            // The clock of the caller runs out as much earlier as the request was on its way.
            let here = leased.lease.deadline().saturating_duration_since(now);
            match leased.lease.extend(step) {
                Ok(by) => {
                    leased.late |= here <= Duration::from_micros(2 * trip);
                    self.extended += 1;
                    self.world.plan(trip, Event::Extended(attempt, by));
                }
                Err(_) => {
                    leased.refused = true;
                    return;
                }
            }
        }
    }

    /// The time of an attempt is over, if it was not extended.
    pub(super) fn expires(&mut self, attempt: usize, life: u64) -> Result<(), String> {
        let server = self.server_of(attempt);
        let waits = server.waiting.iter().any(|(waiting, _)| *waiting == attempt);
        let here = server.running.contains_key(&attempt) || waits;
        let now = self.world.instant();
        let Some(leased) = self.attempts[attempt].lease.as_ref() else { return Ok(()) };
        if self.server_of(attempt).life != life || !here {
            return Ok(());
        }
        if !leased.lease.expire() {
            let later = leased.lease.deadline().saturating_duration_since(now);
            self.world.plan(later.as_micros() as Time, Event::Expires(attempt, life));
            return Ok(());
        }
        self.expired += 1;
        if waits {
            let late = Failure::Deadline { phase: Phase::Queue };
            self.answers(attempt, Said::Failure(late));
        }
        self.leaves(attempt)
    }

    /// A body has ended before its time was over: its caller waits for the answer.
    pub(super) fn ends_in_time(&mut self, attempt: usize) {
        let Some(leased) = &self.attempts[attempt].lease else { return };
        leased.lease.end();
        let waited = self.attempts[attempt].open;
        if waited && !leased.refused && self.stays_awake(attempt) {
            self.owed.push(attempt);
        }
    }

    /// Whether the server of an attempt is there, and has not stood still since it began: what a
    /// server says that did comes too late.
    pub(super) fn stays_awake(&self, attempt: usize) -> bool {
        let (one, server) = (&self.attempts[attempt], self.server_of(attempt));
        let there = !matches!(server.health, Health::Silent | Health::Down);
        there && server.life == one.life && server.awake_since <= one.began
    }

    /// The caller of an attempt hears that it has more time, and grants it as far as its own account
    /// goes.
    pub(super) fn is_extended(&mut self, attempt: usize, by: Duration) -> Result<(), String> {
        let Attempt { ask, open, .. } = self.attempts[attempt];
        if !open || self.asks[ask].told.is_some() {
            return Ok(());
        }
        let now = self.world.instant();
        let granted = self.asks[ask].term.extend(by, now);
        if granted != Ok(by) {
            return Err(format!("call {ask} grants {granted:?} of {by:?}"));
        }
        self.asks[ask].deadline += by.as_micros() as Time;
        let left = self.asks[ask].deadline - self.world.now();
        let timer = self.world.plan(left, Event::Deadline(ask));
        let before = std::mem::replace(&mut self.asks[ask].timers[0], timer);
        self.world.cancel(before);
        Ok(())
    }
}
