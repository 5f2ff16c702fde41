//! Another configuration while a service lives: all of it, or nothing.

use std::sync::Arc;

use super::manage::{HOOK, Turn};
use super::seat::Seat;
use super::{Instance, ServiceError};
use crate::config::Patch;
use crate::service::config::{Change, Given, Part};
use crate::service::lifecycle::body::Reporter;
use crate::service::plugin::chain::Link;
use crate::service::plugin::{Hooks, Updated};

impl Instance {
    /// Puts values over the configuration. Each plugin whose section says something else then is
    /// told, and started again if it asks for it; if one does not take it, it is taken back, and
    /// those that did are told again.
    pub(super) async fn reconfigure(&self, patch: Patch) -> Result<(), ServiceError> {
        let turn = self.turn().await?;
        self.change_config(turn, Change::Layer(Given::runtime(patch)?)).await
    }

    /// Forgets what was said at run time.
    pub(super) async fn reset_config(&self) -> Result<(), ServiceError> {
        let turn = self.turn().await?;
        self.change_config(turn, Change::Reset).await
    }

    async fn change_config(&self, turn: Turn<'_>, change: Change) -> Result<(), ServiceError> {
        let changed = self.put_config(change).await;
        drop(turn);
        self.refresh_unasked().await;
        changed
    }

    async fn put_config(&self, change: Change) -> Result<(), ServiceError> {
        let planned = self.config().plan(vec![change])?;
        let changed = planned.changed().to_vec();
        let committed = self.config().commit(planned)?;
        let Some(reporter) = self.crew().reporter.clone() else { return Ok(()) };
        // Lowest first.
        let mut told = self.seats();
        told.reverse();
        told.retain(|seat| {
            let part = Part::Plugin(Arc::clone(seat.name()));
            seat.is_up() && seat.has(Hooks::UPDATED) && changed.contains(&part)
        });
        let mut restart = Vec::new();
        for (at, seat) in told.iter().enumerate() {
            match self.updated(seat).await {
                Ok(Updated::Kept) => {}
                Ok(Updated::Restart) => restart.push(Arc::clone(seat)),
                Err(message) => {
                    self.config().roll_back(committed)?;
                    let told = told.get(..at).unwrap_or_default();
                    self.take_back(told, &restart, 0, &reporter).await?;
                    return Err(ServiceError::Plugin { name: seat.name().to_string(), message });
                }
            }
        }
        let held = self.hold(&restart, &reporter);
        for (at, seat) in restart.iter().enumerate() {
            seat.stop(self.whose(), HOOK).await;
            if let Err(message) = self.bring_up(seat, &reporter).await {
                self.config().roll_back(committed)?;
                self.take_back(&told, &restart, at + 1, &reporter).await?;
                held.resume();
                return Err(ServiceError::Plugin { name: seat.name().to_string(), message });
            }
        }
        held.resume();
        Ok(())
    }

    /// Has plugins go back to the configuration that they had, which is in force again. Of those that
    /// asked to be started again, the first ones were, or did not start: they go back by a start. The
    /// others are told, and started again if they ask for it now and have taken the other one in.
    async fn take_back(
        &self,
        told: &[Arc<Seat>],
        asked: &[Arc<Seat>],
        started: usize,
        reporter: &Reporter,
    ) -> Result<(), ServiceError> {
        let mut again = Vec::new();
        for seat in told {
            let asked = asked.iter().position(|other| Arc::ptr_eq(other, seat));
            if asked.is_some_and(|at| at < started) {
                again.push(Arc::clone(seat));
                continue;
            }
            match self.updated(seat).await {
                Ok(Updated::Restart) if asked.is_none() => again.push(Arc::clone(seat)),
                Ok(_) => {}
                Err(message) => {
                    tracing::error!(service = %self.name, plugin = %seat.name(), %message,
                        "a plugin does not take its former configuration");
                }
            }
        }
        let held = self.hold(&again, reporter);
        for seat in &again {
            held.start_again(seat).await?;
        }
        held.resume();
        Ok(())
    }

    async fn updated(&self, seat: &Seat) -> Result<Updated, String> {
        let Link { plugin, host } = &seat.link;
        let updated = self.whose().call(HOOK, async { plugin.updated(host).await }).await?;
        updated.map_err(|error| format!("{error:#}"))
    }
}
