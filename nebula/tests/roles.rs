//! A build that leaves roles out, started as a node that fits it and as one that does not.

use std::net::SocketAddr;
use std::time::Duration;

use macula::MemoryNetwork;
use nebula::prelude::*;
use nebula::{NodeBuilder, Roles};
use tokio::time::sleep;

/// Answers with whose service it is.
#[service(global)]
pub trait Shelf {
    /// The name.
    #[api(idempotent)]
    async fn of(&self) -> String;
}

struct Books(&'static str);

impl Shelf for Books {
    async fn of(&self) -> String {
        self.0.into()
    }
}

/// What `roles![db, web]` gives in a build for `db`.
const ROLES: Roles = Roles::new(&[("db", true), ("web", false)]);

fn builder(network: &MemoryNetwork, port: u16, name: &str) -> NodeBuilder {
    let addr = |port| SocketAddr::from(([10, 0, 0, 1], port));
    let builder = Node::builder(name).cookie("of these tests").roles(ROLES);
    let builder = builder.memory(network.clone(), addr(port));
    if port > 1 { builder.seed(addr(1).to_string()) } else { builder }
}

#[tokio::test(start_paused = true)]
async fn boot_07_only_a_node_that_fits_starts() {
    let network = MemoryNetwork::new(1);
    let fits = builder(&network, 1, "n1").tag("db").serve(Books("n1")).start().await.unwrap();
    assert!(!fits.is_generic());
    assert_eq!(ShelfClient::new(&fits).of().await.unwrap(), "n1");

    let refused = builder(&network, 2, "web-1@h").tag("web").start().await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "this program was built for `db`, and started as the node `web-1@h` with the role `web`: \
         add `--features web` to the build, or use the default features"
    );
    assert!(builder(&network, 3, "idle").start().await.is_err());
    // The switch changes nothing for a node that fits.
    let fits = builder(&network, 4, "db@h").generic_on_mismatch(true).start().await.unwrap();
    assert!(!fits.is_generic());
}

#[tokio::test(start_paused = true)]
async fn boot_08_a_generic_node_serves_nothing_and_calls_others() {
    let network = MemoryNetwork::new(1);
    let db = builder(&network, 1, "db").serve(Books("db")).start().await.unwrap();
    let generic = builder(&network, 2, "shell").tag("web").generic_on_mismatch(true);
    let generic = generic.serve(Books("shell")).start().await.unwrap();
    assert!(generic.is_generic());
    let shelf = ShelfClient::new(&generic);
    for _ in 0..5 {
        assert_eq!(shelf.of().await.unwrap(), "db");
    }
    let error = shelf.of().to(generic.id()).await.unwrap_err();
    assert!(matches!(error, CallError::NoProvider(_)), "{error:#}");
    // Nor do others find anything there.
    while db.nodes().len() != 2 {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(db.nodes().by_name("shell").unwrap().services().count(), 0);
    let all = ShelfClient::new(&db).of().all().await.unwrap();
    assert_eq!(all.ok().collect::<Vec<_>>(), ["db"]);
}
