//! A slow node does not slow down a call that asks a second one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use macula::MemoryNetwork;
use nebula::prelude::*;
use tokio::sync::Notify;

/// Answers in its own time.
#[service(global)]
pub trait Oracle {
    /// A number.
    #[api(idempotent)]
    async fn ask(&self) -> u32;
}

/// Answers at once, or never until its caller gives it up.
#[derive(Clone, Default)]
struct Seer {
    answer: Option<u32>,
    asked: Arc<AtomicUsize>,
    given_up: Arc<Notify>,
}

struct Given<'a>(&'a Notify);

impl Drop for Given<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Oracle for Seer {
    async fn ask(&self) -> u32 {
        self.asked.fetch_add(1, SeqCst);
        match self.answer {
            Some(answer) => answer,
            None => {
                let _given = Given(&self.given_up);
                std::future::pending().await
            }
        }
    }
}

async fn node(network: &MemoryNetwork, name: &str, port: u16, seer: Option<&Seer>) -> Node {
    let addr = |port| std::net::SocketAddr::from(([10, 0, 0, 1], port));
    let mut builder =
        Node::builder(name).cookie("of this test").memory(network.clone(), addr(port));
    if port > 1 {
        builder = builder.seed(addr(1).to_string());
    }
    match seer {
        Some(seer) => builder.serve(seer.clone()),
        None => builder,
    }
    .start()
    .await
    .unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_second_node_answers_for_the_slow_one() {
    let network = MemoryNetwork::new(1);
    let (slow, quick) = (Seer::default(), Seer { answer: Some(7), ..Seer::default() });
    let web = node(&network, "web", 1, None).await;
    let _slow = node(&network, "slow", 2, Some(&slow)).await;
    let _quick = node(&network, "quick", 3, Some(&quick)).await;
    let oracle = OracleClient::new(&web);
    while oracle.ask().timeout(Duration::from_millis(100)).all().await.map_or(0, |r| r.len()) < 2 {}
    let asked = slow.asked.load(SeqCst);

    // Which of the two is asked first is left to chance: go on until it was the slow one.
    while slow.asked.load(SeqCst) == asked {
        let began = tokio::time::Instant::now();
        assert_eq!(oracle.ask().hedge().await.unwrap(), 7);
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        // Should it be passed over for what it did above, that ends.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    slow.given_up.notified().await;
}
