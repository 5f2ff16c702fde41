use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a test waits for what must happen. It is long: the machine may be busy with
/// much else.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until something holds.
///
/// # Panics
/// If it does not within [`PATIENCE`], saying `what` did not happen.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        sleep(Duration::from_millis(20)).await;
    }
}
