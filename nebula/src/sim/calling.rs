#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! What callers do: how calls and attempts begin and end, whatever they are.

use std::time::Duration;

use macula::rpc::{Failure, Phase, Term};
use rand::RngExt;
use tokio::time::Instant;

use super::ask::{Ask, Attempt, Course, Said, Told, Way};
use super::caller::id;
use super::cluster::{Cluster, Event, PING_EVERY};
use super::invariants;
use super::server::Health;
use super::world::{MS, Time};
use crate::call::Executed;
use crate::call::engine::leg;
use crate::nodes::Policy;
use crate::nodes::trouble::Verdict;

/// After how long without a sound a server is silent to a caller that waits for it.
const SILENT_AFTER: Time = 500 * MS;

impl Cluster {
    /// An attempt of a call on a server begins.
    pub(super) fn begins(&mut self, ask: usize, server: usize) {
        let Ask { caller, deadline, term, .. } = self.asks[ask];
        let attempt = self.attempts.len();
        let (began, instant) = (self.world.now(), self.world.instant());
        let until = instant + Duration::from_micros(deadline - began);
        let one = &mut self.callers[caller];
        one.known[server].in_flight += 1;
        let away = !self.plan.at_home || caller != server;
        let who = (id(server), "server");
        let watched = away.then(|| one.trouble.watch(one.choices, who, (instant, until, None)));
        let life = self.servers[server].life;
        let (open, cancelled) = (true, false);
        self.attempts.push(Attempt {
            ask,
            server,
            life,
            began,
            term,
            lease: None,
            open,
            cancelled,
            watched,
        });
        self.asks[ask].open.push(attempt);
        self.world.plan(self.trip(attempt), Event::Arrives(attempt));
        if away {
            self.world.plan(SILENT_AFTER, Event::Quiet(attempt));
        }
    }

    /// Something has come from a server.
    pub(super) fn hears(&mut self, server: usize, attempt: usize, load: Option<u16>) {
        let Attempt { ask, open, .. } = self.attempts[attempt];
        let (now, told) = (self.world.now(), self.plan.told_every.is_none());
        let known = &mut self.callers[self.asks[ask].caller].known[server];
        if let Some(load) = load {
            known.heard = now;
            known.silent = false;
            known.trip = Some(2 * self.plan.trip);
            if told {
                let ours = known.in_flight.saturating_sub(usize::from(open));
                known.foreign = Some((u32::from(load).saturating_sub(ours as u32), now));
            }
        }
    }

    /// An attempt has ended, for the first time or once more.
    pub(super) fn attempt_ends(&mut self, attempt: usize, said: Said) -> Result<(), String> {
        let ask = self.attempts[attempt].ask;
        if !self.attempts[attempt].open {
            return self.said_again(ask, attempt, said);
        }
        self.closes(attempt, Some(verdict(&said)));
        if self.asks[ask].told.is_some() {
            return Ok(());
        }
        match self.asks[ask].course {
            Course::One(_) => self.tried(ask, attempt, said),
            Course::Several(_) => self.came(ask, vec![(attempt, said)]),
        }
    }

    /// An attempt is not waited for any more; without a verdict it is given up.
    pub(super) fn closes(&mut self, attempt: usize, verdict: Option<Verdict>) {
        let now = self.world.instant();
        let one = &mut self.attempts[attempt];
        let ask = &mut self.asks[one.ask];
        let (began, deadline) = (ask.began, ask.deadline);
        one.open = false;
        ask.open.retain(|open| *open != attempt);
        self.callers[ask.caller].known[one.server].in_flight -= 1;
        match (one.watched.take(), verdict) {
            (Some(watched), Some(verdict)) => {
                watched.ends(verdict, moment(now, self.world.now(), deadline))
            }
            (watched, _) => drop(watched),
        }
        debug_assert!(began <= deadline);
        if verdict.is_none() && !one.cancelled {
            one.cancelled = true;
            let trip = self.trip(attempt);
            self.world.plan(trip, Event::Cancel(attempt));
        }
    }

    pub(super) fn deadline(&mut self, ask: usize) -> Result<(), String> {
        // A server's clock says the same.
        let open = self.asks[ask].open.clone();
        for attempt in &open {
            if self.attempts[*attempt].lease.is_some() {
                // It keeps its own account.
                invariants::words_arrive(self, *attempt)?;
            } else if self.server_of(*attempt).health != Health::Silent {
                self.leaves(*attempt)?;
            } else {
                self.stuck.push(Event::Cancel(*attempt));
            }
        }
        let late = || Said::Failure(Failure::Deadline { phase: Phase::Run });
        if let Course::Several(_) = self.asks[ask].course {
            for attempt in &open {
                self.closes(*attempt, Some(verdict(&late())));
            }
            if self.asks[ask].told.is_some() {
                return Ok(());
            }
            return self.came(ask, open.into_iter().map(|attempt| (attempt, late())).collect());
        }
        for attempt in open {
            if self.attempts[attempt].open {
                self.attempt_ends(attempt, late())?;
            }
        }
        Ok(())
    }

    /// A caller looks whether the server of an attempt is silent.
    pub(super) fn looks(&mut self, attempt: usize) -> Result<(), String> {
        let Attempt { ask, server, began, open, .. } = self.attempts[attempt];
        let (caller, now) = (self.asks[ask].caller, self.world.now());
        let known = &mut self.callers[caller].known[server];
        let dead = self.servers[server].health == Health::Silent;
        if !open || self.asks[ask].told.is_some() {
            return Ok(());
        }
        if !dead {
            // It answers pings.
            known.heard = now;
            self.world.plan(SILENT_AFTER, Event::Quiet(attempt));
            return Ok(());
        }
        if now - known.heard.max(began) < SILENT_AFTER {
            self.world.plan(SILENT_AFTER, Event::Quiet(attempt));
            return Ok(());
        }
        if !known.silent {
            known.silent = true;
            self.world.plan(PING_EVERY, Event::Ping(caller, server));
        }
        if !self.asks[ask].idempotent || self.plan.servers == 1 {
            return Ok(());
        }
        // Word that it is not waited for any more cannot come before it is back.
        self.stuck.push(Event::Cancel(attempt));
        self.attempts[attempt].cancelled = true;
        self.attempt_ends(attempt, Said::Failure(Failure::Silent))
    }

    /// A call begins.
    pub(super) fn calls(&mut self, caller: usize) -> Result<(), String> {
        let ask = self.asks.len();
        let key = match self.plan.way {
            Way::Keys(keys) => self.world.rng.random_range(0..keys),
            _ => ask as u64,
        };
        let now = self.world.now();
        self.callers[caller].calls += 1;
        let timer = self.world.plan(self.plan.timeout, Event::Deadline(ask));
        let policy = match self.plan.way {
            Way::One(policy) | Way::Hedged(policy) => policy,
            Way::Keys(_) => Policy::sticky(key),
            _ => Policy::Random,
        };
        let course = self.course(caller, policy);
        let until = self.world.instant() + Duration::from_micros(self.plan.timeout);
        let (room, steps) = self.plan.room;
        self.asks.push(Ask {
            caller,
            began: now,
            deadline: now + self.plan.timeout,
            term: Term::new(until, Duration::from_micros(room), steps),
            key,
            policy,
            idempotent: self.plan.idempotent,
            open: Vec::new(),
            course,
            executed: Executed::No,
            told: None,
            timers: vec![timer],
        });
        match self.asks[ask].course {
            Course::One(_) => self.first(ask),
            Course::Several(_) => {
                for server in 0..self.plan.servers {
                    self.begins(ask, server);
                }
                Ok(())
            }
        }
    }

    /// The caller is told the end of a call.
    pub(super) fn tells(&mut self, ask: usize, told: Told) -> Result<(), String> {
        self.world.line(format_args!("call {ask} {told:?}"));
        self.asks[ask].told = Some(told);
        let over =
            !matches!(self.asks[ask].course, Course::Several(_)) || self.asks[ask].idempotent;
        if over {
            for timer in std::mem::take(&mut self.asks[ask].timers) {
                self.world.cancel(timer);
            }
            for attempt in self.asks[ask].open.clone() {
                self.closes(attempt, None);
            }
        }
        invariants::told(self, ask)
    }
}

/// What an answer says of its server: as after a call over the mesh.
fn verdict(said: &Said) -> Verdict {
    leg::verdict(&match said {
        Said::Value(_) | Said::Error => Ok(bytes::Bytes::new()),
        Said::Failure(failure) => Err(failure.clone()),
    })
}

/// The moment of a time, given that of the present.
fn moment(instant: Instant, now: Time, time: Time) -> Instant {
    match time.checked_sub(now) {
        Some(left) => instant + Duration::from_micros(left),
        None => instant - Duration::from_micros(now - time),
    }
}
