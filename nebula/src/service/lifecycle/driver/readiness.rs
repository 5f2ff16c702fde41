//! When the readiness hooks of a running service are asked, and what they say.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until};

use crate::service::lifecycle::body::{Body, NotReady};
use crate::service::lifecycle::drain::after;
use crate::service::lifecycle::handle::Settings;

/// How soon a service that is not ready is asked again at first. It doubles, up to the usual
/// period.
const SOON: Duration = Duration::from_millis(100);

/// Follows the readiness of one service.
#[derive(Default)]
pub(super) enum Readiness {
    /// It does not matter.
    #[default]
    Stopped,
    /// It does, and nobody has anything to say.
    Resting,
    Watching(Watching),
}

pub(super) struct Watching {
    body: Arc<dyn Body>,
    settings: Arc<Settings>,
    /// What is asked, or waits to be asked.
    asking: BoxFuture<'static, Vec<NotReady>>,
    /// What was said last.
    last: Option<Vec<NotReady>>,
    pause: Duration,
}

/// An answer of the hooks.
pub(super) struct News {
    /// Who is not ready.
    pub(super) waiting: Vec<NotReady>,
    /// Whether that is not what was said before.
    pub(super) changed: bool,
}

impl Readiness {
    pub(super) fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped)
    }

    /// Whether the hooks are asked, and have not said anything yet.
    pub(super) fn is_unanswered(&self) -> bool {
        matches!(self, Self::Watching(Watching { last: None, .. }))
    }

    pub(super) fn stop(&mut self) {
        *self = Self::Stopped;
    }

    pub(super) fn rest(&mut self) {
        *self = Self::Resting;
    }

    /// Asks at once, and again and again.
    pub(super) fn watch(&mut self, body: Arc<dyn Body>, settings: Arc<Settings>) {
        let asking = ask(&body, &settings, Instant::now());
        let (last, pause) = (None, SOON);
        *self = Self::Watching(Watching { body, settings, asking, last, pause });
    }

    /// The next answer; never, while nobody has anything to say. Nothing is lost when the future is
    /// dropped.
    pub(super) async fn next(&mut self) -> News {
        let Self::Watching(watching) = self else { return std::future::pending().await };
        let waiting = (&mut watching.asking).await;
        let period = watching.settings.ready_period;
        let pause = if waiting.is_empty() { period } else { watching.pause.min(period) };
        watching.pause = if waiting.is_empty() { SOON } else { pause.saturating_mul(2) };
        let Watching { body, settings, .. } = watching;
        watching.asking = ask(body, settings, after(pause));
        let changed = watching.last.as_ref() != Some(&waiting);
        watching.last = Some(waiting.clone());
        News { waiting, changed }
    }
}

fn ask(
    body: &Arc<dyn Body>,
    settings: &Settings,
    at: Instant,
) -> BoxFuture<'static, Vec<NotReady>> {
    let (body, limit) = (Arc::clone(body), settings.ready_limit);
    Box::pin(async move {
        sleep_until(at).await;
        body.ready(limit).await
    })
}
