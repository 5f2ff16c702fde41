//! In which order the nodes are tried that a call to one of them may go to.
//!
//! Promise: every candidate appears exactly once; those under suspicion come after all others;
//! the same candidates, turn and random numbers give the same order.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;
use std::hash::Hash;
use std::str::FromStr;
use std::time::Duration;

use macula::identity::NodeId;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

use super::balance::two_choices;
use super::rendezvous::StickyKey;

/// Of how many calls by [`Policy::Closest`] one goes to a node to which the way has not been
/// measured.
const EXPLORE: u32 = 16;

/// Which of the nodes that serve a method a call to one of them asks first, and which ones next
/// when that fails.
///
/// It is said on a call, a client, in an attribute of the method or its service, or on the node,
/// and the nearest word wins: `users.find(1).policy(Policy::RoundRobin)`,
/// `users.with(|o| o.policy(..))`, `#[api(policy = "round_robin")]`,
/// `#[service(policy = "round_robin")]`, `Node::builder("web").policy(..)`. It orders nodes and
/// excludes none: a node that does not answer, or failed two calls in a row lately, comes last by
/// every policy. Calls to several nodes (`all`, `first`, `quorum`) ask all of them, so it means
/// nothing there.
///
/// A node that fails at once with the method's own errors, or panics, looks idle, since such an
/// answer says nothing about the node: `LeastLoaded` and `LocalFirst` favour it, and of two nodes
/// it may get four of five calls. Shut a node down that cannot do its work, or use `RoundRobin` or
/// `Random`, by which it gets its share and no more.
///
/// The names for attributes and texts are those of the variants in `snake_case`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Policy {
    /// This node if it serves the method, then the less loaded of two taken at random, and so on.
    #[default]
    LocalFirst,
    /// Each in turn, by name. This node takes turns like the others. All calls of a method from
    /// this node that are for the same selector share their turns, as do those without one;
    /// calls that can go to one node only take none. Turns are kept for 4096 pairs of method and
    /// selector, and further selectors share those of the method.
    RoundRobin,
    /// Any of them, this node being one like the others.
    Random,
    /// The less loaded of two taken at random, this node being one like the others.
    LeastLoaded,
    /// The node to which a key belongs: see [`Policy::sticky`].
    Sticky(StickyKey),
    /// This node if it serves the method, then by the smoothed round-trip time to each; nodes
    /// within a tenth and half a millisecond of the closest one share as by `LeastLoaded`. Nodes
    /// to which the time is not known come last, but one call in 16 goes to one of them first, so
    /// that it gets known.
    Closest,
}

impl Policy {
    /// The same key goes to the same node, from every caller that knows the same nodes; while that
    /// node is gone or fails, to the next, which is again the same for all. A node more among n
    /// moves about one key in n + 1, all of them to itself.
    ///
    /// The key is hashed the same on every machine and in every release: integers are taken least
    /// significant byte first, `usize` as `u64`. What the key writes to the hasher is up to its
    /// `Hash`: keep to texts, integers and tuples of them. Slices of integers wider than a byte
    /// are hashed as they lie in memory, which differs between machines of different byte order.
    ///
    /// ```
    /// use nebula::Policy;
    /// assert_eq!(Policy::sticky(("cart", 42_u64)), Policy::sticky(("cart", 42_u64)));
    /// ```
    pub fn sticky(key: impl Hash) -> Self {
        Self::Sticky(StickyKey::of(&key))
    }

    /// The order of attempts, as indexes of `candidates`, each exactly once. `turn` counts the
    /// calls of the method to the same nodes.
    pub(crate) fn order<R: Rng>(
        self,
        candidates: &[Candidate],
        turn: u64,
        rng: &mut R,
    ) -> Vec<usize> {
        let (suspects, sound): (Vec<_>, Vec<_>) =
            (0..candidates.len()).partition(|at| candidates[*at].suspect);
        let mut order = self.arrange(candidates, sound, turn, rng);
        if !suspects.is_empty() {
            order.extend(self.arrange(candidates, suspects, turn, rng));
        }
        order
    }

    /// The order of those candidates that are in `part`.
    fn arrange<R: Rng>(
        self,
        candidates: &[Candidate],
        mut part: Vec<usize>,
        turn: u64,
        rng: &mut R,
    ) -> Vec<usize> {
        let load = |at: usize| candidates[at].load;
        match self {
            Self::LocalFirst => {
                let itself = part.iter().position(|at| candidates[*at].itself);
                let itself = itself.map(|at| part.remove(at));
                itself.into_iter().chain(two_choices(part, load, rng)).collect()
            }
            Self::RoundRobin => {
                if let Some(by) = turn.checked_rem(part.len() as u64) {
                    part.rotate_left(by as usize);
                }
                part
            }
            Self::Random => {
                part.shuffle(rng);
                part
            }
            Self::LeastLoaded => two_choices(part, load, rng),
            Self::Sticky(key) => {
                // The heaviest first; of equal ones, which is next to impossible, the lower id.
                part.sort_by_cached_key(|at| {
                    let node = candidates[*at].node;
                    (std::cmp::Reverse(key.weight(&node)), node)
                });
                part
            }
            Self::Closest => closest(candidates, part, rng),
        }
    }
}

fn closest<R: Rng>(candidates: &[Candidate], part: Vec<usize>, rng: &mut R) -> Vec<usize> {
    let load = |at: usize| candidates[at].load;
    let mut order = Vec::with_capacity(part.len());
    let mut unmeasured = Vec::new();
    let mut measured = Vec::new();
    for at in part {
        match candidates[at].trip {
            _ if candidates[at].itself => order.push(at),
            Some(trip) => measured.push((trip, at)),
            None => unmeasured.push(at),
        }
    }
    measured.sort_unstable();
    let mut unmeasured = two_choices(unmeasured, load, rng).into_iter();
    // Whoever stays at home measures nobody.
    let explores = order.is_empty() && !measured.is_empty() && unmeasured.len() > 0;
    if explores && rng.random_ratio(1, EXPLORE) {
        order.extend(unmeasured.next());
    }
    while let Some(&(nearest, _)) = measured.first() {
        let near = nearest + nearest / 10 + Duration::from_micros(500);
        let ties = measured.partition_point(|(trip, _)| *trip <= near);
        let ties = measured.drain(..ties).map(|(_, at)| at).collect();
        order.extend(two_choices(ties, load, rng));
    }
    order.extend(unmeasured);
    order
}

/// A node that could take a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Candidate {
    /// Who.
    pub(crate) node: NodeId,
    /// It is the node that asks.
    pub(crate) itself: bool,
    /// What it last reported of others, plus what we have in flight to it ourselves: that part is
    /// never old.
    pub(crate) load: u32,
    /// The smoothed time to it and back, where it is known.
    pub(crate) trip: Option<Duration>,
    /// Silent, or failed lately: tried only when nobody else is left.
    pub(crate) suspect: bool,
}

const NAMED: [(&str, Policy); 5] = [
    ("local_first", Policy::LocalFirst),
    ("round_robin", Policy::RoundRobin),
    ("random", Policy::Random),
    ("least_loaded", Policy::LeastLoaded),
    ("closest", Policy::Closest),
];

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = NAMED.iter().find(|(_, policy)| policy == self);
        f.pad(named.map_or("sticky", |(name, _)| name))
    }
}

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        match NAMED.iter().find(|(name, _)| *name == text) {
            Some((_, policy)) => Ok(*policy),
            None if text == "sticky" => Err(UnknownPolicy::LacksKey),
            None => Err(UnknownPolicy::Name(text.chars().take(64).collect())),
        }
    }
}

/// Why a text is no [`Policy`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownPolicy {
    /// There is none of this name.
    #[error(
        "there is no policy `{0}`; known are local_first, round_robin, random, least_loaded, \
         closest and, in code, `Policy::sticky(key)`"
    )]
    Name(Box<str>),
    /// `sticky` means nothing without a key.
    #[error("`sticky` needs a key, which a text cannot give: use `Policy::sticky(key)`")]
    LacksKey,
}

#[cfg(test)]
mod tests;
