//! Services while their node runs: they come and go, and their calls carry headers. In memory and
//! virtual time.

#[allow(dead_code)]
mod common;
#[path = "services/headers.rs"]
mod headers;
#[path = "services/refusals.rs"]
mod refusals;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use macula::directory::{Field, RecordError};
use macula::identity::Cookie;
use macula::rpc::admission::Gate;
use macula::rpc::{
    Answer, Executed, Failure, Fault, Handler, Headers, Incoming, Method, Request, Service,
};
use macula::{MemoryNetwork, Mesh, MeshBuilder, ServeError};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use common::{KEY, PATIENCE, request, until};

/// Within which a change reaches those who are connected: a round trip and its packets.
const AT_ONCE: Duration = Duration::from_millis(100);

/// Gives back what it got, when it may.
struct Echo {
    paused: AtomicBool,
    /// Calls end when there is a permit.
    may_end: Semaphore,
}

impl Echo {
    fn new() -> Arc<Self> {
        let (paused, may_end) = (AtomicBool::new(false), Semaphore::new(Semaphore::MAX_PERMITS));
        Arc::new(Self { paused, may_end })
    }

    fn held() -> Arc<Self> {
        Arc::new(Self { paused: AtomicBool::new(false), may_end: Semaphore::new(0) })
    }
}

struct Served(Arc<Echo>);

impl Handler for Served {
    fn handle(
        &self,
        call: Incoming,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>> {
        let echo = self.0.clone();
        Box::pin(async move {
            echo.may_end.acquire().await.unwrap().forget();
            Ok(call.body.into())
        })
    }

    fn refuses(&self, method: usize) -> Option<Fault> {
        assert_ne!(method, 1, "on purpose");
        self.0.paused.load(Ordering::SeqCst).then_some(Fault::Draining)
    }
}

fn service(name: &str, ids: &[u64], echo: &Arc<Echo>) -> Service {
    let method = |id: &u64| Method::new(format!("m{id}"), *id, KEY, Gate::new(16, 0));
    Service::new(name, ids.iter().map(method), Arc::new(Served(echo.clone())))
}

fn builder(network: &MemoryNetwork, name: &str, host: u8) -> MeshBuilder {
    let addr = SocketAddr::from(([10, 0, 0, host], 7000));
    let cookie = Cookie::new(&b"of a test"[..]).unwrap();
    Mesh::builder(name).realm("test").cookie(cookie).memory(network.clone(), addr)
}

/// Two nodes that know each other.
async fn two(network: &MemoryNetwork, service: Option<Service>) -> (Mesh, Mesh) {
    let server = builder(network, "server", 1);
    let server = match service {
        Some(service) => server.service(service),
        None => server,
    };
    let server = server.start().await.unwrap();
    let client = builder(network, "client", 2).seed(server.addr().to_string());
    let client = client.start().await.unwrap();
    until(&client, PATIENCE, "the server is known", |mesh| mesh.record(&server.id()).is_some())
        .await;
    (server, client)
}

async fn ask(from: &Mesh, to: &Mesh, method: u64) -> Result<Bytes, Failure> {
    from.call_to(to.id(), request(method, "hello")).await.result
}

fn version(mesh: &Mesh) -> u64 {
    mesh.record(&mesh.id()).unwrap().version
}

#[tokio::test(start_paused = true)]
async fn a_service_comes_and_goes_and_others_see_it_at_once() {
    let network = MemoryNetwork::new(1);
    let (server, client) = two(&network, Some(service("a", &[10], &Echo::new()))).await;
    assert_eq!(ask(&client, &server, 20).await, Err(Failure::UnknownMethod));

    let echo = Echo::new();
    for round in 0..3 {
        let before = version(&server);
        server.serve(service("b", &[20, 21], &echo)).unwrap();
        until(&client, AT_ONCE, "it is there", |mesh| mesh.view().providers(21).len() == 1).await;
        assert_eq!(ask(&client, &server, 20).await.unwrap(), "hello", "round {round}");

        assert!(server.remove_service("b"));
        assert_eq!(version(&server), before + 2);
        until(&client, AT_ONCE, "it has gone", |mesh| mesh.view().providers(21).is_empty()).await;
        assert_eq!(client.view().providers(10).len(), 1, "the other one stays");
        let refused = ask(&client, &server, 20).await.unwrap_err();
        assert_eq!((refused.executed(), refused), (Executed::No, Failure::UnknownMethod));
    }
    assert_eq!(Arc::strong_count(&echo), 1, "nothing of it is kept");
    assert!(!server.remove_service("b"));
    assert_eq!(ask(&client, &server, 10).await.unwrap(), "hello");
}

#[tokio::test(start_paused = true)]
async fn others_are_told_what_is_said_of_a_service() {
    let network = MemoryNetwork::new(7);
    let (server, client) = two(&network, Some(service("a", &[10], &Echo::new()))).await;
    let said = service("b", &[20], &Echo::new()).version("1.4.0").class("storage").started(77);
    server.serve(said.metadata("zone", "eu-1").metadata("owner", "night")).unwrap();
    let known = |mesh: &Mesh| mesh.record(&server.id()).filter(|record| record.services.len() == 2);
    until(&client, AT_ONCE, "it is known", |mesh| known(mesh).is_some()).await;
    let record = known(&client).unwrap();
    let [first, second] = &record.services[..] else { panic!("{record:?}") };
    assert_eq!((&*second.version, &*second.class, second.started), ("1.4.0", "storage", 77));
    assert_eq!(second.metadata.get("zone"), Some("eu-1"));
    assert_eq!(second.metadata.len(), 2);
    assert!(first.class.is_empty() && first.metadata.is_empty());
    assert!(first.started > 1_700_000_000_000, "when the node took it");

    let wordy = service("c", &[30], &Echo::new()).metadata("zone", "z".repeat(257));
    let refused = server.serve(wordy).unwrap_err();
    let (field, bytes) = (Field::MetadataValue, 257);
    let length = RecordError::Length { field, bytes, least: 0, most: 256 };
    assert_eq!(refused, ServeError::Record(length));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_offered_changes_nothing() {
    let network = MemoryNetwork::new(2);
    let (server, client) = two(&network, Some(service("a", &[10], &Echo::new()))).await;
    let (before, echo) = (server.record(&server.id()).unwrap(), Echo::new());
    let large = |n: u64| {
        let method = |id| Method::new("m".repeat(120), 1000 * n + id, KEY, Gate::new(1, 0));
        let handler = Arc::new(Served(echo.clone()));
        Service::new(format!("large-{n}"), (0..200).map(method), handler)
    };
    // Each fits, and all of them do not, whether they are advertised yet or not.
    for advertised in [true, false] {
        let large = |n| large(n).advertised(advertised);
        let refused = (1..9).find_map(|n| server.serve(large(n)).err()).unwrap();
        assert!(matches!(refused, ServeError::Record(_)), "{refused}");
        for n in 1..3 {
            server.set_advertised(&format!("large-{n}"), true).unwrap();
        }
        let removed = (1..9).filter(|n| server.remove_service(&format!("large-{n}")));
        assert_eq!(removed.count(), 2);
    }

    for wrong in
        [service("a", &[20], &echo), service("b", &[20, 10], &echo), service("", &[], &echo)]
    {
        server.serve(wrong).unwrap_err();
    }
    let unknown = ServeError::UnknownService("b".into());
    assert_eq!(server.set_advertised("b", true), Err(unknown));
    assert_eq!(server.record(&server.id()).unwrap().services, before.services);
    assert_eq!(Arc::strong_count(&echo), 1);
    assert_eq!(ask(&client, &server, 10).await.unwrap(), "hello");
    assert_eq!(ask(&client, &server, 20).await, Err(Failure::UnknownMethod));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_advertised_is_not_found_and_answers_all_the_same() {
    let network = MemoryNetwork::new(3);
    let hidden = service("a", &[10], &Echo::new()).advertised(false);
    let (server, client) = two(&network, Some(hidden)).await;
    let found = |mesh: &Mesh| !mesh.view().providers(10).is_empty();
    assert!(!found(&client) && !found(&server));
    assert_eq!(ask(&client, &server, 10).await.unwrap(), "hello");
    for round in 1..3 {
        server.set_advertised("a", true).unwrap();
        until(&client, AT_ONCE, "it is found", found).await;
        // What is said already is not said again.
        let told = version(&server);
        server.set_advertised("a", true).unwrap();
        assert_eq!((version(&server), told), (2 * round, 2 * round));
        server.set_advertised("a", false).unwrap();
        until(&client, AT_ONCE, "it is not", |mesh| !found(mesh)).await;
        assert_eq!(ask(&client, &server, 10).await.unwrap(), "hello");
    }
    server.serve(service("b", &[20], &Echo::new()).advertised(false)).unwrap();
    assert_eq!(version(&server), 5, "nobody is told of what is not advertised");
    assert_eq!(ask(&client, &server, 20).await.unwrap(), "hello");
}

#[tokio::test(start_paused = true)]
async fn a_paused_service_refuses_before_anything_runs() {
    let network = MemoryNetwork::new(4);
    let echo = Echo::new();
    let (server, client) = two(&network, Some(service("a", &[10, 11], &echo))).await;
    echo.paused.store(true, Ordering::SeqCst);
    let refused = ask(&client, &server, 10).await.unwrap_err();
    assert_eq!((refused.executed(), refused), (Executed::No, Failure::Draining));
    echo.paused.store(false, Ordering::SeqCst);
    assert_eq!(ask(&client, &server, 10).await.unwrap(), "hello");
    // A panic of the question is a refusal too, and of this call alone.
    let refused = ask(&client, &server, 11).await.unwrap_err();
    assert_eq!((refused.executed(), refused), (Executed::No, Failure::Draining));
    assert_eq!(ask(&client, &server, 10).await.unwrap(), "hello");
}

#[tokio::test(start_paused = true)]
async fn calls_under_way_outlive_their_service() {
    let network = MemoryNetwork::new(5);
    let echo = Echo::held();
    let (server, client) = two(&network, Some(service("a", &[10], &echo))).await;
    let call = tokio::spawn({
        let (client, server) = (client.clone(), server.clone());
        async move { ask(&client, &server, 10).await }
    });
    let running = async {
        while server.serving() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, running).await.unwrap();
    assert!(server.remove_service("a"));
    let refused = ask(&client, &server, 10).await.unwrap_err();
    assert_eq!(refused, Failure::UnknownMethod);
    echo.may_end.add_permits(1);
    assert_eq!(call.await.unwrap().unwrap(), "hello");
}

/// Takes its time to go, and asks its node something then.
struct Clinging(Mesh);

impl Handler for Clinging {
    fn handle(
        &self,
        call: Incoming,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>> {
        Box::pin(std::future::ready(Ok(call.body.into())))
    }
}

impl Drop for Clinging {
    fn drop(&mut self) {
        assert!(!self.0.remove_service("another"));
        assert!(self.0.record(&self.0.id()).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_use_its_node_while_it_is_dropped() {
    let network = MemoryNetwork::new(6);
    let (server, client) = two(&network, None).await;
    let clinging = |name| {
        let method = Method::new("m", 10, KEY, Gate::new(1, 0));
        Service::new(name, [method], Arc::new(Clinging(server.clone())))
    };
    server.serve(clinging("a")).unwrap();
    server.serve(clinging("a")).unwrap_err();
    assert_eq!(ask(&client, &server, 10).await.unwrap(), "hello");
    assert!(server.remove_service("a"));
    assert_eq!(ask(&client, &server, 10).await, Err(Failure::UnknownMethod));
}
