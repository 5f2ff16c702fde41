#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt;

use super::ask::{Ask, Attempt, Plan, Said};
use super::caller::Caller;
use super::invariants;
use super::server::{Health, Server};
use super::world::{SECOND, Time, World};

/// A silent server is asked so often whether it is back.
pub(super) const PING_EVERY: Time = SECOND;

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
    /// The body of an attempt needs more time, in that life of its server.
    Renews(usize, u64),
    /// The lease of an attempt runs out, unless it was extended meanwhile.
    Expires(usize, u64),
    /// A server's word that it has moved the deadline of an attempt by so much.
    Extended(usize, Duration),
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
    pub(super) done: BTreeMap<usize, Said>,
    /// What came to a server that stands still, in order.
    pub(super) stuck: Vec<Event>,
    /// Attempts whose bodies ended in their time, so that their callers must have heard of it.
    pub(super) owed: Vec<usize>,
    /// How often deadlines have moved, and how many bodies were stopped at theirs.
    pub(super) extended: usize,
    pub(super) expired: usize,
    /// The most that ran and waited at one server.
    pub(super) longest: usize,
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
            owed: Vec::new(),
            extended: 0,
            expired: 0,
            longest: 0,
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
        let rest = self.plan.timeout + self.plan.room.0 + 5 * SECOND;
        self.run(rest)?;
        invariants::at_the_end(self)
    }

    pub(super) fn happens(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Call(_) if self.quiet => {}
            Event::Call(caller) => {
                let apart = self.world.rng.random_range(0..=2 * self.plan.apart);
                self.world.plan(apart, Event::Call(caller));
                return self.calls(caller);
            }
            Event::Arrives(attempt)
            | Event::Ends(attempt, _)
            | Event::Renews(attempt, _)
            | Event::Expires(attempt, _)
            | Event::Cancel(attempt)
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
                    self.ends_in_time(attempt);
                    self.leaves(attempt)?;
                    self.answers(attempt, said);
                }
            }
            Event::Cancel(attempt) => return self.leaves(attempt),
            Event::Renews(attempt, life) => self.renews(attempt, life),
            Event::Expires(attempt, life) => return self.expires(attempt, life),
            Event::Extended(attempt, by) => return self.is_extended(attempt, by),
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

    pub(super) fn trip(&self, attempt: usize) -> Time {
        let Attempt { ask, server, .. } = self.attempts[attempt];
        if self.home(self.asks[ask].caller) == Some(server) { 0 } else { self.plan.trip }
    }
}

/// What a success gives.
pub(super) fn value(key: u64, server: usize) -> u64 {
    key * 100 + server as u64
}
