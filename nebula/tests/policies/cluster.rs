//! A cluster whose nodes say who they are, or hang when they are told to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use macula::MemoryNetwork;
use nebula::prelude::*;
use nebula::{Node, NodeBuilder};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

pub(crate) const MS: Duration = Duration::from_millis(1);

/// Each method gives the name of the node that ran it.
#[service(global)]
pub trait Who {
    /// May run twice.
    #[api(idempotent)]
    async fn read(&self) -> String;
    /// May not.
    #[api]
    async fn write(&self) -> String;
    /// One at a time, and nobody waits.
    #[api(idempotent, max_concurrent = 1, queue = 1)]
    async fn narrow(&self) -> String;
    /// Asks for ten seconds more before it answers.
    #[api]
    async fn extended(&self, cx: &Context) -> String;
}

/// The same by a policy of its own.
#[service(global, policy = "local_first")]
pub trait Stay {
    /// By the policy of the service.
    #[api]
    async fn stay(&self) -> String;
    /// By one of its own.
    #[api(policy = "round_robin")]
    async fn go(&self) -> String;
}

#[derive(Clone)]
pub(crate) struct Worker {
    name: String,
    hangs: watch::Sender<bool>,
}

impl Worker {
    /// Answers nothing more until it is told otherwise.
    pub(crate) fn hang(&self, hangs: bool) {
        self.hangs.send_replace(hangs);
    }

    async fn name(&self) -> String {
        self.hangs.subscribe().wait_for(|hangs| !hangs).await.unwrap();
        self.name.clone()
    }
}

impl Who for Worker {
    async fn read(&self) -> String {
        self.name().await
    }

    async fn write(&self) -> String {
        self.name().await
    }

    async fn narrow(&self) -> String {
        self.name().await
    }

    async fn extended(&self, cx: &Context) -> String {
        cx.extend(10_000 * MS).unwrap();
        self.name().await
    }
}

impl Stay for Worker {
    async fn stay(&self) -> String {
        self.name().await
    }

    async fn go(&self) -> String {
        self.name().await
    }
}

/// Nodes on a network of their own, which join through the first one.
pub(crate) struct Cluster {
    pub(crate) network: MemoryNetwork,
    nodes: u8,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        Self { network: MemoryNetwork::new(1), nodes: 0 }
    }

    pub(crate) fn addr(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 7000))
    }

    pub(crate) fn builder(&mut self, name: &str) -> NodeBuilder {
        self.nodes += 1;
        let builder = Node::builder(name).cookie("of these tests");
        let builder = builder.memory(self.network.clone(), Self::addr(self.nodes));
        if self.nodes == 1 { builder } else { builder.seed(Self::addr(1).to_string()) }
    }

    pub(crate) async fn client(&mut self, name: &str) -> Node {
        self.builder(name).start().await.unwrap()
    }

    pub(crate) async fn worker(&mut self, name: &str) -> (Node, Worker) {
        let builder = self.builder(name);
        Self::serve(builder, name).await
    }

    pub(crate) async fn serve(builder: NodeBuilder, name: &str) -> (Node, Worker) {
        let worker = Worker { name: name.into(), hangs: watch::Sender::new(false) };
        let builder = builder.serve_as::<WhoClient>(worker.clone());
        let node = builder.serve_as::<StayClient>(worker.clone()).start().await.unwrap();
        (node, worker)
    }
}

/// Waits until `node` knows what all of `others` say, and is connected to them.
pub(crate) async fn met(node: &Node, others: &[&Node]) {
    let ready = || {
        let known = node.nodes();
        others
            .iter()
            .all(|other| known.get(other.id()).is_some() && node.mesh().peer(&other.id()).connected)
    };
    let wait = async {
        while !ready() {
            sleep(10 * MS).await;
        }
    };
    timeout(Duration::from_secs(60), wait).await.expect("the nodes never met");
}

/// How often each node answered.
pub(crate) fn counts(answers: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.as_str()).or_insert(0) += 1;
    }
    counts
}
