#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! How many successes make a quorum.

use super::targets::{Configured, Unsaid};

/// More than half of the *configured* nodes, live or not.
///
/// With a [`Topology`](crate::Topology) the configured nodes are those that it declares, and that
/// match the selector by the tags it gives them: two majorities share a node, on whichever side of
/// a partition they are, provided no two living processes bear one declared name. An orchestrator
/// that starts a second `a` while the first is only cut off breaks that, since each side then counts
/// an `a` of its own: give replicas an [`identity`](crate::NodeBuilder::identity), and do not start
/// one twice. A living node that the topology does not declare, or not with these tags, is not
/// asked. If this node and the nodes to ask do not all have the same topology, those
/// without any left aside, two majorities might not share a node: as far as this node has heard of
/// the others' topologies, the quorum is refused as
/// [`QuorumError::TopologyMismatch`](super::QuorumError::TopologyMismatch). So it is for a moment
/// while nodes are given a new topology one after the other, until those who take part agree;
/// [`at_least`] and [`available_majority`] are not refused.
///
/// Without one, they are the nodes, by name, that *this node* has seen serving the method and
/// matching the selector, and that did not leave in good order since. That is as much as it can
/// know: nodes that have seen different parts of the cluster count differently, so only with a
/// topology do two majorities share a node. A node counts only once it has joined its cluster
/// and knows what each living node serves; it waits two seconds for that, and then refuses the
/// quorum as [`QuorumError::Unreachable`](super::QuorumError::Unreachable).
///
/// Of 1, 2, 3, 4, 5, 6, 7 configured nodes it needs 1, 2, 2, 3, 3, 4, 4.
pub const fn majority() -> Majority {
    Majority(())
}

/// More than half of the nodes that are *live* now. Both sides of a partition can have one at
/// once, so it proves nothing about the nodes out of reach.
pub const fn available_majority() -> AvailableMajority {
    AvailableMajority(())
}

/// At least `successes` nodes, whatever the number of nodes.
///
/// A quorum of 0 would prove nothing: it is refused before any call, as
/// [`QuorumError::Unreachable`](super::QuorumError::Unreachable) with `required: 0`.
pub const fn at_least(successes: usize) -> AtLeast {
    AtLeast(successes)
}

/// See [`majority`].
#[derive(Clone, Copy, Debug)]
pub struct Majority(());

/// See [`available_majority`].
#[derive(Clone, Copy, Debug)]
pub struct AvailableMajority(());

/// See [`at_least`].
#[derive(Clone, Copy, Debug)]
pub struct AtLeast(usize);

/// How many successes make a quorum: [`majority`], [`available_majority`] or [`at_least`].
///
/// `Targets` is where the targets come from: [`Unsaid`], [`Configured`] or
/// [`Chosen`](super::Chosen). The trait is sealed. A majority of the configured nodes cannot be asked of chosen ones:
///
/// ```compile_fail,E0277
/// use nebula::call::{Chosen, Threshold, majority};
///
/// fn quorum_of_chosen(_: impl Threshold<Chosen>) {}
/// quorum_of_chosen(majority());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` makes no quorum of these targets",
    label = "a quorum is `majority()`, `available_majority()` or `at_least(n)`",
    note = "`majority()` counts configured nodes: for targets that a closure chose say \
            `available_majority()` or `at_least(n)`, or choose them with `.on(selector)`"
)]
pub trait Threshold<Targets>: sealed::Required + Copy + Send + Sync + 'static {}

impl Threshold<Unsaid> for Majority {}
impl Threshold<Configured> for Majority {}
impl<Targets> Threshold<Targets> for AvailableMajority {}
impl<Targets> Threshold<Targets> for AtLeast {}

pub(crate) mod sealed {
    /// The arithmetic of a threshold.
    #[allow(unnameable_types, reason = "this is what seals the public trait")]
    pub trait Required {
        /// How many successes are needed when `configured` nodes should be there and `live` of
        /// them are.
        fn required(&self, configured: usize, live: usize) -> usize;

        /// Whether the number of configured nodes matters.
        fn counts_configured(&self) -> bool {
            false
        }
    }
}

impl sealed::Required for Majority {
    fn required(&self, configured: usize, _live: usize) -> usize {
        let configured = configured.saturating_sub(usize::from(cfg!(mutant = "half_is_most")));
        configured / 2 + 1
    }

    fn counts_configured(&self) -> bool {
        true
    }
}

impl sealed::Required for AvailableMajority {
    fn required(&self, _configured: usize, live: usize) -> usize {
        live / 2 + 1
    }
}

impl sealed::Required for AtLeast {
    fn required(&self, _configured: usize, _live: usize) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::targets::Chosen;
    use super::sealed::Required;
    use super::*;

    /// QUO-18
    #[test]
    fn majorities_of_one_to_seven() {
        for (nodes, expected) in (1..=7).zip([1, 2, 2, 3, 3, 4, 4]) {
            assert_eq!(majority().required(nodes, 0), expected, "{nodes} configured");
            assert_eq!(available_majority().required(99, nodes), expected, "{nodes} live");
        }
        // Nobody configured: one success is still needed, so such a quorum is unreachable.
        assert_eq!(majority().required(0, 0), 1);
        assert_eq!(available_majority().required(5, 0), 1);
    }

    #[test]
    fn at_least_is_taken_by_its_word() {
        for successes in 0..5 {
            assert_eq!(at_least(successes).required(3, 2), successes);
        }
    }

    #[test]
    fn only_majority_needs_configured_targets() {
        fn check<Targets>(_: impl Threshold<Targets>) {}
        check::<Configured>(majority());
        check::<Configured>(available_majority());
        check::<Configured>(at_least(1));
        check::<Chosen>(available_majority());
        check::<Chosen>(at_least(1));
    }
}
