use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use metrics::{Histogram, Unit, describe_histogram, histogram};

use super::{Interceptor, Made};

const NAME: &str = "nebula_client_call_duration_seconds";
/// Methods that have series of their own.
const METHODS: usize = 1024;

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
    methods: RwLock<Methods>,
}

#[derive(Debug, Default)]
struct Methods {
    /// By service and method.
    named: BTreeMap<Box<str>, BTreeMap<Box<str>, Vec<Series>>>,
    /// How many methods those are.
    count: usize,
    nameless: Vec<Series>,
}

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
    fn known(&self, call: &Made<'_>) -> Option<Histogram> {
        let methods = self.methods.read().unwrap_or_else(PoisonError::into_inner);
        let all = match methods.series(call.service(), call.method()) {
            Some(all) => all,
            None if methods.may_name(call) => return None,
            None => &methods.nameless,
        };
        Some(all.iter().find(|series| series.is_of(call))?.seconds.clone())
    }

    /// Registers the series of a call, under its names if they may be labels.
    fn register(&self, call: &Made<'_>) -> Histogram {
        let is_named = self.write().name(call);
        let names = if is_named { (call.service(), call.method()) } else { ("", "") };
        // The recorder's own code: nothing may be locked, not even when it is not needed after all.
        let series = Series::register(names, call);
        let seconds = series.seconds.clone();
        let mut methods = self.write();
        let all = match is_named {
            true => {
                methods.named.entry(names.0.into()).or_default().entry(names.1.into()).or_default()
            }
            false => &mut methods.nameless,
        };
        if !all.iter().any(|series| series.is_of(call)) {
            all.push(series);
        }
        drop(methods);
        seconds
    }

    fn write(&self) -> RwLockWriteGuard<'_, Methods> {
        self.methods.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Methods {
    fn series(&self, service: &str, method: &str) -> Option<&Vec<Series>> {
        self.named.get(service)?.get(method)
    }

    /// Whether a call of a method that has no series may still give it some.
    fn may_name(&self, call: &Made<'_>) -> bool {
        let is_known = call.kind() != "raw" || matches!(call.outcome(), "ok" | "error");
        is_known && self.count < METHODS
    }

    /// Makes room for the method of a call, if there is none; false if it gets none.
    fn name(&mut self, call: &Made<'_>) -> bool {
        let (service, method) = (call.service(), call.method());
        if self.series(service, method).is_some() {
            return true;
        }
        let may = self.may_name(call);
        if may {
            self.named.entry(service.into()).or_default().insert(method.into(), Vec::new());
            self.count += 1;
        }
        may
    }
}

impl Default for ClientMetrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Interceptor for ClientMetrics {
    fn after(&self, call: &Made<'_>) {
        let seconds = self.known(call).unwrap_or_else(|| self.register(call));
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
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::Duration;

    use metrics::{
        Counter, Gauge, Key, KeyName, Metadata, Recorder, SharedString, with_local_recorder,
    };

    use super::*;

    fn made(metrics: &ClientMetrics, method: &str, kind: &str, outcome: &str) {
        let elapsed = Duration::from_secs(1);
        metrics.after(&Made { names: ("S", method), kind, outcome, elapsed, heard: None });
    }

    fn labelled(metrics: &ClientMetrics) -> Vec<(String, usize)> {
        let methods = metrics.methods.read().unwrap();
        let row = |(method, series): (&str, &Vec<Series>)| (method.to_owned(), series.len());
        let named = methods.named.values().flatten().map(|(method, series)| (&**method, series));
        [("", &methods.nameless)].into_iter().chain(named).map(row).collect()
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
        // What has no names is none of them.
        made(&metrics, "nobody", "raw", "no_provider");
        for method in 0..METHODS + 9 {
            made(&metrics, &method.to_string(), "raw", "ok");
        }
        made(&metrics, "0", "raw", "error");
        let all = labelled(&metrics);
        assert_eq!(all.len(), METHODS + 1);
        assert_eq!(all[..2], rows(&[("", 2), ("0", 2)]));
        assert!(all.iter().any(|(method, _)| *method == (METHODS - 1).to_string()));
    }

    /// Calls that have no names of their own do not wait for each other.
    #[test]
    fn what_is_registered_is_only_read() {
        let metrics = &ClientMetrics::new();
        made(metrics, "nobody", "raw", "no_provider");
        for method in 0..=METHODS {
            made(metrics, &method.to_string(), "one", "ok");
        }
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let read = metrics.methods.read().unwrap();
            scope.spawn(move || {
                made(metrics, "anybody", "raw", "no_provider");
                made(metrics, "beyond", "one", "ok");
                tell.send(())
            });
            // Only a failure takes that long.
            let done = told.recv_timeout(Duration::from_secs(10));
            drop(read);
            assert_eq!(done, Ok(()));
        });
    }

    /// A recorder that says whether anything is locked when it is asked.
    struct Looks<'m>(&'m ClientMetrics, AtomicUsize);

    impl Recorder for Looks<'_> {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::noop()
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            assert!(self.0.methods.try_write().is_ok(), "it is asked under a lock");
            self.1.fetch_add(1, SeqCst);
            Histogram::noop()
        }
    }

    #[test]
    fn the_recorder_is_asked_under_no_lock() {
        let metrics = ClientMetrics::new();
        let recorder = Looks(&metrics, AtomicUsize::new(0));
        with_local_recorder(&recorder, || {
            for _ in 0..2 {
                made(&metrics, "a", "one", "ok");
                made(&metrics, "a", "one", "error");
                made(&metrics, "b", "raw", "no_provider");
            }
        });
        assert_eq!(recorder.1.load(SeqCst), 3);
    }
}
