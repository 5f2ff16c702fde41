//! Ends connections that nobody needs.

use std::sync::atomic::Ordering;

use super::end;
use crate::mesh::Inner;
use crate::wire::Message;

impl Inner {
    /// Ends, in good order, the connections that are more than this node keeps and over which no calls
    /// have gone for a while. Whatever the peer sends on one of them meanwhile is told not to have run.
    pub(crate) fn end_unused(&self) {
        let (kept, time) = (self.limits.kept_connections, self.limits.unused_connection_time);
        let surplus = self.pool().surplus(kept, time);
        for link in surplus {
            tracing::debug!(peer = %link.peer.id, "ending a connection that is not used");
            self.traffic.unused.fetch_add(1, Ordering::Relaxed);
            link.has_rested();
            self.spawn(async move { end(&link, false).await });
        }
    }

    /// Has peers answer that would lose their connections otherwise, since nothing has come from them
    /// for most of the time after which QUIC closes one without a word: a request that is on its way
    /// then would be lost, and nobody could tell whether it has run.
    pub(crate) fn wake_quiet(&self) {
        let quiet = self.limits.idle_timeout * 2 / 3;
        for link in self.links().iter().filter(|link| link.unheard() >= quiet) {
            // A link that cannot be written to is about to close.
            let _ = link.lane.push(&Message::Ping(0));
        }
    }
}
