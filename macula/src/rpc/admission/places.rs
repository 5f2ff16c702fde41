//! So many places, and a queue for those who find none free.
//!
//! Promise: taking a free place and giving one back while nobody waits is one atomic operation
//! each. Only where calls wait is there a lock, and whoever waits gets a place in the order of
//! arrival; a place that is given back goes to the first who waits, never past it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

/// The bits of the word of counts: how many run, how many wait, and how many have ever taken a
/// place, of which only the lowest bits are kept.
const RUNNING_BITS: u32 = 24;
const WAITING_BITS: u32 = 32;
const ONE_WAITING: u64 = 1 << RUNNING_BITS;
const ONE_TAKEN: u64 = 1 << (RUNNING_BITS + WAITING_BITS);

/// Places, and who waits for one. `T` is what a waiting call is given in its turn.
pub(super) struct Places<T> {
    most: u64,
    counts: AtomicU64,
    queue: Mutex<Queue<T>>,
    idle: Notify,
    idlers: AtomicUsize,
}

struct Queue<T> {
    next: u64,
    waiting: BTreeMap<u64, oneshot::Sender<T>>,
}

/// Who found all places taken, and waits.
pub(super) struct Ticket<T> {
    pub(super) number: u64,
    pub(super) turn: oneshot::Receiver<T>,
}

impl<T> Places<T> {
    /// So many places at most, of which the count of those who took one begins at `taken`.
    pub(super) fn new(most: usize, taken: u8) -> Self {
        Self {
            most: (most as u64).clamp(1, (1 << RUNNING_BITS) - 1),
            counts: AtomicU64::new(u64::from(taken) * ONE_TAKEN),
            queue: Mutex::new(Queue { next: 0, waiting: BTreeMap::new() }),
            idle: Notify::new(),
            idlers: AtomicUsize::new(0),
        }
    }

    pub(super) fn running(&self) -> usize {
        running(self.counts.load(SeqCst)) as usize
    }

    pub(super) fn waiting(&self) -> usize {
        waiting(self.counts.load(SeqCst)) as usize
    }

    /// How many have taken a place, of which the lowest eight bits count.
    pub(super) fn taken(&self) -> u8 {
        taken(self.counts.load(SeqCst))
    }

    /// Sets the lowest eight bits of how many have [taken](Self::taken) a place to `to`, unless
    /// they are more already.
    pub(super) fn recount(&self, to: u8) {
        let up = |counts| {
            let up = (counts & (ONE_TAKEN - 1)) | (u64::from(to) * ONE_TAKEN);
            (counts < up).then_some(up)
        };
        // If they are, nothing is to be done.
        let _ = self.counts.fetch_update(SeqCst, SeqCst, up);
    }

    /// Takes a place if one is free. Nobody waits then: who waits holds all places taken.
    pub(super) fn take(&self) -> bool {
        self.take_counted().is_some()
    }

    /// The same, and says how many have [taken](Self::taken) a place now.
    #[inline]
    pub(super) fn take_counted(&self) -> Option<u8> {
        let take = |counts| (running(counts) < self.most).then(|| after_taking(counts));
        let before = self.counts.fetch_update(SeqCst, SeqCst, take).ok()?;
        Some(taken(after_taking(before)))
    }

    /// Waits behind the others if fewer than `most` do, and if no place has come free meanwhile:
    /// then it is taken.
    pub(super) fn join(&self, most: usize) -> Joined<T> {
        let mut queue = self.queue();
        let most = (most as u64).min((1 << WAITING_BITS) - 1);
        let mut counts = self.counts.load(SeqCst);
        loop {
            let (next, free) = match running(counts) < self.most {
                true => (after_taking(counts), true),
                false if waiting(counts) >= most => return Joined::Full,
                false => (counts + ONE_WAITING, false),
            };
            match self.counts.compare_exchange(counts, next, SeqCst, SeqCst) {
                Ok(_) if free => return Joined::Free,
                Ok(_) => break,
                Err(changed) => counts = changed,
            }
        }
        let (give, turn) = oneshot::channel();
        let number = queue.next;
        queue.next += 1;
        queue.waiting.insert(number, give);
        Joined::Queued(Ticket { number, turn })
    }

    /// Leaves the queue, unless its turn has come already.
    pub(super) fn leave(&self, number: u64) {
        let mut queue = self.queue();
        if queue.waiting.remove(&number).is_some() {
            self.counts.fetch_sub(ONE_WAITING, SeqCst);
        }
    }

    /// Gives a place back, or to the first who waits: `turn` makes what it is given, and takes it
    /// back when that one has gone.
    #[inline]
    pub(super) fn give_back(&self, turn: impl Fn() -> T, taken_back: impl Fn(T)) {
        if !self.set_free() {
            self.hand_over(turn, taken_back);
        }
    }

    /// Gives a place back if nobody waits for one.
    #[inline]
    fn set_free(&self) -> bool {
        let free = |counts| (waiting(counts) == 0).then_some(counts.wrapping_sub(1));
        let Ok(before) = self.counts.fetch_update(SeqCst, SeqCst, free) else { return false };
        if running(before) == 1 && self.idlers.load(SeqCst) > 0 {
            self.idle.notify_waiters();
        }
        true
    }

    /// Gives a place to the first who waits and still wants it, or back if nobody does.
    #[cold]
    fn hand_over(&self, turn: impl Fn() -> T, taken_back: impl Fn(T)) {
        loop {
            let first = {
                let mut queue = self.queue();
                let first = queue.waiting.pop_first();
                if first.is_some() {
                    self.counts.fetch_add(ONE_TAKEN.wrapping_sub(ONE_WAITING), SeqCst);
                }
                first
            };
            match first.map(|(_, first)| first.send(turn())) {
                Some(Ok(())) => return,
                Some(Err(unwanted)) => taken_back(unwanted),
                None => {}
            }
            if self.set_free() {
                return;
            }
        }
    }

    /// Waits until nobody has a place or waits for one.
    pub(super) async fn idle(&self) {
        self.idlers.fetch_add(1, SeqCst);
        let _idler = Idler(&self.idlers);
        loop {
            let mut free = std::pin::pin!(self.idle.notified());
            free.as_mut().enable();
            let counts = self.counts.load(SeqCst);
            if running(counts) == 0 && waiting(counts) == 0 {
                return;
            }
            free.await;
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of the wish to wait.
pub(super) enum Joined<T> {
    /// A place was free after all, and is taken.
    Free,
    Queued(Ticket<T>),
    Full,
}

struct Idler<'a>(&'a AtomicUsize);

impl Drop for Idler<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

fn running(counts: u64) -> u64 {
    counts & (ONE_WAITING - 1)
}

fn taken(counts: u64) -> u8 {
    (counts / ONE_TAKEN) as u8
}

fn waiting(counts: u64) -> u64 {
    (counts / ONE_WAITING) & ((1 << WAITING_BITS) - 1)
}

fn after_taking(counts: u64) -> u64 {
    counts.wrapping_add(1).wrapping_add(ONE_TAKEN)
}
