//! What can be added to a service without touching it: hooks on its calls and on its life.
//!
//! A plugin implements what it needs of [`Plugin`]; all hooks have defaults that do nothing. The
//! plugins of a service stand in one [order](Order), the service's own hooks on top. Of each call,
//! local or remote, all `before` hooks run first, top first; then the `around` hooks, each inside
//! the one above it; then the method; and at the very end, whatever the end is, the `after` hooks,
//! the lowest first.
//!
//! ```
//! use nebula::plugin;
//! use nebula::plugin::{Inbound, Plugin, Refusal};
//!
//! /// Lets nobody delete anything.
//! struct ReadOnly;
//!
//! #[plugin] // Its hooks are those that it writes: `before`.
//! impl Plugin for ReadOnly {
//!     fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
//!         match call.method() {
//!             "delete" => Err(Refusal::denied("nothing is deleted here")),
//!             _ => Ok(()),
//!         }
//!     }
//! }
//! # assert_eq!(ReadOnly::HOOKS, nebula::plugin::Hooks::BEFORE);
//! ```
//!
//! Those that most services need are in [`plugins`](crate::plugins).

mod around;
pub(crate) mod chain;
pub(crate) mod erased;
mod finished;
mod hooks;
mod host;
mod inbound;
pub(crate) mod order;
pub(crate) mod refusal;
pub(crate) mod run;

use std::borrow::Cow;

use crate::Result;
use crate::config::Schema;
use crate::service::children::Children;
use crate::service::lifecycle::ServiceStatus;

pub use around::Around;
pub use finished::{Ended, Finished};
pub use hooks::Hooks;
pub use host::Host;
pub use inbound::{Inbound, WrongType};
pub use order::{MAX_PLUGINS, Order, OrderError};
pub use refusal::Refusal;

/// What can be added to a service: see [the module](self).
pub trait Plugin: Send + Sync + 'static {
    /// Which hooks it has. What is not named here is not called, and costs nothing; a plugin that
    /// says nothing is taken to have them all. [`#[plugin]`](macro@crate::plugin) on the `impl` names
    /// those that are written.
    const HOOKS: Hooks = Hooks::ALL;

    /// Its name: one service has no two plugins of one name. The name of its type unless it says
    /// otherwise.
    fn name(&self) -> Cow<'static, str> {
        type_name::<Self>().into()
    }

    /// Its place among the other plugins of the service.
    fn order(&self) -> Order {
        Order::new()
    }

    /// What its section of the configuration is, if it has one: `[plugins.name]`, where `name` is its
    /// own. In force it is [`Host::config`].
    fn config(&self) -> Option<Schema> {
        None
    }

    /// Brings it up, after those that it comes after. What it returns is supervised until it stops.
    ///
    /// It may take 60 s, unless the service [says otherwise](crate::Service::start_limit); after that
    /// it is dropped, and has failed.
    ///
    /// # Errors
    ///
    /// The service has failed then: what was started before is stopped, and all is tried again
    /// later.
    fn start(&self, host: &Host) -> impl Future<Output = Result<Children>> + Send {
        let _ = host;
        async { Ok(Children::new()) }
    }

    /// Takes it down, before those that it comes after: once for each start that succeeded. Its
    /// children are stopped after it. It may take 60 s; after that it is dropped, and counts as
    /// stopped.
    ///
    /// # Errors
    ///
    /// They are logged; it counts as stopped all the same.
    fn stop(&self, host: &Host) -> impl Future<Output = Result<()>> + Send {
        let _ = host;
        async { Ok(()) }
    }

    /// Whether it is ready for calls. Asked every second while the service runs; one that is not
    /// ready is offered to nobody. It may take 1 s; after that it is dropped, and counts as not
    /// ready.
    ///
    /// # Errors
    ///
    /// What it waits for, in its own words.
    fn ready(&self, host: &Host) -> impl Future<Output = Result<(), String>> + Send {
        let _ = host;
        async { Ok(()) }
    }

    /// Whether what it does beside calls has come to an end, asked while the service drains.
    ///
    /// # Errors
    ///
    /// What it still has to do, in its own words.
    fn drained(&self, host: &Host) -> impl Future<Output = Result<(), String>> + Send {
        let _ = host;
        async { Ok(()) }
    }

    /// Hears of each change of the service's status, always and in order. The service goes on when
    /// all have heard of it; each may take 5 s, after which it is dropped.
    fn status_changed(
        &self,
        host: &Host,
        old: &ServiceStatus,
        new: &ServiceStatus,
    ) -> impl Future<Output = ()> + Send {
        let _ = (host, old, new);
        async {}
    }

    /// Its section of the configuration has changed; the new one is in force. It may take 60 s; after
    /// that it is dropped, and has failed.
    ///
    /// # Errors
    ///
    /// The change is taken back as a whole, and who made it gets the error.
    fn updated(&self, host: &Host) -> impl Future<Output = Result<Updated>> + Send {
        let _ = host;
        async { Ok(Updated::Kept) }
    }

    /// Sees each call before the method runs: it may change the arguments, answer, or refuse.
    ///
    /// It must not block: it runs where the call arrives.
    ///
    /// # Errors
    ///
    /// Refuses the call, which has not been executed.
    fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
        let _ = call;
        Ok(())
    }

    /// Wraps each call: what is below it, the method last, runs in [`Around::next`]. One that does
    /// not go on must answer or refuse.
    ///
    /// # Errors
    ///
    /// Refuses the call. It counts as executed if the method has run by then.
    fn around(&self, mut call: Around<'_>) -> impl Future<Output = Result<(), Refusal>> + Send {
        async move { call.next().await }
    }

    /// Sees the end of each call, once, whatever it is: also of one that was refused, that panicked,
    /// or that nobody waits for any more.
    fn after(&self, call: &mut Finished<'_>) {
        let _ = call;
    }
}

/// What a plugin makes of another configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Updated {
    /// It goes on with it.
    Kept,
    /// It, and nobody else, is to be stopped and started. If calls pass it, none begins meanwhile:
    /// they are refused as not executed, and go on to other nodes.
    Restart,
}

/// The last part of the name of a type.
fn type_name<T: ?Sized>() -> &'static str {
    let name = std::any::type_name::<T>();
    let plain = name.split('<').next().unwrap_or(name);
    plain.rsplit("::").next().unwrap_or(plain)
}
