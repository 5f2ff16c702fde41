//! Metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use nebula::plugins::{Authorize, Metrics};

use crate::both::Both;

/// Keeps what was told, by name and labels.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<BTreeMap<String, f64>>>);

/// One series of it.
struct Series(Kept, String);

impl Kept {
    fn series(&self, key: &Key) -> Arc<Series> {
        let labels: Vec<_> = key.labels().map(|label| label.value().to_owned()).collect();
        let name = format!("{} {}", key.name(), labels.join(" "));
        self.0.lock().unwrap().entry(name.clone()).or_insert(0.0);
        Arc::new(Series(self.clone(), name))
    }

    fn get(&self, name: &str) -> f64 {
        self.0.lock().unwrap().get(name).copied().unwrap_or(f64::NAN)
    }
}

impl Series {
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut kept = self.0.0.lock().unwrap();
        let value = kept.get_mut(&self.1).unwrap();
        *value = change(*value);
    }
}

impl CounterFn for Series {
    fn increment(&self, by: u64) {
        self.change(|value| value + by as f64);
    }

    fn absolute(&self, to: u64) {
        self.change(|_| to as f64);
    }
}

impl GaugeFn for Series {
    fn increment(&self, by: f64) {
        self.change(|value| value + by);
    }

    fn decrement(&self, by: f64) {
        self.change(|value| value - by);
    }

    fn set(&self, to: f64) {
        self.change(|_| to);
    }
}

impl HistogramFn for Series {
    /// Adds up.
    fn record(&self, value: f64) {
        self.change(|sum| sum + value);
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.series(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series(key))
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_counted_by_how_they_end() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let rules = Authorize::new().allow_others();
    let both = Both::of(|service| service.plugin(rules).plugin(Metrics::new())).await;
    // What a node counts of itself is there as well.
    let series = || {
        let kept = kept.0.lock().unwrap();
        kept.keys().filter(|name| name.contains(" Sums ")).count()
    };
    assert_eq!(series(), 5 * 11, "those of each method are there from the start");
    for (client, times) in both.each().into_iter().zip([1.0, 2.0]) {
        client.add(1.0, 2.0).await.unwrap();
        client.divide(1.0, 0.0).await.unwrap_err();
        client.fail().await.unwrap_err();
        let waiting = client.clone();
        let call = tokio::spawn(async move {
            let _ = waiting.wait().timeout(Duration::from_secs(3)).await;
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(kept.get("nebula_calls_in_flight Sums wait"), 1.0);
        call.await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(kept.get("nebula_calls_in_flight Sums wait"), 0.0);
        for ended in ["add replied", "divide failed", "fail panicked", "wait cancelled"] {
            assert_eq!(kept.get(&format!("nebula_calls_total Sums {ended}")), times, "{ended}");
        }
        let seconds = kept.get("nebula_call_seconds Sums wait");
        assert!((seconds - 3.0 * times).abs() < 0.1, "{seconds}");
    }
    // One that another plugin refuses counts, too.
    both.service.reconfigure("plugins.access.others = 'deny'").await.unwrap();
    both.far.add(1.0, 2.0).await.unwrap_err();
    assert_eq!(kept.get("nebula_calls_total Sums add denied"), 1.0);
    assert_eq!(series(), 5 * 11, "no series came later");
}
