//! What happens next to a service: the machine behind its two statuses.
//!
//! Promise: whatever comes in whatever order,
//! - the service ends up where the operator asked for it last, or failed, saying why;
//! - each start that succeeded is followed by exactly one stop, before the next start and before
//!   the end;
//! - it is advertised only while it runs, is ready and does not drain, and withdrawn before
//!   anything else happens;
//! - each change of [`Running`] is announced, along these edges, and nothing else is:
//!
//! ```text
//! Stopped  ► Starting, Pausing (started paused)
//! Starting ► Running, Failed, Pausing, Stopping (asked for meanwhile)
//! Running  ► Pausing, Stopping, Failed
//! Pausing  ► Paused
//! Paused   ► Starting, Stopping, Failed
//! Stopping ► Stopped
//! Failed   ► Starting, Stopping
//! ```
//!
//! Protocol: an [`Event`] changes what is known; then the machine steps as long as
//! [`Machine::next`] finds something to do, and gives the [`Action`]s in the order in which they
//! are to be carried out. Work that takes time ([`Work`]) is begun by an action and ended by an
//! event; one at a time.
//!
//! Decisions:
//! - A request that comes while a start or a stop is under way is not lost and interrupts nothing:
//!   it is what the machine goes for when the work is done. A start hook is never dropped half-way,
//!   for nobody could tell what of it there is to stop. The last of several requests counts.
//! - A pause does not wait for calls that run: they go on, with all that was started.
//! - Before a service is stopped it drains, for the grace that the driver gives it. Asked for
//!   something else meanwhile, it goes there.
//! - What fails is stopped as a whole, and started again as a whole while it is asked to be active.
//!   Failed while paused it stays failed, so that a pause starts nothing; activated, it is started
//!   at once.
//!
//! Limits: nothing grows here.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::backoff::{MOST, backoff};
use super::body::Cause;
use super::event::{Action, Event, Moment, Work};
use super::status::{Admin, Failure, Running, ServiceStatus};

/// One step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Go(Running),
    Begin(Work),
    Cancel,
    Finish,
    Rest,
}

/// What is known of one service.
#[derive(Debug)]
pub(crate) struct Machine {
    admin: Admin,
    running: Running,
    reason: Arc<str>,
    since: SystemTime,
    failure: Option<Failure>,
    /// What was said last: what readers see.
    told: Arc<ServiceStatus>,
    /// Since when what was started is up; none while nothing is to be stopped.
    up: Option<Instant>,
    busy: Option<Work>,
    /// What gave up while the rest was still being started.
    broken: Option<Cause>,
    /// Failures in a row.
    attempts: u32,
    retry_at: Option<Instant>,
    /// The operator wants no new calls.
    draining: bool,
    /// No call runs any more, or the grace is over.
    drained: bool,
    ready: bool,
    advertised: bool,
    ending: bool,
    finished: bool,
}

impl Machine {
    /// Of a service that nobody has asked for anything.
    pub(crate) fn new(now: SystemTime) -> Self {
        let told = Arc::new(ServiceStatus::fresh(now));
        Self {
            admin: told.admin,
            running: told.running,
            reason: Arc::clone(&told.reason),
            since: now,
            failure: None,
            told,
            up: None,
            busy: None,
            broken: None,
            attempts: 0,
            retry_at: None,
            draining: false,
            drained: false,
            ready: false,
            advertised: false,
            ending: false,
            finished: false,
        }
    }

    /// The status as it was said last.
    pub(crate) fn status(&self) -> &Arc<ServiceStatus> {
        &self.told
    }

    /// Whether the service is where it stays until the next event from outside, its retry or a
    /// child that gives up.
    pub(crate) fn settled(&self) -> bool {
        self.busy.is_none()
    }

    /// Whether it is on its way to its end, and asks nobody any more.
    pub(crate) fn ending(&self) -> bool {
        self.ending
    }

    /// Whether the readiness of the service matters: it runs, and is to go on running.
    pub(crate) fn wants_readiness(&self) -> bool {
        self.running == Running::Running && self.busy.is_none()
    }

    /// When [`Event::RetryDue`] is due.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.retry_at.filter(|_| self.busy.is_none())
    }

    /// Takes an event in, and gives what is to be done, in this order. `jitter` comes from
    /// [`jitter`](super::backoff::jitter).
    pub(crate) fn on(&mut self, event: Event, now: Moment, jitter: u32) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.finished {
            return actions;
        }
        self.take(event, now, jitter, &mut actions);
        loop {
            match self.next(now.at) {
                Step::Go(running) => self.go(running, now, &mut actions),
                Step::Begin(work) => self.begin(work, &mut actions),
                Step::Cancel => {
                    self.busy = None;
                    actions.push(Action::Cancel);
                }
                Step::Finish => {
                    self.finished = true;
                    self.offer(&mut actions);
                    actions.push(Action::Finish);
                }
                Step::Rest => break,
            }
        }
        self.offer(&mut actions);
        actions
    }

    fn take(&mut self, event: Event, now: Moment, jitter: u32, actions: &mut Vec<Action>) {
        match event {
            Event::SetAdmin(..) | Event::Shutdown(_) if self.ending => {}
            Event::SetAdmin(admin, reason) => self.ask(admin, reason),
            Event::Shutdown(reason) => {
                self.ending = true;
                self.ask(Admin::Inactive, Arc::clone(&reason));
                self.reason = reason;
            }
            Event::Drain => self.draining = true,
            Event::Started(outcome) if self.busy == Some(Work::Start) => {
                self.busy = None;
                self.up = outcome.is_ok().then_some(now.at);
                if let Some(cause) = outcome.err().or(self.broken.take()) {
                    self.fail(cause, now, jitter, actions);
                }
            }
            Event::Stopped if self.busy == Some(Work::Stop) => (self.busy, self.up) = (None, None),
            Event::Drained if self.busy == Some(Work::Drain) => {
                (self.busy, self.drained) = (None, true);
            }
            Event::ChildFailed(cause) if self.busy == Some(Work::Start) => {
                self.broken.get_or_insert(cause);
            }
            Event::ChildFailed(cause)
                if self.up.is_some()
                    && matches!(self.running, Running::Running | Running::Paused) =>
            {
                if self.busy.take().is_some() {
                    actions.push(Action::Cancel);
                }
                self.fail(cause, now, jitter, actions);
            }
            Event::Ready(ready) if self.running == Running::Running => self.ready = ready,
            // What has come too late, or changes nothing but the time.
            Event::Started(_)
            | Event::Stopped
            | Event::Drained
            | Event::ChildFailed(_)
            | Event::Ready(_)
            | Event::RetryDue => {}
        }
    }

    /// Asked for what it is asked for already, a service changes nothing, but that it takes calls
    /// again if it was drained, and does not wait to be tried again if it failed.
    fn ask(&mut self, admin: Admin, reason: Arc<str>) {
        if admin == Admin::Active {
            self.draining = false;
        }
        let again = admin == Admin::Active && self.running == Running::Failed;
        if admin == self.admin && !again {
            return;
        }
        (self.admin, self.reason) = (admin, reason);
        // Somebody has looked at it: what failed before is not held against it.
        (self.attempts, self.retry_at) = (0, None);
        if let Some(failure) = &mut self.failure {
            failure.retry_at = None;
        }
    }

    fn fail(&mut self, cause: Cause, now: Moment, jitter: u32, actions: &mut Vec<Action>) {
        if self.up.is_some_and(|since| now.at.duration_since(since) >= MOST) {
            self.attempts = 0;
        }
        self.attempts = self.attempts.saturating_add(1);
        let wait = (self.admin == Admin::Active).then(|| backoff(self.attempts, jitter));
        self.retry_at = wait.map(|wait| now.at + wait);
        self.failure = Some(Failure {
            who: cause.who,
            message: cause.message,
            since: now.time,
            attempt: self.attempts,
            retry_at: wait.map(|wait| now.time + wait),
        });
        self.go(Running::Failed, now, actions);
    }

    /// The heart: what the operator asks for against what the service is.
    fn next(&self, now: Instant) -> Step {
        let up = self.up.is_some();
        match (self.busy, self.admin) {
            (Some(Work::Start | Work::Stop), _) | (Some(Work::Drain), Admin::Inactive) => {
                return Step::Rest;
            }
            (Some(Work::Drain), Admin::Active | Admin::Paused) => return Step::Cancel,
            (None, _) => {}
        }
        match (self.admin, self.running) {
            (Admin::Active, Running::Stopped | Running::Paused) => Step::Go(Running::Starting),
            (Admin::Active, Running::Starting) if up => Step::Go(Running::Running),
            (Admin::Active, Running::Starting) => Step::Begin(Work::Start),
            (Admin::Active, Running::Running) => Step::Rest,

            (Admin::Paused, Running::Stopped | Running::Starting | Running::Running) => {
                Step::Go(Running::Pausing)
            }
            (Admin::Paused, Running::Paused) => Step::Rest,

            (Admin::Inactive, Running::Running | Running::Paused) if up && !self.drained => {
                Step::Begin(Work::Drain)
            }
            (
                Admin::Inactive,
                Running::Starting | Running::Running | Running::Paused | Running::Failed,
            ) => Step::Go(Running::Stopping),
            (Admin::Inactive, Running::Stopped) if self.ending && !self.finished => Step::Finish,
            (Admin::Inactive, Running::Stopped) => Step::Rest,

            (Admin::Active | Admin::Paused, Running::Failed) if up => Step::Begin(Work::Stop),
            (Admin::Active, Running::Failed) if self.retry_at.is_none_or(|at| at <= now) => {
                Step::Go(Running::Starting)
            }
            (Admin::Active | Admin::Paused, Running::Failed) => Step::Rest,

            (Admin::Active | Admin::Paused | Admin::Inactive, Running::Pausing) => {
                Step::Go(Running::Paused)
            }
            (Admin::Active | Admin::Paused | Admin::Inactive, Running::Stopping) if up => {
                Step::Begin(Work::Stop)
            }
            (Admin::Active | Admin::Paused | Admin::Inactive, Running::Stopping) => {
                Step::Go(Running::Stopped)
            }
        }
    }

    fn go(&mut self, running: Running, now: Moment, actions: &mut Vec<Action>) {
        self.withdraw(actions);
        (self.running, self.since) = (running, now.time);
        match running {
            Running::Starting => self.retry_at = None,
            Running::Running | Running::Paused => self.failure = None,
            Running::Stopped => (self.failure, self.draining) = (None, false),
            Running::Pausing | Running::Stopping | Running::Failed => {}
        }
        (self.ready, self.drained) = (false, false);
        let new = Arc::new(self.snapshot());
        let old = std::mem::replace(&mut self.told, Arc::clone(&new));
        actions.push(Action::Announce(old, new));
    }

    fn begin(&mut self, work: Work, actions: &mut Vec<Action>) {
        self.busy = Some(work);
        self.offer(actions);
        actions.push(Action::Begin(work));
    }

    /// Brings what others see up to what is: the offer to the cluster, and the status.
    fn offer(&mut self, actions: &mut Vec<Action>) {
        let snapshot = self.snapshot();
        let offered = self.ready && self.busy.is_none() && snapshot.accepts_calls();
        if !offered {
            self.withdraw(actions);
        }
        if *self.told != snapshot {
            self.told = Arc::new(snapshot);
            actions.push(Action::Publish(Arc::clone(&self.told)));
        }
        if offered && !self.advertised {
            self.advertised = true;
            actions.push(Action::Advertise);
        }
    }

    fn withdraw(&mut self, actions: &mut Vec<Action>) {
        if std::mem::take(&mut self.advertised) {
            actions.push(Action::Withdraw);
        }
    }

    fn snapshot(&self) -> ServiceStatus {
        ServiceStatus {
            admin: self.admin,
            running: self.running,
            reason: Arc::clone(&self.reason),
            since: self.since,
            error: self.failure.clone(),
            draining: self.draining || self.busy == Some(Work::Drain),
        }
    }
}

#[cfg(test)]
mod tests;
