//! The plugins of a service in their order, and for each hook of calls those that have it.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::erased::Erased;
use super::run::Values;
use super::{Ended, Finished, Hooks, Host, Inbound, Refusal};
use crate::context::Context;
use crate::service::info::MethodInfo;
use crate::service::input::panic_message;

/// A plugin, and the service as it sees it.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) plugin: Arc<dyn Erased>,
    pub(crate) host: Host,
}

/// The end of a call, for all who see it.
pub(super) struct Seen<'c> {
    pub(super) method: &'static MethodInfo,
    pub(super) cx: &'c Context,
    pub(super) elapsed: Duration,
    pub(super) ended: Ended<'c>,
    pub(super) values: Option<&'c mut (dyn Values + 'static)>,
}

/// Plugins in their order. It never changes: a service whose plugins do gets another chain, and the
/// calls under way keep theirs.
#[derive(Default)]
pub(crate) struct Chain {
    /// Top first.
    before: Box<[Link]>,
    /// Top first.
    around: Box<[Link]>,
    /// Lowest first.
    after: Box<[Link]>,
}

impl Chain {
    /// Of plugins in their order, top first.
    pub(crate) fn new(links: &[Link]) -> Self {
        let having = |hook| {
            let having = links.iter().filter(|link| link.plugin.hooks().has(hook)).cloned();
            having.collect::<Vec<_>>()
        };
        let mut after = having(Hooks::AFTER);
        after.reverse();
        let (before, around) = (having(Hooks::BEFORE), having(Hooks::AROUND));
        Self { before: before.into(), around: around.into(), after: after.into() }
    }

    /// Those that wrap calls, top first.
    pub(super) fn around(&self) -> &[Link] {
        &self.around
    }

    /// Whether calls pass it without notice.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.before.is_empty() && !self.lasts()
    }

    /// Whether it has hooks that outlast the beginning of a call.
    #[inline]
    pub(crate) fn lasts(&self) -> bool {
        !self.around.is_empty() || !self.after.is_empty()
    }

    /// Shows the beginning of a call to those that want to see it, until one answers or refuses.
    pub(super) fn before(
        &self,
        method: &'static MethodInfo,
        cx: &mut Context,
        values: &mut (dyn Values + 'static),
    ) -> Result<(), Refusal> {
        let at = Cell::new(0);
        let shown = catch_unwind(AssertUnwindSafe(|| {
            for Link { plugin, host } in &self.before {
                let (cx, values) = (&mut *cx, &mut *values);
                plugin.before(&mut Inbound { method, cx, host, values })?;
                if values.reply().is_some() {
                    break;
                }
                at.set(at.get() + 1);
            }
            Ok(())
        }));
        shown.unwrap_or_else(|panic| {
            let name = self.before.get(at.get()).map(|link| link.plugin.name()).unwrap_or_default();
            let message = panic_message(panic);
            Err(Refusal::Failed(format!("the plugin `{name}` panicked: {message}")))
        })
    }

    /// Shows the end of a call to all that want to see it.
    pub(super) fn after(&self, end: &mut Seen<'_>) {
        let Seen { method, cx, elapsed, ended, values } = end;
        for Link { plugin, host } in &self.after {
            let values = values.as_deref_mut();
            let mut finished =
                Finished { method, cx, host, elapsed: *elapsed, ended: *ended, values };
            let shown = catch_unwind(AssertUnwindSafe(|| plugin.after(&mut finished)));
            if let Err(panic) = shown {
                let (plugin, message) = (plugin.name(), panic_message(panic));
                tracing::error!(%plugin, %message, "a plugin panicked after a call");
            }
        }
    }

    /// Whether somebody wants to see the ends of calls.
    pub(super) fn sees_ends(&self) -> bool {
        !self.after.is_empty()
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names =
            |links: &[Link]| links.iter().map(|link| link.plugin.name()).collect::<Vec<_>>();
        f.debug_struct("Chain")
            .field("before", &names(&self.before))
            .field("around", &names(&self.around))
            .field("after", &names(&self.after))
            .finish()
    }
}
