//! How long calls take for those who make them.

use std::time::Duration;

use metrics::set_default_local_recorder;
use nebula::Node;
use nebula::intercept::ClientMetrics;
use nebula::prelude::*;
use serde_json::json;

use crate::measures::Board;
use crate::site::{Site, until};

const SECOND: Duration = Duration::from_secs(1);

#[service(global)]
trait Slow {
    #[api(idempotent)]
    async fn waits(&self, seconds: u64) -> Result<(), String>;
}

struct Sleeps;

impl Slow for Sleeps {
    async fn waits(&self, seconds: u64) -> Result<(), String> {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        if seconds == 2 { Err("two".into()) } else { Ok(()) }
    }
}

/// REQ-13: each call once, whatever it is, with the word of its span, wherever it is answered.
#[tokio::test(start_paused = true)]
async fn calls_are_timed_where_they_are_made() {
    let board = Board::default();
    let _guard = set_default_local_recorder(&board);
    let mut site = Site::new();
    let server = site.node("server").await;
    server.serve::<SlowClient>(Sleeps).await.unwrap();
    let builder = site.builder("caller").intercept(ClientMetrics::new());
    let caller = builder.start().await.unwrap();
    until("it is known", || !SlowClient::new(&caller).waits(0).available_nodes().is_empty()).await;
    of_each_kind(&caller, &board, "server", 1).await;
    caller.serve::<SlowClient>(Sleeps).await.unwrap();
    of_each_kind(&caller, &board, "caller", 2).await;
    board.names_are_explained();
}

async fn of_each_kind(caller: &Node, board: &Board, at: &str, times: usize) {
    let client = SlowClient::new(caller);
    let waits = |seconds| client.waits(seconds).on(node(at));
    let took = |service: &str, method: &str, kind: &str, outcome: &str| {
        let name = "nebula_client_call_duration_seconds";
        let labels = format!("service={service},method={method},kind={kind},outcome={outcome}");
        board.told(&format!("{name},{labels}"))
    };
    let lately = |kind: &str, outcome: &str, seconds: f64| {
        let took = took("Slow", "waits", kind, outcome);
        assert_eq!(took.len(), times, "{kind} {outcome}");
        assert!((seconds..seconds + 0.2).contains(&took[times - 1]), "{kind} {outcome}: {took:?}");
    };
    waits(1).await.unwrap();
    lately("one", "ok", 1.0);
    waits(2).await.unwrap_err();
    lately("one", "error", 2.0);
    waits(9).timeout(3 * SECOND).await.unwrap_err();
    lately("one", "deadline", 3.0);
    assert!(tokio::time::timeout(4 * SECOND, waits(9).into_future()).await.is_err());
    lately("one", "dropped", 4.0);
    assert_eq!(waits(1).all().await.unwrap().ok().count(), 1);
    lately("all", "ok", 1.0);
    waits(3).first().await.unwrap();
    lately("first", "ok", 3.0);
    waits(2).quorum(at_least(1)).await.unwrap_err();
    lately("quorum", "failed", 2.0);
    waits(3).cast().await.unwrap();
    tokio::time::sleep(4 * SECOND).await;
    lately("cast", "ok", 3.0);
    caller.call_raw("Slow", "waits", json!([4])).await.unwrap();
    lately("raw", "ok", 4.0);
    // What anybody may have written is no label.
    caller.call_raw("Slow", "wait's", json!([])).await.unwrap_err();
    assert!(took("Slow", "wait's", "raw", "no_provider").is_empty());
    assert!(!took("", "", "raw", "no_provider").is_empty());
}
