//! A plugin whose type is hidden.

use std::any::TypeId;
use std::borrow::Cow;
use std::fmt;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Around, Finished, Hooks, Host, Inbound, Order, Plugin, Refusal, Updated};
use crate::config::Schema;
use crate::service::children::Children;
use crate::service::lifecycle::ServiceStatus;

/// What a chain holds of a plugin.
pub(crate) trait Erased: Send + Sync + 'static {
    /// Its type.
    fn kind(&self) -> TypeId;
    fn hooks(&self) -> Hooks;
    fn name(&self) -> Cow<'static, str>;
    fn order(&self) -> Order;
    fn config(&self) -> Option<Schema>;
    fn start<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, crate::Result<Children>>;
    fn stop<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, crate::Result<()>>;
    fn ready<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), String>>;
    fn drained<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), String>>;
    fn status_changed<'a>(
        &'a self,
        host: &'a Host,
        old: &'a ServiceStatus,
        new: &'a ServiceStatus,
    ) -> BoxFuture<'a, ()>;
    fn updated<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, crate::Result<Updated>>;
    fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal>;
    fn around<'a>(&'a self, call: Around<'a>) -> BoxFuture<'a, Result<(), Refusal>>;
    fn after(&self, call: &mut Finished<'_>);
}

impl<P: Plugin> Erased for P {
    fn kind(&self) -> TypeId {
        TypeId::of::<P>()
    }

    fn hooks(&self) -> Hooks {
        P::HOOKS
    }

    fn name(&self) -> Cow<'static, str> {
        Plugin::name(self)
    }

    fn order(&self) -> Order {
        Plugin::order(self)
    }

    fn config(&self) -> Option<Schema> {
        Plugin::config(self)
    }

    fn start<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, crate::Result<Children>> {
        Plugin::start(self, host).boxed()
    }

    fn stop<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, crate::Result<()>> {
        Plugin::stop(self, host).boxed()
    }

    fn ready<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), String>> {
        Plugin::ready(self, host).boxed()
    }

    fn drained<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), String>> {
        Plugin::drained(self, host).boxed()
    }

    fn status_changed<'a>(
        &'a self,
        host: &'a Host,
        old: &'a ServiceStatus,
        new: &'a ServiceStatus,
    ) -> BoxFuture<'a, ()> {
        Plugin::status_changed(self, host, old, new).boxed()
    }

    fn updated<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, crate::Result<Updated>> {
        Plugin::updated(self, host).boxed()
    }

    fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
        Plugin::before(self, call)
    }

    fn around<'a>(&'a self, call: Around<'a>) -> BoxFuture<'a, Result<(), Refusal>> {
        Plugin::around(self, call).boxed()
    }

    fn after(&self, call: &mut Finished<'_>) {
        Plugin::after(self, call);
    }
}

impl fmt::Debug for dyn Erased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("name", &self.name()).field("hooks", &self.hooks()).finish()
    }
}
