//! A plugin in its place in a service: started or not, with its children.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::service::children::{GaveUp, RunningChildren};
use crate::service::lifecycle::body::Reporter;
use crate::service::lifecycle::hooks::Service as Whose;
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

    /// Starts it with its children, whose failure is told to `reporter`. Between its hook, which may
    /// take that long, and its entry here nothing is awaited.
    pub(super) async fn start(
        &self,
        whose: Whose,
        limit: Duration,
        reporter: &Reporter,
    ) -> Result<(), String> {
        let Link { plugin, host } = &self.link;
        let children = match self.has(Hooks::START) {
            true => {
                let started = whose.call(limit, async { plugin.start(host).await }).await?;
                started.map_err(|error| format!("{error:#}"))?
            }
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
                self.stop_plugin(whose, limit).await;
                Err(error.to_string())
            }
        }
    }

    /// Stops it and then its children, if it is started. Its hook may take that long; each child has
    /// its grace after that.
    pub(super) async fn stop(&self, whose: Whose, limit: Duration) {
        // Taken at once, so that it is stopped once.
        let Some(children) = self.take() else { return };
        self.stop_plugin(whose, limit).await;
        children.stop(limit).await;
    }

    async fn stop_plugin(&self, whose: Whose, limit: Duration) {
        let Link { plugin, host } = &self.link;
        if !self.has(Hooks::STOP) {
            return;
        }
        // Whatever becomes of it, the others are stopped as well.
        let reason = match whose.call(limit, async { plugin.stop(host).await }).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("{error:#}"),
            Err(why) => why,
        };
        tracing::warn!(service = host.service(), plugin = %self.name(), %reason, "a plugin did not stop well");
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
