use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use macula::{Faults, MemoryNetwork};
use tokio::sync::watch;
use tokio::time::Instant;

use super::builder::TestNodeBuilder;
use super::links::{Links, Ways};
use super::machine::Machine;
use super::node::TestNode;
use super::settle::{self, Observed};
use crate::Result;
use crate::error::Error;
use crate::node::Node;

/// How long the clock is looked at, at least, to see whether it stands still.
const GLANCE: Duration = Duration::from_micros(20);

/// Nodes in this process, on a network of their own, in virtual time.
///
/// When a test panics, the cluster prints its seed as it is dropped. The nodes live as long as the
/// runtime of the test.
pub struct Cluster {
    shared: Arc<Shared>,
}

/// What the cluster and the handles of its nodes share.
pub(super) struct Shared {
    seed: u64,
    began: Instant,
    network: MemoryNetwork,
    machines: Mutex<Vec<Machine>>,
    /// Changes with every fault, start and stop.
    changed: watch::Sender<()>,
    /// What passes between nodes has changed since they last settled, so that somebody may be
    /// suspected without anything to show for it yet.
    doubtful: AtomicBool,
}

impl Cluster {
    /// A cluster without nodes. The seed decides what becomes of each datagram, and the keys of
    /// the nodes.
    ///
    /// # Panics
    /// Where tokio's clock is not paused: the test needs `#[tokio::test(start_paused = true)]` or
    /// [`testing::run`](super::run).
    pub fn new(seed: u64) -> Self {
        assert!(
            clock_is_paused(),
            "a cluster in a test needs a paused clock: write \
             `#[tokio::test(start_paused = true)]`, or run the test by `nebula::testing::run`"
        );
        let shared = Shared {
            seed,
            began: Instant::now(),
            network: MemoryNetwork::new(seed),
            machines: Mutex::default(),
            changed: watch::Sender::new(()),
            doubtful: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The seed that it was made with.
    pub fn seed(&self) -> u64 {
        self.shared.seed
    }

    /// The network below, for whatever is not offered here. The address of a node is
    /// [`Node::local_addr`].
    pub fn network(&self) -> &MemoryNetwork {
        &self.shared.network
    }

    /// Prepares a node of this name, on a machine of its own: see [`Node::builder`].
    ///
    /// # Panics
    /// At the 65,536th machine.
    pub fn node(&mut self, name: impl Into<String>) -> TestNodeBuilder {
        let mut machines = self.shared.lock();
        let place = machines.len();
        let Ok(number) = u16::try_from(place + 1) else { panic!("too many machines: {place}") };
        let machine = Machine::new(self.shared.seed, number, name.into());
        let builder = machine.base();
        machines.push(machine);
        TestNodeBuilder::new(builder, place, self.shared.clone())
    }

    /// Lets nothing pass between the nodes of one side and those of the other, until
    /// [`heal`](Self::heal). Nodes of neither side, and those that are started later, reach both.
    pub fn partition(&self, one: &[&TestNode], other: &[&TestNode]) {
        let other = other.iter().map(|node| self.addr(node)).collect::<Vec<_>>();
        for one in one.iter().map(|node| self.addr(node)) {
            other.iter().for_each(|other| self.network().partition(one, *other));
        }
        self.shared.tell_doubt();
    }

    /// Lets nothing pass from one node to the other, until [`heal`](Self::heal). The way back stays
    /// open; but a connection needs both.
    pub fn cut(&self, from: &TestNode, to: &TestNode) {
        self.network().cut(self.addr(from), self.addr(to));
        self.shared.tell_doubt();
    }

    /// Takes back every [`partition`](Self::partition) and [`cut`](Self::cut). Other faults stay;
    /// [`repair`](Self::repair) takes back those too.
    pub fn heal(&self) {
        self.network().heal();
        self.shared.tell_doubt();
    }

    /// Takes back every fault: partitions, cuts, pauses, clocks that are wrong, and all that was
    /// said by [`link`](Self::link) and the like. What was killed stays dead.
    pub fn repair(&self) {
        self.network().heal();
        self.network().faults(|_| Faults::none());
        let mut machines = self.shared.lock();
        machines.iter_mut().for_each(|machine| machine.set_clock(0));
        let addrs: Vec<_> = machines.iter().map(|machine| machine.addr).collect();
        drop(machines);
        addrs.into_iter().for_each(|addr| self.network().resume(addr));
        self.shared.tell_doubt();
    }

    /// The ways between two nodes, in both directions.
    pub fn link(&self, a: &TestNode, b: &TestNode) -> Links<'_> {
        let (a, b) = (self.addr(a), self.addr(b));
        Links::new(self.network(), Ways::These(vec![(a, b), (b, a)]))
    }

    /// The way from one node to another.
    pub fn one_way(&self, from: &TestNode, to: &TestNode) -> Links<'_> {
        let way = (self.addr(from), self.addr(to));
        Links::new(self.network(), Ways::These(vec![way]))
    }

    /// All ways to and from a node, of all machines that have been prepared so far.
    pub fn around(&self, node: &TestNode) -> Links<'_> {
        let addr = self.addr(node);
        let others: Vec<_> = self.shared.lock().iter().map(|machine| machine.addr).collect();
        let others = others.into_iter().filter(|other| *other != addr);
        let ways = others.flat_map(|other| [(addr, other), (other, addr)]).collect();
        Links::new(self.network(), Ways::These(ways))
    }

    /// All ways between all nodes, those to come included.
    pub fn everywhere(&self) -> Links<'_> {
        Links::new(self.network(), Ways::All)
    }

    /// Silences a node, until [`resume`](Self::resume) or [`repair`](Self::repair): what it sends is
    /// lost, and what it is sent waits. That is what others notice of a process that was stopped;
    /// the node itself goes on (see [the module](super)).
    pub fn pause(&self, node: &TestNode) {
        self.network().pause(self.addr(node));
        self.shared.tell_doubt();
    }

    /// Ends a [`pause`](Self::pause): what has come meanwhile reaches the node now.
    pub fn resume(&self, node: &TestNode) {
        self.network().resume(self.addr(node));
        self.shared.tell_doubt();
    }

    /// Sets the clock of a node ahead of the right time by so much, in place of what was said before,
    /// until [`repair`](Self::repair). A node looks at its clock when it starts, so this takes hold
    /// with its next life ([the module](super) says why that is all).
    pub fn clock_ahead(&self, node: &TestNode, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.machine(node, |machine| machine.set_clock(by));
    }

    /// Sets the clock of a node behind the right time, as [`clock_ahead`](Self::clock_ahead) does.
    pub fn clock_behind(&self, node: &TestNode, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.machine(node, |machine| machine.set_clock(-by));
    }

    /// Stops a node as a crash of its process would: nobody is told, its connections are gone, and
    /// so is what runs there for others, at its next await. Does nothing if it does not run.
    pub fn kill(&self, node: &TestNode) {
        let running = self.machine(node, Machine::take_node);
        if let Some(running) = running {
            // First, so that no goodbye gets out.
            self.network().unplug(self.addr(node));
            running.crash();
        }
        self.shared.tell();
    }

    /// Stops a node in good order, as [`Node::shutdown`] does.
    ///
    /// # Errors
    /// Calls were still running after the grace period of the node; it has stopped all the same.
    pub async fn shutdown(&self, node: &TestNode) -> Result<()> {
        let stopped = match self.machine(node, Machine::take_node) {
            Some(running) => running.shutdown().await,
            None => Ok(()),
        };
        // The address is free now, also if the last packets are still under way.
        self.network().unplug(self.addr(node));
        self.shared.tell();
        stopped
    }

    /// Starts the node again as it was: with the same key, at the same address, with the same
    /// services and seeds. If it runs, it is [killed](Self::kill) first. Gives the handle of the new
    /// life.
    ///
    /// Its seeds are those of its first start: the nodes that ran then. The others do not tell it
    /// that they are there until it has met one of its seeds, or until they look for it. Where none
    /// of its seeds runs, whoever runs is its seed, unless the test has
    /// [named](crate::NodeBuilder::seed) seeds.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&self, node: &TestNode) -> TestNode {
        self.kill(node);
        let started = Shared::launch(&self.shared, node.place).await;
        started.unwrap_or_else(|error| self.shared.does_not_start(node.place, &error))
    }

    /// The same with a new key: for the others it is another node, of the same name, at the same
    /// address.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart_as_new(&self, node: &TestNode) -> TestNode {
        self.machine(node, Machine::change_key);
        self.restart(node).await
    }

    /// Whether the node runs: it was started, and neither killed nor shut down since.
    pub fn is_running(&self, node: &TestNode) -> bool {
        self.machine(node, |machine| machine.running().is_some())
    }

    /// Waits until the running nodes know what is to be known: each has as members exactly those
    /// that can be reached from it, directly or through others, has what each of them last said of
    /// itself, and shows it in [`Node::nodes`]. A way that is cut in one direction reaches nobody.
    ///
    /// After a partition, a cut or a pause, and after their end, it must have been so for eight
    /// virtual seconds (more in clusters of ten and more): a node that was cut off for a moment may
    /// be suspected already, and declared dead seconds after it was healed. Where links lose much,
    /// nothing settles for good.
    ///
    /// # Panics
    /// After two virtual minutes, with a table of who lacks what.
    pub async fn settle(&self) {
        let mut changed = self.shared.changed.subscribe();
        let observe = || self.shared.observe();
        let doubtful = self.shared.doubtful.swap(false, SeqCst);
        if let Err(table) = settle::settle(observe, &mut changed, doubtful).await {
            let Self { shared } = self;
            panic!("{table}seed: {}\n{:?}", shared.seed, shared.network);
        }
    }

    fn addr(&self, node: &TestNode) -> SocketAddr {
        self.machine(node, |machine| machine.addr)
    }

    /// What is said of the machine of a node.
    fn machine<T>(&self, node: &TestNode, say: impl FnOnce(&mut Machine) -> T) -> T {
        assert!(
            Arc::ptr_eq(&self.shared, &node.shared),
            "`{}` is a node of another cluster",
            node.name()
        );
        self.shared.machine(node.place, say)
    }
}

impl Shared {
    pub(super) fn machine<T>(&self, place: usize, say: impl FnOnce(&mut Machine) -> T) -> T {
        say(&mut self.lock()[place])
    }

    /// Starts the next life of a machine.
    pub(super) async fn launch(shared: &Arc<Self>, place: usize) -> Result<TestNode> {
        let builder = {
            let mut machines = shared.lock();
            let running = machines.iter().filter(|machine| machine.running().is_some());
            let running: Vec<_> = running.map(|machine| machine.addr).collect();
            machines[place].next_life(&shared.network, &running, shared.began.elapsed())
        };
        let node = builder.start().await?;
        shared.machine(place, |machine| machine.set_node(node.clone()));
        shared.tell();
        Ok(TestNode { node, place, shared: shared.clone() })
    }

    pub(super) fn does_not_start(&self, place: usize, error: &Error) -> ! {
        let name = self.machine(place, |machine| machine.name.clone());
        panic!("the node `{name}` does not start: {error:#}")
    }

    /// The running nodes, and which of them reach each other.
    fn observe(&self) -> Observed {
        let machines = self.lock();
        let nodes = |machine: &Machine| Some((machine.addr, Node::clone(machine.running()?)));
        let (addrs, nodes): (Vec<_>, Vec<_>) = machines.iter().filter_map(nodes).unzip();
        let open = |from, to| self.network.is_open(from, to) && self.network.is_open(to, from);
        let reach = |from| addrs.iter().map(|to| open(from, *to)).collect();
        Observed { reach: addrs.iter().map(|from| reach(*from)).collect(), nodes }
    }

    /// What passes between nodes has changed.
    fn tell_doubt(&self) {
        self.doubtful.store(true, SeqCst);
        self.tell();
    }

    fn tell(&self) {
        self.changed.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Machine>> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed of the cluster was {}", self.shared.seed);
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machines = self.shared.lock();
        let running = machines.iter().map(|machine| (&machine.name, machine.running()));
        f.debug_struct("Cluster")
            .field("seed", &self.shared.seed)
            .field("nodes", &running.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// A clock that runs moves while this looks at it; a paused one moves only when all tasks wait.
fn clock_is_paused() -> bool {
    let (real, seen) = (std::time::Instant::now(), Instant::now());
    while real.elapsed() < GLANCE {
        std::hint::spin_loop();
    }
    Instant::now() == seen
}
