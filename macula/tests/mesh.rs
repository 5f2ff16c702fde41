//! Nodes of the mesh on loopback, with raw services.

mod common;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use macula::identity::Cookie;
use macula::rpc::admission::Gate;
use macula::rpc::{
    Answer, Executed, Failure, Fault, Handler, Incoming, Method, Response, Service, Term,
};
use macula::{Limits, MemberEvent, MemoryNetwork, Mesh, MeshBuilder};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use common::{KEY, PATIENCE, Site, request, until};

const ECHO: u64 = 1;
const HANG: u64 = 2;
const PANIC: u64 = 3;
const LATER: u64 = 4;

struct Tester {
    dropped: Arc<tokio::sync::Notify>,
    later: Arc<Semaphore>,
}

impl Handler for Tester {
    fn handle(
        &self,
        call: Incoming,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>> {
        let dropped = NotifyOnDrop(self.dropped.clone());
        let later = self.later.clone();
        Box::pin(async move {
            match call.method {
                0 => Ok(call.body.into()),
                1 => {
                    let _dropped = dropped;
                    std::future::pending().await
                }
                2 => panic!("on purpose"),
                _ => {
                    later.acquire().await.unwrap().forget();
                    Ok(call.body.into())
                }
            }
        })
    }
}

struct NotifyOnDrop(Arc<tokio::sync::Notify>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Site {
    fn server(&self, name: &str) -> (MeshBuilder, Arc<tokio::sync::Notify>) {
        self.server_until(name, Arc::new(Semaphore::new(0)))
    }

    /// A server whose method `later` answers a call for each permit.
    fn server_until(
        &self,
        name: &str,
        later: Arc<Semaphore>,
    ) -> (MeshBuilder, Arc<tokio::sync::Notify>) {
        let dropped = Arc::new(tokio::sync::Notify::new());
        let gate = Gate::new(16, 0);
        let method = |name: &str, id| Method::new(name, id, KEY, gate.clone());
        let methods = [("echo", ECHO), ("hang", HANG), ("panic", PANIC), ("later", LATER)]
            .map(|(name, id)| method(name, id));
        let handler = Arc::new(Tester { dropped: dropped.clone(), later });
        let service = Service::new("Tester", methods, handler).version("1");
        (self.builder(name).service(service), dropped)
    }
}

fn failure(response: Response) -> Failure {
    response.result.unwrap_err()
}

#[tokio::test]
async fn neighbours_meet_and_call_each_other() {
    let site = Site::new();
    let server = site.server("server").0.start().await.unwrap();
    let client = site.builder("client").start().await.unwrap();
    until(&client, PATIENCE, "the service is known", |mesh| {
        !mesh.view().providers(ECHO).is_empty()
    })
    .await;
    assert_eq!(client.view().providers(ECHO)[0].node, server.id());

    let response = client.call_to(server.id(), request(ECHO, "hello")).await;
    assert_eq!(response.result.unwrap(), "hello");
    assert!(response.load.is_some());

    let peer = client.peer(&server.id());
    assert!(peer.connected && !peer.suspect, "{peer:?}");
    assert_eq!((peer.in_flight, peer.late_replies), (0, 0));

    for size in [0, 1, 32 << 10, (32 << 10) + 1, 5 << 20] {
        let body = Bytes::from(vec![7; size]);
        let response = client.call_to(server.id(), request(ECHO, body.clone())).await;
        assert_eq!(response.result.unwrap(), body, "{size} bytes");
    }

    let unknown = failure(client.call_to(server.id(), request(99, "")).await);
    assert_eq!((unknown.executed(), unknown), (Executed::No, Failure::UnknownMethod));
    let mut other_shape = request(ECHO, "");
    other_shape.key = [0; 8];
    let refused = failure(client.call_to(server.id(), other_shape).await);
    assert_eq!(refused, Failure::Incompatible { theirs: KEY });
    let panicked = failure(client.call_to(server.id(), request(PANIC, "")).await);
    assert_eq!(panicked, Failure::Panicked("on purpose".into()));
    let response = client.call_to(server.id(), request(ECHO, "still there")).await;
    assert_eq!(response.result.unwrap(), "still there");

    client.shutdown(Duration::ZERO).await;
    until(&server, PATIENCE, "the client has left", |mesh| mesh.view().nodes().len() == 1).await;
    server.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn a_new_topology_is_told_to_the_others() {
    let site = Site::new();
    let server = site.server("server").0.topology([1; 8]).start().await.unwrap();
    let client = site.builder("client").start().await.unwrap();
    let known = |mesh: &Mesh| mesh.record(&server.id()).map(|record| record.topology);
    until(&client, PATIENCE, "the first", |mesh| known(mesh) == Some(Some([1; 8]))).await;
    for hash in [Some([2; 8]), None] {
        let before = server.record(&server.id()).unwrap();
        server.set_topology(hash).unwrap();
        let after = server.record(&server.id()).unwrap();
        assert_eq!((after.topology, after.version), (hash, before.version + 1));
        assert_eq!(after.services, before.services);
        until(&client, PATIENCE, "the next", |mesh| known(mesh) == Some(hash)).await;
        // What is said already is not said again.
        server.set_topology(hash).unwrap();
        assert_eq!(server.record(&server.id()).unwrap(), after);
    }
}

#[tokio::test]
async fn a_seed_is_enough_across_machines() {
    let site = Site::new();
    let listen = "127.0.0.1:0".parse().unwrap();
    let server = site.server("server").0.local_discovery(false).listen(listen);
    let server = server.start().await.unwrap();
    let port = server.addr().port();
    let client = site.builder("client").local_discovery(false).seed(format!("localhost:{port}"));
    let client = client.start().await.unwrap();
    assert!(client.joining().borrow().joined);
    until(&client, PATIENCE, "the service is known", |mesh| {
        !mesh.view().providers(ECHO).is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_caller_that_leaves_stops_the_handler() {
    let site = Site::new();
    let (server, dropped) = site.server("server");
    let server = server.start().await.unwrap();
    let client = site.builder("client").start().await.unwrap();
    until(&client, PATIENCE, "the service is known", |mesh| {
        !mesh.view().providers(ECHO).is_empty()
    })
    .await;

    let call = tokio::spawn({
        let (client, server) = (client.clone(), server.id());
        async move { client.call_to(server, request(HANG, "")).await }
    });
    let running = async {
        while server.serving() == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, running).await.unwrap();
    call.abort();
    timeout(PATIENCE, dropped.notified()).await.unwrap();

    let mut short = request(HANG, "");
    short.term = Term::fixed(Instant::now() + Duration::from_millis(50));
    let late = failure(client.call_to(server.id(), short).await);
    assert_eq!(late.executed(), Executed::Unknown, "{late:?}");
    timeout(PATIENCE, dropped.notified()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_is_heard_out() {
    const CALLS: usize = 8;
    let site = Site::new();
    let client = site.builder("client").start().await.unwrap();
    let other = site.builder("other").start().await.unwrap();
    until(&client, PATIENCE, "the other is known", |mesh| mesh.view().nodes().len() == 2).await;
    for size in [10, 10, 10, 10, 1 << 20, 1 << 20] {
        let later = Arc::new(Semaphore::new(0));
        let server = site.server_until("server", later.clone()).0.start().await.unwrap();
        for mesh in [&client, &other] {
            until(mesh, PATIENCE, "it is known", |mesh| !mesh.view().providers(LATER).is_empty())
                .await;
        }
        let body = Bytes::from(vec![7; size]);
        let calls: tokio::task::JoinSet<_> = (0..CALLS)
            .map(|_| {
                let (client, id, body) = (client.clone(), server.id(), body.clone());
                async move { client.call_to(id, request(LATER, body)).await.result }
            })
            .collect();
        let running = async {
            while server.serving() < CALLS {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, running).await.unwrap();
        // They end in the very moment in which the node leaves.
        later.add_permits(CALLS);
        server.shutdown(PATIENCE).await;
        for result in calls.join_all().await {
            assert_eq!(result.map(|reply| reply.len()), Ok(size));
        }
        for mesh in [&client, &other] {
            until(mesh, PATIENCE, "it has gone", |mesh| mesh.view().nodes().len() == 2).await;
        }
    }
}

/// A crash is no goodbye: whoever waits for the former life of a node hears of its end by the next.
#[tokio::test(start_paused = true)]
async fn calls_to_a_node_that_crashed_end_when_it_is_back() {
    let site = Site::new();
    let network = MemoryNetwork::new(7);
    let [at, elsewhere, from] = [1, 2, 3].map(|n| std::net::SocketAddr::from(([10, 0, 0, n], 1)));
    let client = site.builder("client").memory(network.clone(), from).start().await.unwrap();
    let server = async |at| {
        let server = site.server("server").0.identity_file(site.dir().join("server.key"));
        server.memory(network.clone(), at).seed(from.to_string()).start().await.unwrap()
    };
    let first = server(at).await;
    until(&client, PATIENCE, "the service is known", |mesh| {
        !mesh.view().providers(HANG).is_empty()
    })
    .await;
    let mut hangs = request(HANG, "");
    hangs.term = Term::fixed(Instant::now() + 100 * PATIENCE);
    let call = tokio::spawn({
        let (client, server) = (client.clone(), first.id());
        async move { client.call_to(server, hangs).await }
    });
    while first.serving() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    network.partition(at, from);
    first.shutdown(Duration::ZERO).await;
    drop(first);
    network.heal();
    let second = server(elsewhere).await;
    let back = Instant::now();
    let lost = failure(timeout(PATIENCE, call).await.unwrap().unwrap());
    assert_eq!((lost.executed(), lost), (Executed::Unknown, Failure::Disconnected));
    assert!(back.elapsed() < Duration::from_secs(2), "{:?}", back.elapsed());
    let response = client.call_to(second.id(), request(ECHO, "still there")).await;
    assert_eq!(response.result.unwrap(), "still there");
}

#[tokio::test]
async fn what_is_too_large_is_refused_in_both_directions() {
    let site = Site::new();
    let mut small = Limits::default();
    small.max_body = 100_000;
    let server = site.server("server").0.limits(small.clone()).start().await.unwrap();
    let client = site.builder("client").start().await.unwrap();
    until(&client, PATIENCE, "the service is known", |mesh| {
        !mesh.view().providers(ECHO).is_empty()
    })
    .await;

    let body = vec![0; 101_000];
    let refused = failure(client.call_to(server.id(), request(ECHO, body.clone())).await);
    assert_eq!(refused, Failure::RequestTooLarge { limit: 100_000 });
    let over = vec![0; client_limit() + 1];
    let refused = failure(client.call_to(server.id(), request(ECHO, over)).await);
    assert_eq!(refused, Failure::RequestTooLarge { limit: client_limit() });
    // The second one was never sent.
    assert_eq!(server.refused_calls()["too_large"], 1);
    let response = client.call_to(server.id(), request(ECHO, "fits")).await;
    assert_eq!(response.result.unwrap(), "fits");
}

fn client_limit() -> usize {
    Limits::default().max_body
}

#[tokio::test]
async fn strangers_are_refused_and_only_we_know_why() {
    let site = Site::new();
    let server = site.server("server").0.start().await.unwrap();
    let addr = server.addr().to_string();
    let reasons = |mesh: &Mesh| -> Vec<String> {
        mesh.refusals().into_iter().map(|refusal| refusal.reason).collect()
    };
    for (realm, cookie, reason) in [
        ("other", site.cookie(), "it belongs to another realm"),
        ("test", Cookie::generate(), "its cookie is not that of this realm"),
    ] {
        let stranger = Mesh::builder("stranger").realm(realm).cookie(cookie);
        let stranger = stranger.local_discovery(false).seed(addr.clone());
        let stranger = stranger.join_timeout(Duration::ZERO).start().await.unwrap();
        let mut joining = stranger.joining();
        let tried = timeout(PATIENCE, joining.wait_for(|joining| !joining.tried.is_empty()));
        let tried = tried.await.unwrap().unwrap().tried.clone();
        assert!(tried[0].outcome.contains("are realm and cookie the same"), "{tried:?}");
        assert!(!stranger.joining().borrow().joined);
        assert!(reasons(&server).iter().any(|known| known == reason), "{:?}", server.refusals());
    }
    assert_eq!(server.view().nodes().len(), 1);
}

#[tokio::test]
async fn a_taken_port_says_what_to_do() {
    let site = Site::new();
    let first = site.builder("first").start().await.unwrap();
    let second = site.builder("second").listen(first.addr()).start().await;
    let error = second.unwrap_err().to_string();
    assert!(error.contains("choose another address"), "{error}");
}

/// What one node is told of another may be lost, or told to those who know already.
#[tokio::test(start_paused = true)]
async fn everybody_hears_of_everybody_in_small_clusters() {
    for seed in 0..20 {
        let site = Site::new();
        let network = MemoryNetwork::new(seed);
        network.loss(0.05);
        let addr = |n: u8| std::net::SocketAddr::from(([10, 0, 0, n], 1));
        let mut nodes = Vec::new();
        for n in 1..=4_u8 {
            let builder = site.builder(&format!("n{n}")).memory(network.clone(), addr(n));
            let builder = if n > 1 { builder.seed(addr(n / 2).to_string()) } else { builder };
            nodes.push(builder.start().await.unwrap());
        }
        for node in &nodes {
            let all = |mesh: &Mesh| mesh.view().nodes().len() == 4 && mesh.view().is_complete();
            until(node, PATIENCE, "all nodes are known", all).await;
        }
    }
}

#[tokio::test]
async fn ten_nodes_know_a_new_service_and_forget_one_that_left() {
    let site = Site::new();
    let mut nodes = Vec::new();
    for n in 0..9 {
        nodes.push(site.builder(&format!("n{n}")).start().await.unwrap());
    }
    for node in &nodes {
        until(node, PATIENCE, "all nodes are known", |mesh| mesh.view().nodes().len() == 9).await;
    }
    let mut events = nodes[0].watch_members();
    let began = Instant::now();
    let server = site.server("server").0.start().await.unwrap();
    for node in &nodes {
        until(node, PATIENCE, "the service is known", |mesh| {
            !mesh.view().providers(ECHO).is_empty()
        })
        .await;
    }
    println!("known on 9 nodes after {:?}", began.elapsed());
    heard(&mut events, MemberEvent::Up(server.id())).await;

    server.shutdown(Duration::ZERO).await;
    for node in &nodes {
        until(node, PATIENCE, "it has gone", |mesh| mesh.view().nodes().len() == 9).await;
        assert!(node.view().providers(ECHO).is_empty());
    }
    heard(&mut events, MemberEvent::Down(server.id())).await;
}

/// Waits for this event among others: a machine that is busy enough makes nodes look dead.
async fn heard(events: &mut tokio::sync::broadcast::Receiver<MemberEvent>, wanted: MemberEvent) {
    let wait = async { while events.recv().await.unwrap() != wanted {} };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{wanted:?}: not in time"));
}
