//! What the cluster knows of a node: how to start it, and the life it is in.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use macula::MemoryNetwork;
use macula::identity::SecretKey;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::builder::NodeBuilder;
use crate::node::Node;
use crate::service::serve::Dispatch;

/// The time of day at which a cluster begins, in milliseconds since 1970: in 2030, so that no clock
/// that is years apart is before that year.
const BEGIN: u64 = 1_893_456_000_000;
/// The port of every node; their hosts differ.
const PORT: u16 = 7000;

/// Makes a service anew for each life.
pub(super) type Factory = Arc<dyn Fn() -> Arc<dyn Dispatch> + Send + Sync>;

/// A place in the cluster, which has one node at a time, or none.
pub(super) struct Machine {
    pub(super) name: String,
    pub(super) addr: SocketAddr,
    /// The node that runs here, unless it has stopped by itself.
    node: Option<Node>,
    base: NodeBuilder,
    fresh: Vec<Factory>,
    /// Whom it joins by, from its first start on.
    seeds: Option<Vec<SocketAddr>>,
    rng: StdRng,
    key: SecretKey,
    /// How far its clock is from the right time, in milliseconds.
    clock: i64,
    /// The number of the last life.
    life: u64,
}

impl Machine {
    /// The machine number `place` of a cluster, on which nothing runs yet.
    pub(super) fn new(seed: u64, place: u16, name: String) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        bytes[8..10].copy_from_slice(&place.to_be_bytes());
        let mut rng = StdRng::from_seed(bytes);
        let key = SecretKey::from_bytes(rng.random());
        let base = Node::builder(&name).realm("testing").cookie("of a cluster in a test");
        let base = base.random_seed(rng.random());
        let [high, low] = place.to_be_bytes();
        let addr = SocketAddr::from((Ipv4Addr::new(10, 0, high, low), PORT));
        let fresh = Vec::new();
        Self { name, addr, node: None, base, fresh, seeds: None, rng, key, clock: 0, life: 0 }
    }

    /// The builder of the node, as far as it is the same in all its lives.
    pub(super) fn base(&self) -> NodeBuilder {
        self.base.again()
    }

    /// Says what each life begins with.
    pub(super) fn prepare(&mut self, base: NodeBuilder, fresh: Vec<Factory>) {
        (self.base, self.fresh) = (base, fresh);
    }

    /// Sets its clock apart from the right time, by so many milliseconds.
    pub(super) fn set_clock(&mut self, apart: i64) {
        self.clock = apart;
    }

    /// The builder of the next life, while those at the addresses `running` run. The cluster is so
    /// old.
    pub(super) fn next_life(
        &mut self,
        network: &MemoryNetwork,
        running: &[SocketAddr],
        age: Duration,
    ) -> NodeBuilder {
        // As a node numbers its lives that keeps its key in a file: by its clock, and upwards.
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let now = BEGIN.saturating_add(age).saturating_add_signed(self.clock);
        self.life = now.max(self.life + 1);
        let builder = self.base.again().memory(network.clone(), self.addr);
        let builder = builder.key(self.key.clone(), self.life);
        let seeds = self.seeds(running).iter();
        let builder = seeds.fold(builder, |builder, seed| builder.seed(seed.to_string()));
        self.fresh.iter().fold(builder, |builder, service| builder.serve_erased(service()))
    }

    /// Whom the next life joins by. A process starts again with the configuration that it had, in
    /// which some seeds may be down. If all are, or it never had any since it was the first, the
    /// next life would be a cluster by itself: whoever runs is its seed then. Seeds that the test
    /// has named are left alone.
    fn seeds<'s>(&'s mut self, running: &'s [SocketAddr]) -> &'s [SocketAddr] {
        let named = self.base.has_seeds();
        let given = self.seeds.get_or_insert_with(|| running.to_vec());
        let lost = !given.iter().any(|seed| running.contains(seed));
        if lost && !named && !running.is_empty() { running } else { given }
    }

    /// The next life is that of another node.
    pub(super) fn change_key(&mut self) {
        self.life = 0;
        self.key = SecretKey::from_bytes(self.rng.random());
    }

    pub(super) fn set_node(&mut self, node: Node) {
        self.node = Some(node);
    }

    pub(super) fn take_node(&mut self) -> Option<Node> {
        self.node.take()
    }

    /// The node that runs here, if one does.
    pub(super) fn running(&self) -> Option<&Node> {
        self.node.as_ref().filter(|node| !node.has_stopped())
    }
}
