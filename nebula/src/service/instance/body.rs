//! What the lifecycle of a service drives.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio::time::{Instant, timeout};

use super::Instance;
use crate::service::lifecycle::ServiceStatus;
use crate::service::lifecycle::body::{Body, Cause, NotReady, Reporter};
use crate::service::plugin::Hooks;

impl Body for Instance {
    fn start(&self, reporter: Reporter) -> BoxFuture<'_, Result<(), Cause>> {
        async move {
            let _managing = self.managing.lock().await;
            let seats = self.seats();
            for seat in seats.iter().rev() {
                if let Err(message) = seat.start(&reporter).await {
                    for seat in &seats {
                        seat.stop().await;
                    }
                    return Err(Cause::new(format!("the plugin `{}`", seat.name()), message));
                }
            }
            // From here on what is added is started at once; not while the start may still fail.
            self.crew().reporter = Some(reporter);
            self.release();
            Ok(())
        }
        .boxed()
    }

    fn stop(&self, limit: Duration) -> BoxFuture<'_, ()> {
        async move {
            let _managing = self.managing.lock().await;
            self.crew().reporter = None;
            for seat in self.seats() {
                self.stop_seat(&seat, limit).await;
            }
        }
        .boxed()
    }

    fn advertise(&self) {
        let Some(core) = self.core.get() else { return };
        core.open();
        if self.has_left() || self.node().is_some_and(|node| node.has_closed()) {
            // It leaves, or its node does, and has closed it or is about to.
            core.close();
            return;
        }
        self.tell(true);
        self.changed_here();
    }

    fn withdraw(&self) {
        if let Some(core) = self.core.get()
            && !cfg!(mutant = "paused_service_takes_calls")
        {
            core.close();
        }
        self.tell(false);
        self.changed_here();
    }

    fn changed(
        &self,
        old: &ServiceStatus,
        new: &ServiceStatus,
        limit: Duration,
    ) -> BoxFuture<'_, ()> {
        let (old, new, until) = (old.clone(), new.clone(), Instant::now() + limit);
        async move {
            let mut seats = self.seats();
            seats.retain(|seat| seat.has(Hooks::STATUS));
            for (left, seat) in (1..=seats.len() as u32).rev().zip(&seats) {
                // One that hangs uses up its share of the time, and not that of the others.
                let share = until.saturating_duration_since(Instant::now()) / left;
                if timeout(share, seat.status_changed(&old, &new)).await.is_err() {
                    tracing::error!(service = %self.name, plugin = %seat.name(),
                        "a status hook took longer than {share:?} and was given up");
                }
            }
        }
        .boxed()
    }

    fn watches_readiness(&self) -> bool {
        self.seats().iter().any(|seat| seat.has(Hooks::READY))
    }

    fn ready(&self) -> BoxFuture<'_, Vec<NotReady>> {
        async move {
            let seats = self.seats();
            let asked = seats.iter().filter(|seat| seat.has(Hooks::READY)).map(async |seat| {
                let ready = seat.link.plugin.ready(&seat.link.host).await;
                ready.err().map(|reason| NotReady::new(seat.name().clone(), reason))
            });
            join_all(asked).await.into_iter().flatten().collect()
        }
        .boxed()
    }

    fn drained(&self) -> BoxFuture<'_, Vec<NotReady>> {
        async move {
            let seats = self.seats();
            let asked = seats.iter().filter(|seat| seat.has(Hooks::DRAINED)).map(async |seat| {
                let drained = seat.link.plugin.drained(&seat.link.host).await;
                drained.err().map(|reason| NotReady::new(seat.name().clone(), reason))
            });
            join_all(asked).await.into_iter().flatten().collect()
        }
        .boxed()
    }

    fn idle(&self) -> BoxFuture<'_, ()> {
        async move {
            if let Some(core) = self.core.get() {
                core.idle().await;
            }
        }
        .boxed()
    }
}

impl Instance {
    /// Tells who follows the services of this node.
    fn changed_here(&self) {
        if let Some(node) = self.node.upgrade() {
            node.service_changed();
        }
    }

    /// Tells the cluster whether the service takes calls.
    fn tell(&self, takes_calls: bool) {
        if !self.global {
            return;
        }
        let Some(mesh) = self.mesh() else { return };
        if mesh.is_draining() {
            // All of the node's services are withdrawn then.
            return;
        }
        if let Err(error) = mesh.set_advertised(&self.name, takes_calls) {
            tracing::error!(service = %self.name, %error, "others are not told of a service");
        }
    }
}
