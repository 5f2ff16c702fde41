//! What a node counts of itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit, set_default_local_recorder,
};
use nebula::plugin::{Hooks, Inbound, Plugin, Refusal};
use nebula::prelude::*;
use nebula::{NodeInfo, Service};

use crate::site::{Site, until};
use crate::world::{InnerClient, Seeing};

/// All that is registered on this thread.
#[derive(Default)]
pub(crate) struct Board {
    series: Mutex<BTreeMap<String, Arc<Series>>>,
    described: Mutex<Vec<String>>,
}

/// What was told of one thing, in order: the counts as they rose, or the values.
#[derive(Default)]
struct Series(Mutex<Vec<f64>>);

impl Board {
    fn register(&self, key: &Key) -> Arc<Series> {
        let labels = key.labels().map(|label| format!(",{}={}", label.key(), label.value()));
        let name = labels.fold(key.name().to_owned(), |name, label| name + &label);
        Arc::clone(self.series.lock().unwrap().entry(name).or_default())
    }

    pub(crate) fn get(&self, name: &str) -> f64 {
        self.told(name).last().copied().unwrap_or(f64::NAN)
    }

    /// All that was told of it.
    pub(crate) fn told(&self, name: &str) -> Vec<f64> {
        let series = self.series.lock().unwrap().get(name).cloned();
        series.map(|series| series.0.lock().unwrap().clone()).unwrap_or_default()
    }

    /// Each name is described and in the guide.
    pub(crate) fn names_are_explained(&self) {
        let guide = include_str!("../../../docs/guide/traces.md");
        for name in self.series.lock().unwrap().keys().map(|name| name.split(',').next().unwrap()) {
            assert!(guide.contains(&format!("`{name}`")), "{name}");
            assert!(self.described.lock().unwrap().iter().any(|known| known == name), "{name}");
        }
    }
}

impl Series {
    fn add(&self, by: f64) {
        let mut told = self.0.lock().unwrap();
        let last = told.last().copied().unwrap_or_default();
        told.push(last + by);
    }
}

impl CounterFn for Series {
    fn increment(&self, by: u64) {
        self.add(by as f64);
    }

    fn absolute(&self, to: u64) {
        self.set(to as f64);
    }
}

impl GaugeFn for Series {
    fn increment(&self, by: f64) {
        self.add(by);
    }

    fn decrement(&self, by: f64) {
        self.add(-by);
    }

    fn set(&self, to: f64) {
        self.0.lock().unwrap().push(to);
    }
}

impl HistogramFn for Series {
    fn record(&self, value: f64) {
        self.set(value);
    }
}

impl Recorder for Board {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.described.lock().unwrap().push(key.as_str().to_owned());
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.described.lock().unwrap().push(key.as_str().to_owned());
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.described.lock().unwrap().push(key.as_str().to_owned());
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.register(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.register(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.register(key))
    }
}

/// REQ-13: what a node counts is told within a second, and each name is described and in the guide.
#[tokio::test(start_paused = true)]
async fn a_node_is_measured() {
    let board = Board::default();
    let _guard = set_default_local_recorder(&board);
    let mut site = Site::new();
    let (first, second) = (site.node("first").await, site.node("second").await);
    first.serve::<InnerClient>(Seeing).await.unwrap();
    let client = InnerClient::new(&second);
    until("both are known", || second.nodes().len() == 2).await;
    client.seen().await.unwrap();
    let within = client.clone();
    let waiting =
        tokio::spawn(async move { within.waits().timeout(Duration::from_secs(60)).await });
    client.panics().await.unwrap_err();
    let seconds = async || tokio::time::sleep(Duration::from_millis(2100)).await;
    seconds().await;
    assert_eq!(board.get("nebula_members,node=first"), 2.0);
    assert_eq!(board.get("nebula_connections,node=second"), 1.0);
    assert_eq!(board.get("nebula_calls_here,node=first,service=Inner"), 1.0);
    assert_eq!(board.get("nebula_calls_queued,node=first,service=Inner"), 0.0);
    assert!(board.get("nebula_gossip_bytes_total,node=first,kind=membership") > 0.0);
    assert!(board.get("nebula_gossip_messages_total,node=first,kind=directory") > 0.0);
    assert!(board.get("nebula_dials_total,node=second") > 0.0);
    let failed = "nebula_attempts_failed_total,node=second,outcome=panicked";
    assert_eq!(board.get(failed), 1.0);
    let here = "nebula_calls_here,node=first,service=Inner";
    let so_far = board.told(here).len();
    seconds().await;
    assert_eq!(board.told(here)[so_far..], [1.0, 1.0], "it does not flicker");
    waiting.abort();
    seconds().await;
    assert_eq!(board.get(here), 0.0);

    board.names_are_explained();
}

/// REQ-13: a node that has stopped is not shown as if it ran, and neither is a service that has gone.
#[tokio::test(start_paused = true)]
async fn what_has_stopped_is_at_zero() {
    let board = Board::default();
    let _guard = set_default_local_recorder(&board);
    let mut site = Site::new();
    let (first, second) = (site.node("first").await, site.node("second").await);
    let service = first.serve::<InnerClient>(Seeing).await.unwrap();
    until("both are known", || second.nodes().len() == 2).await;
    let client = InnerClient::new(&second);
    let call = async |timeout| {
        let client = client.clone();
        tokio::spawn(async move { client.waits().timeout(timeout).await });
        tokio::time::sleep(Duration::from_millis(2100)).await;
    };
    let here = "nebula_calls_here,node=first,service=Inner";
    call(Duration::from_secs(60)).await;
    assert_eq!(board.get(here), 1.0);
    service.stop().await.unwrap();
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!((board.get(here), board.get("nebula_members,node=first")), (0.0, 2.0));
    first.serve::<InnerClient>(Seeing).await.unwrap();
    until("it is served", || !client.waits().available_nodes().is_empty()).await;
    call(Duration::from_secs(60)).await;
    assert_eq!(board.get(here), 1.0);
    let _ = first.shutdown().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    for series in ["nebula_members,node=first", "nebula_connections,node=first", here] {
        assert_eq!(board.get(series), 0.0, "{series}");
    }
}

/// Makes a call in a task, which ends with the call that it is made for.
#[service(global)]
trait Handing {
    #[api]
    async fn hand_on(&self, cx: &Context);
}

struct Hand(InnerClient);

impl Handing for Hand {
    async fn hand_on(&self, cx: &Context) {
        let inner = self.0.within(cx);
        let _ = tokio::spawn(async move { inner.waits().await }).await;
    }
}

/// REQ-14: an attempt that is cancelled is one that has failed.
#[tokio::test(start_paused = true)]
async fn a_cancelled_attempt_is_counted() {
    let board = Board::default();
    let _guard = set_default_local_recorder(&board);
    let mut site = Site::new();
    let (first, second) = (site.node("first").await, site.node("second").await);
    first.serve::<InnerClient>(Seeing).await.unwrap();
    second.serve::<HandingClient>(Hand(InnerClient::new(&second))).await.unwrap();
    until("both are known", || second.nodes().len() == 2).await;
    let client = HandingClient::new(&second);
    let call = client.hand_on().timeout(Duration::from_secs(60));
    tokio::time::timeout(Duration::from_secs(1), call.into_future()).await.unwrap_err();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let cancelled = "nebula_attempts_failed_total,node=second,outcome=cancelled";
    assert_eq!(board.get(cancelled), 1.0);
}

/// REQ-14: each further attempt is counted, with what made it necessary.
#[tokio::test(start_paused = true)]
async fn further_attempts_are_counted() {
    struct Busy;
    impl Plugin for Busy {
        const HOOKS: Hooks = Hooks::BEFORE;

        fn before(&self, _: &mut Inbound<'_>) -> Result<(), Refusal> {
            Err(Refusal::Overloaded { retry_after: Duration::from_millis(1) })
        }
    }
    let board = Board::default();
    let _guard = set_default_local_recorder(&board);
    let mut site = Site::new();
    let (first, second) = (site.node("first").await, site.node("second").await);
    let caller = site.node("caller").await;
    first.serve::<InnerClient>(Seeing).await.unwrap();
    Service::new::<InnerClient>(Seeing).plugin(Busy).start_on(&second).await.unwrap();
    let serving = |node: &NodeInfo| node.services().any(|name| name == "Inner");
    until("both serve", || caller.nodes().iter().filter(|node| serving(node)).count() == 2).await;
    let client = InnerClient::new(&caller);
    for _ in 0..20 {
        client.seen().await.unwrap();
    }
    let retries = board.get("nebula_retries_total,node=caller");
    assert!((1.0..=20.0).contains(&retries), "{retries}");
    assert_eq!(board.get("nebula_attempts_failed_total,node=caller,outcome=overloaded"), retries);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let refused = |node| format!("nebula_calls_refused_total,node={node},reason=overloaded");
    assert_eq!(["first", "second"].map(|node| board.get(&refused(node))), [0.0, retries]);
}

/// One at a time, and nobody waits.
#[service(global)]
trait Narrow {
    #[api(max_concurrent = 1, queue = 0)]
    async fn waits(&self);
}

impl Narrow for Seeing {
    async fn waits(&self) {
        std::future::pending().await
    }
}

/// What the gates refuse is counted, wherever the call comes from.
#[tokio::test(start_paused = true)]
async fn a_call_that_finds_no_place_is_counted() {
    let board = Board::default();
    let _guard = set_default_local_recorder(&board);
    let mut site = Site::new();
    let (first, second) = (site.node("first").await, site.node("second").await);
    first.serve::<NarrowClient>(Seeing).await.unwrap();
    let (near, far) = (NarrowClient::new(&first), NarrowClient::new(&second));
    until("it is known", || !far.waits().available_nodes().is_empty()).await;
    let within = near.clone();
    tokio::spawn(async move { within.waits().timeout(Duration::from_secs(60)).await });
    tokio::task::yield_now().await;
    let refused = "nebula_calls_refused_total,node=first,reason=overloaded";
    let counted = async || {
        tokio::time::sleep(Duration::from_millis(1100)).await;
        board.get(refused)
    };
    assert_eq!(counted().await, 0.0);
    far.waits().await.unwrap_err();
    assert_eq!(counted().await, 1.0);
    near.waits().await.unwrap_err();
    assert_eq!(counted().await, 2.0);
    assert_eq!(near.waits().all().await.unwrap().ok().count(), 0);
    assert_eq!(counted().await, 3.0);
    let raw = first.call_raw("Narrow", "waits", serde_json::json!([])).await;
    assert!(matches!(raw, Err(CallError::Overloaded { .. })), "{raw:?}");
    assert_eq!(counted().await, 4.0);
}
