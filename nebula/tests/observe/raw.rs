//! What is shown of calls by name, and what goes with them.

use nebula::prelude::*;
use nebula::{Executed, Node};
use serde_json::{Value, json};

use crate::measures::Board;
use crate::site::{Site, until};
use crate::world::{InnerClient, MINE, Seeing, Spans, ids, read};

const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Calls `Inner` by name, by itself and with a header of its own.
#[service(global)]
trait Tool {
    #[api]
    async fn ask(&self) -> Vec<(Option<String>, Option<String>)>;
}

struct Asking(Node);

impl Tool for Asking {
    async fn ask(&self) -> Vec<(Option<String>, Option<String>)> {
        let call = || self.0.call_raw("Inner", "seen", json!([]));
        let seen = [call().await.unwrap(), call().header("traceparent", MINE).await.unwrap()];
        seen.into_iter().map(|seen| serde_json::from_value(seen).unwrap()).collect()
    }
}

/// A node that serves `Inner`, and one that knows of it.
async fn pair(site: &mut Site) -> (Node, Node) {
    let (first, second) = (site.node("first").await, site.node("second").await);
    first.serve::<InnerClient>(Seeing).await.unwrap();
    until("it is known", || {
        second.nodes().iter().any(|node| node.services().any(|name| name == "Inner"))
    })
    .await;
    (first, second)
}

/// REQ-12, TR-08: a call by name continues the trace of the handler that makes it, here and
/// elsewhere; what is said of it wins.
#[tokio::test(start_paused = true)]
async fn a_trace_is_handed_down_to_calls_by_name() {
    let mut site = Site::new();
    let (first, second) = pair(&mut site).await;
    for node in [&first, &second] {
        let tool = ToolClient::local(Asking(node.clone()));
        let call = tool.ask().header("traceparent", TEXT).header("tracestate", "a=1");
        let seen = call.await.unwrap();
        let (outer, (parent, state)) = (read(&Some(TEXT.into())).unwrap(), &seen[0]);
        let parent = read(parent).unwrap();
        assert_eq!(parent.trace_id(), outer.trace_id());
        assert_ne!(parent.span_id(), outer.span_id());
        assert_eq!(state.as_deref(), Some("a=1"));
        assert_eq!(seen[1], (Some(MINE.into()), None));
        assert_eq!(tool.ask().await.unwrap()[0], (None, None));
    }
}

/// What cannot be a header is refused before anything is sent.
#[tokio::test(start_paused = true)]
async fn headers_of_calls_by_name_have_bounds() {
    let mut site = Site::new();
    let (first, second) = pair(&mut site).await;
    for node in [&first, &second] {
        let call = || node.call_raw("Inner", "seen", json!([]));
        let full = (0..31).fold(call(), |call, n| call.header(format!("k{n}"), "v"));
        assert_eq!(full.await.unwrap(), json!([null, null]));
        let more = (0..32).fold(call(), |call, n| call.header(format!("k{n}"), "v"));
        for wrong in [more, call().header("No", "v")] {
            let error = wrong.await.unwrap_err();
            assert!(matches!(error, CallError::Protocol(_)), "{error:?}");
            assert_eq!(error.executed(), Executed::No);
            assert!(error.to_string().contains("the header `"), "{error}");
        }
    }
}

/// REQ-12: a call by name is a span on both sides, which says how it ended.
#[tokio::test(start_paused = true)]
async fn calls_by_name_are_spans() {
    let mut site = Site::new();
    let (first, second) = pair(&mut site).await;
    let spans = Spans::default();
    for node in [&first, &second] {
        let call = async |method: &str| node.call_raw("Inner", method, json!([])).await;
        call("seen").await.unwrap();
        let _guard = spans.listen();
        let seen: Value = call("seen").await.unwrap();
        let shown = spans.take();
        let names: Vec<_> = shown.iter().map(|span| (span.name, span.get("method"))).collect();
        assert_eq!(names, [("nebula.call", "seen"), ("nebula.serve", "seen")]);
        let (calling, serving) = (&shown[0], &shown[1]);
        assert_eq!((calling.get("service"), calling.get("kind")), ("Inner", "raw"));
        assert_eq!((calling.get("node"), calling.get("attempts")), ("first", "1"));
        assert_eq!((calling.get("outcome"), serving.get("outcome")), ("ok", "replied"));
        assert_eq!(serving.get("caller"), node.name());
        let ([trace, span, _], [same, _, parent]) = (ids(calling), ids(serving));
        assert_eq!((same, parent), (trace, span));
        assert!(seen[0].as_str().unwrap().contains(span), "{seen}");
        call("panics").await.unwrap_err();
        let shown: Vec<_> =
            spans.take().iter().map(|span| span.get("outcome").to_owned()).collect();
        assert_eq!(shown, ["panicked", "panicked"]);
        call("nothing").await.unwrap_err();
        assert_eq!(spans.take()[0].get("outcome"), "no_provider");
    }
}

/// REQ-14: an attempt that fails is counted.
#[tokio::test(start_paused = true)]
async fn attempts_of_calls_by_name_are_counted() {
    let board = Board::default();
    let _guard = metrics::set_default_local_recorder(&board);
    let mut site = Site::new();
    let (_first, second) = pair(&mut site).await;
    second.call_raw("Inner", "panics", json!([])).await.unwrap_err();
    let failed = "nebula_attempts_failed_total,node=second,outcome=panicked";
    assert_eq!(board.get(failed), 1.0);
}
