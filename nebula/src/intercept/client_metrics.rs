use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use metrics::{Histogram, Unit, describe_histogram, histogram};

use super::{Interceptor, Made};

const NAME: &str = "nebula_client_call_duration_seconds";
/// Methods that have series of their own.
const METHODS: usize = 1024;
/// What stands for the names of a call that has none of its own.
const NAMELESS: (&str, &str) = ("", "");

/// Tells the facade of the crate `metrics` how long the calls of a node take, as those see it who
/// make them: with the waits, the attempts on other nodes and the network. Needs the feature
/// `metrics`.
///
/// | name | kind | labels | is |
/// |---|---|---|---|
/// | `nebula_client_call_duration_seconds` | histogram | `service`, `method`, `kind`, `outcome` | how long calls took, in seconds |
///
/// The labels are what [`Made`] says. A call by name (`raw`) has names that anyone may have written:
/// they are labels once such a call has ended with `ok` or `error`, or another client has called that
/// method, and empty until then. They are empty as well for methods beyond the first 1024.
///
/// The other interceptors of the node may refuse a call: those that were given earlier do it unseen.
/// The histograms are registered with their first call, so install the recorder before that.
///
/// ```
/// use nebula::intercept::ClientMetrics;
/// use nebula::prelude::*;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> nebula::Result<()> {
/// let node = Node::builder("web").intercept(ClientMetrics::new()).start().await?;
/// # node.shutdown().await
/// # }
/// ```
#[derive(Debug)]
pub struct ClientMetrics {
    /// By service.
    methods: RwLock<BTreeMap<Box<str>, Methods>>,
}

/// By method.
type Methods = BTreeMap<Box<str>, Vec<Series>>;

#[derive(Debug)]
struct Series {
    kind: Box<str>,
    outcome: Box<str>,
    seconds: Histogram,
}

impl ClientMetrics {
    /// For the recorder that is installed now.
    pub fn new() -> Self {
        describe_histogram!(NAME, Unit::Seconds, "how long calls of this node took");
        Self { methods: RwLock::default() }
    }

    /// The series of a call, if it is registered.
    fn known(&self, (service, method): (&str, &str), call: &Made<'_>) -> Option<Histogram> {
        let methods = self.methods.read().unwrap_or_else(PoisonError::into_inner);
        let all = methods.get(service)?.get(method)?;
        Some(all.iter().find(|series| series.is_of(call))?.seconds.clone())
    }

    /// Registers the series of a call, under its names if they may be labels.
    fn register(&self, call: &Made<'_>) -> Histogram {
        let mut methods = self.methods.write().unwrap_or_else(PoisonError::into_inner);
        let names = (call.service(), call.method());
        let known = methods.get(names.0).is_some_and(|methods| methods.contains_key(names.1));
        let named = call.kind() != "raw" || matches!(call.outcome(), "ok" | "error");
        let count = || methods.values().map(BTreeMap::len).sum::<usize>();
        let names = if known || named && count() < METHODS { names } else { NAMELESS };
        let all = methods.entry(names.0.into()).or_default().entry(names.1.into()).or_default();
        if let Some(there) = all.iter().find(|series| series.is_of(call)) {
            return there.seconds.clone();
        }
        let series = Series::register(names, call);
        let seconds = series.seconds.clone();
        all.push(series);
        seconds
    }
}

impl Default for ClientMetrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Interceptor for ClientMetrics {
    fn after(&self, call: &Made<'_>) {
        let known = self.known((call.service(), call.method()), call);
        let seconds = known.unwrap_or_else(|| self.register(call));
        seconds.record(call.elapsed().as_secs_f64());
    }
}

impl Series {
    fn register((service, method): (&str, &str), call: &Made<'_>) -> Self {
        let (kind, outcome) = (call.kind(), call.outcome());
        let seconds = histogram!(
            NAME,
            "service" => service.to_owned(),
            "method" => method.to_owned(),
            "kind" => kind.to_owned(),
            "outcome" => outcome.to_owned(),
        );
        Self { kind: kind.into(), outcome: outcome.into(), seconds }
    }

    fn is_of(&self, call: &Made<'_>) -> bool {
        *self.kind == *call.kind() && *self.outcome == *call.outcome()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn made(metrics: &ClientMetrics, method: &str, kind: &str, outcome: &str) {
        let elapsed = Duration::from_secs(1);
        metrics.after(&Made { names: ("S", method), kind, outcome, elapsed, heard: None });
    }

    fn labelled(metrics: &ClientMetrics) -> Vec<(String, usize)> {
        let methods = metrics.methods.read().unwrap();
        let all = methods.values().flatten();
        all.map(|(method, series)| (method.to_string(), series.len())).collect()
    }

    fn rows(rows: &[(&str, usize)]) -> Vec<(String, usize)> {
        rows.iter().map(|(method, series)| (method.to_string(), *series)).collect()
    }

    #[test]
    fn names_that_anyone_may_write_are_no_labels() {
        let metrics = ClientMetrics::new();
        for method in ["a", "b", "c"] {
            made(&metrics, method, "raw", "no_provider");
            made(&metrics, method, "raw", "dropped");
        }
        assert_eq!(labelled(&metrics), rows(&[("", 2)]));
        made(&metrics, "a", "raw", "ok");
        made(&metrics, "a", "raw", "no_provider");
        made(&metrics, "b", "one", "no_provider");
        made(&metrics, "b", "raw", "no_provider");
        made(&metrics, "c", "raw", "no_provider");
        assert_eq!(labelled(&metrics), rows(&[("", 2), ("a", 2), ("b", 2)]));
    }

    #[test]
    fn there_are_only_so_many_names() {
        let metrics = ClientMetrics::new();
        for method in 0..METHODS + 9 {
            made(&metrics, &method.to_string(), "raw", "ok");
        }
        made(&metrics, "0", "raw", "error");
        let all = labelled(&metrics);
        assert_eq!(all.len(), METHODS + 1);
        assert_eq!(all[..2], rows(&[("", 1), ("0", 2)]));
    }
}
