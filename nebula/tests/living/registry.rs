//! What a service keeps, what its node keeps, and for how long.

use nebula::registry::Registered;
use nebula::{Extensions, Node, Registry, Service};

use super::site::{Notes, Plain, Site, Sums, SumsClient};

/// Counts its lives and its calls in a domain.
struct Counted(Registry);

impl Counted {
    fn new(registry: &Registry) -> Self {
        registry.domain("sums").put_new("lives", 0_i64);
        registry.domain("sums").increment("lives", 1).unwrap();
        Self(registry.clone())
    }
}

impl Sums for Counted {
    async fn add(&self, left: f64, right: f64) -> f64 {
        self.0.domain("sums").increment("calls", 1).unwrap();
        left + right
    }

    async fn divide(&self, _: f64, _: f64) -> Result<f64, String> {
        Err("by nobody".into())
    }

    async fn wait(&self) -> u32 {
        std::future::pending().await
    }

    async fn fail(&self) -> u32 {
        let _mine = self.0.register("of a call", ()).unwrap();
        panic!("on purpose")
    }

    async fn whoami(&self) -> nebula::NodeId {
        nebula::NodeId::from_bytes([0; 32])
    }
}

fn number(node: &Node, key: &str) -> Option<i64> {
    node.registry().domain("sums").get(key).map(|number| *number)
}

/// KV.2, KV.4: a name lasts as long as what holds it, a domain as long as the node, and neither is
/// seen elsewhere.
#[tokio::test(start_paused = true)]
async fn a_domain_outlives_the_services() {
    let mut site = Site::new();
    let (here, there) = (site.node("here").await, site.node("there").await);
    here.registry().domain("sums").put("calls", 0_i64);

    for life in 1..=3 {
        let service = Service::new(Counted::new(here.registry())).start_on(&here).await.unwrap();
        assert_eq!(number(&here, "lives"), Some(life));
        let leader: Registered<&str> = here.registry().register("leader", "ada").unwrap();
        service.extensions().insert(leader);
        assert_eq!(here.registry().get::<&str>("leader").as_deref(), Some(&"ada"));
        let sums = SumsClient::new(&here);
        sums.add(1.0, 2.0).await.unwrap();
        assert_eq!(number(&here, "calls"), Some(life));
        // What a call holds goes with it, also if it panics.
        assert!(sums.fail().await.is_err());
        assert!(!here.registry().contains("of a call"));

        service.deactivate("for a test").await.unwrap();
        assert!(here.registry().contains("leader"));
        service.stop().await.unwrap();
        assert!(!here.registry().contains("leader"), "life {life}");
    }

    assert!(!there.registry().domain("sums").contains("lives"));
    let registry = here.registry().clone();
    here.shutdown().await.unwrap();
    assert!(!registry.domain("sums").contains("lives"));
    there.shutdown().await.unwrap();
}

/// Whatever holds a node in its registry lets go of it at the shutdown.
#[tokio::test(start_paused = true)]
async fn a_node_in_its_own_registry_is_no_leak() {
    let node = Site::new().node("alone").await;
    let witness = std::sync::Arc::new(());
    node.registry().domain("nodes").put("self", (node.clone(), witness.clone()));
    node.shutdown().await.unwrap();
    drop(node);
    assert_eq!(std::sync::Arc::strong_count(&witness), 1);
}

/// KV.1: what a service keeps by type outlives a pause and another start, and not the service.
#[tokio::test(start_paused = true)]
async fn extensions_live_as_long_as_the_service() {
    #[derive(Debug, PartialEq)]
    struct Hits(u32);
    let node = Site::new().node("alone").await;
    let service = Service::new(Plain(Notes::default(), node.id())).start_on(&node).await.unwrap();
    let hits = |extensions: &Extensions| extensions.get::<Hits>().map(|hits| hits.0);

    assert_eq!(hits(service.extensions()), None);
    assert_eq!(service.extensions().get_or_insert_with(|| Hits(1)).0, 1);
    assert_eq!(service.extensions().get_or_insert_with(|| Hits(2)).0, 1);
    assert_eq!(service.extensions().insert(Hits(3)).as_deref(), Some(&Hits(1)));
    service.pause("for a test").await.unwrap();
    assert_eq!(hits(service.extensions()), Some(3));
    service.deactivate("for a test").await.unwrap();
    assert_eq!(hits(service.extensions()), Some(3));
    service.activate("for a test").await.unwrap();
    assert_eq!(service.extensions().remove::<Hits>().as_deref(), Some(&Hits(3)));
    assert_eq!(service.extensions().remove::<Hits>(), None);

    service.extensions().insert(Hits(4));
    service.stop().await.unwrap();
    assert_eq!(hits(service.extensions()), None);
    node.shutdown().await.unwrap();
}
