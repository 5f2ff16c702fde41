//! What a node counts of itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    set_default_local_recorder,
};
use nebula::Service;
use nebula::plugin::{Hooks, Inbound, Plugin, Refusal};

use crate::site::{Site, until};
use crate::world::{InnerClient, Seeing};

/// All that is registered on this thread.
#[derive(Default)]
pub(crate) struct Board {
    values: Mutex<BTreeMap<String, (bool, Arc<AtomicU64>)>>,
    described: Mutex<Vec<String>>,
}

impl Board {
    fn register(&self, key: &Key, gauge: bool) -> Arc<AtomicU64> {
        let labels = key.labels().map(|label| format!(",{}={}", label.key(), label.value()));
        let name = labels.fold(key.name().to_owned(), |name, label| name + &label);
        let mut values = self.values.lock().unwrap();
        Arc::clone(&values.entry(name).or_insert_with(|| (gauge, Arc::default())).1)
    }

    pub(crate) fn get(&self, name: &str) -> f64 {
        match self.values.lock().unwrap().get(name) {
            Some((true, bits)) => f64::from_bits(bits.load(SeqCst)),
            Some((false, count)) => count.load(SeqCst) as f64,
            None => f64::NAN,
        }
    }
}

impl Recorder for Board {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.described.lock().unwrap().push(key.as_str().to_owned());
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.described.lock().unwrap().push(key.as_str().to_owned());
    }

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.register(key, false))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.register(key, true))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
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
    waiting.abort();
    seconds().await;
    assert_eq!(board.get("nebula_calls_here,node=first,service=Inner"), 0.0);

    let guide = include_str!("../../../docs/guide/traces.md");
    let known: Vec<_> = board.values.lock().unwrap().keys().cloned().collect();
    for name in known.iter().map(|name| name.split(',').next().unwrap()) {
        assert!(guide.contains(&format!("`{name}`")), "{name}");
        assert!(board.described.lock().unwrap().iter().any(|known| known == name), "{name}");
    }
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
    let serving = |node: &nebula::NodeInfo| node.services().any(|name| name == "Inner");
    until("both serve", || caller.nodes().iter().filter(|node| serving(node)).count() == 2).await;
    let client = InnerClient::new(&caller);
    for _ in 0..20 {
        client.seen().await.unwrap();
    }
    let retries = board.get("nebula_retries_total,node=caller");
    assert!((1.0..=20.0).contains(&retries), "{retries}");
    assert_eq!(board.get("nebula_attempts_failed_total,node=caller,outcome=overloaded"), retries);
}
