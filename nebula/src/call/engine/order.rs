//! The order in which the nodes of a roster are asked.
//!
//! Of many nodes a few are looked at, taken at random: which of two is the less loaded is no better
//! known after a look at a thousand. The others are looked at once all of the few have failed.

use std::iter::FusedIterator;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::seq::index::sample;
use tokio::time::Instant;

use crate::call::NodeRef;
use crate::node::Node;
use crate::nodes::Policy;
use crate::nodes::choices::Draw;
use crate::nodes::policy::Candidate;
use crate::service::served::Served;

/// Up to so many nodes are all looked at.
const MANY: usize = 16;
/// So many of more than that.
const FEW: usize = 8;

/// The nodes of a roster by their places there, each once.
pub(crate) struct Order {
    /// Of one node there is no list.
    only: Option<usize>,
    next: std::vec::IntoIter<usize>,
    rest: Option<Box<Rest>>,
    left: usize,
}

/// Those that have not been looked at, or that are not to be asked yet.
struct Rest {
    node: Node,
    targets: Arc<[NodeRef]>,
    itself: Option<usize>,
    local: Option<Arc<Served>>,
    policy: Policy,
    turn: u64,
    rng: SmallRng,
    asked: Vec<usize>,
}

/// Where to look at the nodes of a roster.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) node: &'a Node,
    pub(crate) targets: &'a Arc<[NodeRef]>,
    /// Where in `targets` the node that asks is.
    pub(crate) itself: Option<usize>,
    /// The service there.
    pub(crate) local: &'a Option<Arc<Served>>,
}

impl Order {
    pub(crate) fn new(look: Look<'_>, policy: Policy, draw: &mut Draw) -> Self {
        let all = look.targets.len();
        let some_do = matches!(policy, Policy::LocalFirst | Policy::LeastLoaded | Policy::Random);
        if all > MANY && some_do {
            let mut few = sample(&mut draw.rng, all, FEW).into_vec();
            few.extend(look.itself.filter(|at| policy == Policy::LocalFirst && !few.contains(at)));
            let sound = look.order(&few, policy, draw.turn, &mut draw.rng, false);
            if !sound.is_empty() {
                let rest = Rest {
                    node: look.node.clone(),
                    targets: look.targets.clone(),
                    itself: look.itself,
                    local: look.local.clone(),
                    policy,
                    turn: draw.turn,
                    rng: draw.rng.clone(),
                    asked: sound.clone(),
                };
                let rest = Some(rest.into());
                return Self { only: None, next: sound.into_iter(), rest, left: all };
            }
        }
        let whole: Vec<_> = (0..all).collect();
        look.order(&whole, policy, draw.turn, &mut draw.rng, true).into()
    }

    /// Nobody. Costs no memory, like [`only`](Self::only).
    pub(crate) fn none() -> Self {
        Vec::new().into()
    }

    /// This one.
    pub(crate) fn only(at: usize) -> Self {
        Self { only: Some(at), left: 1, ..Self::none() }
    }

    /// The next one, which stays where it is.
    pub(crate) fn peek(&self) -> Option<usize> {
        self.only.or_else(|| self.next.as_slice().first().copied())
    }
}

impl From<Vec<usize>> for Order {
    fn from(whole: Vec<usize>) -> Self {
        Self { only: None, left: whole.len(), next: whole.into_iter(), rest: None }
    }
}

impl Iterator for Order {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let next = self.only.take().or_else(|| self.next.next()).or_else(|| {
            self.next = self.rest.take()?.order().into_iter();
            self.next.next()
        })?;
        self.left -= 1;
        Some(next)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Order {}
impl FusedIterator for Order {}

impl Rest {
    fn order(self) -> Vec<usize> {
        let Self { node, targets, itself, local, policy, turn, mut rng, asked } = self;
        let look = Look { node: &node, targets: &targets, itself, local: &local };
        let others: Vec<_> = (0..targets.len()).filter(|at| !asked.contains(at)).collect();
        look.order(&others, policy, turn, &mut rng, true)
    }
}

impl Look<'_> {
    /// Those places in the order of the policy; those under suspicion are left out or come last.
    fn order(
        &self,
        places: &[usize],
        policy: Policy,
        turn: u64,
        rng: &mut SmallRng,
        suspects: bool,
    ) -> Vec<usize> {
        let known = |at: &usize| Some((*at, self.candidate(*at, self.targets.get(*at)?)));
        let (places, mut candidates): (Vec<_>, Vec<_>) = places.iter().filter_map(known).unzip();
        self.node.live().trouble().pass_over(&mut candidates, Instant::now());
        let order = policy.order(&candidates, turn, rng).into_iter();
        order.filter(|at| suspects || !candidates[*at].suspect).map(|at| places[at]).collect()
    }

    fn candidate(&self, at: usize, target: &NodeRef) -> Candidate {
        if self.itself == Some(at) {
            let here = self.local.as_ref().map_or(0, |served| served.load());
            let load = u32::try_from(here.max(self.node.mesh().serving())).unwrap_or(u32::MAX);
            return Candidate { node: target.id, itself: true, load, trip: None, suspect: false };
        }
        let peer = self.node.mesh().peer(&target.id);
        let in_flight = u32::try_from(peer.in_flight).unwrap_or(u32::MAX);
        let load = u32::from(peer.foreign_load).saturating_add(in_flight);
        let (trip, suspect) = (peer.round_trip, peer.suspect);
        Candidate { node: target.id, itself: false, load, trip, suspect }
    }
}
