//! Counts and times of calls, for the facade of the crate `metrics`.

use std::borrow::Cow;
use std::sync::OnceLock;

use metrics::{Counter, Gauge, Histogram, Unit, counter, gauge, histogram};

use super::end::{OUTCOMES, outcome};
use crate::plugin::{Around, Finished, Host, Plugin, Refusal};
use crate::service::info::MethodInfo;
use crate::{Children, Result};

/// Counts the calls of a service, and how long they take, through the facade of the crate `metrics`:
/// whoever installs a recorder there, gets them. Needs the feature `metrics`.
///
/// | name | kind | labels | is |
/// |---|---|---|---|
/// | `nebula_calls_total` | counter | `service`, `method`, `outcome` | calls that have ended |
/// | `nebula_call_seconds` | histogram | `service`, `method` | how long they took, in seconds |
/// | `nebula_calls_in_flight` | gauge | `service`, `method` | calls that run now |
///
/// The labels are wire names, and `outcome` is one of `replied`, `failed` (the method's own `Err`),
/// `denied`, `overloaded`, `unavailable`, `expired`, `broken` (a plugin failed), `panicked` and
/// `cancelled`. So a method has eleven series, whoever calls it and with what.
///
/// All calls that reach the plugins count, also those that another one refuses or answers. The time
/// is that from the first plugin to the end, and so without what was spent in the queues; those that
/// run now are those that got as far as this plugin. Calls that the gates refuse are not seen.
///
/// The series of all methods are registered when the service starts: install the recorder before.
/// A call then takes no look-up and no allocation for them, but the one of an `around` hook.
#[derive(Debug, Default)]
pub struct Metrics {
    /// By the position of the method.
    methods: OnceLock<Box<[Option<Series>]>>,
}

/// What is told of one method.
#[derive(Debug)]
struct Series {
    ended: [Counter; OUTCOMES.len()],
    seconds: Histogram,
    in_flight: InFlight,
}

#[derive(Clone)]
struct InFlight(Gauge);

impl std::fmt::Debug for InFlight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InFlight")
    }
}

const TOTAL: &str = "nebula_calls_total";
const SECONDS: &str = "nebula_call_seconds";
const IN_FLIGHT: &str = "nebula_calls_in_flight";

impl Metrics {
    /// For the recorder that is installed when the service starts.
    pub fn new() -> Self {
        Self::default()
    }

    fn of(&self, method: &'static MethodInfo) -> Option<&Series> {
        self.methods.get()?.get(usize::from(method.position()))?.as_ref()
    }
}

impl Series {
    fn register(method: &'static MethodInfo) -> Self {
        let (service, method) = (method.service_name(), method.method_name());
        Self {
            ended: OUTCOMES.map(|outcome| {
                counter!(TOTAL, "service" => service, "method" => method, "outcome" => outcome)
            }),
            seconds: histogram!(SECONDS, "service" => service, "method" => method),
            in_flight: InFlight(gauge!(IN_FLIGHT, "service" => service, "method" => method)),
        }
    }
}

/// A call that runs until this is dropped.
struct Place<'p>(&'p Gauge);

impl<'p> Place<'p> {
    fn take(gauge: &'p Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

#[crate::plugin(crate = "crate")]
impl Plugin for Metrics {
    fn name(&self) -> Cow<'static, str> {
        "metrics".into()
    }

    async fn start(&self, host: &Host) -> Result<Children> {
        metrics::describe_counter!(TOTAL, "calls that have ended, by how they ended");
        metrics::describe_histogram!(SECONDS, Unit::Seconds, "how long calls took");
        metrics::describe_gauge!(IN_FLIGHT, "calls that run now");
        self.methods.get_or_init(|| {
            let mut all = Vec::new();
            for method in host.methods() {
                let at = usize::from(method.position());
                all.resize_with(all.len().max(at + 1), || None);
                all[at] = Some(Series::register(method));
            }
            all.into()
        });
        Ok(Children::new())
    }

    async fn around(&self, mut call: Around<'_>) -> Result<(), Refusal> {
        let series = self.of(call.info());
        let _place = series.map(|series| Place::take(&series.in_flight.0));
        call.next().await
    }

    fn after(&self, call: &mut Finished<'_>) {
        let Some(series) = self.of(call.info()) else { return };
        let outcome = outcome(call.ended());
        if let Some(at) = OUTCOMES.iter().position(|known| *known == outcome) {
            series.ended[at].increment(1);
        }
        series.seconds.record(call.elapsed().as_secs_f64());
    }
}
