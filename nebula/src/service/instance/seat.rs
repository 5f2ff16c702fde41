//! A plugin in its place in a service: started or not, with its children.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::service::children::Supervised;
use crate::service::lifecycle::body::Reporter;
use crate::service::plugin::Hooks;
use crate::service::plugin::chain::Link;

/// A plugin of one service.
pub(super) struct Seat {
    pub(super) link: Link,
    /// None while it is not started.
    up: Mutex<Option<Supervised>>,
}

impl Seat {
    pub(super) fn new(link: Link) -> Arc<Self> {
        Arc::new(Self { link, up: Mutex::new(None) })
    }

    pub(super) fn name(&self) -> &Arc<str> {
        self.link.host.name()
    }

    pub(super) fn has(&self, hook: Hooks) -> bool {
        self.link.plugin.hooks().has(hook)
    }

    /// Starts it with its children, whose failure is told to `reporter`. Between its hook and its
    /// entry here nothing is awaited.
    pub(super) async fn start(&self, reporter: &Reporter) -> Result<(), String> {
        let Link { plugin, host } = &self.link;
        let children = match self.has(Hooks::START) {
            true => plugin.start(host).await.map_err(|error| format!("{error:#}"))?,
            false => Default::default(),
        };
        let (name, reporter) = (Arc::clone(self.name()), reporter.clone());
        let up = children.supervise(self.name(), move |reason| {
            reporter.failed(format!("the plugin `{name}`"), reason);
        });
        *self.up() = Some(up);
        Ok(())
    }

    /// Stops it and then its children, if it is started.
    pub(super) async fn stop(&self) {
        let Some(children) = self.up().take() else { return };
        let Link { plugin, host } = &self.link;
        if self.has(Hooks::STOP)
            && let Err(error) = plugin.stop(host).await
        {
            let (service, plugin) = (host.service(), self.name());
            tracing::warn!(service, %plugin, %error, "a plugin did not stop well");
        }
        children.stop().await;
    }

    pub(super) fn is_up(&self) -> bool {
        self.up().is_some()
    }

    fn up(&self) -> MutexGuard<'_, Option<Supervised>> {
        self.up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
