//! A build that leaves roles out, started as a node that fits it and as one that does not.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use macula::MemoryNetwork;
use nebula::prelude::*;
use nebula::{NodeBuilder, Roles, Service, Topology};
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

/// One more service.
#[service(global)]
pub trait Press {
    /// The number of papers.
    #[api]
    async fn papers(&self) -> u32;
}

struct Papers;

impl Press for Papers {
    async fn papers(&self) -> u32 {
        0
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
    let generic = generic.serve(Books("shell")).service(Service::new(Papers));
    let generic = generic.start().await.unwrap();
    assert!(generic.is_generic());
    assert!(generic.local_services().is_empty());
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

/// What is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_generic_node_that_the_topology_names_is_told_that_it_never_votes() {
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(log.finish());
    let topology = |name: &str| Topology::new().node(name, ["web"]).unwrap();
    let network = MemoryNetwork::new(1);
    for (port, name) in [(1, "shell"), (2, "other")] {
        let generic = builder(&network, port, name).tag("web").generic_on_mismatch(true);
        let generic = generic.serve(Books("x")).topology(topology("shell"));
        assert!(generic.start().await.unwrap().is_generic());
    }
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.matches("it serves nothing to the cluster").count(), 1, "{text}");
    assert!(!text.contains("does not name this node"), "{text}");
}
