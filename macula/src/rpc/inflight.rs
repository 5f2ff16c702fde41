#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::hash::{BuildHasherDefault, Hasher};
use std::task::{Poll, Waker};

/// The requests of one connection that still wait for their reply, and the ends of those whose
/// caller has not looked yet.
///
/// Each number is given once in the life of the table, so a reply that comes late, twice or
/// uncalled for finds nobody and is only counted. Requests that travel alone have odd numbers, those
/// on the lane even ones: a cancellation, which is always on the lane, overtakes the former only.
///
/// A call ends here and its caller finds the end here, so that a call needs no channel of its own.
#[derive(Debug)]
pub(crate) struct InFlight<W, E> {
    next: u64,
    calls: Numbered<State<W, E>>,
    /// How many of them wait.
    waiting: usize,
    unclaimed: u64,
    closed: bool,
}

/// Callers choose the numbers, one after the other, so no peer can make them collide; and nothing
/// is told in the order of this map.
#[expect(clippy::disallowed_types, reason = "whatever leaves it together is put in order")]
type Numbered<T> = std::collections::HashMap<u64, T, BuildHasherDefault<NumberHasher>>;

#[derive(Debug)]
enum State<W, E> {
    Waits(W, Waker),
    /// On the way from the one to the other.
    Ending,
    Ended(E),
}

/// A table that has had more calls than this at once gives their room back when it is empty.
const ROOM: usize = 1024;

impl<W, E> InFlight<W, E> {
    pub(crate) fn new() -> Self {
        Self { next: 2, calls: Numbered::default(), waiting: 0, unclaimed: 0, closed: false }
    }

    /// Takes the waiter of a request, which may travel `alone`, and gives its number; none once the
    /// table is closed. `waker` is woken at its end.
    pub(crate) fn insert(&mut self, waiter: W, alone: bool, waker: Waker) -> Option<u64> {
        if self.closed {
            return None;
        }
        let id = self.next + u64::from(alone);
        self.next += 2;
        self.calls.insert(id, State::Waits(waiter, waker));
        self.waiting += 1;
        Some(id)
    }

    /// Ends the call with what `end` makes of its waiter. Whoever is to be woken is woken when the
    /// table is not locked any more; none if nobody waits under this number.
    pub(crate) fn complete(&mut self, id: u64, end: impl FnOnce(W) -> E) -> Option<Waker> {
        let mut id = id;
        if cfg!(mutant = "late_reply_to_another") && self.find_waiting(id).is_none() {
            id = self.numbers(|_| true).first().copied().unwrap_or(id);
        }
        let waker = self.end(id, end);
        if waker.is_none() {
            self.unclaimed += 1;
        }
        waker
    }

    /// The waiter that a peer has word for.
    pub(crate) fn find(&mut self, id: u64) -> Option<&mut W> {
        if self.find_waiting(id).is_none() {
            self.unclaimed += 1;
        }
        self.find_waiting(id)
    }

    /// The waiter of a call that has not ended.
    pub(crate) fn peek(&self, id: u64) -> Option<&W> {
        match self.calls.get(&id) {
            Some(State::Waits(waiter, _)) => Some(waiter),
            _ => None,
        }
    }

    /// Hands out the end of a call, which is forgotten then. Until there is one, `waker` is who is
    /// woken. Ready with nothing if there is no such call.
    pub(crate) fn poll(&mut self, id: u64, waker: &Waker) -> Poll<Option<E>> {
        match self.calls.get_mut(&id) {
            Some(State::Waits(_, known)) => {
                known.clone_from(waker);
                Poll::Pending
            }
            _ => match self.remove(id) {
                Some(State::Ended(end)) => Poll::Ready(Some(end)),
                _ => Poll::Ready(None),
            },
        }
    }

    /// Forgets a call that nobody wants to know of any more; false if it has ended already.
    pub(crate) fn forget(&mut self, id: u64) -> bool {
        let waited = matches!(self.remove(id), Some(State::Waits(..)));
        self.waiting -= usize::from(waited);
        waited
    }

    /// Ends the calls for whose waiters `leaves` holds, in the order of their numbers, and gives
    /// them with who is to be woken.
    pub(crate) fn end_if(
        &mut self,
        leaves: impl Fn(&W) -> bool,
        mut end: impl FnMut(W) -> E,
    ) -> Vec<(u64, Waker)> {
        let leaving = self.numbers(leaves).into_iter();
        leaving.filter_map(|id| Some((id, self.end(id, &mut end)?))).collect()
    }

    /// Ends all calls and takes no more. Gives who is to be woken.
    pub(crate) fn close(&mut self, end: impl FnMut(W) -> E) -> Vec<(u64, Waker)> {
        self.closed = true;
        self.end_if(|_| true, end)
    }

    /// Takes no more requests from now on, if nobody waits.
    pub(crate) fn close_if_empty(&mut self) -> bool {
        self.closed |= self.waiting == 0;
        self.waiting == 0
    }

    /// All who wait.
    pub(crate) fn waiters(&self) -> impl Iterator<Item = &W> {
        self.calls.values().filter_map(|state| match state {
            State::Waits(waiter, _) => Some(waiter),
            State::Ending | State::Ended(_) => None,
        })
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting
    }

    /// How many replies, and words about a call, found nobody waiting.
    pub(crate) fn unclaimed(&self) -> u64 {
        self.unclaimed
    }

    fn end(&mut self, id: u64, end: impl FnOnce(W) -> E) -> Option<Waker> {
        let state = self.calls.get_mut(&id).filter(|state| matches!(state, State::Waits(..)))?;
        let State::Waits(waiter, waker) = std::mem::replace(state, State::Ending) else {
            return None;
        };
        *state = State::Ended(end(waiter));
        self.waiting -= 1;
        Some(waker)
    }

    fn remove(&mut self, id: u64) -> Option<State<W, E>> {
        let removed = self.calls.remove(&id);
        if self.calls.is_empty() && self.calls.capacity() > ROOM {
            self.calls = Numbered::default();
        }
        removed
    }

    fn find_waiting(&mut self, id: u64) -> Option<&mut W> {
        match self.calls.get_mut(&id) {
            Some(State::Waits(waiter, _)) => Some(waiter),
            _ => None,
        }
    }

    /// The numbers of those who wait and for whom `which` holds, in order.
    fn numbers(&self, which: impl Fn(&W) -> bool) -> Vec<u64> {
        let waits = |state: &State<W, E>| matches!(state, State::Waits(w, _) if which(w));
        let calls = self.calls.iter().filter(|(_, state)| waits(state));
        let mut numbers: Vec<_> = calls.map(|(id, _)| *id).collect();
        numbers.sort_unstable();
        numbers
    }
}

/// Spreads numbers that are given one after the other. Fibonacci hashing (Knuth, "The Art of
/// Computer Programming", volume 3, 6.4); the map takes bits of both halves.
#[derive(Debug, Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Insert(bool),
        Complete(u64),
        Forget(u64),
        Poll(u64),
        Find(u64),
        EndEven,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => any::<bool>().prop_map(Step::Insert),
            2 => (0..80_u64).prop_map(Step::Complete),
            1 => (0..80_u64).prop_map(Step::Forget),
            2 => (0..80_u64).prop_map(Step::Poll),
            1 => (0..80_u64).prop_map(Step::Find),
            1 => Just(Step::EndEven),
        ]
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What is known of a call outside of the table.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    enum Known {
        Waits,
        Ended,
        Gone,
    }

    proptest! {
        /// Each call ends once, is handed out once, to the one who made it, and wakes only him.
        #[test]
        fn every_call_ends_and_is_handed_out_once(
            steps in prop::collection::vec(step(), 0..120),
        ) {
            let mut table = InFlight::new();
            let mut calls: BTreeMap<u64, (Known, Arc<Woken>)> = BTreeMap::new();
            let mut unclaimed = 0;
            let end = |number: u64| number + 1000;
            for step in steps {
                match step {
                    Step::Insert(alone) => {
                        let number = 2 * (calls.len() as u64 + 1) + u64::from(alone);
                        let woken = Arc::<Woken>::default();
                        let id = table.insert(number, alone, woken.clone().into());
                        prop_assert_eq!(id, Some(number));
                        calls.insert(number, (Known::Waits, woken));
                    }
                    Step::Complete(id) => {
                        let waker = table.complete(id, end);
                        let waited = calls.get_mut(&id).filter(|(known, _)| *known == Known::Waits);
                        prop_assert_eq!(waker.is_some(), waited.is_some());
                        unclaimed += u64::from(waker.is_none());
                        if let (Some(waker), Some((known, woken))) = (waker, waited) {
                            waker.wake();
                            *known = Known::Ended;
                            prop_assert_eq!(woken.0.load(Ordering::Relaxed), 1, "of another call");
                        }
                    }
                    Step::Forget(id) => {
                        let known = calls.get_mut(&id).map(|(known, _)| known);
                        let waited = known.as_ref().is_some_and(|known| **known == Known::Waits);
                        prop_assert_eq!(table.forget(id), waited);
                        if let Some(known) = known {
                            *known = Known::Gone;
                        }
                    }
                    Step::Poll(id) => {
                        let woken = Arc::<Woken>::default();
                        let polled = table.poll(id, &woken.clone().into());
                        let expected = match calls.get_mut(&id) {
                            Some((Known::Waits, waker)) => {
                                *waker = woken;
                                Poll::Pending
                            }
                            Some((known @ Known::Ended, _)) => {
                                *known = Known::Gone;
                                Poll::Ready(Some(end(id)))
                            }
                            Some((Known::Gone, _)) | None => Poll::Ready(None),
                        };
                        prop_assert_eq!(polled, expected);
                    }
                    Step::Find(id) => {
                        let waits = matches!(calls.get(&id), Some((Known::Waits, _)));
                        prop_assert_eq!(table.find(id).copied(), waits.then_some(id));
                        unclaimed += u64::from(!waits);
                    }
                    Step::EndEven => {
                        let ended = table.end_if(|number| number % 2 == 0, end);
                        let ended: Vec<_> = ended.into_iter().map(|(id, _)| id).collect();
                        let mut expected = Vec::new();
                        for (id, (known, _)) in &mut calls {
                            if id % 2 == 0 && *known == Known::Waits {
                                expected.push(*id);
                                *known = Known::Ended;
                            }
                        }
                        prop_assert_eq!(ended, expected, "in order");
                    }
                }
                let waiting = calls.values().filter(|(known, _)| *known == Known::Waits).count();
                prop_assert_eq!(table.len(), waiting);
                prop_assert_eq!(table.waiters().count(), waiting);
                prop_assert_eq!(table.unclaimed(), unclaimed);
            }
            let left = calls.iter().filter(|(_, (known, _))| *known == Known::Waits);
            let left: Vec<u64> = left.map(|(id, _)| *id).collect();
            let closed: Vec<_> = table.close(end).into_iter().map(|(id, _)| id).collect();
            prop_assert_eq!(closed, left);
            prop_assert_eq!(table.len(), 0);
            prop_assert_eq!(table.insert(0, false, Waker::noop().clone()), None);
        }
    }

    #[test]
    fn the_room_of_many_calls_is_given_back() {
        let mut table = InFlight::new();
        let waker = Waker::noop();
        let ids: Vec<_> =
            (0..10_000).filter_map(|n| table.insert(n, false, waker.clone())).collect();
        assert!(table.calls.capacity() >= 10_000);
        for id in ids {
            let _ = table.complete(id, |waiter| waiter);
            assert!(table.poll(id, waker).is_ready());
        }
        assert_eq!(table.calls.capacity(), 0);
    }
}
