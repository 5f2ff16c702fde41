#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;

/// The requests of one connection that still wait for their reply.
///
/// Each number is given once in the life of the table, so a reply that comes late, twice or
/// uncalled for finds nobody and is only counted. Requests that travel alone have odd numbers, those
/// on the lane even ones: a cancellation, which is always on the lane, overtakes the former only.
#[derive(Debug)]
pub(crate) struct InFlight<W> {
    next: u64,
    waiting: BTreeMap<u64, W>,
    unclaimed: u64,
    closed: bool,
}

impl<W> InFlight<W> {
    pub(crate) const fn new() -> Self {
        Self { next: 2, waiting: BTreeMap::new(), unclaimed: 0, closed: false }
    }

    /// Takes the waiter of a request, which may travel `alone`, and gives its number; none once the
    /// table is closed.
    pub(crate) fn insert(&mut self, waiter: W, alone: bool) -> Option<u64> {
        if self.closed {
            return None;
        }
        let id = self.next + u64::from(alone);
        self.next += 2;
        self.waiting.insert(id, waiter);
        Some(id)
    }

    /// The waiter whose reply has come.
    pub(crate) fn complete(&mut self, id: u64) -> Option<W> {
        let mut waiter = self.waiting.remove(&id);
        if cfg!(mutant = "late_reply_to_another") && waiter.is_none() {
            waiter = self.waiting.pop_first().map(|(_, other)| other);
        }
        if waiter.is_none() {
            self.unclaimed += 1;
        }
        waiter
    }

    /// The waiter that a peer has word for.
    pub(crate) fn find(&mut self, id: u64) -> Option<&mut W> {
        let waiter = self.waiting.get_mut(&id);
        if waiter.is_none() {
            self.unclaimed += 1;
        }
        waiter
    }

    /// Forgets a waiter that has gone; false if its reply has come already.
    pub(crate) fn forget(&mut self, id: u64) -> bool {
        self.waiting.remove(&id).is_some()
    }

    /// Takes out the waiters for whom `leaves` holds.
    pub(crate) fn take_if(&mut self, leaves: impl Fn(&W) -> bool) -> Vec<(u64, W)> {
        self.waiting.extract_if(.., |_, waiter| leaves(waiter)).collect()
    }

    /// Takes out all waiters and takes no more.
    pub(crate) fn close(&mut self) -> Vec<(u64, W)> {
        self.closed = true;
        std::mem::take(&mut self.waiting).into_iter().collect()
    }

    /// Takes no more requests from now on, if nobody waits.
    pub(crate) fn close_if_empty(&mut self) -> bool {
        self.closed |= self.waiting.is_empty();
        self.waiting.is_empty()
    }

    /// All who wait.
    pub(crate) fn waiters(&self) -> impl Iterator<Item = &W> {
        self.waiting.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many replies, and words about a call, found nobody waiting.
    pub(crate) fn unclaimed(&self) -> u64 {
        self.unclaimed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Insert(bool),
        Complete(u64),
        Forget(u64),
        TakeEven,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => any::<bool>().prop_map(Step::Insert),
            2 => (0..80_u64).prop_map(Step::Complete),
            1 => (0..80_u64).prop_map(Step::Forget),
            1 => Just(Step::TakeEven),
        ]
    }

    proptest! {
        #[test]
        fn every_waiter_leaves_exactly_once(steps in prop::collection::vec(step(), 0..80)) {
            let mut table = InFlight::new();
            let (mut entered, mut left) = (Vec::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Insert(alone) => {
                        let number = 2 * (entered.len() as u64 + 1) + u64::from(alone);
                        prop_assert_eq!(table.insert(number, alone), Some(number));
                        entered.push(number);
                    }
                    Step::Complete(id) => {
                        let waiter = table.complete(id);
                        prop_assert!(waiter.is_none_or(|waiter| waiter == id), "another's reply");
                        left.extend(waiter);
                    }
                    Step::Forget(id) => {
                        if table.forget(id) {
                            left.push(id);
                        }
                    }
                    Step::TakeEven => {
                        left.extend(table.take_if(|waiter| waiter % 2 == 0).iter().map(|w| w.1));
                    }
                }
                prop_assert_eq!(table.len(), entered.len() - left.len());
            }
            left.extend(table.close().into_iter().map(|(_, waiter)| waiter));
            left.sort_unstable();
            prop_assert_eq!(left, entered);
            prop_assert_eq!(table.insert(0, false), None);
        }
    }

    #[test]
    fn late_replies_are_counted() {
        let mut table = InFlight::new();
        let id = table.insert((), true).unwrap();
        assert!(table.forget(id));
        assert!(table.complete(id).is_none());
        assert_eq!(table.unclaimed(), 1);
    }

    /// 100 000 steps at random against a list: the same waiters, the same numbers, none leaked.
    #[test]
    fn the_table_is_a_list_of_who_waits() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(19);
        let (mut table, mut list) = (InFlight::new(), Vec::<(u64, u64)>::new());
        let (mut given, mut unclaimed) = (0, 0);
        for step in 0..100_000_u64 {
            // One that waits, one that has left, or one that has not come yet.
            let id = match list.len() {
                0 => rng.random_range(0..=given + 1),
                _ if rng.random_range(0..4) == 0 => rng.random_range(0..=given + 1),
                many => list[rng.random_range(0..many)].0,
            };
            let known = list.iter().position(|(number, _)| *number == id);
            match rng.random_range(0..10) {
                0..4 => {
                    let alone = step.is_multiple_of(3);
                    given += 2;
                    let number = given + u64::from(alone);
                    assert_eq!(table.insert(step, alone), Some(number));
                    list.push((number, step));
                }
                4..7 => {
                    unclaimed += u64::from(known.is_none());
                    assert_eq!(table.complete(id), known.map(|at| list.remove(at).1));
                }
                7 => assert_eq!(table.forget(id), known.map(|at| list.remove(at)).is_some()),
                8 => {
                    unclaimed += u64::from(known.is_none());
                    assert_eq!(table.find(id).copied(), known.map(|at| list[at].1));
                }
                _ => {
                    let leaves = |waiter: &u64| waiter.is_multiple_of(17);
                    let left: Vec<_> = list.extract_if(.., |(_, waiter)| leaves(waiter)).collect();
                    assert_eq!(table.take_if(leaves), left);
                }
            }
            assert_eq!((table.len(), table.unclaimed()), (list.len(), unclaimed), "step {step}");
        }
        assert_eq!(table.close(), list);
        assert_eq!((table.len(), table.insert(0, false)), (0, None));
    }
}
