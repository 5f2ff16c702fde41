//! A contract, a service and nodes for all of these tests.

use std::sync::{Arc, Mutex};

use nebula::prelude::*;
use nebula::{NodeBuilder, NodeId};

/// What was noted, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub(crate) fn note(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    /// What was noted since the last time.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[service(global)]
pub(crate) trait Sums {
    #[api(idempotent)]
    async fn add(&self, left: f64, right: f64) -> f64;
    #[api]
    async fn divide(&self, left: f64, right: f64) -> Result<f64, String>;
    #[api]
    async fn wait(&self) -> u32;
    #[api]
    async fn fail(&self) -> u32;
    #[api]
    async fn whoami(&self) -> NodeId;
}

pub(crate) struct Plain(pub(crate) Notes, pub(crate) NodeId);

impl Plain {
    pub(crate) fn new() -> Self {
        Self(Notes::default(), NodeId::from_bytes([0; 32]))
    }
}

impl Sums for Plain {
    async fn add(&self, left: f64, right: f64) -> f64 {
        self.0.note("add");
        left + right
    }

    async fn divide(&self, left: f64, right: f64) -> Result<f64, String> {
        if right == 0.0 { Err("by zero".into()) } else { Ok(left / right) }
    }

    async fn wait(&self) -> u32 {
        std::future::pending().await
    }

    async fn fail(&self) -> u32 {
        panic!("it fails")
    }

    async fn whoami(&self) -> NodeId {
        self.1
    }
}

/// Nodes that know each other.
pub(crate) struct Site {
    network: macula::MemoryNetwork,
    nodes: u8,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self { network: macula::MemoryNetwork::new(1), nodes: 0 }
    }

    pub(crate) fn builder(&mut self, name: &str) -> NodeBuilder {
        self.nodes += 1;
        let at = format!("10.0.0.{}:1", self.nodes).parse().unwrap();
        let builder = Node::builder(name).cookie("of these tests").memory(self.network.clone(), at);
        if self.nodes > 1 { builder.seed("10.0.0.1:1") } else { builder }
    }

    pub(crate) async fn node(&mut self, name: &str) -> Node {
        self.builder(name).start().await.unwrap()
    }
}

/// Waits for something that happens without being asked for.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("never: {what}");
}
