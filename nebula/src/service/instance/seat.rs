//! A plugin in its place in a service: started or not, with its children.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;

use crate::service::children::{GaveUp, RunningChildren};
use crate::service::input::panic_message;
use crate::service::lifecycle::ServiceStatus;
use crate::service::lifecycle::body::Reporter;
use crate::service::plugin::Hooks;
use crate::service::plugin::chain::Link;

/// A plugin of one service.
pub(super) struct Seat {
    pub(super) link: Link,
    state: Mutex<State>,
}

enum State {
    Down,
    /// With whether the end of its children is a failure of the service.
    Up(RunningChildren, Arc<AtomicBool>),
    /// Its node is gone: it is not started any more.
    Gone,
}

impl Seat {
    pub(super) fn new(link: Link) -> Arc<Self> {
        Arc::new(Self { link, state: Mutex::new(State::Down) })
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
        let heard = Arc::new(AtomicBool::new(true));
        let counts = Arc::clone(&heard);
        let gave_up = move |why: GaveUp| {
            if counts.load(SeqCst) {
                reporter.failed(format!("the plugin `{name}`"), why.to_string());
            }
        };
        match children.start(Arc::clone(self.name()), gave_up) {
            Ok(children) => {
                let mut state = self.state();
                if let State::Gone = *state {
                    return Err("its node is gone".into());
                }
                *state = State::Up(children, heard);
                Ok(())
            }
            Err(error) => {
                self.stop_plugin().await;
                Err(error.to_string())
            }
        }
    }

    /// Stops it and then its children, if it is started.
    pub(super) async fn stop(&self) {
        // Taken at once, so that it is stopped once.
        let Some(children) = self.take() else { return };
        self.stop_plugin().await;
        children.stop().await;
    }

    async fn stop_plugin(&self) {
        let Link { plugin, host } = &self.link;
        if !self.has(Hooks::STOP) {
            return;
        }
        // Whatever becomes of it, the others are stopped as well.
        let stopped = AssertUnwindSafe(plugin.stop(host)).catch_unwind().await;
        let reason = match stopped {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("{error:#}"),
            Err(panic) => format!("it panicked: {}", panic_message(panic)),
        };
        tracing::warn!(service = host.service(), plugin = %self.name(), %reason, "a plugin did not stop well");
    }

    /// Tells it of a change of the service's status.
    pub(super) async fn status_changed(&self, old: &ServiceStatus, new: &ServiceStatus) {
        let Link { plugin, host } = &self.link;
        if !self.has(Hooks::STATUS) {
            return;
        }
        // Whatever becomes of it, the others hear of it as well.
        let told = AssertUnwindSafe(plugin.status_changed(host, old, new)).catch_unwind().await;
        if let Err(panic) = told {
            let message = panic_message(panic);
            tracing::error!(service = host.service(), plugin = %self.name(), %message, "a status hook panicked");
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(*self.state(), State::Up(..))
    }

    /// Aborts its children without a word to it.
    pub(super) fn abandon(&self) {
        let before = std::mem::replace(&mut *self.state(), State::Gone);
        // What goes with them may look here.
        drop(before);
    }

    fn take(&self) -> Option<RunningChildren> {
        let mut state = self.state();
        match std::mem::replace(&mut *state, State::Down) {
            State::Up(children, heard) => {
                // They may end by what its stop hook does.
                heard.store(false, SeqCst);
                Some(children)
            }
            other => {
                *state = other;
                None
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
