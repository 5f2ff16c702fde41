use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use nebula::Node;
use nebula::nodes::Topology;

use crate::patience::until;
use crate::store::{Mark, Store, serving};
use crate::{Gate, Process, Relay, ReplicaClient, Site, home};

/// Five servers that serve replicas, and a client in this process, under one topology.
///
/// Behind a [`Relay`] each of the six can be reached through its door alone.
#[derive(Debug)]
pub struct Five {
    site: Site,
    relay: Option<Relay>,
    /// Where each server listens, and what others are told, if it is something else.
    homes: BTreeMap<&'static str, (SocketAddr, Option<SocketAddr>)>,
    servers: BTreeMap<&'static str, Process>,
    client: Node,
}

impl Five {
    /// The names of the servers.
    pub const NAMES: [&str; 5] = ["s1", "s2", "s3", "s4", "s5"];

    /// The name of the client.
    pub const CLIENT: &str = "client";

    /// Starts the servers and the client, and waits until each knows all.
    pub async fn start(site: Site, mut relay: Option<Relay>) -> Self {
        let mut homes = BTreeMap::new();
        for name in Self::NAMES.into_iter().chain([Self::CLIENT]) {
            let home = home();
            let told = match &mut relay {
                Some(relay) => Some(relay.door(name, home).await.expect("a door")),
                None => None,
            };
            homes.insert(name, (home, told));
        }
        let (home, told) = homes[Self::CLIENT];
        let mut servers = BTreeMap::new();
        let starts = Self::NAMES.map(|name| {
            let (site, (home, told)) = (site.clone(), homes[name]);
            tokio::spawn(async move { site.serve_among(&Self::NAMES, name, home, told).await })
        });
        for (name, start) in Self::NAMES.into_iter().zip(starts) {
            servers.insert(name, start.await.expect("a server"));
        }
        let mut client = site.node(Self::CLIENT).topology(topology(Self::NAMES)).listen(home);
        if let Some(told) = told {
            client = client.advertise(told);
        }
        let client = client.start().await.expect("a client");
        let five = Self { site, relay, homes, servers, client };
        five.converges().await;
        five
    }

    /// The client.
    pub fn client(&self) -> &Node {
        &self.client
    }

    /// Calls from the client.
    pub fn replica(&self) -> ReplicaClient {
        ReplicaClient::new(&self.client)
    }

    /// The network, if it is one that can be cut.
    ///
    /// # Panics
    /// If it is not.
    pub fn relay(&self) -> &Relay {
        self.relay.as_ref().expect("a relay")
    }

    /// The place of the cluster.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// What bodies of calls wait for.
    pub fn gate(&self) -> Gate {
        Gate::new(&self.dir())
    }

    /// A server that runs.
    pub fn server(&self, name: &str) -> &Process {
        &self.servers[name]
    }

    /// The servers but these, in order.
    pub fn others(names: &[&str]) -> Vec<&'static str> {
        Self::NAMES.into_iter().filter(|name| !names.contains(name)).collect()
    }

    /// Kills a server with SIGKILL.
    pub async fn kill(&mut self, name: &str) {
        self.servers.remove(name).expect("a server that runs").kill().await;
    }

    /// Starts a server that was killed, where it was.
    pub async fn restart(&mut self, name: &'static str) {
        let (home, told) = self.homes[name];
        let server = self.site.serve_among(&Self::NAMES, name, home, told).await;
        self.servers.insert(name, server);
    }

    /// How often this became of a call on a server.
    pub fn marks(&self, name: &str, mark: Mark, call: u64) -> usize {
        Store::marks(&self.dir(), name, mark, call)
    }

    /// On how many servers this became of a call, or more often on some.
    pub fn marks_of_all(&self, mark: Mark, call: u64) -> usize {
        Self::NAMES.iter().map(|name| self.marks(name, mark, call)).sum()
    }

    /// Waits until the client knows that exactly these serve.
    pub async fn sees(&self, names: &[&str]) {
        until(&format!("the client sees {names:?}"), async || serving(&self.client) == names).await;
    }

    /// Waits until each of the six knows that all five serve, and the client reaches all.
    pub async fn converges(&self) {
        self.sees(&Self::NAMES).await;
        until("everyone sees everyone", async || {
            let Ok(all) = self.replica().sees().timeout(crate::PATIENCE).all().await else {
                return false;
            };
            all.len() == Self::NAMES.len()
                && all.all_ok()
                && all.ok().all(|names| *names == Self::NAMES)
        })
        .await;
    }

    fn dir(&self) -> PathBuf {
        self.site.dir().to_owned()
    }
}

/// The topology of servers of these names.
///
/// # Panics
/// If two are the same.
pub fn topology<'a>(names: impl IntoIterator<Item = &'a str>) -> Topology {
    let topology = names.into_iter().try_fold(Topology::new(), |t, name| t.node(name, ["ledger"]));
    topology.expect("names of their own")
}
