//! Calls inside handlers, across nodes.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nebula::prelude::*;
use tokio::time::Instant;

use crate::desk::{Clerk, DeskClient, Mood};
use crate::site::{PATIENCE, Site, met};

#[service(global)]
trait Hall {
    /// What is left of the caller's time at the desk.
    #[api(timeout = "40s")]
    async fn left(&self) -> Duration;
    /// Waits at the desk for ever.
    #[api]
    async fn wait(&self);
}

#[derive(Clone, Default)]
struct Porter(Arc<OnceLock<DeskClient>>);

impl Hall for Porter {
    async fn left(&self) -> Duration {
        self.0.get().unwrap().left().timeout(PATIENCE).await.unwrap()
    }

    async fn wait(&self) {
        let _ = self.0.get().unwrap().guard().timeout(PATIENCE).await;
    }
}

struct Chain {
    clerk: Clerk,
    nodes: [Node; 3],
}

impl Chain {
    /// A client, a hall on a second node, and a desk on a third.
    async fn new() -> Self {
        let site = Site::new();
        let (clerk, porter) = (Clerk::new("desk", Mood::Wait), Porter::default());
        let desk = site.serve("desk", &clerk).await;
        let hall = site.node("hall").serve(porter.clone()).start().await.unwrap();
        let client = site.client().await;
        met(&[&desk, &hall, &client]).await;
        assert!(porter.0.set(DeskClient::new(&hall)).is_ok());
        Self { clerk, nodes: [desk, hall, client] }
    }

    fn client(&self) -> HallClient {
        HallClient::new(&self.nodes[2])
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_inside_a_call_has_no_more_time_than_it() {
    let chain = Chain::new().await;
    let left = chain.client().left().timeout(Duration::from_secs(3)).await.unwrap();
    assert!(left <= Duration::from_secs(3) && left > Duration::from_secs(2), "{left:?}");
    let left = chain.client().left().await.unwrap();
    assert!(left <= Duration::from_secs(40) && left > Duration::from_secs(39), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn giving_up_reaches_the_last_of_the_chain() {
    let chain = Chain::new().await;
    let hall = chain.client();
    let call = tokio::spawn(async move { hall.wait().timeout(PATIENCE).await });
    chain.clerk.until("began", |count| count.began == 1).await;
    let began = Instant::now();
    call.abort();
    chain.clerk.until("was dropped", |count| (count.dropped, count.cancelled) == (1, 1)).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());

    let limit = Duration::from_secs(2);
    chain.client().wait().timeout(limit).await.unwrap_err();
    chain.clerk.until("was dropped", |count| (count.dropped, count.cancelled) == (2, 2)).await;
    assert!(began.elapsed() < 2 * limit, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_handler_knows_who_asks() {
    let chain = Chain::new().await;
    let [desk, hall, client] = &chain.nodes;
    for node in [desk, hall, client] {
        let asker = DeskClient::new(node).asker().await.unwrap().unwrap();
        assert_eq!(asker, (node.name().to_owned(), node.id().to_string()));
    }
    assert_eq!(DeskClient::local(chain.clerk.clone()).asker().await, Ok(None));
}
