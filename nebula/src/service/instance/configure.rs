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

    async fn change_config(&self, _turn: Turn<'_>, change: Change) -> Result<(), ServiceError> {
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
                    self.take_back(told.iter().take(at), &[], &reporter).await?;
                    return Err(ServiceError::Plugin { name: seat.name().to_string(), message });
                }
            }
        }
        self.hold(&restart);
        for (at, seat) in restart.iter().enumerate() {
            seat.stop(self.whose(), HOOK).await;
            if let Err(message) = self.bring_up(seat, &reporter).await {
                self.config().roll_back(committed)?;
                let restarted = restart.get(..at).unwrap_or_default();
                self.take_back(told.iter(), restarted, &reporter).await?;
                self.resume();
                return Err(ServiceError::Plugin { name: seat.name().to_string(), message });
            }
        }
        self.resume();
        Ok(())
    }

    /// Has plugins go back to the configuration that they had, which is in force again: those that
    /// were started again with the other one, and the one that did not start, by a start; the others
    /// are told.
    async fn take_back(
        &self,
        told: impl Iterator<Item = &Arc<Seat>>,
        restarted: &[Arc<Seat>],
        reporter: &Reporter,
    ) -> Result<(), ServiceError> {
        for seat in told {
            if restarted.iter().any(|other| Arc::ptr_eq(other, seat)) {
                seat.stop(self.whose(), HOOK).await;
            }
            if !seat.is_up() {
                let started = self.bring_up(seat, reporter).await;
                started.map_err(|message| self.given_up(seat, reporter, message))?;
            } else if let Err(message) = self.updated(seat).await {
                tracing::error!(service = %self.name, plugin = %seat.name(), %message,
                    "a plugin does not take its former configuration");
            }
        }
        Ok(())
    }

    async fn updated(&self, seat: &Seat) -> Result<Updated, String> {
        let Link { plugin, host } = &seat.link;
        let updated = self.whose().call(HOOK, async { plugin.updated(host).await }).await?;
        updated.map_err(|error| format!("{error:#}"))
    }
}
