use nebula::prelude::*;
use nebula::testing::Cluster;

#[service(global)]
trait Stock {
    #[api(idempotent)]
    async fn count(&self, item: String) -> u32;
}

struct Shelf(u32);
impl Stock for Shelf {
    async fn count(&self, _item: String) -> u32 {
        self.0
    }
}

#[tokio::test(start_paused = true)]
async fn the_shop_asks_the_other_store_while_one_is_cut_off() {
    let mut cluster = Cluster::new(7);
    let near = cluster.node("near@h1").tags(["store"]).serve(Shelf(1)).start().await;
    let far = cluster.node("far@h2").tags(["store"]).serve(Shelf(2)).start().await;
    let shop = cluster.node("shop@h3").start().await;
    cluster.settle().await;
    let stock = StockClient::new(&shop);
    cluster.partition(&[&near], &[&far, &shop]);
    assert_eq!(stock.count("tea".into()).await, Ok(2));
    cluster.heal();
    cluster.settle().await;
    assert_eq!(stock.count("tea".into()).all().await.unwrap().len(), 2);
}
