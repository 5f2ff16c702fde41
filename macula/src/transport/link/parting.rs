//! The end of a connection that the peer may still use: whatever it sends and is not begun any more,
//! it is told so. A connection that is closed without that leaves the peer with calls that may have
//! run.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::Link;
use super::pulse::millis;
use crate::wire::{Message, Status};

/// The deadline of a caller is somewhat later here, or earlier, than where it waits.
const LATE: Duration = Duration::from_secs(5);

impl Link {
    /// Begins no more requests of the peer from now on: another connection has taken the place of
    /// this one, or the peer is `held_for_dead`.
    pub(crate) fn part(&self, held_for_dead: bool) {
        self.held_for_dead.store(held_for_dead, Ordering::SeqCst);
        self.parting.store(true, Ordering::SeqCst);
    }

    /// What a request is told that may not begin here any more, if so.
    pub(crate) fn parts(&self) -> Option<Status> {
        let held_for_dead = || self.held_for_dead.load(Ordering::SeqCst);
        self.is_parting().then(|| match held_for_dead() {
            true => Status::HeldForDead,
            false => Status::Replaced,
        })
    }

    /// Whether a request may not begin here any more. To be asked once it is counted, lest it is
    /// overlooked by [`finish`](Self::finish).
    pub(crate) fn is_parting(&self) -> bool {
        self.parting.load(Ordering::SeqCst)
    }

    /// A request that began ends without an answer: at its `deadline`, until when its caller waits, or
    /// since the peer did not read its reply to the end.
    pub(crate) fn leaves_unanswered(&self, deadline: Instant) {
        let until = millis(deadline.saturating_duration_since(self.since) + LATE);
        self.unanswered.fetch_max(until, Ordering::SeqCst);
    }

    /// Forgets that requests were not answered if nobody waits for them any more, who could take the
    /// end of the connection for the answer.
    pub(crate) fn has_rested(&self) {
        let until = self.unanswered.load(Ordering::SeqCst);
        if until < self.age_ms() {
            // Unless another one has ended so at this moment.
            let _ = self.unanswered.compare_exchange(until, 0, Ordering::SeqCst, Ordering::SeqCst);
        }
    }

    /// Ends a connection on which nothing is under way, and no request begins any more: says so, and
    /// closes once the peer has all that was written.
    pub(crate) fn finish(&self) {
        if self.is_parting() && self.is_idle() && self.unanswered.load(Ordering::SeqCst) == 0 {
            // A lane that is closed already says nothing more.
            let _ = self.lane.push(&Message::Done);
        }
        self.lane.close();
    }

    /// The peer has said that it is done.
    pub(crate) fn note_done(&self) {
        self.done.store(true, Ordering::SeqCst);
    }

    /// Whether it is of use to send requests here.
    pub(crate) fn is_open(&self) -> bool {
        !self.closed.is_cancelled() && !self.is_done()
    }

    /// Whether requests that are sent here are in vain, and those without an answer have not run.
    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::SeqCst)
    }
}
