//! A span for each call.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing::field::{Empty, debug, display};
use tracing::{Instrument as _, Span};

use super::end::{outcome, reason};
use super::live::Live;
use crate::config::Schema;
use crate::plugin::{Around, Ended, Finished, Host, Inbound, Plugin, Refusal, Updated};
use crate::{Children, Result};

/// Runs each call in a span of the crate `tracing`, called `call`, of the target `nebula::call`: what
/// the method logs is inside it, on whatever thread it runs.
///
/// | field | is |
/// |---|---|
/// | `service`, `method` | wire names |
/// | `caller` | the name of the node that asks, as it announced it; not there without a node |
/// | `caller_id` | the first ten digits of its id, which is proved |
/// | `trace_id`, `span_id` | those of [`Context::trace`](crate::Context::trace), if the call belongs to a trace |
/// | `outcome` | once it has ended: `replied`, `failed` (the method's own `Err`), `denied`, `overloaded`, `unavailable`, `expired`, `broken` (a plugin failed), `panicked`, `cancelled` |
/// | `elapsed_us` | how long it ran within this plugin, in microseconds |
/// | `error` | why, if a plugin refused it |
///
/// Without any plugin a node shows a span of each call at the level `debug`, which joins the call to
/// what its caller shows (`nebula.serve`, in the guide on traces). This one is for one service, of a
/// level that may be changed while it runs, and says more of the end: how long the call ran, which
/// plugin's refusal ended it, and whether the reply is the method's own error. Where both are shown,
/// it stands in the other one, whose ids it says.
///
/// Arguments and replies are never in it. A call that is refused in a `before` hook, or by a plugin
/// above this one, has no span: each refusal is an event of the same target and level besides.
///
/// The level is `info` unless set. Its section of the configuration, [`TracingConfig`], is
/// `[plugins.tracing]`. Where nobody listens at that level, a call costs the check for that.
///
/// ```
/// use nebula::plugins::{Tracing, Verbosity};
///
/// let tracing = Tracing::new().level(Verbosity::Debug);
/// # drop(tracing);
/// ```
#[derive(Debug)]
pub struct Tracing {
    live: Live<TracingConfig>,
}

/// What `[plugins.tracing]` may say.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct TracingConfig {
    /// The level of the spans; `info` unless set.
    pub level: Verbosity,
}

/// A level of the crate `tracing`, or none.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verbosity {
    /// No spans.
    Off,
    /// `ERROR`
    Error,
    /// `WARN`
    Warn,
    /// `INFO`
    Info,
    /// `DEBUG`
    Debug,
    /// `TRACE`
    Trace,
}

impl Tracing {
    /// Spans of the level `info`.
    pub fn new() -> Self {
        Self { live: Live::new(TracingConfig { level: Verbosity::Info }) }
    }

    /// Spans of this level.
    #[must_use]
    pub fn level(mut self, level: Verbosity) -> Self {
        self.live = self.live.with(|config| config.level = level);
        self
    }
}

impl Default for Tracing {
    fn default() -> Self {
        Self::new()
    }
}

/// The level is part of the code where a span is made.
macro_rules! at_level {
    ($level:expr, $make:ident!($($tokens:tt)*), $off:expr) => {
        match $level {
            Verbosity::Off => $off,
            Verbosity::Error => tracing::$make!(target: TARGET, tracing::Level::ERROR, $($tokens)*),
            Verbosity::Warn => tracing::$make!(target: TARGET, tracing::Level::WARN, $($tokens)*),
            Verbosity::Info => tracing::$make!(target: TARGET, tracing::Level::INFO, $($tokens)*),
            Verbosity::Debug => tracing::$make!(target: TARGET, tracing::Level::DEBUG, $($tokens)*),
            Verbosity::Trace => tracing::$make!(target: TARGET, tracing::Level::TRACE, $($tokens)*),
        }
    };
}

const TARGET: &str = "nebula::call";

/// The span of a call. Its parent is what is current where the call arrives: the span in which this
/// node serves the call, if it shows one, else for calls from elsewhere nothing.
fn span(level: Verbosity, call: &Inbound<'_>) -> Span {
    let (service, method, caller) = (call.service(), call.method(), call.caller());
    let span = at_level!(
        level,
        span!(
            "call",
            service,
            method,
            caller = Empty,
            caller_id = Empty,
            trace_id = Empty,
            span_id = Empty,
            outcome = Empty,
            elapsed_us = Empty,
            error = Empty
        ),
        Span::none()
    );
    if span.is_disabled() {
        return span;
    }
    if let Some(node) = caller {
        span.record("caller", &*node.name);
        span.record("caller_id", debug(node.id));
    }
    if let Some(trace) = call.context().trace() {
        span.record("trace_id", display(trace.trace_hex()));
        span.record("span_id", display(trace.span_hex()));
    }
    span
}

/// Writes the end of a call into its span, also if its future is dropped.
struct End {
    span: Span,
    began: Instant,
    is_told: bool,
}

impl End {
    fn tell(&mut self, ended: Ended<'_>) {
        self.is_told = true;
        self.span.record("outcome", outcome(ended));
        self.span.record("elapsed_us", micros(self.began.elapsed()));
        if let Ended::Refused(refusal) = ended {
            self.span.record("error", reason(refusal));
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if !self.is_told {
            let panics = std::thread::panicking();
            self.tell(if panics { Ended::Panicked("") } else { Ended::Cancelled });
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[crate::plugin(crate = "crate")]
impl Plugin for Tracing {
    fn name(&self) -> Cow<'static, str> {
        "tracing".into()
    }

    fn config(&self) -> Option<Schema> {
        self.live.schema(|_| Ok(()))
    }

    async fn start(&self, host: &Host) -> Result<Children> {
        self.live.refresh(host);
        Ok(Children::new())
    }

    async fn updated(&self, host: &Host) -> Result<Updated> {
        self.live.refresh(host);
        Ok(Updated::Kept)
    }

    async fn around(&self, mut call: Around<'_>) -> Result<(), Refusal> {
        let level = self.live.now().level;
        let span = span(level, &call);
        if span.is_disabled() {
            return call.next().await;
        }
        let mut end = End { span: span.clone(), began: Instant::now(), is_told: false };
        let through = call.next().instrument(span).await;
        end.tell(match &through {
            Ok(()) if call.is_error() => Ended::Failed,
            Ok(()) => Ended::Replied,
            Err(refusal) => Ended::Refused(refusal),
        });
        through
    }

    fn after(&self, call: &mut Finished<'_>) {
        // Not each of these calls has a span.
        let Ended::Refused(refusal) = call.ended() else { return };
        let level = self.live.now().level;
        let (service, method, caller) = (call.service(), call.method(), call.caller());
        let caller = caller.map(|node| &*node.name);
        let (outcome, error) = (outcome(call.ended()), reason(refusal));
        at_level!(level, event!(service, method, caller, outcome, error, "a call was refused"), ());
    }
}
