//! What is shown of a call on both sides.

use std::time::Duration;

use nebula::NodeId;
use nebula::prelude::*;

use crate::site::Site;
use crate::world::{InnerClient, MINE, OuterClient, Seeing, Shown, Spans, ids, pass_on};

/// REQ-12, TR-08: a span on the calling side and one on the serving side, joined by their ids, here
/// and elsewhere, and the calls inside below them.
#[tokio::test(start_paused = true)]
async fn spans_of_both_sides_are_joined() {
    let mut site = Site::new();
    let (first, second) = (site.node("first").await, site.node("second").await);
    first.serve::<InnerClient>(Seeing).await.unwrap();
    pass_on(&second, InnerClient::new(&second)).await;
    let spans = Spans::default();
    for (caller, remote) in [(&second, false), (&first, true)] {
        let client = OuterClient::new(caller);
        client.pass().await.unwrap();
        let guard = spans.listen();
        client.pass().await.unwrap();
        drop(guard);
        let shown = spans.take();
        let names: Vec<_> = shown.iter().map(|span| (span.name, span.get("method"))).collect();
        let (call, serve) = ("nebula.call", "nebula.serve");
        assert_eq!(names[..2], [(call, "pass"), (serve, "pass")]);
        assert_eq!(names[2..], [(call, "seen"), (serve, "seen")].repeat(4));
        assert!(shown.iter().all(|span| span.closed), "{shown:#?}");
        let (calling, serving) = (&shown[0], &shown[1]);
        assert_eq!(calling.get("service"), "Outer");
        assert_eq!((calling.get("kind"), calling.get("node")), ("one", "second"));
        assert_eq!((calling.get("outcome"), calling.get("attempts")), ("ok", "1"));
        assert_eq!((serving.get("outcome"), serving.get("caller")), ("replied", caller.name()));
        let ([trace, span, above], [same, below, parent]) = (ids(calling), ids(serving));
        assert_eq!((above, same, parent), ("", trace, span));
        assert_eq!((trace.len(), span.len(), below.len()), (32, 16, 16));
        assert_ne!(span, below);
        // Of one process, the spans stand in each other, too.
        assert_eq!(serving.around, (!remote).then_some(0));
        for (at, pair) in shown[2..].chunks(2).enumerate() {
            let ([trace_in, span, above], [same, _, parent]) = (ids(&pair[0]), ids(&pair[1]));
            assert_eq!((same, parent), (trace_in, span));
            match at {
                3 => assert_eq!((trace_in, span), (&MINE[3..35], &MINE[36..52])),
                _ => assert_eq!((trace_in, above), (trace, below)),
            }
        }
    }
}

/// REQ-12: a span says how its call ended, also if nobody waited for that.
#[tokio::test(start_paused = true)]
async fn a_span_says_how_its_call_ended() {
    let mut site = Site::new();
    let (first, second) = (site.node("first").await, site.node("second").await);
    first.serve::<InnerClient>(Seeing).await.unwrap();
    let spans = Spans::default();
    for caller in [&second, &first] {
        let client = InnerClient::new(caller);
        client.seen().await.unwrap();
        let _guard = spans.listen();
        let outcomes = async || {
            // What another node gives up takes its way.
            tokio::time::sleep(Duration::from_millis(100)).await;
            let shown = spans.take();
            shown.iter().map(|span| span.get("outcome").to_owned()).collect::<Vec<_>>()
        };
        client.panics().await.unwrap_err();
        assert_eq!(outcomes().await, ["panicked", "panicked"]);
        client.waits().timeout(Duration::from_millis(10)).await.unwrap_err();
        assert_eq!(outcomes().await, ["deadline", "cancelled"]);
        let waits = client.waits();
        tokio::time::timeout(Duration::from_millis(10), waits.into_future()).await.unwrap_err();
        assert_eq!(outcomes().await, ["dropped", "cancelled"]);
        client.seen().timeout(Duration::ZERO).await.unwrap_err();
        assert_eq!(outcomes().await, ["deadline"]);
    }
}

/// REQ-12: a call to several nodes is one span, and what each of them serves is below it.
#[tokio::test(start_paused = true)]
async fn a_call_to_several_is_one_span() {
    let mut site = Site::new();
    let (first, second) = (site.node("first").await, site.node("second").await);
    for node in [&first, &second] {
        node.serve::<InnerClient>(Seeing).await.unwrap();
    }
    crate::site::until("both serve it", || {
        let known = first.nodes();
        known.iter().filter(|node| node.services().any(|name| name == "Inner")).count() == 2
    })
    .await;
    let (client, spans) = (InnerClient::new(&first), Spans::default());
    let _guard = spans.listen();
    let _ = client.seen().all().await.unwrap();
    let shown = spans.take();
    assert_eq!(shown.len(), 3, "{shown:#?}");
    assert_eq!((shown[0].get("kind"), shown[0].get("attempts")), ("all", "2"));
    let mut asked: Vec<_> = shown[0].get("node").split(' ').collect();
    asked.sort_unstable();
    assert_eq!(asked, ["first", "second"]);
    for serving in &shown[1..] {
        let ([trace, span, _], [same, _, parent]) = (ids(&shown[0]), ids(serving));
        assert_eq!((same, parent), (trace, span));
    }
    client.seen().first().await.unwrap();
    assert_eq!(spans.take()[0].get("kind"), "first");
    client.seen().quorum(at_least(2)).await.unwrap();
    assert_eq!(spans.take()[0].get("kind"), "quorum");
}

/// REQ-12: a one-way call has its span, too, until it has ended in the background.
#[tokio::test(start_paused = true)]
async fn a_one_way_call_is_a_span() {
    let mut site = Site::new();
    let (first, second) = (site.node("first").await, site.node("second").await);
    first.serve::<InnerClient>(Seeing).await.unwrap();
    let spans = Spans::default();
    for caller in [&first, &second] {
        let client = InnerClient::new(caller);
        client.seen().await.unwrap();
        let _guard = spans.listen();
        let shown = async || {
            tokio::time::sleep(Duration::from_millis(100)).await;
            spans.take()
        };
        let said = |span: &Shown| {
            ["kind", "node", "attempts", "outcome"].map(|field| span.get(field).to_owned())
        };
        client.seen().cast().await.unwrap();
        let seen = shown().await;
        assert_eq!(said(&seen[0]), ["cast", "first", "1", "ok"]);
        assert_eq!(ids(&seen[1])[2], ids(&seen[0])[1]);
        client.waits().timeout(Duration::from_millis(10)).cast().await.unwrap();
        let late = shown().await;
        assert_eq!(said(&late[0]), ["cast", "first", "1", "deadline"]);
        let nobody = NodeId::from_bytes([7; 32]);
        client.seen().to(nobody).cast().await.unwrap_err();
        assert_eq!(said(&shown().await[0]), ["cast", "", "0", "no_provider"]);
    }
}
