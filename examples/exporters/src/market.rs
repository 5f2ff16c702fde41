//! Something to look at: two nodes, of which one asks the other whenever somebody asks it.

use nebula::intercept::ClientMetrics;
use nebula::plugins::{Metrics, Tracing};
use nebula::prelude::*;
use nebula::{NodeBuilder, Service};
use serde::{Deserialize, Serialize};
use tracing::Instrument as _;

use crate::ids;

/// There is no such article.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[error("there is no article {0}")]
pub struct Unknown(pub u32);

/// Knows what lies on the shelves.
#[service(global)]
pub trait Stock {
    /// How many of an article are left.
    #[api(idempotent)]
    async fn left(&self, article: u32) -> Result<u32, Unknown>;
}

/// Asks the stock.
#[service(global)]
pub trait Shop {
    /// Whether an article can be bought now.
    #[api(idempotent)]
    async fn can_buy(&self, article: u32) -> bool;
}

struct Shelves;

impl Stock for Shelves {
    async fn left(&self, article: u32) -> Result<u32, Unknown> {
        tracing::info!(article, "looking");
        if article < 8 { Ok(article) } else { Err(Unknown(article)) }
    }
}

struct Counter(StockClient);

impl Shop for Counter {
    async fn can_buy(&self, article: u32) -> bool {
        self.0.left(article).await.is_ok_and(|left| left > 0)
    }
}

/// Both nodes and what they serve.
#[derive(Debug)]
pub struct Market {
    front: Node,
    back: Node,
    shop: ShopClient,
}

impl Market {
    /// Serves the shop on one node and the stock on the other.
    pub async fn open(front: NodeBuilder, back: NodeBuilder) -> nebula::Result<Self> {
        let stock = Service::new(Shelves).plugin(Metrics::new()).plugin(Tracing::new());
        let back = back.service(stock).start().await?;
        let front = front.intercept(ClientMetrics::new()).start().await?;
        let shop = Service::new(Counter(StockClient::new(&front)));
        shop.plugin(Metrics::new()).plugin(Tracing::new()).start_on(&front).await?;
        let shop = ShopClient::new(&front);
        Ok(Self { front, back, shop })
    }

    /// Asks for an article, in a span of this program.
    pub async fn visit(&self, article: u32) -> bool {
        let visit = async {
            let mut asked = self.shop.can_buy(article);
            if let Some(traceparent) = ids::traceparent() {
                asked = asked.header("traceparent", &traceparent);
            }
            asked.await.unwrap_or_else(|error| {
                tracing::warn!(%error, "the shop gives no answer");
                false
            })
        };
        visit.instrument(tracing::info_span!("visit", article)).await
    }

    /// The node that others can join.
    pub fn front(&self) -> &Node {
        &self.front
    }

    /// Ends both nodes.
    pub async fn close(self) -> nebula::Result<()> {
        self.front.shutdown().await?;
        self.back.shutdown().await
    }
}
