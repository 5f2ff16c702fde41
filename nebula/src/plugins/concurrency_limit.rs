//! So many calls at once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::live::{Live, known};
use crate::config::{Invalid, Schema};
use crate::plugin::{Around, Host, Plugin, Refusal, Updated};
use crate::{Children, Result};

/// When it may be worth while to ask again, where nobody knows how long calls take.
const RETRY_AFTER_MS: u32 = 10;

/// Lets so many calls run at once, and refuses the others as
/// [`Overloaded`](crate::CallError::Overloaded): they have not been executed. Nothing waits; where
/// calls shall wait for their turn, the attributes `max_concurrent` and `queue` of the contract are
/// what is needed. Unlike those, this can be changed while the service runs.
///
/// A call counts from here to its end, whatever that is: what stands above this plugin does not
/// count, and one that an upper plugin answers or refuses is not seen. What it starts beside itself
/// and leaves behind does not count either.
///
/// Its section of the configuration, [`ConcurrencyLimitConfig`], is `[plugins.concurrency_limit]`. A
/// smaller number ends no call; no new ones begin until enough have ended.
///
/// ```
/// use nebula::plugins::ConcurrencyLimit;
///
/// let limit = ConcurrencyLimit::new(100).method("search", 8);
/// # drop(limit);
/// ```
#[derive(Debug)]
pub struct ConcurrencyLimit {
    live: Live<ConcurrencyLimitConfig>,
    running: Mutex<Running>,
}

/// What `[plugins.concurrency_limit]` may say.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ConcurrencyLimitConfig {
    /// How many calls of all methods together; at least one, and any number unless set.
    pub limit: Option<u32>,
    /// How many calls of single methods, besides; at least one.
    pub methods: BTreeMap<String, u32>,
    /// What those who are refused are told to wait, in milliseconds; 10 unless set.
    pub retry_after_ms: u32,
}

impl ConcurrencyLimitConfig {
    fn check(&self) -> Result<(), Invalid> {
        let none = "one call at least must get through";
        if self.limit == Some(0) {
            return Err(Invalid::new("limit", none));
        }
        match self.methods.iter().find(|(_, limit)| **limit == 0) {
            Some((method, _)) => Err(Invalid::new(format!("methods.{method}"), none)),
            None => Ok(()),
        }
    }

    fn refuse(&self) -> Refusal {
        let retry_after = Duration::from_millis(self.retry_after_ms.into());
        Refusal::Overloaded { retry_after }
    }
}

/// How many calls run. All are counted, since a limit may be set while they do.
#[derive(Debug, Default)]
struct Running {
    all: u32,
    by_method: BTreeMap<&'static str, u32>,
}

/// A call that is counted until this is dropped.
struct Place<'p>(&'p ConcurrencyLimit, &'static str);

impl ConcurrencyLimit {
    /// So many calls of all methods together, at least one.
    pub fn new(calls: u32) -> Self {
        Self::of(Some(calls))
    }

    /// Any number of calls, but for the [methods](Self::method) that are named.
    pub fn by_method() -> Self {
        Self::of(None)
    }

    fn of(limit: Option<u32>) -> Self {
        let methods = BTreeMap::new();
        let config = ConcurrencyLimitConfig { limit, methods, retry_after_ms: RETRY_AFTER_MS };
        Self { live: Live::new(config), running: Mutex::default() }
    }

    /// So many calls of the method of this wire name, at least one. With a name that the service
    /// does not have, it does not start.
    #[must_use]
    pub fn method(mut self, name: impl Into<String>, calls: u32) -> Self {
        self.live = self.live.with(|config| {
            config.methods.insert(name.into(), calls);
        });
        self
    }

    fn enter(&self, method: &'static str) -> Result<Place<'_>, Refusal> {
        let config = self.live.now();
        let mut running = self.running();
        let of_method = running.by_method.get(method).copied().unwrap_or(0);
        let is_full = |limit: Option<&u32>, running| limit.is_some_and(|limit| running >= *limit);
        if is_full(config.limit.as_ref(), running.all)
            || is_full(config.methods.get(method), of_method)
        {
            return Err(config.refuse());
        }
        running.all += 1;
        running.by_method.insert(method, of_method + 1);
        Ok(Place(self, method))
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[crate::plugin(crate = "crate")]
impl Plugin for ConcurrencyLimit {
    fn name(&self) -> Cow<'static, str> {
        "concurrency_limit".into()
    }

    fn config(&self) -> Option<Schema> {
        self.live.schema(ConcurrencyLimitConfig::check)
    }

    async fn start(&self, host: &Host) -> Result<Children> {
        self.updated(host).await?;
        Ok(Children::new())
    }

    async fn updated(&self, host: &Host) -> Result<Updated> {
        if let Some(config) = host.config::<ConcurrencyLimitConfig>() {
            known(host, config.methods.keys())?;
        }
        self.live.refresh(host);
        Ok(Updated::Kept)
    }

    async fn around(&self, mut call: Around<'_>) -> Result<(), Refusal> {
        let _place = self.enter(call.method())?;
        call.next().await
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Self(limit, method) = self;
        let mut running = limit.running();
        running.all = running.all.saturating_sub(1);
        if let Some(of_method) = running.by_method.get_mut(method) {
            *of_method = of_method.saturating_sub(1);
        }
    }
}
