//! Whom a call reaches, and whom it does not.

use macula::identity::NodeId;
use nebula::call::{CallError, Executed};
use nebula::prelude::*;
use tokio::time::Instant;

use crate::desk::{Clerk, DeskClient, Mood};
use crate::site::{Site, met};

#[service]
trait Private {
    #[api]
    async fn secret(&self) -> u8;
}

struct Safe;
impl Private for Safe {
    async fn secret(&self) -> u8 {
        42
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_there_is_not_waited_for() {
    let site = Site::new();
    let clerk = Clerk::new("db", Mood::Answer);
    let db = site.serve("db", &clerk).await;
    let client = site.client().await;
    met(&[&db, &client]).await;
    let nobody = NodeId::from_bytes([9; 32]);
    let desk = DeskClient::new(&client);
    let began = Instant::now();
    let error = desk.act().to(nobody).await.unwrap_err();
    assert_eq!(began.elapsed().as_millis(), 0);
    assert!(matches!(error, CallError::NoProvider(_)), "{error:?}");
    assert_eq!(error.executed(), Executed::No);
    let says = format!("{} (is not alive in this cluster)", nobody.short());
    assert!(error.to_string().contains(&says), "{error}");
    assert!(desk.act().to(nobody).all().await.is_err());
    // One that serves nothing is told apart.
    let error = desk.act().to(client.id()).await.unwrap_err();
    assert!(error.to_string().contains("client (does not serve it)"), "{error}");
    assert_eq!(clerk.count().began, 0);
}

#[tokio::test(start_paused = true)]
async fn a_node_prefers_itself() {
    let site = Site::new();
    let clerks = ["a", "b", "c"].map(|label| Clerk::new(label, Mood::Answer));
    let mut nodes = Vec::new();
    for clerk in &clerks {
        nodes.push(site.node("db").tag("db").serve(clerk.clone()).start().await.unwrap());
    }
    met(&nodes.iter().collect::<Vec<_>>()).await;
    let desk = DeskClient::new(&nodes[1]);
    for _ in 0..10 {
        assert_eq!(desk.act().await.unwrap(), "b");
        assert_eq!(desk.act().on(tag("db")).await.unwrap(), "b");
        assert_eq!(desk.act().on(node("db")).await.unwrap(), "b");
    }
    assert_eq!(clerks.map(|clerk| clerk.count().began), [0, 30, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_global_is_nobody_elses() {
    let site = Site::new();
    let clerk = Clerk::new("db", Mood::Answer);
    let db = site.node("db").serve(Safe).serve(clerk.clone()).start().await.unwrap();
    let client = site.client().await;
    met(&[&db, &client]).await;
    assert_eq!(PrivateClient::new(&db).secret().await, Ok(42));
    assert_eq!(PrivateClient::new(&db).secret().to(db.id()).await, Ok(42));
    let outside = PrivateClient::new(&client);
    for error in [
        outside.secret().await.unwrap_err(),
        outside.secret().to(db.id()).await.unwrap_err(),
        outside.secret().on(node("db")).await.unwrap_err(),
    ] {
        assert!(matches!(error, CallError::NoProvider(_)), "{error:?}");
        let told = "db (is another node, and `Private` is not `#[service(global)]`";
        assert!(error.to_string().contains(told), "{error}");
    }
    let told = client.mesh().view();
    let told = told.nodes().iter().filter_map(|node| node.record.as_ref());
    let told: Vec<_> = told.flat_map(|record| &record.services).map(|s| s.name.clone()).collect();
    assert_eq!(told, ["Desk"]);
}
