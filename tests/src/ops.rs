//! What an operator asks of the ledger of one server while it is in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nebula::config::Schema;
use nebula::plugin::{Hooks, Host, Inbound, Plugin, Refusal, Updated};
use nebula::prelude::*;
use nebula::{Children, ServiceError, ServiceHandle};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::patience::PATIENCE;

/// Manages the ledger of the node that is asked. Errors are what the ledger said, in words.
#[service(global)]
pub trait Ops {
    /// Has it take no calls.
    #[api]
    async fn pause(&self) -> Result<(), String>;

    /// Has it take calls.
    #[api]
    async fn activate(&self) -> Result<(), String>;

    /// Has it take no calls, and waits for those under way.
    #[api]
    async fn drain(&self) -> Result<(), String>;

    /// Has it count its calls, each for as much as this says.
    #[api]
    async fn add_tally(&self, step: u64) -> Result<bool, String>;

    /// Has it count them no longer.
    #[api]
    async fn remove_tally(&self) -> Result<(), String>;

    /// Puts values over its configuration.
    #[api]
    async fn reconfigure(&self, toml: String) -> Result<(), String>;

    /// How many calls were counted, and for how much together.
    #[api(idempotent)]
    async fn tally(&self) -> (u64, u64);

    /// What it is, and the names of its plugins.
    #[api(idempotent)]
    async fn state(&self) -> Result<(String, Vec<String>), String>;
}

/// An operator that sits on the node of the ledger.
#[derive(Clone, Debug)]
pub struct Desk {
    ledger: watch::Sender<Option<ServiceHandle>>,
    counted: Arc<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    calls: AtomicU64,
    sum: AtomicU64,
}

impl Desk {
    /// One that has no ledger yet, and lets everybody wait for it.
    pub fn new() -> Self {
        Self { ledger: watch::Sender::new(None), counted: Arc::default() }
    }

    /// Says which ledger it is about.
    pub fn on(&self, ledger: Option<ServiceHandle>) {
        self.ledger.send_replace(ledger);
    }

    async fn ledger(&self) -> Result<ServiceHandle, String> {
        let mut watch = self.ledger.subscribe();
        let there = watch.wait_for(Option::is_some).await;
        there.ok().and_then(|ledger| ledger.clone()).ok_or_else(|| "there is no ledger".to_owned())
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

fn words<T>(result: Result<T, ServiceError>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

impl Ops for Desk {
    async fn pause(&self) -> Result<(), String> {
        words(self.ledger().await?.pause("by its operator").await)
    }

    async fn activate(&self) -> Result<(), String> {
        words(self.ledger().await?.activate("by its operator").await)
    }

    async fn drain(&self) -> Result<(), String> {
        words(self.ledger().await?.drain(PATIENCE).await)
    }

    async fn add_tally(&self, step: u64) -> Result<bool, String> {
        let tally = Tally { step: AtomicU64::new(0), counted: Arc::clone(&self.counted) };
        words(self.ledger().await?.add_plugin_with(tally, format!("step = {step}")).await)
    }

    async fn remove_tally(&self) -> Result<(), String> {
        words(self.ledger().await?.remove_plugin("Tally").await)
    }

    async fn reconfigure(&self, toml: String) -> Result<(), String> {
        words(self.ledger().await?.reconfigure(toml).await)
    }

    async fn tally(&self) -> (u64, u64) {
        let Counted { calls, sum } = &*self.counted;
        (calls.load(Ordering::SeqCst), sum.load(Ordering::SeqCst))
    }

    async fn state(&self) -> Result<(String, Vec<String>), String> {
        let ledger = self.ledger().await?;
        Ok((ledger.status().to_string(), ledger.plugins()))
    }
}

/// Counts calls.
struct Tally {
    step: AtomicU64,
    counted: Arc<Counted>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Step {
    step: u64,
}

impl Tally {
    fn take(&self, host: &Host) {
        let step = host.config::<Step>().map_or(0, |config| config.step);
        self.step.store(step, Ordering::SeqCst);
    }
}

impl Plugin for Tally {
    const HOOKS: Hooks = Hooks::START.and(Hooks::UPDATED).and(Hooks::BEFORE);

    fn config(&self) -> Option<Schema> {
        Some(Schema::new(Step { step: 1 }))
    }

    async fn start(&self, host: &Host) -> nebula::Result<Children> {
        self.take(host);
        Ok(Children::new())
    }

    async fn updated(&self, host: &Host) -> nebula::Result<Updated> {
        self.take(host);
        Ok(Updated::Kept)
    }

    fn before(&self, _: &mut Inbound<'_>) -> Result<(), Refusal> {
        self.counted.calls.fetch_add(1, Ordering::SeqCst);
        self.counted.sum.fetch_add(self.step.load(Ordering::SeqCst), Ordering::SeqCst);
        Ok(())
    }
}
