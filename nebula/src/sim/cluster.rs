#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::time::Duration;

use macula::rpc::{Failure, Phase};
use rand::RngExt;
use tokio::time::Instant;

use super::ask::{Ask, Attempt, Course, Plan, Said, Told, Way};
use super::caller::Caller;
use super::invariants;
use super::server::{Admission, Health, Server};
use super::world::{MS, SECOND, Time, World};
use crate::call::Executed;
use crate::call::engine::leg;
use crate::nodes::trouble::Verdict;

/// After how long without a sound a server is silent to a caller that waits for it.
const SILENT_AFTER: Time = 500 * MS;
/// A silent server is asked so often whether it is back.
const PING_EVERY: Time = SECOND;

#[derive(Debug)]
pub(super) enum Event {
    /// A caller makes its next call.
    Call(usize),
    Arrives(usize),
    /// The body of an attempt ends, in that life of its server.
    Ends(usize, u64),
    /// A server's answer to an attempt, and the load it tells.
    Answer(usize, Said, Option<u16>),
    Cancel(usize),
    Deadline(usize),
    /// The first attempt of a hedged call is slow.
    Second(usize),
    /// A call starts over.
    Again(usize),
    /// A caller looks whether an attempt has been silent for long.
    Quiet(usize),
    /// A caller asks a silent server.
    Ping(usize, usize),
    /// All are told all loads.
    Loads,
}

/// A body that began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) ask: usize,
    pub(super) server: usize,
    pub(super) at: Time,
}

/// Callers, servers, and all that has happened.
pub(super) struct Cluster {
    pub(super) plan: Plan,
    pub(super) world: World<Event>,
    pub(super) servers: Vec<Server>,
    pub(super) callers: Vec<Caller>,
    pub(super) asks: Vec<Ask>,
    pub(super) attempts: Vec<Attempt>,
    /// What servers write down when a body begins.
    pub(super) runs: Vec<Run>,
    /// The same by call.
    pub(super) ran: BTreeMap<usize, Vec<usize>>,
    /// The bodies that are done, by attempt: what they gave.
    done: BTreeMap<usize, Said>,
    /// What came to a server that stands still, in order.
    stuck: Vec<Event>,
    /// Nobody calls any more.
    pub(super) quiet: bool,
}

impl Cluster {
    pub(super) fn new(seed: u64, plan: Plan) -> Self {
        let mut world = World::new(seed, plan.traced);
        let servers = (0..plan.servers).map(|_| Server::new(plan.places, plan.seats)).collect();
        let caller = |n| Caller::new(seed * 1000 + n as u64, plan.servers, plan.budget);
        let callers = (0..plan.callers).map(caller).collect();
        for caller in 0..plan.callers {
            let first = world.rng.random_range(0..=plan.apart);
            world.plan(first, Event::Call(caller));
        }
        if let Some(every) = plan.told_every {
            world.plan(every, Event::Loads);
        }
        Self {
            plan,
            world,
            servers,
            callers,
            asks: Vec::new(),
            attempts: Vec::new(),
            runs: Vec::new(),
            ran: BTreeMap::new(),
            done: BTreeMap::new(),
            stuck: Vec::new(),
            quiet: false,
        }
    }

    /// Lets so much time pass.
    pub(super) fn run(&mut self, time: Time) -> Result<(), String> {
        let end = self.world.now() + time;
        while let Some(event) = self.world.next(end) {
            self.world.line(format_args!("{event:?}"));
            self.happens(event)?;
            invariants::hold(self)?;
        }
        Ok(())
    }

    /// Nobody calls any more, and everything comes to its end.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        self.quiet = true;
        let rest = self.plan.timeout + 5 * SECOND;
        self.run(rest)?;
        invariants::at_the_end(self)
    }

    /// A server fares otherwise from now on.
    pub(super) fn becomes(&mut self, server: usize, health: Health) -> Result<(), String> {
        self.world.line(format_args!("server {server} {health:?}"));
        let before = std::mem::replace(&mut self.servers[server].health, health);
        if health == Health::Down && before != Health::Down {
            self.servers[server].crash();
            for attempt in 0..self.attempts.len() {
                let lost = &self.attempts[attempt];
                if lost.server == server && lost.open {
                    let gone = Said::Failure(Failure::Disconnected);
                    self.world.plan(self.plan.trip, Event::Answer(attempt, gone, None));
                }
            }
        }
        if before == Health::Silent {
            let here = |event: &mut Event| self.attempts[attempt_of(event)].server == server;
            let stuck: Vec<_> = self.stuck.extract_if(.., here).collect();
            if health != Health::Down {
                for event in stuck {
                    self.happens(event)?;
                }
            }
        }
        Ok(())
    }

    fn happens(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Call(_) if self.quiet => {}
            Event::Call(caller) => {
                let apart = self.world.rng.random_range(0..=2 * self.plan.apart);
                self.world.plan(apart, Event::Call(caller));
                return self.calls(caller);
            }
            Event::Arrives(attempt) | Event::Ends(attempt, _) | Event::Cancel(attempt)
                if self.server_of(attempt).health == Health::Silent =>
            {
                self.stuck.push(event);
            }
            Event::Arrives(attempt) => return self.arrives(attempt),
            Event::Ends(attempt, life) => {
                if self.server_of(attempt).life == life
                    && self.server_of(attempt).running.contains_key(&attempt)
                {
                    let said = self.done.remove(&attempt).unwrap_or(Said::Error);
                    self.leaves(attempt)?;
                    self.answers(attempt, said);
                }
            }
            Event::Cancel(attempt) => return self.leaves(attempt),
            Event::Answer(attempt, said, load) => {
                self.hears(self.attempts[attempt].server, attempt, load);
                return self.attempt_ends(attempt, said);
            }
            Event::Deadline(ask) => return self.deadline(ask),
            Event::Second(ask) => return self.second(ask),
            Event::Again(ask) => return self.again(ask),
            Event::Quiet(attempt) => return self.looks(attempt),
            Event::Ping(caller, server) => {
                let known = &mut self.callers[caller].known[server];
                if self.servers[server].health == Health::Silent {
                    self.world.plan(PING_EVERY, Event::Ping(caller, server));
                } else {
                    (known.silent, known.heard) = (false, self.world.now());
                }
            }
            Event::Loads => {
                if let Some(every) = self.plan.told_every {
                    self.world.plan(every, Event::Loads);
                }
                let now = self.world.now();
                for caller in &mut self.callers {
                    for (known, server) in caller.known.iter_mut().zip(&self.servers) {
                        let others = server.load().saturating_sub(known.in_flight);
                        known.foreign = Some((others as u32, now));
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn server_of(&self, attempt: usize) -> &Server {
        &self.servers[self.attempts[attempt].server]
    }

    /// The server that a caller is itself.
    pub(super) fn home(&self, caller: usize) -> Option<usize> {
        self.plan.at_home.then_some(caller)
    }

    fn trip(&self, attempt: usize) -> Time {
        let Attempt { ask, server, .. } = self.attempts[attempt];
        if self.home(self.asks[ask].caller) == Some(server) { 0 } else { self.plan.trip }
    }

    /// An attempt of a call on a server begins.
    pub(super) fn begins(&mut self, ask: usize, server: usize) {
        let Ask { caller, deadline, .. } = self.asks[ask];
        let attempt = self.attempts.len();
        let (began, instant) = (self.world.now(), self.world.instant());
        let until = instant + Duration::from_micros(deadline - began);
        let one = &mut self.callers[caller];
        one.known[server].in_flight += 1;
        let away = !self.plan.at_home || caller != server;
        let who = (super::caller::id(server), "server");
        let watched = away.then(|| one.trouble.watch(one.choices, who, (instant, until, None)));
        let life = self.servers[server].life;
        let (open, cancelled) = (true, false);
        self.attempts.push(Attempt { ask, server, life, began, open, cancelled, watched });
        self.asks[ask].open.push(attempt);
        self.world.plan(self.trip(attempt), Event::Arrives(attempt));
        if away {
            self.world.plan(SILENT_AFTER, Event::Quiet(attempt));
        }
    }

    fn arrives(&mut self, attempt: usize) -> Result<(), String> {
        let Attempt { ask, server, life, .. } = self.attempts[attempt];
        let lost = match self.servers[server].health {
            Health::Down => Some(Failure::Unreachable("refused".into())),
            _ if self.servers[server].life != life => Some(Failure::Disconnected),
            _ => None,
        };
        if let Some(lost) = lost {
            self.answers(attempt, Said::Failure(lost));
            return Ok(());
        }
        if self.asks[ask].deadline <= self.world.now() {
            let late = Failure::Deadline { phase: Phase::Queue };
            self.answers(attempt, Said::Failure(late));
            return Ok(());
        }
        match self.servers[server].admit(attempt) {
            Admission::Runs => self.body(attempt)?,
            Admission::Waits => {}
            Admission::Refused(retry_after) => {
                self.answers(attempt, Said::Failure(Failure::Overloaded { retry_after }));
            }
        }
        Ok(())
    }

    /// The body of an attempt begins.
    fn body(&mut self, attempt: usize) -> Result<(), String> {
        let Attempt { ask, server, life, .. } = self.attempts[attempt];
        let at = self.world.now();
        self.runs.push(Run { ask, server, at });
        self.ran.entry(ask).or_default().push(server);
        let drawn = self.world.rng.random_range(self.plan.body / 2..=self.plan.body * 3 / 2);
        let (takes, said) = match self.servers[server].health {
            Health::Slow(times) => (drawn * times, Said::Value(value(self.asks[ask].key, server))),
            Health::Errs => (0, Said::Error),
            _ => (drawn, Said::Value(value(self.asks[ask].key, server))),
        };
        self.done.insert(attempt, said);
        self.world.plan(takes, Event::Ends(attempt, life));
        invariants::may_run(self, ask)
    }

    /// An attempt is over at its server; others may begin.
    pub(super) fn leaves(&mut self, attempt: usize) -> Result<(), String> {
        let server = self.attempts[attempt].server;
        for next in self.servers[server].leaves(attempt) {
            self.body(next)?;
        }
        Ok(())
    }

    fn answers(&mut self, attempt: usize, said: Said) {
        let load = self.server_of(attempt).load() as u16;
        let load = (!matches!(said, Said::Failure(Failure::Unreachable(_)))).then_some(load);
        let trip = self.trip(attempt);
        if self.world.rng.random_range(0..1000) < self.plan.twice {
            let later = self.world.rng.random_range(0..50 * MS);
            self.world.plan(trip + later, Event::Answer(attempt, said.clone(), None));
        }
        self.world.plan(trip, Event::Answer(attempt, said, load));
    }

    /// Something has come from a server.
    fn hears(&mut self, server: usize, attempt: usize, load: Option<u16>) {
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

    fn deadline(&mut self, ask: usize) -> Result<(), String> {
        // A server's clock says the same.
        let open = self.asks[ask].open.clone();
        for attempt in &open {
            if self.server_of(*attempt).health != Health::Silent {
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
    fn looks(&mut self, attempt: usize) -> Result<(), String> {
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
    fn calls(&mut self, caller: usize) -> Result<(), String> {
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
            Way::Keys(_) => crate::nodes::Policy::sticky(key),
            _ => crate::nodes::Policy::Random,
        };
        let course = self.course(caller, policy);
        self.asks.push(Ask {
            caller,
            began: now,
            deadline: now + self.plan.timeout,
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

/// What a success gives.
pub(super) fn value(key: u64, server: usize) -> u64 {
    key * 100 + server as u64
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

fn attempt_of(event: &Event) -> usize {
    match event {
        Event::Arrives(attempt) | Event::Ends(attempt, _) | Event::Cancel(attempt) => *attempt,
        other => unreachable!("{other:?} does not wait for a server"),
    }
}
