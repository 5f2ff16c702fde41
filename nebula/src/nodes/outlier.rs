//! Which nodes this one passes over because calls to them failed.
//!
//! Promise: a node that fails two calls in a row is ejected: passed over for two seconds, twice as
//! long with each further ejection, a minute at most, ± 10 %. After that one call tries it, and
//! while that is under way, for a minute at most, no other does: a success clears all that was held
//! against it, a failure ejects it anew. Of the candidates of one call at most half are passed over,
//! the worst first, and never the only one.
//!
//! Failures are those that say something about the node: it could not be reached, fell silent,
//! was lost, or let the deadline pass. Whoever feeds this decides. A node that is judged here is
//! not lost: it is only asked after the others.
//!
//! Limits: an entry for each node in trouble, until it is cleared or [`retain`](Outliers::retain)
//! forgets it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use macula::identity::NodeId;
use rand::{Rng, RngExt};
use tokio::time::Instant;

use super::policy::Candidate;

/// So many calls in a row fail before a node is ejected the first time.
const FAILURES: u32 = 2;
/// How long a node is passed over the first time, and at most.
const BASE: Duration = Duration::from_secs(2);
const MOST: Duration = Duration::from_secs(60);
/// By how many parts in a thousand that varies, so that callers do not come back together.
const JITTER: u32 = 100;

/// The nodes in trouble.
#[derive(Debug, Default)]
pub(crate) struct Outliers {
    nodes: BTreeMap<NodeId, Account>,
}

#[derive(Debug, Default)]
struct Account {
    /// Calls that failed in a row.
    failures: u32,
    ejections: u32,
    ejected: Option<Ejected>,
}

#[derive(Debug)]
struct Ejected {
    at: Instant,
    until: Instant,
    /// When the call began that is trying it.
    tried: Option<Instant>,
}

impl Ejected {
    fn holds(&self, now: Instant) -> bool {
        // A call may take hours, and say nothing until its end.
        now < self.until
            || self.tried.is_some_and(|began| now < began + MOST)
            || cfg!(mutant = "outlier_never_returns")
    }
}

impl Outliers {
    /// How many nodes are in trouble.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// A call to the node begins. True if it is the one that tries whether an ejected node is back:
    /// [`tried`](Self::tried) is to be called when it ends, however it does.
    pub(crate) fn begins(&mut self, node: &NodeId, now: Instant) -> bool {
        let ejected = self.nodes.get_mut(node).and_then(|account| account.ejected.as_mut());
        let due = ejected.filter(|ejected| !ejected.holds(now));
        let tries = (!cfg!(mutant = "all_try_the_ejected")).then_some(now);
        due.map(|ejected| ejected.tried = tries).is_some()
    }

    /// The call that tried the node, and began at `began`, has ended.
    pub(crate) fn tried(&mut self, node: &NodeId, began: Instant) {
        let ejected = self.nodes.get_mut(node).and_then(|account| account.ejected.as_mut());
        // After a minute another call may have taken its place.
        if let Some(ejected) = ejected.filter(|ejected| ejected.tried == Some(began)) {
            ejected.tried = None;
        }
    }

    /// The node answered a call. True if it had been ejected.
    pub(crate) fn succeeded(&mut self, node: &NodeId) -> bool {
        self.nodes.remove(node).is_some_and(|account| account.ejected.is_some())
    }

    /// A call to the node failed that began at `began`. Gives how long the node is passed over if
    /// that ejects it. What was under way when it was ejected is no news any more.
    pub(crate) fn failed(
        &mut self,
        node: NodeId,
        began: Instant,
        now: Instant,
        rng: impl FnOnce() -> u32,
    ) -> Option<Duration> {
        let account = self.nodes.entry(node).or_default();
        if account.ejected.as_ref().is_some_and(|last| began < last.at || now < last.until) {
            return None;
        }
        account.failures = account.failures.saturating_add(1);
        if account.ejected.is_none() && account.failures < FAILURES {
            return None;
        }
        let doubled = BASE.saturating_mul(2_u32.saturating_pow(account.ejections)).min(MOST);
        let time = doubled * (1000 - JITTER + rng().min(2 * JITTER)) / 1000;
        account.ejections = account.ejections.saturating_add(1);
        account.ejected = Some(Ejected { at: now, until: now + time, tried: None });
        Some(time)
    }

    /// Puts those of a call's candidates under suspicion that are passed over. This node itself
    /// is not judged, and those that are suspected anyway take nobody's place.
    pub(crate) fn pass_over(&self, candidates: &mut [Candidate], now: Instant) {
        let most = candidates.len() / 2;
        let judged = candidates.iter().enumerate().filter(|(_, one)| !one.itself && !one.suspect);
        let mut worst: Vec<_> = judged
            .filter_map(|(at, candidate)| {
                let account = self.nodes.get(&candidate.node)?;
                let ejected = account.ejected.as_ref().filter(|ejected| ejected.holds(now))?;
                Some((Reverse((account.ejections, ejected.until)), at))
            })
            .collect();
        worst.sort_unstable();
        for (_, at) in worst.into_iter().take(most) {
            candidates[at].suspect = true;
        }
    }

    /// Forgets the nodes that are not there any more.
    pub(crate) fn retain(&mut self, alive: impl Fn(&NodeId) -> bool) {
        self.nodes.retain(|node, _| alive(node));
    }
}

/// What [`Outliers::failed`] draws: parts in a thousand, twice the jitter at most.
pub(crate) fn jitter(rng: &mut impl Rng) -> u32 {
    rng.random_range(0..=2 * JITTER)
}

#[cfg(test)]
mod tests;
