//! What a program with exporters shows: its metrics to whoever asks, its spans to a receiver.

mod collector;
mod scraped;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use collector::{Collector, Exported, SpanKind};
use exporters::market::Market;
use exporters::metrics;
use exporters::spans::Spans;
use metrics_exporter_prometheus::BuildError;
use nebula::Node;
use scraped::Scraped;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Tries of something that comes by itself, each a tenth of a second after the last one.
const TRIES: usize = 300;

/// They are there once there is something to count.
const LATER: [&str; 3] =
    ["nebula_retries_total", "nebula_hedges_total", "nebula_attempts_failed_total"];

/// The calls for an article that nobody knows.
const FAILED: &str = "nebula_calls_total{service=\"Stock\",method=\"left\",outcome=\"failed\"}";

const GUIDES: [&str; 2] = [
    include_str!("../../../../docs/guide/observability.md"),
    include_str!("../../../../docs/guide/traces.md"),
];

#[tokio::test]
async fn metrics_and_spans_are_exported() {
    let collector = Collector::start().await;
    let spans = Spans::to(&collector.url()).unwrap();
    tracing_subscriber::registry().with(spans.layer()).init();
    let endpoint = serve_metrics();
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(std::process::id().to_string());
    let node = |name| Node::builder(name).cookie("of this test alone").runtime_dir(&home);
    let market = Market::open(node("front"), node("back")).await.unwrap();
    until("the shop knows the stock", async || market.visit(1).await.then_some(())).await;
    assert!(!market.visit(0).await && !market.visit(9).await);

    // Calls count once they have ended, and of what a node knows it tells each second.
    let scraped = until("all is told", async || {
        let scraped = Scraped::from(endpoint).await;
        let told = scraped.get(FAILED) == Some(1.0)
            && scraped.get("nebula_members{node=\"front\"}") == Some(2.0)
            && scraped.get("nebula_calls_here{node=\"back\",service=\"Stock\"}") == Some(0.0);
        told.then_some(scraped)
    });
    the_metrics_are_those_of_the_guide(&scraped.await);
    market.close().await.unwrap();
    spans.flush().await.unwrap();
    let all = collector.received();
    the_spans_are_one_trace(&all);
    spans.stop().await.unwrap();
    let _ = std::fs::remove_dir_all(home);
}

fn the_metrics_are_those_of_the_guide(scraped: &Scraped) {
    // `| `name` | kind | …` in the guides.
    let rows = GUIDES.iter().flat_map(|guide| guide.lines());
    let told = rows.filter_map(|row| row.strip_prefix("| `nebula_")?.split_once("` | "));
    let known: BTreeMap<_, _> = told
        .map(|(name, row)| (format!("nebula_{name}"), row.split(' ').next().unwrap().to_owned()))
        .collect();
    for (name, kind) in &known {
        match scraped.kinds.get(name) {
            None => assert!(LATER.contains(&name.as_str()), "{name}"),
            shown => assert_eq!(shown, Some(kind), "{name}"),
        }
    }
    assert!(scraped.kinds.keys().all(|name| known.contains_key(name)), "{:?}", scraped.kinds);

    let of = |name: &str, labels: &str| scraped.get(&format!("{name}{{{labels}}}"));
    let stock = "service=\"Stock\",method=\"left\"";
    let ended = |outcome| of("nebula_calls_total", &format!("{stock},outcome=\"{outcome}\""));
    assert!(ended("replied").unwrap() >= 2.0);
    assert_eq!(ended("panicked"), Some(0.0));
    let calls = ended("replied").unwrap() + 1.0;
    assert_eq!(of("nebula_call_seconds_count", stock), Some(calls));
    let all = format!("{stock},le=\"+Inf\"");
    assert_eq!(of("nebula_call_seconds_bucket", &all), Some(calls));
    let seconds = of("nebula_call_seconds_sum", stock).unwrap();
    assert!(seconds > 0.0 && seconds < 60.0, "{seconds}");
    assert_eq!(of("nebula_calls_in_flight", stock), Some(0.0));
    // The same on the side that asks.
    let failed = format!("{stock},kind=\"one\",outcome=\"error\"");
    assert_eq!(of("nebula_client_call_duration_seconds_count", &failed), Some(1.0));
    let all = format!("{failed},le=\"+Inf\"");
    assert_eq!(of("nebula_client_call_duration_seconds_bucket", &all), Some(1.0));
}

fn the_spans_are_one_trace(all: &[Exported]) {
    let mut ids: Vec<_> = all.iter().map(|span| (&span.trace, &span.id)).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all.len(), "no two spans have the same id");
    // The plugin says the trace of its call as fields, for logs.
    let plain = all.iter().filter(|span| span.name != "call");
    assert!(plain.clone().all(|span| span.get("trace_id").is_none()));
    assert!(all.iter().all(|span| span.links == 0));
    let below = |span: &Exported, name: &str| {
        let mut found = all.iter().filter(|it| it.parent == span.id && it.trace == span.trace);
        let one = found.next().unwrap_or_else(|| panic!("nothing below {span:#?}")).clone();
        assert_eq!((one.name.as_str(), found.next()), (name, None));
        one
    };
    let visit = |article: &str| {
        let visits =
            |span: &&Exported| span.name == "visit" && span.get("article") == Some(article);
        all.iter().find(visits).unwrap()
    };
    for (article, replied) in [("0", true), ("9", false)] {
        let visit = visit(article);
        assert!(visit.parent.is_empty());
        let mut above = visit.clone();
        for (method, caller) in [("can_buy", "front"), ("left", "front")] {
            let calling = below(&above, "nebula.call");
            let serving = below(&calling, "nebula.serve");
            above = below(&serving, "call");
            assert_eq!((calling.kind, serving.kind), (SpanKind::Client, SpanKind::Server));
            for span in [&calling, &serving, &above] {
                assert_eq!(span.get("method"), Some(method));
            }
            assert_eq!(serving.get("caller"), Some(caller));
        }
        let outcome = if replied { "replied" } else { "failed" };
        assert_eq!(above.get("outcome"), Some(outcome));
        assert_eq!(above.events, ["looking"]);
    }
}

/// Tries it until it gives something.
async fn until<T>(what: &str, mut tried: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..TRIES {
        if let Some(done) = tried().await {
            return done;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("in vain: {what}")
}

/// Takes a port that is free. Another program may take it between the look and the use.
fn serve_metrics() -> SocketAddr {
    for _ in 0..TRIES {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        match metrics::serve(free) {
            Ok(()) => return free,
            Err(BuildError::FailedToCreateHTTPListener(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no port is free")
}
