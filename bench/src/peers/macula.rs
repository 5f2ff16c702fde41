//! Untyped calls: a method by its number, and bytes.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use macula::identity::{Cookie, NodeId};
use macula::rpc::admission::Gate;
use macula::rpc::{Answer, Fault, Handler, Headers, Incoming, Method, Request, Service, Term};
use macula::{Mesh, MeshBuilder};

use super::connects::PAYLOAD;
use super::{Peer, Place, Served};
use crate::Failure;
use crate::load::Times;

/// How many nodes a server runs for connections to be made to.
pub const MANY: usize = 16;

const COOKIE: &str = "for measurements on loopback only";
const METHOD: u64 = 0x6563_686f;
const KEY: [u8; 8] = *b"payload!";
/// When callers stop waiting.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long the others have to hear of a node that has joined, before connections from it are
/// measured.
pub const SETTLES: Duration = Duration::from_millis(200);
/// How long to wait until all nodes are known.
const PATIENCE: Duration = Duration::from_secs(10);

/// A node that calls, and whom.
#[derive(Clone)]
pub struct Macula {
    mesh: Mesh,
    server: NodeId,
}

struct Parrot;

impl Handler for Parrot {
    fn handle(&self, call: Incoming) -> Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>> {
        Box::pin(std::future::ready(Ok(call.body.into())))
    }
}

fn mesh(name: String) -> Result<MeshBuilder, Failure> {
    Ok(Mesh::builder(name).cookie(Cookie::new(COOKIE)?).local_discovery(false))
}

/// The services of a node, all methods of which do the same; the last of them is `METHOD`.
fn services(place: &Place) -> impl Iterator<Item = Service> {
    // As many as a service of nebula lets run and wait.
    let gate = Gate::new(1024, 1024);
    let (services, methods) = (place.services, place.methods);
    (0..services).map(move |service| {
        let method = |at: usize| {
            let before = (services * methods - service * methods - at - 1) as u64;
            // All over the numbers there are, as hashes of names would be.
            let id = METHOD ^ before.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            Method::new(format!("echo-{at}"), id, KEY, gate.clone())
        };
        let methods = (0..methods).map(method);
        Service::new(format!("Echoer-{service}"), methods, Arc::new(Parrot)).version("1")
    })
}

impl Macula {
    async fn ask(&self, node: NodeId, payload: Bytes) -> Result<Bytes, Failure> {
        let request = Request {
            method: METHOD,
            key: KEY,
            body: payload,
            term: Term::fixed(tokio::time::Instant::now() + TIMEOUT),
            headers: Headers::new(),
            moved: None,
            sent: None,
            leave_if_silent: true,
        };
        let reply = self.mesh.call_to(node, request).await;
        reply.result.map_err(|failure| format!("{failure:?}").into())
    }

    /// The nodes that serve, when there are so many.
    async fn servers(mesh: &Mesh, count: usize) -> Result<Vec<NodeId>, Failure> {
        let began = Instant::now();
        loop {
            let view = mesh.view();
            let servers = view.providers(METHOD);
            if servers.len() >= count {
                return Ok(servers.iter().map(|provider| provider.node).collect());
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("{count} servers did not turn up").into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Peer for Macula {
    async fn serve(place: Place) -> Result<Served, Failure> {
        let mut nodes: Vec<Mesh> = Vec::new();
        for n in 0..place.nodes {
            let node = mesh(format!("server-{n}"))?;
            let mut node = services(&place).fold(node, MeshBuilder::service);
            if let Some(first) = nodes.first() {
                node = node.seed(first.addr().to_string());
            }
            nodes.push(node.start().await?);
        }
        let addr = nodes.first().ok_or("a server without nodes")?.addr();
        Ok(Served::at(addr, nodes))
    }

    async fn connect(addr: &str) -> Result<Self, Failure> {
        let mesh = mesh("client".into())?.seed(addr).start().await?;
        let servers = Self::servers(&mesh, 1).await?;
        let server = *servers.first().ok_or("no server turned up")?;
        Ok(Self { mesh, server })
    }

    async fn echo(&self, payload: Bytes) -> Result<Bytes, Failure> {
        self.ask(self.server, payload).await
    }

    async fn close(self) {
        self.mesh.shutdown(Duration::ZERO).await;
    }

    /// Calls nodes that are known and not connected.
    async fn connects(&self, addr: &str, lasts: Duration) -> Result<Times, Failure> {
        let began = Instant::now();
        let mut times = Vec::new();
        while began.elapsed() < lasts {
            let client = Self::connect(addr).await?;
            let servers = Self::servers(&client.mesh, MANY).await?;
            tokio::time::sleep(SETTLES).await;
            for server in servers {
                if client.mesh.peer(&server).connected {
                    continue;
                }
                let from = Instant::now();
                client.ask(server, PAYLOAD).await?;
                times.push(from.elapsed());
            }
            client.close().await;
        }
        Ok(Times::new(times))
    }
}
