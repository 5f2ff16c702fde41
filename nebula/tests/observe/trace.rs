//! How a trace is handed down.

use nebula::NodeId;

use crate::site::Site;
use crate::world::{InnerClient, MINE, OuterClient, Seeing, pass_on, read};

const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Two nodes, of which the second one serves both services, and the first one `Inner` if `both` do.
async fn site(both: bool) -> (Site, nebula::Node, nebula::Node) {
    let mut site = Site::new();
    let (first, second) = (site.node("first").await, site.node("second").await);
    let inner = if both { &second } else { &first };
    inner.serve::<InnerClient>(Seeing).await.unwrap();
    pass_on(&second, InnerClient::new(&second)).await;
    (site, first, second)
}

/// REQ-12, TR-08: calls made inside a handler continue its trace, here and elsewhere, at its first
/// poll and later, and from a task; nobody has to ask for it.
#[tokio::test(start_paused = true)]
async fn a_trace_is_handed_down() {
    for both in [true, false] {
        let (_site, first, second) = site(both).await;
        for caller in [&first, &second] {
            let client = OuterClient::new(caller);
            let call = client.pass().header("traceparent", TEXT).header("tracestate", "a=1,b=2");
            let (seen, said) = call.await.unwrap();
            let outer = read(&Some(TEXT.into())).unwrap();
            assert_eq!(read(&said), Some(outer));
            let mut spans = vec![outer.span_id()];
            for (parent, state) in &seen[..3] {
                let parent = read(parent).unwrap();
                assert_eq!(parent.trace_id(), outer.trace_id());
                assert!(parent.is_sampled());
                spans.push(parent.span_id());
                assert_eq!(state.as_deref(), Some("a=1,b=2"));
            }
            spans.sort();
            spans.dedup();
            assert_eq!(spans.len(), 4, "each call is a span of its own");
            assert_eq!(seen[3], (Some(MINE.into()), None), "what is said wins");
        }
    }
}

/// TR-08: without a trace there is none, and one that cannot be read is not continued.
#[tokio::test(start_paused = true)]
async fn no_trace_comes_from_nowhere() {
    let (_site, first, second) = site(false).await;
    for caller in [&first, &second] {
        let client = OuterClient::new(caller);
        let wrong = TEXT.replacen("00-", "ff-", 1);
        for call in [client.pass(), client.pass().header("traceparent", wrong)] {
            let (seen, said) = call.await.unwrap();
            assert_eq!(said, None);
            assert!(seen[..3].iter().all(|seen| *seen == (None, None)), "{seen:?}");
        }
        // A state alone belongs to no trace.
        let (seen, _) = client.pass().header("tracestate", "a=1").await.unwrap();
        assert_eq!(seen[0], (None, None));
    }
}

/// REQ-12: each node that is asked continues the same span, and so does the next one.
#[tokio::test(start_paused = true)]
async fn all_nodes_are_told_the_trace() {
    let (_site, first, second) = site(false).await;
    second.serve::<InnerClient>(Seeing).await.unwrap();
    let client = InnerClient::new(&first);
    crate::site::until("both serve it", || {
        let known = first.nodes();
        known.iter().filter(|node| node.services().any(|name| name == "Inner")).count() == 2
    })
    .await;
    let replies = client.seen().header("traceparent", TEXT).all().await.unwrap();
    let told: Vec<_> = replies.ok().map(|(parent, _)| parent.clone()).collect();
    assert_eq!(told, [Some(TEXT.to_owned()), Some(TEXT.to_owned())]);
    let gone = client.seen().to(NodeId::from_bytes([7; 32]));
    gone.header("traceparent", TEXT).await.unwrap_err();
}
