//! What is to be done when a child has ended.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use macula::text::Safe;
use tokio::time::Instant;

use super::intensity::Intensity;
use super::spec::{Restart, Strategy};

/// How a child has ended: well, or with a message.
pub(crate) type End = Result<(), String>;

/// A supervisor restarts nothing any more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct GaveUp {
    /// The child that failed last.
    pub(crate) child: Arc<str>,
    /// What it said.
    pub(crate) message: String,
    limit: String,
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { child, message, limit } = self;
        write!(f, "child `{}` ended: {}; {limit}", Safe(child), Safe(message))
    }
}

/// What follows from the end of a child.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Then {
    /// The others go on without it.
    Nothing,
    /// These are stopped now, in this order; [`Supervisor::due`] says when what is started again.
    Stop(Vec<usize>),
    /// Too often: nothing is started again.
    GiveUp(GaveUp),
}

/// Children by their position in the order of their start.
#[derive(Debug)]
pub(crate) struct Supervisor {
    children: Vec<Child>,
    strategy: Strategy,
    intensity: Intensity,
    gave_up: bool,
    /// When those are started that wait for it.
    waiting: BTreeMap<usize, Instant>,
}

#[derive(Debug)]
struct Child {
    name: Arc<str>,
    restart: Restart,
}

impl Supervisor {
    /// Of children that are all running.
    pub(crate) fn new(
        children: impl IntoIterator<Item = (Arc<str>, Restart)>,
        strategy: Strategy,
        intensity: Intensity,
    ) -> Self {
        let children = children.into_iter().map(|(name, restart)| Child { name, restart });
        let (children, waiting) = (children.collect(), BTreeMap::new());
        Self { children, strategy, intensity, gave_up: false, waiting }
    }

    /// A child has ended by itself.
    pub(crate) fn ended(&mut self, position: usize, end: &End, now: Instant) -> Then {
        let Some(child) = self.children.get(position) else { return Then::Nothing };
        let again = match child.restart {
            Restart::Never => false,
            Restart::OnFailure => end.is_err(),
            Restart::Always => true,
        };
        if !again || self.gave_up {
            return Then::Nothing;
        }
        let Some(wait) = self.intensity.restart(now) else {
            self.gave_up = true;
            self.waiting.clear();
            let message = match end {
                Ok(()) => "it came to an end".into(),
                Err(message) => message.clone(),
            };
            let child = Arc::clone(&child.name);
            return Then::GiveUp(GaveUp { child, message, limit: self.intensity.limit() });
        };
        let affected = match self.strategy {
            Strategy::OneForOne => position..position + 1,
            Strategy::OneForAll => 0..self.children.len(),
            Strategy::RestForOne => position..self.children.len(),
        };
        // One that is never started again is not started with the others either.
        let again = affected.clone().filter(|other| {
            self.children.get(*other).is_some_and(|child| child.restart != Restart::Never)
        });
        self.waiting.extend(again.map(|other| (other, now + wait)));
        Then::Stop(affected.rev().filter(|other| *other != position).collect())
    }

    /// When the next child is started again.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.waiting.values().min().copied()
    }

    /// Those that are to be started now, in this order.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<usize> {
        let due = self.waiting.iter().filter(|(_, at)| **at <= now);
        let due: Vec<_> = due.map(|(position, _)| *position).collect();
        self.waiting.retain(|_, at| *at > now);
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use Restart::{Always, Never, OnFailure};
    use Strategy::{OneForAll, OneForOne, RestForOne};

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    /// Any moment will do.
    #[allow(clippy::disallowed_methods)]
    fn start() -> Instant {
        Instant::now()
    }

    fn supervisor(restarts: &[Restart], strategy: Strategy) -> Supervisor {
        let children = restarts.iter().enumerate();
        let children =
            children.map(|(position, restart)| (Arc::from(format!("child {position}")), *restart));
        Supervisor::new(children, strategy, Intensity::new(3, 5 * SECOND))
    }

    fn failed() -> End {
        Err("oh".into())
    }

    #[test]
    fn who_is_started_again() {
        for (restart, end, again) in [
            (Never, Ok(()), false),
            (Never, failed(), false),
            (OnFailure, Ok(()), false),
            (OnFailure, failed(), true),
            (Always, Ok(()), true),
            (Always, failed(), true),
        ] {
            let (mut supervisor, now) = (supervisor(&[restart], OneForOne), start());
            let then = if again { Then::Stop(Vec::new()) } else { Then::Nothing };
            assert_eq!(supervisor.ended(0, &end, now), then, "{restart:?} {end:?}");
            assert_eq!(supervisor.next(), again.then_some(now));
            assert_eq!(supervisor.due(now).len(), usize::from(again));
            assert_eq!(supervisor.next(), None);
        }
    }

    #[test]
    fn who_is_stopped_and_started_with_it() {
        let restarts = [OnFailure, Always, Never, OnFailure];
        for (strategy, stopped, started) in [
            (OneForOne, vec![], vec![1]),
            (OneForAll, vec![3, 2, 0], vec![0, 1, 3]),
            (RestForOne, vec![3, 2], vec![1, 3]),
        ] {
            let (mut supervisor, now) = (supervisor(&restarts, strategy), start());
            assert_eq!(supervisor.ended(1, &failed(), now), Then::Stop(stopped), "{strategy:?}");
            assert_eq!(supervisor.due(now), started);
        }
    }

    #[test]
    fn each_waits_for_its_own_time() {
        let (mut supervisor, now) = (supervisor(&[Always; 3], OneForOne), start());
        supervisor.ended(2, &failed(), now);
        supervisor.ended(0, &failed(), now);
        supervisor.ended(1, &failed(), now);
        assert_eq!(supervisor.due(now), [2]);
        assert_eq!(supervisor.next(), Some(now + 100 * MS));
        assert_eq!(supervisor.due(now + 99 * MS), [0_usize; 0]);
        assert_eq!(supervisor.due(now + 200 * MS), [0, 1]);
    }

    #[test]
    fn it_gives_up_once_and_for_good() {
        let (mut supervisor, now) = (supervisor(&[Always; 2], OneForOne), start());
        for _ in 0..3 {
            assert_eq!(supervisor.ended(0, &failed(), now), Then::Stop(Vec::new()));
        }
        let Then::GiveUp(gave_up) = supervisor.ended(1, &Ok(()), now) else { panic!() };
        let said = "child `child 1` ended: it came to an end; more than 3 restarts within 5s";
        assert_eq!(gave_up.to_string(), said);
        assert_eq!(supervisor.next(), None);
        assert_eq!(supervisor.ended(0, &failed(), now + 60 * SECOND), Then::Nothing);
    }
}
