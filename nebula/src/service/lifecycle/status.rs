//! What a service is asked to be, what it is, and the two together with their reasons and times.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use macula::text::Safe;

/// How much of a text that is no status is repeated in the error, in bytes.
const REPEATED: usize = 64;

/// What the operator asks a service to be. It is reached some time later, or not at all: what the
/// service is meanwhile, says [`Running`].
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Admin {
    /// Started, and taking calls.
    #[default]
    Active,
    /// Taking no calls. What has been started goes on; nothing is started that has not been.
    Paused,
    /// Stopped, with all that was started.
    Inactive,
}

impl Admin {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Active, Self::Paused, Self::Inactive];

    /// The word that [`Display`](fmt::Display) writes and [`FromStr`] reads.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Inactive => "inactive",
        }
    }
}

impl fmt::Display for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Admin {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == text);
        found.ok_or_else(|| UnknownStatus::new(text, &Self::ALL.map(Self::as_str)))
    }
}

/// What a service is. Only in [`Running`](Self::Running) does it take calls: in each other status
/// they are refused before anything of them has been executed.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Running {
    /// Its start hooks run, or are about to; or it comes back from a pause.
    Starting,
    /// Started, and taking calls, unless it drains or a plugin is not ready.
    Running,
    /// On its way from running to paused.
    Pausing,
    /// Taking no calls. What had been started goes on.
    Paused,
    /// Its stop hooks run, or are about to.
    Stopping,
    /// Nothing of it runs.
    Stopped,
    /// Its start failed, or a part of it that was running gave up: [`ServiceStatus::error`] says
    /// what and when. What had been started is stopped.
    Failed,
}

impl Running {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Starting,
        Self::Running,
        Self::Pausing,
        Self::Paused,
        Self::Stopping,
        Self::Stopped,
        Self::Failed,
    ];

    /// The word that [`Display`](fmt::Display) writes and [`FromStr`] reads.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Pausing => "pausing",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Running {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == text);
        found.ok_or_else(|| UnknownStatus::new(text, &Self::ALL.map(Self::as_str)))
    }
}

/// A text that names no status. Nothing was changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{}` is no status: write one of {known}", Safe(.text))]
pub struct UnknownStatus {
    text: String,
    known: String,
}

impl UnknownStatus {
    fn new(text: &str, known: &[&str]) -> Self {
        let text = text[..text.floor_char_boundary(REPEATED)].to_owned();
        Self { text, known: known.join(", ") }
    }
}

/// The state of a service at one moment, with what led to it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServiceStatus {
    /// What the operator asks for.
    pub admin: Admin,
    /// What the service is.
    pub running: Running,
    /// Why the operator asked for `admin`, in the words that were given.
    pub reason: Arc<str>,
    /// Since when `running` is what it is.
    pub since: SystemTime,
    /// What failed: while the service is [`Failed`](Running::Failed), and while it is started or
    /// stopped after that. None once it runs, is paused or has stopped.
    pub error: Option<Failure>,
    /// Whether new calls are refused so that those that run may come to an end.
    pub draining: bool,
}

impl ServiceStatus {
    /// Of a service that has not been started.
    pub(crate) fn fresh(now: SystemTime) -> Self {
        Self {
            admin: Admin::Inactive,
            running: Running::Stopped,
            reason: "not started yet".into(),
            since: now,
            error: None,
            draining: false,
        }
    }

    /// Whether calls are taken, as far as the state says it: it runs and does not drain. While a
    /// plugin is not [ready](crate::plugin::Plugin::ready) they are refused all the same:
    /// [`ServiceHandle::accepts_calls`](crate::ServiceHandle::accepts_calls) knows of that.
    pub fn accepts_calls(&self) -> bool {
        self.running == Running::Running && !self.draining
    }

    /// Whether nothing is wrong with the service: it is in any status but
    /// [`Failed`](Running::Failed).
    pub fn is_live(&self) -> bool {
        self.running != Running::Failed
    }
}

/// One line for a person: `paused (night)`, `running, draining (start)`, `failed: plugin …`.
impl fmt::Display for ServiceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.running)?;
        if self.draining {
            f.write_str(", draining")?;
        }
        match &self.error {
            Some(failure) => write!(f, ": {failure}"),
            None => write!(f, " ({})", Safe(&self.reason)),
        }
    }
}

/// Why a service is [`Failed`](Running::Failed).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{} failed at attempt {attempt}: {}{}", Safe(.who), Safe(.message), again(*.since, *.retry_at))]
#[non_exhaustive]
pub struct Failure {
    /// The part that failed: a plugin by its name, or `service`.
    pub who: Arc<str>,
    /// What it said.
    pub message: Arc<str>,
    /// When it failed.
    pub since: SystemTime,
    /// How many times in a row it has failed now, from 1. Counted anew after a minute of running,
    /// and whenever the operator asks for something else, or for a start at once.
    pub attempt: u32,
    /// When it is started again. None if it is not, since it is not asked to be active.
    pub retry_at: Option<SystemTime>,
}

/// When it is tried again, if that is known.
fn again(since: SystemTime, retry_at: Option<SystemTime>) -> String {
    let wait = retry_at.and_then(|at| at.duration_since(since).ok());
    wait.map(|wait| format!(" (it is started again after {wait:.1?})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_is_read_as_it_is_written() {
        for status in Admin::ALL {
            assert_eq!(status.to_string().parse(), Ok(status));
        }
        for status in Running::ALL {
            assert_eq!(status.to_string().parse(), Ok(status));
        }
    }

    #[test]
    fn a_text_that_is_no_status_is_answered_with_those_there_are() {
        // A service with a wrong status goes on: gotcha 6.
        let error = "pause\u{1b}".parse::<Admin>().unwrap_err();
        let said = "`pause\\u{1b}` is no status: write one of active, paused, inactive";
        assert_eq!(error.to_string(), said);
        let long = "ä".repeat(1000).parse::<Running>().unwrap_err();
        assert!(long.to_string().len() < 2 * REPEATED + 64);
        assert!("Running".parse::<Running>().is_err());
    }

    #[test]
    fn only_a_failed_service_is_not_live() {
        // LC-17
        for running in Running::ALL {
            let status = ServiceStatus { running, ..ServiceStatus::fresh(SystemTime::UNIX_EPOCH) };
            assert_eq!(status.is_live(), running != Running::Failed);
            assert_eq!(status.accepts_calls(), running == Running::Running);
            assert!(!ServiceStatus { draining: true, ..status }.accepts_calls());
        }
    }

    #[test]
    fn a_status_is_one_line() {
        let mut status = ServiceStatus::fresh(SystemTime::UNIX_EPOCH);
        assert_eq!(status.to_string(), "stopped (not started yet)");
        (status.running, status.draining) = (Running::Running, true);
        assert_eq!(status.to_string(), "running, draining (not started yet)");
        (status.running, status.draining) = (Running::Failed, false);
        status.error = Some(Failure {
            who: "plugin `db`".into(),
            message: "no\nroute".into(),
            since: SystemTime::UNIX_EPOCH,
            attempt: 2,
            retry_at: None,
        });
        let said = "failed: plugin `db` failed at attempt 2: no\\nroute";
        assert_eq!(status.to_string(), said);
        let error = status.error.as_mut().unwrap();
        error.retry_at = Some(SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(2040));
        assert_eq!(status.to_string(), format!("{said} (it is started again after 2.0s)"));
    }
}
