//! Typed calls, by a trait.

use std::time::Duration;

use bytes::Bytes;
use macula::{Io, MemoryNetwork};
use nebula::prelude::*;
use tokio::time::Instant;

use super::connects::PAYLOAD;
use super::macula::{MANY, SETTLES};
use super::{Peer, Place, Served};
use crate::Failure;
use crate::load::Times;

const COOKIE: &str = "for measurements on loopback only";
/// How long to wait until all nodes are known.
const PATIENCE: Duration = Duration::from_secs(10);

/// The service that all candidates offer.
#[service(global)]
pub trait Echoer {
    /// Gives back what it is given.
    #[api(idempotent)]
    async fn echo(&self, payload: Bytes) -> Bytes;
}

/// Gives back what it is given.
#[derive(Clone, Copy, Debug)]
pub struct Parrot;

impl Echoer for Parrot {
    async fn echo(&self, payload: Bytes) -> Bytes {
        payload
    }
}

/// A node that calls.
#[derive(Clone)]
pub struct Nebula {
    /// What is called.
    pub echoer: EchoerClient,
    /// From where.
    pub node: Node,
}

impl Nebula {
    /// A client on a network in memory, at this address of it.
    ///
    /// # Errors
    /// The node does not start.
    pub async fn in_memory(
        network: &MemoryNetwork,
        addr: std::net::SocketAddr,
        seed: std::net::SocketAddr,
    ) -> Result<Self, Failure> {
        let node = Node::builder("client").cookie(COOKIE).memory(network.clone(), addr);
        let node = node.seed(seed.to_string()).start().await?;
        Ok(Self { echoer: EchoerClient::new(&node), node })
    }

    /// A server there.
    ///
    /// # Errors
    /// The node does not start.
    pub async fn serve_in_memory(
        network: &MemoryNetwork,
        addr: std::net::SocketAddr,
    ) -> Result<Node, Failure> {
        let node = Node::builder("server").cookie(COOKIE).memory(network.clone(), addr);
        Ok(node.serve(Parrot).start().await?)
    }

    /// Waits until so many nodes that serve are known.
    ///
    /// # Errors
    /// They do not turn up.
    pub async fn knows(&self, servers: usize) -> Result<(), Failure> {
        let began = Instant::now();
        while self.echoer.echo(Bytes::new()).available_nodes().len() < servers {
            if began.elapsed() > PATIENCE {
                return Err(format!("{servers} servers did not turn up").into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    async fn serve_on(io: Io, place: Place) -> Result<Served, Failure> {
        let mut nodes: Vec<Node> = Vec::new();
        for n in 0..place.nodes {
            let mut node = Node::builder(format!("server-{}-{n}", std::process::id()));
            if let Some(first) = nodes.first() {
                node = node.seed(first.local_addr().to_string());
            }
            if let Some(seed) = &place.seed {
                node = node.seed(seed.as_str());
            }
            let node = node.cookie(COOKIE).local_discovery(false).io(io).serve(Parrot);
            nodes.push(node.start().await?);
        }
        let addr = nodes.first().ok_or("a server without nodes")?.local_addr();
        Ok(Served::at(addr, nodes))
    }

    async fn connect_on(io: Io, addr: &str) -> Result<Self, Failure> {
        let node = Node::builder("client").cookie(COOKIE).local_discovery(false).seed(addr);
        let node = node.io(io).start().await?;
        Ok(Self { echoer: EchoerClient::new(&node), node })
    }
}

impl Peer for Nebula {
    async fn serve(place: Place) -> Result<Served, Failure> {
        Self::serve_on(Io::Shared, place).await
    }

    async fn connect(addr: &str) -> Result<Self, Failure> {
        Self::connect_on(Io::Shared, addr).await
    }

    async fn echo(&self, payload: Bytes) -> Result<Bytes, Failure> {
        Ok(self.echoer.echo(payload).await?)
    }

    async fn close(self) {
        let _ = self.node.shutdown().await;
    }

    /// Calls nodes that are known and not connected: what is measured is the dial, the proof of
    /// both sides and the call, not the start of a node, which has a row of its own.
    async fn connects(&self, addr: &str, lasts: Duration) -> Result<Times, Failure> {
        let began = Instant::now();
        let mut times = Vec::new();
        while began.elapsed() < lasts {
            let client = Self::connect(addr).await?;
            client.knows(MANY).await?;
            tokio::time::sleep(SETTLES).await;
            for server in client.echoer.echo(PAYLOAD).available_nodes() {
                if client.node.mesh().peer(&server.id).connected {
                    continue;
                }
                let from = Instant::now();
                client.echoer.echo(PAYLOAD).to(server.id).await?;
                times.push(from.elapsed());
            }
            client.close().await;
        }
        Ok(Times::new(times))
    }
}

/// The same with the I/O of the server on a thread of its own, and that of the client too, if `BOTH`.
#[derive(Clone)]
pub struct NebulaOnThread<const BOTH: bool>(Nebula);

impl<const BOTH: bool> Peer for NebulaOnThread<BOTH> {
    async fn serve(place: Place) -> Result<Served, Failure> {
        Nebula::serve_on(Io::Thread, place).await
    }

    async fn connect(addr: &str) -> Result<Self, Failure> {
        let io = if BOTH { Io::Thread } else { Io::Shared };
        Nebula::connect_on(io, addr).await.map(Self)
    }

    async fn echo(&self, payload: Bytes) -> Result<Bytes, Failure> {
        self.0.echo(payload).await
    }

    async fn close(self) {
        self.0.close().await;
    }
}
