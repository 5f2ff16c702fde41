#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! What servers do, and what becomes of them.

use std::time::Duration;

use macula::rpc::{Failure, Phase};
use rand::RngExt;

use super::ask::{Attempt, Said};
use super::cluster::{Cluster, Event, Run, value};
use super::invariants;
use super::server::{Admission, Health};
use super::world::MS;

impl Cluster {
    /// A server fares otherwise from now on.
    pub(super) fn becomes(&mut self, server: usize, health: Health) -> Result<(), String> {
        self.world.line(format_args!("server {server} {health:?}"));
        let before = std::mem::replace(&mut self.servers[server].health, health);
        if before == Health::Silent {
            self.servers[server].awake_since = self.world.now();
        }
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

    pub(super) fn arrives(&mut self, attempt: usize) -> Result<(), String> {
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
        self.leased(attempt);
        let left = Duration::from_micros(self.asks[ask].deadline - self.world.now());
        let admitted = self.servers[server].admit(attempt, left);
        self.longest = self.longest.max(self.servers[server].load());
        match admitted {
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
        if self.plan.hang > 0 && self.world.rng.random_range(0..1000) < self.plan.hang {
            return invariants::may_run(self, ask);
        }
        self.world.plan(takes, Event::Ends(attempt, life));
        self.needs(attempt, takes);
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

    pub(super) fn answers(&mut self, attempt: usize, said: Said) {
        let load = self.server_of(attempt).load() as u16;
        let load = (!matches!(said, Said::Failure(Failure::Unreachable(_)))).then_some(load);
        let trip = self.trip(attempt);
        if self.world.rng.random_range(0..1000) < self.plan.twice {
            let later = self.world.rng.random_range(0..50 * MS);
            self.world.plan(trip + later, Event::Answer(attempt, said.clone(), None));
        }
        self.world.plan(trip, Event::Answer(attempt, said, load));
    }
}

fn attempt_of(event: &Event) -> usize {
    match event {
        Event::Arrives(attempt)
        | Event::Ends(attempt, _)
        | Event::Renews(attempt, _)
        | Event::Expires(attempt, _)
        | Event::Cancel(attempt) => *attempt,
        other => unreachable!("{other:?} does not wait for a server"),
    }
}
