//! What a program holds of a service that lives.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Instance, ServiceError};
use crate::config::{Patch, Table, Watched};
use crate::nodes::ServiceInstance;
use crate::service::config::Part;
use crate::service::extensions::Extensions;
use crate::service::input::panic_message;
use crate::service::lifecycle::handle::Lifecycle;
use crate::service::lifecycle::{Admin, LifecycleError, NotReady, Running, ServiceStatus};
use crate::service::plugin::Plugin;
use crate::service::plugin::erased::Erased;

/// A service on a node of this process: reads its state, and changes it while it lives. A clone is
/// another handle of the same; dropping all of them does not stop the service.
///
/// What is asked here happens also if nobody waits for it any more. In a hook of the same service,
/// whatever would wait for hooks is refused; spawn a task for it.
#[derive(Clone)]
pub struct ServiceHandle {
    instance: Arc<Instance>,
    lifecycle: Lifecycle,
}

impl ServiceHandle {
    pub(super) fn new(instance: Arc<Instance>, lifecycle: Lifecycle) -> Self {
        Self { instance, lifecycle }
    }

    /// Ends it at once, wherever it is, without a word to anybody: its node is gone.
    pub(crate) fn abandon(&self) {
        self.lifecycle.abandon("its node is gone");
        self.instance.abandon();
    }

    /// Waits until it runs, or is paused if it was asked to be.
    pub(super) async fn started(&self) -> Result<(), ServiceError> {
        Ok(self.lifecycle.start().await?)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.instance.name()
    }

    /// What is said of it: its version, class and metadata, its methods, and its state, whatever
    /// that is. Never waits.
    pub fn info(&self) -> ServiceInstance {
        self.instance.profile.instance(self.instance.node_id, self.status())
    }

    /// Its state. Never waits.
    pub fn status(&self) -> Arc<ServiceStatus> {
        self.lifecycle.status()
    }

    /// Its state, and what it becomes. One who is slow sees the last one, not each.
    pub fn watch(&self) -> watch::Receiver<Arc<ServiceStatus>> {
        self.lifecycle.watch()
    }

    /// What it is. Costs one load.
    pub fn running(&self) -> Running {
        self.instance.cell().running()
    }

    /// What it is asked to be. Costs one load.
    pub fn admin(&self) -> Admin {
        self.instance.cell().admin()
    }

    /// Whether calls find it open: it runs, does not drain, and all plugins are ready. Costs two
    /// loads.
    pub fn accepts_calls(&self) -> bool {
        self.instance.takes_calls()
    }

    /// Whether it is in any state but failed.
    pub fn is_live(&self) -> bool {
        self.running() != Running::Failed
    }

    /// Who is not ready for calls, and why; nobody means ready.
    pub async fn readiness(&self) -> Vec<NotReady> {
        self.lifecycle.readiness().await
    }

    /// Asks for another state, says why, and waits until it is reached. One that is to be active is
    /// there when it runs and its plugins have been asked whether they are ready: it takes calls
    /// then, unless one said no.
    ///
    /// # Errors
    ///
    /// It failed, somebody asked for something else meanwhile, or it has been stopped for good.
    pub async fn set_admin(
        &self,
        admin: Admin,
        reason: impl Into<Arc<str>>,
    ) -> Result<(), ServiceError> {
        Ok(self.lifecycle.set_admin(admin, reason).await?)
    }

    /// Has it take calls. A paused service goes on with what it has started; one that has failed is
    /// started at once.
    ///
    /// # Errors
    ///
    /// As [`set_admin`](Self::set_admin).
    pub async fn activate(&self, reason: impl Into<Arc<str>>) -> Result<(), ServiceError> {
        self.set_admin(Admin::Active, reason).await
    }

    /// Has it refuse calls, as not executed, and keep all that it has started.
    ///
    /// # Errors
    ///
    /// As [`set_admin`](Self::set_admin). One that has failed is not paused; but it is not started
    /// again until it is activated.
    pub async fn pause(&self, reason: impl Into<Arc<str>>) -> Result<(), ServiceError> {
        self.set_admin(Admin::Paused, reason).await
    }

    /// Has it stop what it has started. It can be activated again.
    ///
    /// # Errors
    ///
    /// As [`set_admin`](Self::set_admin).
    pub async fn deactivate(&self, reason: impl Into<Arc<str>>) -> Result<(), ServiceError> {
        self.set_admin(Admin::Inactive, reason).await
    }

    /// Offers it to nobody any more, refuses new calls as not executed, and waits until those under
    /// way and the plugins have come to an end. [`activate`](Self::activate) takes it back.
    ///
    /// # Errors
    ///
    /// Says who still has work after `within`. It goes on draining: ask again.
    pub async fn drain(&self, within: Duration) -> Result<(), ServiceError> {
        Ok(self.lifecycle.drain(within).await?)
    }

    /// Drains it for its grace period, stops all that it has started, and takes it off the node for
    /// good. What implements it is dropped then, as soon as no call is under way. Of the first service
    /// of its name on the node, the plugins that it began with are kept until the node goes: what must
    /// end with the service belongs into its [`extensions`](Self::extensions).
    ///
    /// It is `Ok` also if the grace period was too short: a warning in the log, `stopped with work
    /// left`, says how many calls were not done, or which plugins. No call is broken off by that.
    /// Those that run go on to their ends, with the implementation they began with, while what the
    /// service had started has stopped, and while a new service of the name may have started. To know
    /// beforehand that nothing is left, [`drain`](Self::drain) it until that is `Ok`.
    ///
    /// # Errors
    ///
    /// It has been stopped before, or this is one of its own hooks.
    pub async fn stop(&self) -> Result<(), ServiceError> {
        let (instance, lifecycle) = (Arc::clone(&self.instance), self.lifecycle.clone());
        if instance.is_within_hook() {
            return Err(LifecycleError::WithinHook.into());
        }
        // It goes on if nobody waits for it.
        let stopping = tokio::spawn(async move {
            let stopped = lifecycle.stop("stop").await;
            instance.leave().await;
            stopped
        });
        let stopped = stopping.await;
        Ok(stopped.unwrap_or(Err(LifecycleError::Stopped))?)
    }

    /// The configuration in force, if it is of this type. Never waits.
    pub fn config<C: Send + Sync + 'static>(&self) -> Option<Arc<C>> {
        self.instance.config().get(&Part::Service)
    }

    /// The same, and what it becomes.
    pub fn watch_config<C: Send + Sync + 'static>(&self) -> Option<Watched<C>> {
        self.instance.config().watch(&Part::Service)
    }

    /// The configuration in force as a table, without the sections of the plugins. There may be
    /// secrets in it.
    pub fn config_table(&self) -> Option<Table> {
        self.instance.config().table(&Part::Service)
    }

    /// The configuration of a plugin, if it is of this type.
    pub fn plugin_config<C: Send + Sync + 'static>(&self, plugin: &str) -> Option<Arc<C>> {
        self.instance.config().get(&Part::Plugin(plugin.into()))
    }

    /// Puts values over the configuration: a text in TOML, a table, or a value by [`Patch::of`]. The
    /// sections of plugins are below `plugins`.
    ///
    /// # Errors
    ///
    /// Says what is wrong, a plugin that the service does not have among it, or which plugin does not
    /// take it. Nothing has changed then.
    pub async fn reconfigure(&self, patch: impl Into<Patch>) -> Result<(), ServiceError> {
        let (instance, patch) = (Arc::clone(&self.instance), patch.into());
        self.in_a_task(async move { instance.reconfigure(patch).await }).await
    }

    /// Forgets all that [`reconfigure`](Self::reconfigure) has put over the configuration.
    ///
    /// # Errors
    ///
    /// As [`reconfigure`](Self::reconfigure).
    pub async fn reset_config(&self) -> Result<(), ServiceError> {
        let instance = Arc::clone(&self.instance);
        self.in_a_task(async move { instance.reset_config().await }).await
    }

    /// Its plugins, top first.
    pub fn plugins(&self) -> Vec<String> {
        self.instance.plugin_names()
    }

    /// Adds a plugin, and those that it needs; false if there is one of its name, which stays. It is
    /// started, and asked whether it is ready, before calls pass it.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it. Nothing has changed then.
    pub async fn add_plugin(&self, plugin: impl Plugin) -> Result<bool, ServiceError> {
        self.add(Arc::new(plugin), None).await
    }

    /// The same with values for its section of the configuration, which are forgotten with the plugin
    /// and not by [`reset_config`](Self::reset_config).
    ///
    /// # Errors
    ///
    /// As [`add_plugin`](Self::add_plugin); so is a plugin that has no such section.
    pub async fn add_plugin_with(
        &self,
        plugin: impl Plugin,
        config: impl Into<Patch>,
    ) -> Result<bool, ServiceError> {
        self.add(Arc::new(plugin), Some(config.into())).await
    }

    async fn add(
        &self,
        plugin: Arc<dyn Erased>,
        config: Option<Patch>,
    ) -> Result<bool, ServiceError> {
        let instance = Arc::clone(&self.instance);
        self.in_a_task(async move { instance.add(plugin, config).await }).await
    }

    /// Takes a plugin out, and those that nobody needs any more. No call passes it from then on; it
    /// is stopped. What its section was given by [`reconfigure`](Self::reconfigure), or when it was
    /// added, is forgotten; what other layers say of it holds again if it is added again.
    ///
    /// # Errors
    ///
    /// There is none of this name, or another one needs it. Nothing has changed then.
    pub async fn remove_plugin(&self, name: impl Into<String>) -> Result<(), ServiceError> {
        let (instance, name) = (Arc::clone(&self.instance), name.into());
        self.in_a_task(async move { instance.remove(&name).await }).await
    }

    /// Puts a plugin in the place of the one of its name. The new one is started before the old one
    /// is stopped.
    ///
    /// # Errors
    ///
    /// There is none of its name, or another one needs that and this is of another type; or says
    /// what is wrong with this one. Nothing has changed then.
    pub async fn replace_plugin(&self, plugin: impl Plugin) -> Result<(), ServiceError> {
        let (instance, plugin) = (Arc::clone(&self.instance), Arc::new(plugin));
        self.in_a_task(async move { instance.replace(plugin).await }).await
    }

    /// Stops and starts one plugin with its children, and nothing else. No call is let in meanwhile if
    /// calls pass the plugin: they are refused as not executed, and go on to other nodes. One that was
    /// let in before may still come to the plugin. If it says whether it is ready, no call is let in
    /// before it has been asked.
    ///
    /// # Errors
    ///
    /// There is none of this name; or it does not start, and the service has failed.
    pub async fn restart_plugin(&self, name: impl Into<String>) -> Result<(), ServiceError> {
        let (instance, name) = (Arc::clone(&self.instance), name.into());
        self.in_a_task(async move { instance.restart_plugin(&name).await }).await
    }

    /// Values of the service that outlive pauses and starts, and end with it.
    pub fn extensions(&self) -> &Extensions {
        self.instance.extensions()
    }

    /// Has an operation made to its end, whether or not somebody waits for it.
    async fn in_a_task<T: Send + 'static>(
        &self,
        operation: impl Future<Output = Result<T, ServiceError>> + Send + 'static,
    ) -> Result<T, ServiceError> {
        // A task is not inside the hook that waits for it.
        if self.instance.is_within_hook() {
            return Err(LifecycleError::WithinHook.into());
        }
        match tokio::spawn(operation).await {
            Ok(done) => done,
            Err(ended) => match ended.try_into_panic() {
                // Plugins are asked what they are before anything is changed.
                Ok(panic) => Err(ServiceError::Panicked(panic_message(panic))),
                Err(_) => Err(LifecycleError::Stopped.into()),
            },
        }
    }
}

impl fmt::Debug for ServiceHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServiceHandle").field(&self.instance).finish()
    }
}
