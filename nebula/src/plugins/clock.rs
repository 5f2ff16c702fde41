//! Time as the pure parts of the plugins take it.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

/// Counts from the first time it is asked; in virtual time too, since that is when it is asked.
#[derive(Debug, Default)]
pub(super) struct Clock(OnceLock<Instant>);

impl Clock {
    /// How long it has been.
    pub(super) fn now(&self) -> Duration {
        self.0.get_or_init(Instant::now).elapsed()
    }

    /// The same in nanoseconds, for 584 years.
    pub(super) fn nanos(&self) -> u64 {
        u64::try_from(self.now().as_nanos()).unwrap_or(u64::MAX)
    }
}
