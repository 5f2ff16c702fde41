//! What the lifecycle of a service drives.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};

use super::Instance;
use crate::service::lifecycle::ServiceStatus;
use crate::service::lifecycle::body::{Body, Cause, NotReady, Reporter};
use crate::service::plugin::Hooks;
use crate::service::plugin::chain::Link;

impl Body for Instance {
    fn start(&self, reporter: Reporter) -> BoxFuture<'_, Result<(), Cause>> {
        async move {
            let _managing = self.managing.lock().await;
            for seat in self.seats().iter().rev() {
                let failed = |message| Cause::new(format!("the plugin `{}`", seat.name()), message);
                self.bring_up(seat, &reporter).await.map_err(failed)?;
            }
            // From here on what is added is started at once; not while the start may still fail.
            self.crew().reporter = Some(reporter);
            self.resume();
            Ok(())
        }
        .boxed()
    }

    fn stop(&self, limit: Duration) -> BoxFuture<'_, ()> {
        async move {
            let _managing = self.managing.lock().await;
            self.crew().reporter = None;
            for seat in self.seats() {
                seat.stop(self.whose(), limit).await;
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
        let (old, new) = (old.clone(), new.clone());
        async move {
            for seat in self.seats().iter().filter(|seat| seat.has(Hooks::STATUS)) {
                let Link { plugin, host } = &seat.link;
                let told = async { plugin.status_changed(host, &old, &new).await };
                // Whatever becomes of it, the others hear of it as well.
                if let Err(why) = self.whose().call(limit, told).await {
                    tracing::error!(service = %self.name, plugin = %seat.name(),
                        "a status hook did not end: {why}");
                }
            }
        }
        .boxed()
    }

    fn watches_readiness(&self) -> bool {
        self.seats().iter().any(|seat| seat.has(Hooks::READY))
    }

    fn ready(&self, limit: Duration) -> BoxFuture<'_, Vec<NotReady>> {
        self.ask(Hooks::READY, limit, |Link { plugin, host }| plugin.ready(host)).boxed()
    }

    fn drained(&self, limit: Duration) -> BoxFuture<'_, Vec<NotReady>> {
        self.ask(Hooks::DRAINED, limit, |Link { plugin, host }| plugin.drained(host)).boxed()
    }

    fn idle(&self) -> BoxFuture<'_, ()> {
        async move {
            if let Some(core) = self.core.get() {
                core.idle().await;
            }
        }
        .boxed()
    }

    fn load(&self) -> (usize, usize) {
        self.core.get().map_or((0, 0), |core| {
            let waiting = core.queued();
            (core.load().saturating_sub(waiting), waiting)
        })
    }
}

impl Instance {
    /// Who says no in this hook, and why; all are asked at once, and each answers for itself.
    async fn ask(
        &self,
        hook: Hooks,
        limit: Duration,
        ask: impl Fn(&Link) -> BoxFuture<'_, Result<(), String>>,
    ) -> Vec<NotReady> {
        let mut seats = self.seats();
        seats.retain(|seat| seat.has(hook));
        let asked = seats.iter().map(async |seat| {
            let said = self.whose().call(limit, async { ask(&seat.link).await }).await;
            said.flatten().err().map(|reason| NotReady::new(seat.name().clone(), reason))
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

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
