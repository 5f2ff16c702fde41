//! Calls that go on after their result is decided, since their method wants them finished.

use std::fmt;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::cast::counts::Counts;

/// The calls of one node whose results nobody waits for. Each ends by its own deadline, and all
/// of them with the node.
#[derive(Default)]
pub(crate) struct Background {
    tasks: TaskTracker,
    stopped: CancellationToken,
    counts: Arc<Counts>,
}

impl Background {
    /// Runs them to their end.
    pub(crate) fn run(&self, calls: impl Future<Output = ()> + Send + 'static) {
        let stopped = self.stopped.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = calls => {}
                () = stopped.cancelled() => {}
            }
        });
    }

    /// What has become of the one-way calls among them.
    pub(crate) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Stops all of them, and whatever comes later.
    #[cfg(feature = "testing")]
    pub(crate) fn stop(&self) {
        self.tasks.close();
        self.stopped.cancel();
    }

    /// Waits until all have ended, and stops those that have not by `over`, and whatever comes
    /// later.
    pub(crate) async fn finish(&self, over: Instant) {
        self.tasks.close();
        if timeout_at(over, self.tasks.wait()).await.is_err() {
            tracing::warn!(calls = self.tasks.len(), "calls in the background are given up");
        }
        self.stopped.cancel();
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").field("calls", &self.tasks.len()).finish()
    }
}
