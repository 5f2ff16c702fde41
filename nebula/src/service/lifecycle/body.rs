//! What a lifecycle is the lifecycle of: the seam between the driver and the service.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use macula::text::Safe;
use tokio::sync::watch;

use super::status::ServiceStatus;

/// The part that fails where no plugin is to blame.
pub(crate) const SERVICE: &str = "service";

/// A service with its plugins, as its driver sees it.
///
/// The driver calls `start` and `stop` in turn, never two of them at once, and awaits both to their
/// end; the other futures may be dropped at any await. Each hook of a plugin is bounded and contained
/// for itself.
pub(crate) trait Body: Send + Sync + 'static {
    /// Starts everything, bottom-up. If it fails, `stop` is called, and stops what has been started
    /// by then. What gives up later is told to `reporter`.
    fn start(&self, reporter: Reporter) -> BoxFuture<'_, Result<(), Cause>>;

    /// Stops top-down what was started, each once, and leaves the rest alone. `limit` is the time of
    /// each single hook: one that takes longer costs none of the others its own. Children have their
    /// own graces.
    fn stop(&self, limit: Duration) -> BoxFuture<'_, ()>;

    /// Offers the service to the cluster.
    fn advertise(&self);

    /// Takes the offer back.
    fn withdraw(&self);

    /// Calls the status hooks of all plugins, top-down; always all of them, each within `limit`.
    fn changed(
        &self,
        old: &ServiceStatus,
        new: &ServiceStatus,
        limit: Duration,
    ) -> BoxFuture<'_, ()>;

    /// Whether anybody has something to say in `ready`. If not, it is never asked.
    fn watches_readiness(&self) -> bool;

    /// Who is not ready to take calls, and why; nobody means ready. Called only while running. Who
    /// does not answer within `limit` is not ready.
    fn ready(&self, limit: Duration) -> BoxFuture<'_, Vec<NotReady>>;

    /// Who still has work that began before the service drained, and which. Who does not answer
    /// within `limit` still has.
    fn drained(&self, limit: Duration) -> BoxFuture<'_, Vec<NotReady>>;

    /// Waits until no call runs or waits to run.
    fn idle(&self) -> BoxFuture<'_, ()>;

    /// How many calls run now, and how many wait to run.
    fn load(&self) -> (usize, usize);
}

/// What failed, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Cause {
    /// A plugin by its name, or [`SERVICE`].
    pub(crate) who: Arc<str>,
    pub(crate) message: Arc<str>,
}

impl Cause {
    pub(crate) fn new(who: impl Into<Arc<str>>, message: impl Into<Arc<str>>) -> Self {
        Self { who: who.into(), message: message.into() }
    }
}

/// One part of a service that is not ready yet, or not drained yet.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NotReady {
    /// The part: a plugin by its name, `calls`, or `service`.
    pub who: Arc<str>,
    /// What it waits for, in its own words.
    pub reason: String,
}

impl NotReady {
    pub(crate) fn new(who: impl Into<Arc<str>>, reason: impl Into<String>) -> Self {
        Self { who: who.into(), reason: reason.into() }
    }

    /// All of them in one line.
    pub(crate) fn list(all: &[Self]) -> String {
        all.iter().map(Self::to_string).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Safe(&self.who), Safe(&self.reason))
    }
}

/// Tells the driver that something that had been started gave up.
///
/// It belongs to one start: what it tells after the stop that follows is heard by nobody, so that
/// the past of a service cannot fail its present.
#[derive(Clone, Debug)]
pub(crate) struct Reporter(watch::Sender<Option<Cause>>);

/// The other end of a [`Reporter`].
pub(crate) type Reports = watch::Receiver<Option<Cause>>;

impl Reporter {
    pub(crate) fn new() -> (Self, Reports) {
        let (sender, receiver) = watch::channel(None);
        (Self(sender), receiver)
    }

    /// It gave up. The first report of a start counts; what follows is its consequence.
    pub(crate) fn failed(&self, who: impl Into<Arc<str>>, message: impl Into<Arc<str>>) {
        self.0.send_if_modified(|first| {
            let news = first.is_none();
            if news {
                *first = Some(Cause::new(who, message));
            }
            news
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_report_counts() {
        let (reporter, mut reports) = Reporter::new();
        reporter.clone().failed("a", "gave up");
        reporter.failed("b", "lost a");
        assert_eq!(reports.borrow_and_update().clone(), Some(Cause::new("a", "gave up")));
        assert!(!reports.has_changed().unwrap());
        drop(reports);
        reporter.failed("c", "nobody listens");
    }

    #[test]
    fn who_is_not_ready_is_told_in_a_line() {
        let all = [NotReady::new("db", "cold"), NotReady::new("calls", "3\trun")];
        assert_eq!(NotReady::list(&all), "db: cold; calls: 3\\trun");
    }
}
