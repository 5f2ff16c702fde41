//! Plugins that are stopped and started again while their service is called.

use std::sync::Arc;

use super::manage::HOOK;
use super::seat::Seat;
use super::{Instance, ServiceError, any_has};
use crate::service::lifecycle::body::{Reporter, SERVICE};
use crate::service::plugin::Hooks;

/// Some plugins of a service on their way down and up. No call is let in meanwhile, if calls pass one
/// of them. Dropped before all are up again, it has the service fail.
pub(super) struct Held<'h> {
    instance: &'h Instance,
    seats: &'h [Arc<Seat>],
    reporter: &'h Reporter,
    is_over: bool,
}

impl Instance {
    /// Begins to start these again, which nobody else does meanwhile: who does has the turn.
    pub(super) fn hold<'h>(&'h self, seats: &'h [Arc<Seat>], reporter: &'h Reporter) -> Held<'h> {
        let passed = any_has(seats, &[Hooks::BEFORE, Hooks::AROUND, Hooks::AFTER]);
        if let Some(core) = self.core.get().filter(|_| passed) {
            core.hold();
        }
        Held { instance: self, seats, reporter, is_over: false }
    }

    /// The service fails, as a plugin that was stopped is not started again.
    fn give_up(&self, reporter: &Reporter, who: &str, message: &str) {
        // What is added now is started with the others, and nothing passes it before.
        self.crew().reporter = None;
        if let Some(core) = self.core.get() {
            core.hold();
        }
        reporter.failed(who, message);
    }
}

impl Held<'_> {
    /// Stops one of them and starts it. It may be down already.
    pub(super) async fn start_again(&self, seat: &Seat) -> Result<(), ServiceError> {
        let Self { instance, reporter, .. } = self;
        seat.stop(instance.whose(), HOOK).await;
        instance.bring_up(seat, reporter).await.map_err(|message| {
            instance.give_up(reporter, &format!("the plugin `{}`", seat.name()), &message);
            ServiceError::NotRestarted { name: seat.name().to_string(), message }
        })
    }

    /// All are up again.
    pub(super) fn resume(mut self) {
        self.is_over = true;
        self.instance.shut(self.seats);
        self.instance.resume();
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            // The first that is said counts.
            let message = "plugins were stopped, and not all of them started again";
            self.instance.give_up(self.reporter, SERVICE, message);
        }
    }
}
