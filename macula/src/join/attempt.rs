//! When a seed or a neighbour is asked.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::identity::NodeId;

/// The first pause between tries of a place where nobody is met, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// How often, at most, a name at whose addresses somebody is met already is looked up, and those
/// addresses asked where nobody is.
const AGAIN: Duration = Duration::from_secs(30);

/// The addresses of one seed, or of one neighbour, and who answered there.
pub(crate) type Places = BTreeMap<SocketAddr, Option<NodeId>>;

/// What is known of a seed or a neighbour.
#[derive(Debug)]
pub(crate) struct Attempts {
    name: String,
    /// The only one who is looked for.
    whom: Option<NodeId>,
    /// Where it is may change.
    is_name: bool,
    places: Places,
    failures: u32,
    /// When it is asked next, if nobody is met there.
    retry: Instant,
    /// When it is asked next, if somebody is.
    again: Instant,
    outcome: Option<String>,
    /// That it does not answer has been said.
    said: bool,
    under_way: bool,
}

/// What came of asking.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Where it is now, unless that could not be found out.
    pub(crate) addrs: Option<Vec<SocketAddr>>,
    pub(crate) answered: Vec<(SocketAddr, NodeId)>,
    /// The addresses where nobody did.
    pub(crate) silent: Vec<SocketAddr>,
    /// Why nobody was met, for people.
    pub(crate) reason: Option<String>,
}

/// The nodes that live, as far as seeds and neighbours are concerned.
#[derive(Debug)]
pub(crate) struct Living {
    pub(crate) me: NodeId,
    pub(crate) nodes: BTreeSet<NodeId>,
    pub(crate) addrs: BTreeSet<SocketAddr>,
}

/// How many of the places somebody is met at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Met {
    Nobody,
    Some,
    All,
}

impl Living {
    /// Whether who is at this address is a member: because it says so, or because it was a member
    /// that answered there. This node itself is one.
    pub(crate) fn is_at(&self, addr: SocketAddr, answered: Option<NodeId>) -> bool {
        self.addrs.contains(&addr) || answered.is_some_and(|node| self.knows(&node))
    }

    fn knows(&self, node: &NodeId) -> bool {
        *node == self.me || self.nodes.contains(node)
    }
}

impl Attempts {
    pub(crate) fn seed(name: String, is_name: bool, now: Instant) -> Self {
        Self {
            name,
            whom: None,
            is_name,
            places: Places::new(),
            failures: 0,
            retry: now,
            again: now,
            outcome: None,
            said: false,
            under_way: false,
        }
    }

    pub(crate) fn neighbour(name: String, node: NodeId, now: Instant) -> Self {
        Self { whom: Some(node), ..Self::seed(name, false, now) }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// Says where it is.
    pub(crate) fn found_at(&mut self, addr: SocketAddr) {
        if !self.places.contains_key(&addr) {
            self.places = Places::from([(addr, self.whom)]);
        }
    }

    /// Why the last try failed, if it did.
    pub(crate) fn outcome(&self) -> Option<&str> {
        self.outcome.as_deref()
    }

    /// Whether this node is all that is there.
    pub(crate) fn is_only(&self, me: NodeId) -> bool {
        !self.places.is_empty() && self.places.values().all(|node| *node == Some(me))
    }

    /// Since when it is due, if it is.
    pub(crate) fn due(&self, living: &Living, now: Instant) -> Option<Instant> {
        let at = match self.met(living) {
            Met::Nobody => self.retry,
            Met::All if !self.is_name => return None,
            Met::Some | Met::All => self.again,
        };
        (!self.under_way && at <= now).then_some(at)
    }

    pub(crate) fn begin(&mut self) {
        self.under_way = true;
    }

    /// Takes in what came of it; `jitter` in 0..1 spreads the next tries. True if a failure should be
    /// told, which it is once.
    pub(crate) fn note(
        &mut self,
        asked: Asked,
        living: &Living,
        now: Instant,
        jitter: f64,
    ) -> bool {
        self.under_way = false;
        let spread = 0.5 + jitter.clamp(0.0, 1.0) / 2.0;
        if let Some(addrs) = asked.addrs {
            let known = std::mem::take(&mut self.places);
            let who = |addr| (addr, known.get(&addr).copied().flatten());
            self.places = addrs.into_iter().map(who).collect();
        }
        for addr in asked.silent {
            if let Some(node) = self.places.get_mut(&addr) {
                *node = self.whom;
            }
        }
        let others = asked.answered.iter().any(|(_, node)| *node != living.me);
        for (addr, node) in asked.answered {
            self.places.insert(addr, Some(node));
        }
        self.again = now + AGAIN.mul_f64(spread);
        if others || self.met(living) != Met::Nobody {
            self.failures = 0;
            self.outcome = None;
            self.said = false;
            self.retry = now + PAUSE.0;
            return false;
        }
        let pause = PAUSE.0.saturating_mul(1 << self.failures.min(8)).min(PAUSE.1);
        self.failures = self.failures.saturating_add(1);
        self.retry = now + pause.mul_f64(spread);
        self.outcome = asked.reason.or_else(|| Some("nobody answered".into()));
        !std::mem::replace(&mut self.said, true)
    }

    /// Where this node is all that is there, there is nobody else to meet.
    fn met(&self, living: &Living) -> Met {
        if let Some(node) = &self.whom {
            return if living.knows(node) { Met::All } else { Met::Nobody };
        }
        if self.is_only(living.me) {
            return Met::All;
        }
        let others = || self.places.iter().filter(|(_, node)| **node != Some(living.me));
        let met = others().filter(|(addr, node)| living.is_at(**addr, **node)).count();
        match met {
            0 => Met::Nobody,
            met if met == others().count() => Met::All,
            _ => Met::Some,
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const ME: NodeId = NodeId::from_bytes([0; 32]);

    fn id(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn addr(n: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, n], 9443))
    }

    fn living(nodes: &[u8], addrs: &[u8]) -> Living {
        Living {
            me: ME,
            nodes: nodes.iter().map(|n| id(*n)).collect(),
            addrs: addrs.iter().map(|n| addr(*n)).collect(),
        }
    }

    fn asked(addrs: &[u8], answered: &[(u8, u8)], silent: &[u8]) -> Asked {
        Asked {
            addrs: Some(addrs.iter().map(|n| addr(*n)).collect()),
            answered: answered.iter().map(|(at, node)| (addr(*at), id(*node))).collect(),
            silent: silent.iter().map(|n| addr(*n)).collect(),
            reason: silent.first().map(|n| format!("{n} is silent")),
        }
    }

    /// When it is due for the first time from `now` on, in whole seconds of at most a minute.
    fn wait(attempts: &Attempts, living: &Living, now: Instant) -> Option<u32> {
        (0..=60).find(|n| attempts.due(living, now + SECOND * *n).is_some())
    }

    #[tokio::test(start_paused = true)]
    async fn where_nobody_is_met_it_asks_with_growing_pauses_and_for_ever() {
        let now = Instant::now();
        let mut seed = Attempts::seed("a:1".into(), true, now);
        let nobody = living(&[], &[]);
        assert_eq!(wait(&seed, &nobody, now), Some(0));
        seed.begin();
        assert_eq!(wait(&seed, &nobody, now), None, "it is being asked");
        let mut waits = Vec::new();
        for n in 0..100 {
            assert_eq!(seed.note(asked(&[1], &[], &[1]), &nobody, now, 1.0), n == 0, "told once");
            waits.push(wait(&seed, &nobody, now).unwrap());
        }
        assert_eq!(waits[..6], [1, 2, 4, 8, 15, 15]);
        assert_eq!(waits[99], 15);
        assert_eq!(seed.outcome(), Some("1 is silent"));
        seed.note(asked(&[1], &[], &[1]), &nobody, now, 0.0);
        assert_eq!(wait(&seed, &nobody, now), Some(8), "spread over the second half");
        // Whoever answers begins anew, and a loss is noticed at once.
        assert!(!seed.note(asked(&[1], &[(1, 1)], &[]), &nobody, now, 1.0));
        assert_eq!((seed.outcome(), wait(&seed, &nobody, now)), (None, Some(1)));
        assert!(seed.note(asked(&[1], &[], &[1]), &nobody, now, 1.0));
    }

    /// CL-5: a member is not asked, whether it says that it is there or was met there.
    #[tokio::test(start_paused = true)]
    async fn members_are_not_asked() {
        let now = Instant::now();
        let mut seed = Attempts::seed("10.0.0.1:9443".into(), false, now);
        seed.found_at(addr(1));
        assert_eq!(wait(&seed, &living(&[], &[]), now), Some(0));
        assert_eq!(wait(&seed, &living(&[7], &[1]), now), None);
        seed.note(asked(&[1], &[(1, 7)], &[]), &living(&[], &[]), now, 1.0);
        let later = now + SECOND * 2;
        assert_eq!(wait(&seed, &living(&[7], &[]), later), None);
        assert_eq!(wait(&seed, &living(&[8], &[]), later), Some(0));
        // A node that did not answer there the last time is elsewhere.
        seed.note(asked(&[1], &[], &[1]), &living(&[], &[]), later, 1.0);
        assert_eq!(wait(&seed, &living(&[7], &[]), later), Some(1));
    }

    /// CL-4: a name at which some are met is looked up again, for the others may be another part of
    /// the cluster.
    #[tokio::test(start_paused = true)]
    async fn a_name_is_asked_again_though_somebody_is_met_there() {
        let now = Instant::now();
        let mut seed = Attempts::seed("site".into(), true, now);
        assert!(!seed.note(asked(&[1, 2], &[(1, 1)], &[2]), &living(&[], &[]), now, 1.0));
        let half = living(&[1], &[]);
        assert_eq!(wait(&seed, &half, now), Some(30));
        assert!(!seed.note(asked(&[1, 2], &[], &[2]), &half, now, 0.0), "that is no failure");
        assert_eq!((wait(&seed, &half, now), seed.outcome()), (Some(15), None));
        // All are met, and there may be more tomorrow.
        assert_eq!(wait(&seed, &living(&[1], &[2]), now), Some(15));
        // None is: that is not waited for.
        assert_eq!(wait(&seed, &living(&[], &[]), now + SECOND * 2), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_is_a_seed_of_its_own_looks_for_the_others() {
        let now = Instant::now();
        let mut seed = Attempts::seed("site".into(), true, now);
        let nobody = living(&[], &[]);
        seed.note(asked(&[9], &[(9, 0)], &[]), &nobody, now, 1.0);
        assert!(seed.is_only(ME));
        assert_eq!((wait(&seed, &nobody, now), seed.outcome()), (Some(30), None));
        assert!(seed.note(asked(&[9, 1], &[(9, 0)], &[1]), &nobody, now, 1.0));
        assert!(!seed.is_only(ME));
        assert_eq!(wait(&seed, &nobody, now), Some(1), "it is alone");
        assert_eq!(wait(&seed, &living(&[], &[1]), now), Some(30));
    }

    #[tokio::test(start_paused = true)]
    async fn where_it_was_counts_while_its_name_is_not_found() {
        let now = Instant::now();
        let mut seed = Attempts::seed("site".into(), true, now);
        seed.note(asked(&[1], &[(1, 1)], &[]), &living(&[], &[]), now, 1.0);
        let lost = Asked { reason: Some("DNS is down".into()), ..Asked::default() };
        assert!(!seed.note(lost, &living(&[1], &[]), now, 1.0));
        assert_eq!(seed.places().len(), 1);
        let lost = Asked { reason: Some("DNS is down".into()), ..Asked::default() };
        assert!(seed.note(lost, &living(&[], &[]), now, 1.0));
        assert_eq!(seed.outcome(), Some("DNS is down"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_neighbour_is_a_node_and_not_an_address() {
        let now = Instant::now();
        let mut neighbour = Attempts::neighbour("b".into(), id(2), now);
        neighbour.found_at(addr(1));
        // Somebody who has died is still said to be there.
        assert_eq!(wait(&neighbour, &living(&[1], &[1]), now), Some(0));
        assert!(neighbour.note(asked(&[1], &[], &[1]), &living(&[1], &[1]), now, 1.0));
        assert_eq!(wait(&neighbour, &living(&[1], &[1]), now), Some(1));
        assert_eq!(wait(&neighbour, &living(&[2], &[]), now), None);
        neighbour.found_at(addr(3));
        assert!(neighbour.places().contains_key(&addr(3)));
    }
}
