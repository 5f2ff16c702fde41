//! A limit on how long the method takes, set by the service.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::live::{Live, known};
use crate::config::{Invalid, Schema};
use crate::plugin::{Around, Host, Plugin, Refusal, Updated};
use crate::{Children, Result};

/// The longest limit, in milliseconds: what a call may take at most.
const LONGEST_MS: u64 = 24 * 60 * 60 * 1000;

/// Ends calls that take longer than the service wants them to: the body is dropped at its next
/// await, and the call ends as [`Deadline`](crate::CallError::Deadline). The method has begun then,
/// and the error says so: what it had changed by then stays changed.
///
/// The time counts from here, so that waiting at the gates is not in it, and a body that
/// [extends](crate::Context::extend) its call gets no more of it. The caller's own deadline holds
/// besides: a limit never lengthens it. Calls made inside the body end with it; the time left that
/// they see is that of the caller.
///
/// Its section of the configuration, [`TimeoutConfig`], is `[plugins.timeout]`. A change holds for
/// the calls that begin after it.
///
/// ```
/// use std::time::Duration;
/// use nebula::plugins::Timeout;
///
/// let limit = Timeout::new(Duration::from_secs(5)).method("report", Duration::from_secs(60));
/// # drop(limit);
/// ```
#[derive(Debug)]
pub struct Timeout {
    live: Live<TimeoutConfig>,
}

/// What `[plugins.timeout]` may say. Times are in milliseconds, from one to 24 hours.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct TimeoutConfig {
    /// That of methods that have none of their own; no limit unless set.
    pub limit_ms: Option<u64>,
    /// Those of single methods, in the place of that for all.
    pub methods: BTreeMap<String, u64>,
}

impl TimeoutConfig {
    fn check(&self) -> Result<(), Invalid> {
        let fault = |key: String, limit: Option<&u64>| match limit {
            Some(limit) if !(1..=LONGEST_MS).contains(limit) => {
                Some(Invalid::new(key, "it must be from 1 to 86400000 (24 hours)"))
            }
            _ => None,
        };
        let of_methods = self.methods.iter();
        let mut faults = of_methods
            .filter_map(|(method, limit)| fault(format!("methods.{method}"), Some(limit)));
        let fault = fault("limit_ms".into(), self.limit_ms.as_ref()).or_else(|| faults.next());
        fault.map_or(Ok(()), Err)
    }

    fn of(&self, method: &str) -> Option<Duration> {
        let limit = self.methods.get(method).copied().or(self.limit_ms)?;
        Some(Duration::from_millis(limit))
    }
}

impl Timeout {
    /// So long for each method that has no limit of its own; in whole milliseconds, from one to 24
    /// hours.
    pub fn new(limit: Duration) -> Self {
        Self::of(Some(millis(limit)))
    }

    /// No limit, but for the [methods](Self::method) that are named.
    pub fn by_method() -> Self {
        Self::of(None)
    }

    fn of(limit_ms: Option<u64>) -> Self {
        Self { live: Live::new(TimeoutConfig { limit_ms, methods: BTreeMap::new() }) }
    }

    /// So long for the method of this wire name, in the place of the limit for all. With a name that
    /// the service does not have, it does not start.
    #[must_use]
    pub fn method(mut self, name: impl Into<String>, limit: Duration) -> Self {
        self.live = self.live.with(|config| {
            config.methods.insert(name.into(), millis(limit));
        });
        self
    }
}

fn millis(limit: Duration) -> u64 {
    u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)
}

#[crate::plugin(crate = "crate")]
impl Plugin for Timeout {
    fn name(&self) -> Cow<'static, str> {
        "timeout".into()
    }

    fn config(&self) -> Option<Schema> {
        self.live.schema(TimeoutConfig::check)
    }

    async fn start(&self, host: &Host) -> Result<Children> {
        self.updated(host).await?;
        Ok(Children::new())
    }

    async fn updated(&self, host: &Host) -> Result<Updated> {
        if let Some(config) = host.config::<TimeoutConfig>() {
            known(host, config.methods.keys())?;
        }
        self.live.refresh(host);
        Ok(Updated::Kept)
    }

    async fn around(&self, mut call: Around<'_>) -> Result<(), Refusal> {
        let Some(limit) = self.live.now().of(call.method()) else { return call.next().await };
        match tokio::time::timeout(limit, call.next()).await {
            Ok(ended) => ended,
            Err(_) => Err(Refusal::Expired),
        }
    }
}
