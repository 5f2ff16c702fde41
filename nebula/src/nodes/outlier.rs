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
        due.map(|ejected| ejected.tried = Some(now)).is_some()
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    /// Any moment will do.
    #[allow(clippy::disallowed_methods)]
    fn start() -> Instant {
        Instant::now()
    }

    fn id(number: u8) -> NodeId {
        NodeId::from_bytes([number; 32])
    }

    fn candidates(count: u8) -> Vec<Candidate> {
        let one = |number| Candidate {
            node: id(number),
            itself: false,
            load: 0,
            trip: None,
            suspect: false,
        };
        (0..count).map(one).collect()
    }

    /// Without jitter.
    fn exactly() -> u32 {
        JITTER
    }

    fn fails(outliers: &mut Outliers, node: u8, now: Instant) -> Option<Duration> {
        outliers.failed(id(node), now, now, exactly)
    }

    fn passed_over(outliers: &Outliers, all: &[Candidate], now: Instant) -> Vec<u8> {
        let mut all = all.to_vec();
        outliers.pass_over(&mut all, now);
        let suspects = all.iter().filter(|candidate| candidate.suspect);
        suspects.map(|candidate| candidate.node.as_bytes()[0]).collect()
    }

    #[test]
    fn two_failures_in_a_row_eject_and_one_success_clears() {
        let (mut outliers, now, all) = (Outliers::default(), start(), candidates(3));
        assert_eq!(fails(&mut outliers, 1, now), None);
        assert!(!outliers.succeeded(&id(1)));
        assert_eq!(outliers.len(), 0);
        assert_eq!(fails(&mut outliers, 1, now), None);
        assert_eq!(passed_over(&outliers, &all, now), [0_u8; 0]);
        assert_eq!(fails(&mut outliers, 1, now), Some(2 * SECOND));
        assert_eq!(passed_over(&outliers, &all, now), [1]);
        assert_eq!(passed_over(&outliers, &all, now + 2 * SECOND - MS), [1]);
        assert_eq!(passed_over(&outliers, &all, now + 2 * SECOND), [0_u8; 0]);
        assert!(outliers.succeeded(&id(1)));
        assert_eq!(passed_over(&outliers, &all, now), [0_u8; 0]);
        assert_eq!(outliers.len(), 0);
    }

    #[test]
    fn each_ejection_lasts_twice_as_long_up_to_a_minute() {
        let (mut outliers, mut now) = (Outliers::default(), start());
        assert_eq!(fails(&mut outliers, 1, now), None);
        let mut times = Vec::new();
        for _ in 0..7 {
            let time = fails(&mut outliers, 1, now).unwrap();
            times.push(time.as_secs());
            now += time;
        }
        assert_eq!(times, [2, 4, 8, 16, 32, 60, 60]);
        // A success clears that too.
        assert!(outliers.succeeded(&id(1)));
        assert_eq!(fails(&mut outliers, 1, now), None);
        assert_eq!(fails(&mut outliers, 1, now), Some(2 * SECOND));
    }

    #[test]
    fn jitter_is_a_tenth_either_way() {
        let time = |drawn| {
            let (mut outliers, now) = (Outliers::default(), start());
            assert_eq!(outliers.failed(id(1), now, now, || drawn), None);
            outliers.failed(id(1), now, now, || drawn).unwrap()
        };
        assert_eq!((time(0), time(2 * JITTER)), (1800 * MS, 2200 * MS));
        let mut rng = <rand::rngs::SmallRng as rand::SeedableRng>::seed_from_u64(7);
        let drawn: Vec<_> = (0..1000).map(|_| jitter(&mut rng)).collect();
        assert!(drawn.iter().all(|drawn| *drawn <= 2 * JITTER));
        assert!(drawn.iter().any(|drawn| *drawn < 20) && drawn.iter().any(|drawn| *drawn > 180));
    }

    #[test]
    fn one_call_at_a_time_tries_an_ejected_node() {
        let (mut outliers, began, all) = (Outliers::default(), start(), candidates(3));
        assert!(!outliers.begins(&id(1), began), "nothing is held against it");
        fails(&mut outliers, 1, began);
        fails(&mut outliers, 1, began);
        assert!(!outliers.begins(&id(1), began), "it is asked as the last one");
        let due = began + 2 * SECOND;
        assert!(outliers.begins(&id(1), due));
        assert!(!outliers.begins(&id(1), due));
        assert_eq!(passed_over(&outliers, &all, due), [1]);
        // That call was given up, and says nothing.
        outliers.tried(&id(1), due);
        assert_eq!(passed_over(&outliers, &all, due), [0_u8; 0]);
        assert!(outliers.begins(&id(1), due));
        let failed = due + SECOND;
        assert_eq!(outliers.failed(id(1), due, failed, exactly), Some(4 * SECOND));
        outliers.tried(&id(1), due);
        assert_eq!(passed_over(&outliers, &all, failed + 4 * SECOND - MS), [1]);
        assert!(outliers.begins(&id(1), failed + 4 * SECOND));
        assert!(outliers.succeeded(&id(1)));
        outliers.tried(&id(1), failed + 4 * SECOND);
        assert_eq!(outliers.len(), 0);
    }

    #[test]
    fn a_long_call_tries_it_for_a_minute_at_most() {
        let (mut outliers, began, all) = (Outliers::default(), start(), candidates(3));
        fails(&mut outliers, 1, began);
        fails(&mut outliers, 1, began);
        let first = began + 2 * SECOND;
        assert!(outliers.begins(&id(1), first));
        let second = first + MOST;
        assert_eq!(passed_over(&outliers, &all, second - MS), [1]);
        assert_eq!(passed_over(&outliers, &all, second), [0_u8; 0]);
        assert!(outliers.begins(&id(1), second));
        // The end of the first says nothing of the second.
        outliers.tried(&id(1), first);
        assert_eq!(passed_over(&outliers, &all, second), [1]);
        outliers.tried(&id(1), second);
        assert_eq!(passed_over(&outliers, &all, second), [0_u8; 0]);
    }

    #[test]
    fn calls_that_were_under_way_when_it_was_ejected_are_no_news() {
        let (mut outliers, began) = (Outliers::default(), start());
        let now = began + SECOND;
        let mut fail = |began, now| outliers.failed(id(1), began, now, exactly);
        assert_eq!(fail(began, now), None);
        assert_eq!(fail(began, now), Some(2 * SECOND));
        for later in [now, now + SECOND, now + 9 * SECOND] {
            assert_eq!(fail(began, later), None, "it began before");
        }
        assert_eq!(fail(now + SECOND, now + 2 * SECOND - MS), None, "it is out already");
        assert_eq!(fail(now + SECOND, now + 2 * SECOND), Some(4 * SECOND));
    }

    #[test]
    fn at_most_half_are_passed_over_and_the_worst_first() {
        let (mut outliers, now) = (Outliers::default(), start());
        for node in 0..5 {
            fails(&mut outliers, node, now);
            fails(&mut outliers, node, now);
        }
        let again = now + 2 * SECOND;
        assert!(fails(&mut outliers, 3, again).is_some());
        for (count, most) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)] {
            assert_eq!(passed_over(&outliers, &candidates(count), now).len(), most, "{count}");
        }
        assert_eq!(passed_over(&outliers, &candidates(4), now), [0, 3]);
        // This node is never judged, and who is suspected anyway takes nobody's place.
        let mut all = candidates(4);
        all[3].itself = true;
        all[0].suspect = true;
        assert_eq!(passed_over(&outliers, &all, now), [0, 1, 2]);
    }

    #[test]
    fn who_has_gone_is_forgotten() {
        let (mut outliers, now) = (Outliers::default(), start());
        fails(&mut outliers, 1, now);
        fails(&mut outliers, 2, now);
        outliers.retain(|node| *node == id(2));
        assert_eq!(outliers.len(), 1);
        assert!(fails(&mut outliers, 2, now).is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Whatever happens, never more than half is passed over, and never longer than the limit.
        #[test]
        fn never_more_than_half_nor_longer_than_a_minute(
            count in 1..8_u8,
            events in prop::collection::vec((0..8_u8, 0..4_u8, 0..5000_u64, 0..=200_u32), 0..60),
        ) {
            let (mut outliers, mut now) = (Outliers::default(), start());
            let all = candidates(count);
            for (node, event, passed, drawn) in events {
                now += Duration::from_millis(passed);
                match event {
                    0 => drop(outliers.succeeded(&id(node))),
                    1 => {
                        outliers.begins(&id(node), now);
                        if drawn < 100 {
                            outliers.tried(&id(node), now);
                        }
                    }
                    _ => drop(outliers.failed(id(node), now, now, || drawn)),
                }
                let over = passed_over(&outliers, &all, now);
                prop_assert!(over.len() <= usize::from(count / 2));
            }
            let later = now + Duration::from_secs(66);
            prop_assert_eq!(passed_over(&outliers, &all, later), [0_u8; 0]);
        }
    }
}
