//! So many calls in a second.

mod buckets;

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::buckets::{Buckets, Rate};
use super::clock::Clock;
use super::live::Live;
use crate::config::{Invalid, Schema};
use crate::plugin::{Host, Inbound, Plugin, Refusal, Updated};
use crate::{Children, NodeId, Result};

/// Lets so many calls a second through, and refuses the others as
/// [`Overloaded`](crate::CallError::Overloaded): they have not been executed, and are told after
/// which time there is room again. Nothing waits.
///
/// It is a token bucket: after a pause as many calls as the *burst* says may come at once; in any
/// time `t` at most `burst + per_second × t` pass. With [`per_caller`](Self::per_caller) each node
/// that calls has a bucket of its own: 4096 of them; while there are more, those that came last
/// share one, as do callers without a node. Calls of the node itself count as well.
///
/// Its section of the configuration, [`RateLimitConfig`], is `[plugins.rate_limit]`, and may be
/// changed while the service runs: what was used up stays used up.
///
/// ```
/// use nebula::plugins::RateLimit;
///
/// let limit = RateLimit::per_second(500).burst(50).per_caller();
/// # drop(limit);
/// ```
#[derive(Debug)]
pub struct RateLimit {
    name: Cow<'static, str>,
    live: Live<RateLimitConfig>,
    clock: Clock,
    buckets: Mutex<Buckets<NodeId>>,
}

/// What `[plugins.rate_limit]` may say.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct RateLimitConfig {
    /// How many calls a second, on average: from 0.001 to a million.
    pub per_second: f64,
    /// How many at once after a pause: from one to a million; as many as in a second unless set, at
    /// least one.
    pub burst: Option<u32>,
    /// Whether each calling node has that for itself.
    pub per_caller: bool,
}

impl RateLimitConfig {
    fn rate(&self) -> Rate {
        let in_a_second = self.per_second.ceil() as u32;
        Rate::new(self.per_second, self.burst.unwrap_or(in_a_second))
    }

    fn check(&self) -> Result<(), Invalid> {
        if !(0.001..=1_000_000.0).contains(&self.per_second) {
            return Err(Invalid::new("per_second", "it must be from 0.001 to 1000000"));
        }
        if self.burst.is_some_and(|burst| !(1..=1_000_000).contains(&burst)) {
            return Err(Invalid::new("burst", "it must be from 1 to 1000000"));
        }
        Ok(())
    }
}

impl RateLimit {
    /// So many calls a second, from 0.001 to a million; with others the service does not start.
    pub fn per_second(calls: impl Into<f64>) -> Self {
        let config = RateLimitConfig { per_second: calls.into(), burst: None, per_caller: false };
        Self {
            name: "rate_limit".into(),
            live: Live::new(config),
            clock: Clock::default(),
            buckets: Mutex::default(),
        }
    }

    /// How many may come at once after a pause, from one to a million: as many as in a second unless
    /// set.
    #[must_use]
    pub fn burst(mut self, calls: u32) -> Self {
        self.live = self.live.with(|config| config.burst = Some(calls));
        self
    }

    /// Counts the calls of each node for themselves.
    #[must_use]
    pub fn per_caller(mut self) -> Self {
        self.live = self.live.with(|config| config.per_caller = true);
        self
    }

    /// Gives it another name than `rate_limit`, so that a service can have two of them: one for each
    /// caller, and one for all.
    #[must_use]
    pub fn named(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = name.into();
        self
    }
}

#[crate::plugin(crate = "crate")]
impl Plugin for RateLimit {
    fn name(&self) -> Cow<'static, str> {
        self.name.clone()
    }

    fn config(&self) -> Option<Schema> {
        self.live.schema(RateLimitConfig::check)
    }

    async fn start(&self, host: &Host) -> Result<Children> {
        self.live.refresh(host);
        Ok(Children::new())
    }

    async fn updated(&self, host: &Host) -> Result<Updated> {
        self.live.refresh(host);
        Ok(Updated::Kept)
    }

    fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
        let config = self.live.now();
        let caller = if config.per_caller { call.caller().map(|caller| caller.id) } else { None };
        let (rate, now) = (config.rate(), self.clock.nanos());
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.take(caller, &rate, now).map_err(|wait| {
            // The wire counts in microseconds: rounded up, lest they come back too soon.
            let retry_after = Duration::from_micros(wait.div_ceil(1000));
            Refusal::Overloaded { retry_after }
        })
    }
}
