#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Calls to one node, as `call::engine::unicast` and `hedged` make them.

use std::time::Duration;

use tokio::time::Instant;

use super::ask::{Course, One, Said, Told, Way};
use super::caller::id;
use super::cluster::{Cluster, Event};
use super::invariants;
use super::several::Machine;
use super::world::Time;
use crate::call::engine::leg::{self, Broken, End};
use crate::call::retry::{Failed, FailoverMachine, Step};
use crate::call::{Attempt, Executed, Path};
use crate::nodes::Policy;
use crate::nodes::choices::Turns;

impl Cluster {
    /// How a call goes on, which has not begun.
    pub(super) fn course(&self, caller: usize, policy: Policy) -> Course {
        let hedges = matches!(self.plan.way, Way::Hedged(_));
        match self.plan.way {
            Way::One(_) | Way::Keys(_) | Way::Hedged(_) => {
                let turns = (policy == Policy::RoundRobin).then(|| Turns::of_method(7));
                let draw = self.callers[caller].choices.draw(turns);
                let failover = FailoverMachine::new(self.plan.servers, self.plan.idempotent);
                Course::One(Box::new(One { draw, left: Vec::new(), failover, hedges, first: None }))
            }
            way => Course::Several(Some(Machine::new(way, self.plan.servers))),
        }
    }

    /// Does something with the course of a call to one node, which is nowhere else meanwhile.
    fn with<T>(&mut self, ask: usize, what: impl FnOnce(&mut Self, &mut One) -> T) -> T {
        let course = std::mem::replace(&mut self.asks[ask].course, Course::Several(None));
        let Course::One(mut one) = course else { unreachable!("a call to one node") };
        let given = what(self, &mut one);
        self.asks[ask].course = Course::One(one);
        given
    }

    /// The first attempt of a call.
    pub(super) fn first(&mut self, ask: usize) -> Result<(), String> {
        self.callers[self.asks[ask].caller].budget.deposit();
        self.round(ask)?;
        self.next(ask)
    }

    /// The order in which servers are asked in a round.
    fn round(&mut self, ask: usize) -> Result<(), String> {
        let (caller, policy) = (self.asks[ask].caller, self.asks[ask].policy);
        let home = self.home(caller).map(|home| (home, self.servers[home].load()));
        let now = self.world.now();
        let (before, after) = self.callers[caller].candidates(home, now, self.world.instant());
        invariants::passed_over(&before, &after)?;
        self.with(ask, |all, one| {
            let mut order = policy.order(&after, one.draw.turn, &mut one.draw.rng);
            invariants::order(&after, &order)?;
            all.world.line(format_args!("call {ask} asks {order:?}"));
            order.reverse();
            one.left = order;
            if one.hedges {
                let usual = all.callers[caller].usual.get().as_micros() as Time;
                let second = all.world.plan(usual, Event::Second(ask));
                all.asks[ask].timers.push(second);
            }
            Ok(())
        })
    }

    fn next(&mut self, ask: usize) -> Result<(), String> {
        let next = self.with(ask, |_, one| {
            let next = one.left.pop();
            one.first = one.first.or(next);
            next
        });
        let Some(server) = next else {
            return Err(format!("call {ask} has nobody left to ask"));
        };
        self.callers[self.asks[ask].caller].attempts += 1;
        self.begins(ask, server);
        Ok(())
    }

    /// The usual time of the first attempt has passed.
    pub(super) fn second(&mut self, ask: usize) -> Result<(), String> {
        if self.asks[ask].told.is_some() {
            return Ok(());
        }
        let hedges = self.with(ask, |all, one| {
            let hedges = std::mem::take(&mut one.hedges) && one.failover.has_next();
            hedges && one.failover.hedge(&all.callers[all.asks[ask].caller].budget)
        });
        if hedges { self.next(ask) } else { Ok(()) }
    }

    /// A call starts over, after it has waited.
    pub(super) fn again(&mut self, ask: usize) -> Result<(), String> {
        if self.asks[ask].told.is_some() {
            return Ok(());
        }
        let (hedged, servers) = (matches!(self.plan.way, Way::Hedged(_)), self.plan.servers);
        self.with(ask, |_, one| {
            one.hedges = hedged;
            one.failover.recount(servers);
        });
        self.round(ask)?;
        self.next(ask)
    }

    /// An attempt has ended.
    pub(super) fn tried(&mut self, ask: usize, attempt: usize, said: Said) -> Result<(), String> {
        let at = self.world.now();
        let (server, began) = (self.attempts[attempt].server, self.attempts[attempt].began);
        if matches!(said, Said::Value(_) | Said::Error) {
            self.observes(ask, began);
        }
        let failure = match said {
            Said::Value(value) => {
                invariants::is_its_own(value, self.asks[ask].key, server)?;
                let executed = Executed::Yes;
                return self.tells(ask, Told { at, by: Some(server), ok: true, executed });
            }
            Said::Error => {
                let (by, executed) = (Some(server), Executed::Yes);
                return self.tells(ask, Told { at, by, ok: false, executed });
            }
            Said::Failure(failure) => failure,
        };
        let here = self.home(self.asks[ask].caller) == Some(server);
        let (failed, executed) = judged(failure, here, server, self.world.instant());
        self.asks[ask].executed = self.asks[ask].executed.or(executed);
        let waits = !self.asks[ask].open.is_empty();
        let remaining = Duration::from_micros(self.asks[ask].deadline.saturating_sub(at));
        let step = self.with(ask, |all, one| {
            if waits && !one.failover.has_next() {
                // Another attempt may still bring the answer.
                one.failover.note(failed);
                return None;
            }
            let budget = &all.callers[all.asks[ask].caller].budget;
            Some(one.failover.on_failure(failed, remaining, budget, &mut one.draw.rng))
        });
        self.world.line(format_args!("call {ask} {step:?}"));
        match step {
            None => Ok(()),
            Some(Step::GiveUp) if waits => Ok(()),
            Some(Step::GiveUp) => {
                let executed = self.asks[ask].executed;
                self.tells(ask, Told { at, by: None, ok: false, executed })
            }
            Some(Step::TryNext) => self.next(ask),
            Some(Step::StartOver { after }) => {
                // The second attempt of the next round has a time of its own.
                for second in self.asks[ask].timers.split_off(1) {
                    self.world.cancel(second);
                }
                self.world.plan(after.as_micros() as Time, Event::Again(ask));
                Ok(())
            }
        }
    }

    /// A hedged call learns how long calls take, as `call::engine::hedged` does.
    fn observes(&mut self, ask: usize, began: Time) {
        if !matches!(self.plan.way, Way::Hedged(_)) {
            return;
        }
        let now = self.world.now();
        let usual = &self.callers[self.asks[ask].caller].usual;
        usual.observe(Duration::from_micros(now - began));
        for open in &self.asks[ask].open {
            let took = Duration::from_micros(now - self.attempts[*open].began);
            if took > usual.get() {
                usual.observe(took);
            }
        }
    }
}

/// What an end of an attempt says of another one, and of whether the method ran, by the real rule.
pub(super) fn judged(
    failure: macula::rpc::Failure,
    here: bool,
    server: usize,
    now: Instant,
) -> (Failed, Executed) {
    if let (true, macula::rpc::Failure::Overloaded { retry_after }) = (here, &failure) {
        let busy = Some(*retry_after);
        return (Failed { executed: Executed::No, again: false, busy }, Executed::No);
    }
    let attempt = attempt(&failure, server);
    let executed = attempt.executed;
    let term = macula::rpc::Term::fixed(now);
    (Broken { attempt, term, end: End::Failure(failure) }.verdict(), executed)
}

/// What is written in a log about it.
pub(super) fn attempt(failure: &macula::rpc::Failure, server: usize) -> Attempt {
    Attempt {
        node: Some(id(server)),
        name: "server".into(),
        path: Path::Direct,
        phase: leg::phase(failure),
        elapsed: Duration::ZERO,
        outcome: leg::outcome(failure),
        executed: leg::executed(failure.executed()),
    }
}
