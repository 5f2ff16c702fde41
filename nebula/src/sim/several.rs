#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Calls to several nodes, as `call::several` makes them, with an oracle that counts by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ask::{Course, Said, Told, Way};
use super::caller::id;
use super::cluster::{Cluster, value};
use super::unicast::attempt;
use crate::call::all::AllMachine;
use crate::call::fanout::Decision;
use crate::call::first::FirstMachine;
use crate::call::quorum::QuorumMachine;
use crate::call::{CallError, Entry, Executed, FirstError, Log, NodeRef, QuorumError, Why};
use macula::rpc::Failure;

/// The strategy of a call, and what came in as it was heard here.
pub(super) struct Machine {
    strategy: Strategy,
    /// What each server said first.
    heard: BTreeMap<usize, Heard>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Heard {
    Value(u64),
    Error,
    Late,
    Failed(Executed),
}

enum Strategy {
    All(AllMachine<u64, ()>),
    First(FirstMachine<u64, ()>),
    Quorum(QuorumMachine<u64, ()>, usize),
}

impl Machine {
    /// For so many servers, each of which is a target twice: once is what counts.
    pub(super) fn new(way: Way, servers: usize) -> Self {
        let targets = || (0..servers).chain(0..servers).map(node).collect();
        let why = || Why::new("Any", "any");
        let strategy = match way {
            Way::All => Strategy::All(AllMachine::new(targets(), why).unwrap()),
            Way::First => Strategy::First(FirstMachine::new(targets(), why).unwrap()),
            Way::Quorum(required) => {
                Strategy::Quorum(QuorumMachine::new(targets(), required).unwrap(), required)
            }
            Way::One(_) | Way::Keys(_) | Way::Hedged(_) => unreachable!("a call to one node"),
        };
        Self { strategy, heard: BTreeMap::new() }
    }

    fn hear(&mut self, came: Vec<(usize, Said)>, elapsed: Duration) -> Option<Decision> {
        let came = came.into_iter().map(|(server, said)| match said {
            Said::Value(value) => (server, Ok(value), elapsed.into()),
            Said::Error => (server, Err(CallError::App(())), elapsed.into()),
            Said::Failure(failure) => {
                let log = Log::from(attempt(&failure, server));
                let error = match failure {
                    Failure::Deadline { .. } => CallError::Deadline(log),
                    _ => CallError::Disconnected(log),
                };
                (server, Err(error), elapsed.into())
            }
        });
        let counted = |(server, result, elapsed)| (server, result, elapsed, true);
        match &mut self.strategy {
            Strategy::All(all) => all.on_replies(came),
            Strategy::First(first) => first.on_replies(came.map(counted)),
            Strategy::Quorum(quorum, _) => quorum.on_replies(came.map(counted)),
        }
    }

    fn successes(&self) -> usize {
        self.heard.values().filter(|heard| matches!(heard, Heard::Value(_))).count()
    }

    /// What is to be decided by now, counted anew.
    fn decision(&self, servers: usize) -> Option<Decision> {
        let (successes, heard) = (self.successes(), self.heard.len());
        match self.strategy {
            Strategy::All(_) => (heard == servers).then_some(Decision::Reached),
            Strategy::First(_) if successes > 0 => Some(Decision::Reached),
            Strategy::First(_) => (heard == servers).then_some(Decision::CannotReach),
            Strategy::Quorum(_, required) if successes >= required => Some(Decision::Reached),
            Strategy::Quorum(_, required) => {
                (successes + servers - heard < required).then_some(Decision::CannotReach)
            }
        }
    }
}

impl Cluster {
    /// Answers of several servers, at one moment.
    pub(super) fn came(&mut self, ask: usize, came: Vec<(usize, Said)>) -> Result<(), String> {
        let Course::Several(machine) = &mut self.asks[ask].course else { return Ok(()) };
        let Some(mut machine) = machine.take() else { return Ok(()) };
        let elapsed = Duration::from_micros(self.world.now() - self.asks[ask].began);
        let came = came.into_iter().map(|(attempt, said)| (self.attempts[attempt].server, said));
        let came: Vec<_> = came.collect();
        for (server, said) in &came {
            machine.heard.entry(*server).or_insert(match said {
                Said::Value(value) => Heard::Value(*value),
                Said::Error => Heard::Error,
                Said::Failure(Failure::Deadline { .. }) => Heard::Late,
                Said::Failure(failure) => Heard::Failed(attempt(failure, *server).executed),
            });
        }
        let decided = machine.hear(came, elapsed);
        let expected = machine.decision(self.plan.servers);
        if decided != expected {
            let heard = &machine.heard;
            return Err(format!("call {ask} decides {decided:?}, not {expected:?}, of {heard:?}"));
        }
        if decided.is_some() || machine.heard.len() == self.plan.servers {
            return self.ends(ask, machine, elapsed);
        }
        self.asks[ask].course = Course::Several(Some(machine));
        Ok(())
    }

    /// A server answers an attempt again, which must change nothing.
    pub(super) fn said_again(
        &mut self,
        ask: usize,
        attempt: usize,
        said: Said,
    ) -> Result<(), String> {
        let server = self.attempts[attempt].server;
        if let Course::Several(Some(machine)) = &mut self.asks[ask].course
            && machine.heard.contains_key(&server)
            && let Some(decision) = machine.hear(vec![(server, said)], Duration::ZERO)
        {
            return Err(format!("call {ask} decides {decision:?} by a second answer of {server}"));
        }
        Ok(())
    }

    fn ends(&mut self, ask: usize, machine: Machine, elapsed: Duration) -> Result<(), String> {
        let (at, key, servers) = (self.world.now(), self.asks[ask].key, self.plan.servers);
        let (successes, heard) = (machine.successes(), machine.heard);
        let wrong = |what: &str| format!("call {ask}: {what} of {heard:?}");
        let open = |index: usize, target: &NodeRef| {
            assert_eq!(target.id, id(index));
            Log::from(attempt(&Failure::Silent, index))
        };
        let listed = |entries: &[Entry<u64, ()>], all: bool| {
            let mut known = std::collections::BTreeSet::new();
            let fine = entries.iter().all(|entry| {
                let server = place(&entry.node, servers);
                let said = match &entry.result {
                    Ok(given) if *given == value(key, server) => Some(Heard::Value(*given)),
                    Ok(_) => return false,
                    Err(CallError::App(())) => Some(Heard::Error),
                    Err(CallError::Cancelled(_)) => None,
                    Err(CallError::Deadline(_)) => Some(Heard::Late),
                    Err(error) => Some(Heard::Failed(error.executed())),
                };
                known.insert(server) && heard.get(&server).copied() == said
            });
            fine && (!all || known.len() == servers)
        };
        let executed = |entries: &[Entry<u64, ()>]| {
            let each = entries.iter().map(|entry| match &entry.result {
                Ok(_) => Executed::Yes,
                Err(error) => error.executed(),
            });
            each.fold(Executed::No, Executed::or)
        };
        let (ok, by, executed) = match machine.strategy {
            Strategy::All(all) => {
                let entries: Vec<_> = all.finish(elapsed, open).into_iter().collect();
                if !listed(&entries, true) {
                    return Err(wrong("not what all said"));
                }
                (successes == servers, None, executed(&entries))
            }
            Strategy::First(first) => match first.finish(elapsed, open) {
                Ok(reply) => {
                    let server = place(&reply.node, servers);
                    let its = reply.value == value(key, server);
                    if !its || heard.get(&server) != Some(&Heard::Value(reply.value)) {
                        return Err(wrong("not the first success"));
                    }
                    (true, Some(server), Executed::Yes)
                }
                Err(FirstError::NoSuccess(replies)) if successes == 0 => {
                    let entries: Vec<_> = replies.into_iter().collect();
                    if !listed(&entries, true) {
                        return Err(wrong("not what all said"));
                    }
                    (false, None, executed(&entries))
                }
                Err(other) => return Err(wrong(&format!("{other:?}"))),
            },
            Strategy::Quorum(quorum, required) => match quorum.finish(elapsed, open) {
                Ok(votes) => {
                    let counted = votes.successes().len();
                    let entries: Vec<_> = votes.into_iter().collect();
                    if counted < required || counted > successes || !listed(&entries, false) {
                        return Err(wrong("a quorum that is none"));
                    }
                    (true, None, Executed::Yes)
                }
                Err(QuorumError::NotReached(replies) | QuorumError::Deadline(replies))
                    if successes < required =>
                {
                    let entries: Vec<_> = replies.into_iter().collect();
                    if !listed(&entries, true) {
                        return Err(wrong("not what all said"));
                    }
                    (false, None, executed(&entries))
                }
                Err(other) => return Err(wrong(&format!("{other:?}"))),
            },
        };
        self.tells(ask, Told { at, by, ok, executed })
    }
}

fn node(server: usize) -> NodeRef {
    NodeRef { id: id(server), name: format!("server-{server}").into() }
}

fn place(node: &NodeRef, servers: usize) -> usize {
    (0..servers).find(|server| id(*server) == node.id).expect("a node that was asked")
}
