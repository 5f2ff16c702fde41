//! How a node stops.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::{Node, Shared};
use crate::Result;
use crate::error::Error;
#[cfg(feature = "testing")]
use crate::service::instance::ServiceHandle;

/// How long the replies of calls that have just ended may take to be sent, at least.
const LAST_REPLIES: Duration = Duration::from_millis(200);

/// How long plugins may take to stop after the grace period.
const STOPPING: Duration = Duration::from_secs(5);

impl Node {
    /// Withdraws its services, takes no new calls, waits until the running ones have ended (for
    /// the grace period at most, see [`NodeBuilder::grace`](crate::NodeBuilder::grace)), says
    /// goodbye and stops. Its own calls that finish in the background
    /// ([`Stragglers::Finish`](crate::Stragglers::Finish)) have the same time, and are cancelled at
    /// its end.
    ///
    /// # Errors
    ///
    /// When calls are still running at the end of the grace period. The node has stopped all the
    /// same.
    pub async fn shutdown(&self) -> Result<()> {
        let Shared { mesh, slots, services: living, grace, follower, background, .. } =
            &*self.shared;
        mesh.drain();
        let living = living.close();
        let services = slots.all();
        services.iter().for_each(|served| served.close());
        // What the plugins have started is stopped as soon as the calls of their service end.
        let stopping =
            living.into_iter().map(|service| tokio::spawn(async move { service.stop().await }));
        let stopping = join_all(stopping.collect::<Vec<_>>());
        let idle = async {
            for served in &services {
                served.idle().await;
            }
        };
        let over = Instant::now() + *grace;
        // What still runs may leave calls to finish behind.
        let ended = tokio::time::timeout_at(over, idle).await;
        background.finish(over).await;
        if tokio::time::timeout_at(over + STOPPING, stopping).await.is_err() {
            tracing::warn!(node = self.name(), "the plugins of a service have not stopped in time");
        }
        let left = over.saturating_duration_since(Instant::now());
        mesh.shutdown(left.max(LAST_REPLIES)).await;
        self.shared.stopped.store(true, Ordering::SeqCst);
        follower.abort();
        self.shared.registry.clear();
        self.shared.events.close();
        self.service_changed();
        ended.map_err(|_| {
            Error::msg(format!(
                "calls on `{}` were still running after the grace period of {grace:?}: give it \
                 more with `.grace(..)`, or the methods a shorter timeout",
                self.name(),
            ))
        })
    }

    /// Stops at once, as a crash would, and says nothing to anybody once its network is gone.
    #[cfg(feature = "testing")]
    pub(crate) fn crash(&self) {
        let Shared { mesh, slots, services, follower, background, .. } = &*self.shared;
        slots.all().iter().for_each(|served| served.close());
        mesh.abort();
        services.close().iter().for_each(ServiceHandle::abandon);
        background.stop();
        follower.abort();
    }
}
