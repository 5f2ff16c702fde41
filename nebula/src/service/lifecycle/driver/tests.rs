mod body;
mod commands;
mod failures;
mod ready;

use std::time::Duration;

use super::*;
use crate::service::lifecycle::handle::Lifecycle;
use body::Fake;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn service(fake: &Arc<Fake>) -> Lifecycle {
    with(fake, |_| {})
}

fn with(fake: &Arc<Fake>, set: impl FnOnce(&mut Settings)) -> Lifecycle {
    let cell = Arc::new(StatusCell::default());
    let mut settings = Settings::new("users");
    set(&mut settings);
    let body: Arc<dyn Body> = Arc::clone(fake) as _;
    let lifecycle = Lifecycle::new(cell, body, settings);
    *fake.lifecycle.lock().unwrap() = Some(lifecycle.clone());
    lifecycle
}

/// Waits until the service is that, and says what led to it.
async fn reaches(lifecycle: &Lifecycle, running: Running) -> Arc<ServiceStatus> {
    let mut watch = lifecycle.watch();
    let reached = watch.wait_for(|status| status.running == running);
    let reached = tokio::time::timeout(1000 * SECOND, reached).await;
    Arc::clone(&reached.expect("it gets there").expect("its cell lives"))
}
