//! What nodes make of the topology they were given, and how it is changed while they run.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use macula::MemoryNetwork;
use nebula::nodes::{TopologyConflict, TopologyHash};
use nebula::prelude::*;
use nebula::{NodeBuilder, Topology};
use tokio::time::{sleep, timeout};

#[service(global)]
trait Ledger {
    #[api(idempotent)]
    async fn write(&self) -> u8;
    /// Answers when it is let.
    #[api]
    async fn slow(&self) -> u8;
}

#[derive(Clone, Default)]
struct Book(Arc<tokio::sync::Notify>);

impl Ledger for Book {
    async fn write(&self) -> u8 {
        1
    }

    async fn slow(&self) -> u8 {
        self.0.notified().await;
        1
    }
}

#[service(global, on = "&ledger")]
trait Tagged {
    #[api(idempotent)]
    async fn write(&self) -> u8;
    #[api(on = "@r-1")]
    async fn pinned(&self) -> u8;
}

impl Tagged for Book {
    async fn write(&self) -> u8 {
        1
    }

    async fn pinned(&self) -> u8 {
        1
    }
}

/// A cluster, and the number of nodes in it so far.
struct Cluster(MemoryNetwork, u16);

impl Cluster {
    fn new() -> Self {
        Self(MemoryNetwork::new(1), 0)
    }

    fn builder(&mut self, name: &str) -> NodeBuilder {
        self.1 += 1;
        let addr = |port| SocketAddr::from(([10, 0, 0, 1], port));
        let builder = Node::builder(name).cookie("of these tests");
        let builder = builder.memory(self.0.clone(), addr(self.1));
        if self.1 > 1 { builder.seed(addr(1).to_string()) } else { builder }
    }

    async fn replica(&mut self, name: &str, topology: Option<Topology>) -> Node {
        let builder = self.builder(name).tag("replica").serve_as::<LedgerClient>(Book::default());
        let builder = match topology {
            Some(topology) => builder.topology(topology),
            None => builder,
        };
        builder.start().await.unwrap()
    }
}

/// The nodes `r1`, `r2` and so on, all replicas. `R3` of the conformance list is `replicas(3)`.
fn replicas(count: usize) -> Topology {
    let names = (1..=count).map(|number| format!("r{number}"));
    names.fold(Topology::new(), |all, name| all.node(name, ["replica"]).unwrap())
}

/// Waits until it holds; nothing here depends on how long that takes.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(60), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Waits until these nodes are the whole cluster, as each of them sees it.
async fn met(nodes: &[&Node]) {
    for node in nodes {
        let knows = || node.nodes().len() == nodes.len() && node.mesh().view().is_complete();
        until("all are known", knows).await;
    }
}

fn names(conflicts: &[TopologyConflict]) -> Vec<&str> {
    conflicts.iter().map(|conflict| &*conflict.node.name).collect()
}

/// What is logged on this thread from warnings upwards, a line each.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<u8>>>);

thread_local! {
    static RECORDED: std::cell::RefCell<Warnings> = std::cell::RefCell::default();
}

/// Ends a recording when it is dropped.
struct Recording;

impl Drop for Recording {
    fn drop(&mut self) {
        RECORDED.set(Warnings::default());
    }
}

impl Warnings {
    /// Records what is said on this thread. One subscriber serves all tests: of those that come and
    /// go beside each other, one may miss what another has switched off.
    fn record() -> (Self, Recording) {
        static ALL: std::sync::Once = std::sync::Once::new();
        ALL.call_once(|| {
            tracing_subscriber::fmt()
                .with_max_level(tracing::Level::WARN)
                .with_ansi(false)
                .with_writer(|| RECORDED.with_borrow(Clone::clone))
                .init();
        });
        let warnings = Self::default();
        RECORDED.set(warnings.clone());
        (warnings, Recording)
    }

    fn with(&self, part: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

impl io::Write for Warnings {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_changes_what_a_majority_counts() {
    let mut cluster = Cluster::new();
    let r1 = cluster.replica("r1", Some(replicas(3))).await;
    let r2 = cluster.replica("r2", Some(replicas(3))).await;
    met(&[&r1, &r2]).await;
    let ledger = LedgerClient::new(&r1);
    let required = async || ledger.write().quorum(majority()).await.map(|votes| votes.required());
    assert_eq!(required().await.unwrap(), 2);
    for (count, needed) in [(5, 3), (2, 2), (1, 1), (3, 2)] {
        for node in [&r1, &r2] {
            node.reload_topology(replicas(count)).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(node.topology().as_deref(), Some(&replicas(count)));
        }
        let agree = || {
            r1.topology_conflicts().is_empty()
                && r2.topology_conflicts().is_empty()
                && r1.mesh().record(&r2.id()).unwrap().topology
                    == Some(replicas(count).hash().to_bytes())
        };
        until("they agree", agree).await;
        match required().await {
            Ok(required) => assert_eq!(required, needed, "of {count}"),
            Err(QuorumError::Unreachable { workers: 2, required }) => {
                assert_eq!((count, required), (5, needed));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_topology_can_be_given_to_a_node_that_has_none() {
    let mut cluster = Cluster::new();
    let r1 = cluster.replica("r1", None).await;
    assert_eq!((r1.topology(), r1.topology_conflicts()), (None, vec![]));
    let ledger = LedgerClient::new(&r1);
    assert_eq!(ledger.write().quorum(majority()).await.unwrap().required(), 1);
    // From a thread that no runtime knows of.
    let node = r1.clone();
    std::thread::spawn(move || node.reload_topology(replicas(3))).join().unwrap().unwrap();
    let refused = ledger.write().quorum(majority()).await.unwrap_err();
    assert!(matches!(refused, QuorumError::Unreachable { workers: 1, required: 2 }), "{refused}");
    let error = ledger.write().on(tag("replcia")).await.unwrap_err().to_string();
    assert!(error.contains("did you mean `replica`?"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_bad_topology_changes_nothing() {
    let mut cluster = Cluster::new();
    let topology = Topology::new().node("r-1", ["ledger"]).unwrap();
    let builder = cluster.builder("r-1").tag("ledger").topology(topology.clone());
    let node = builder.serve_as::<TaggedClient>(Book::default()).start().await.unwrap();
    let record = node.mesh().record(&node.id()).unwrap();
    for (bad, told) in [
        (
            Topology::new().node("r-1", ["web"]).unwrap(),
            "the node `r-1` has other tags than the topology gives it: `ledger` here, `web` there; \
             make them the same, here with `.tag(..)`",
        ),
        (
            Topology::new().node("r-2", ["ledger"]).unwrap(),
            "the service `Tagged` is for `@r-1`: no configured node is called `r-1`, did you mean \
             `r-2`? (nodes: `r-2`)",
        ),
        (
            Topology::new().node("r-2", ["web"]).unwrap(),
            "the service `Tagged` is for `&ledger`: no configured node has the tag `ledger` (tags: \
             `web`)",
        ),
    ] {
        assert_eq!(node.reload_topology(bad).unwrap_err().to_string(), told);
        assert_eq!(node.topology().as_deref(), Some(&topology));
        assert_eq!(node.mesh().record(&node.id()).unwrap(), record);
    }
    let votes = TaggedClient::new(&node).write().quorum(majority()).await.unwrap();
    assert_eq!(votes.required(), 1);
    // The same again is no change, and a good one is.
    node.reload_topology(topology.clone()).unwrap();
    assert_eq!(node.mesh().record(&node.id()).unwrap(), record);
    node.reload_topology(topology.node("r-2", ["ledger"]).unwrap()).unwrap();
    assert_eq!(node.mesh().record(&node.id()).unwrap().version, record.version + 1);
}

#[tokio::test(start_paused = true)]
async fn a_majority_among_different_topologies_is_refused_until_all_agree() {
    let mut cluster = Cluster::new();
    let r1 = cluster.replica("r1", Some(replicas(3))).await;
    let r2 = cluster.replica("r2", Some(replicas(3))).await;
    let r3 = cluster.replica("r3", None).await;
    let web = cluster.builder("web").topology(replicas(3)).start().await.unwrap();
    let all = [&r1, &r2, &r3, &web];
    met(&all).await;
    let ledger = LedgerClient::new(&web);
    // A node without a topology conflicts with nobody, and votes.
    assert!(ledger.write().quorum(majority()).await.is_ok());

    let (old, new) = (replicas(3).hash(), replicas(4).hash());
    for node in [&web, &r1] {
        node.reload_topology(replicas(4)).unwrap();
    }
    until("the conflicts are known", || names(&web.topology_conflicts()) == ["r2"]).await;
    let conflicts = web.topology_conflicts();
    assert_eq!((conflicts[0].ours, conflicts[0].theirs), (new, old));
    until("and there", || names(&r2.topology_conflicts()) == ["r1", "web"]).await;
    assert_eq!(r3.topology_conflicts(), []);

    let refused = ledger.write().quorum(majority()).await.unwrap_err();
    let QuorumError::TopologyMismatch { ours, theirs } = &refused else { panic!("{refused}") };
    let theirs: Vec<(&str, TopologyHash)> =
        theirs.iter().map(|(node, hash)| (&*node.name, *hash)).collect();
    assert_eq!((*ours, theirs), (Some(new), vec![("r2", old)]));
    assert_eq!(
        refused.to_string(),
        format!(
            "a majority was refused before any call: this node counts by the topology {new}, and \
             r2 by {old}; give all nodes the same one, when they start or by \
             `Node::reload_topology`"
        )
    );
    // Where the one that differs has no vote, it does not matter.
    let one = ledger.write().on(node("r1")).quorum(majority()).await.unwrap();
    assert_eq!(one.required(), 1);
    // Thresholds that count no configured nodes go on.
    assert!(ledger.write().quorum(at_least(3)).await.is_ok());
    assert!(ledger.write().quorum(available_majority()).await.is_ok());
    // A vote that is held without a topology needs one among those who are asked.
    let refused = LedgerClient::new(&r3).write().quorum(majority()).await.unwrap_err();
    assert!(matches!(refused, QuorumError::TopologyMismatch { ours: None, .. }), "{refused}");
    assert!(refused.to_string().contains(&format!("r1 by {new}, r2 by {old}")), "{refused}");

    r2.reload_topology(replicas(4)).unwrap();
    for node in all {
        until("nobody differs", || node.topology_conflicts().is_empty()).await;
    }
    assert_eq!(ledger.write().quorum(majority()).await.unwrap().required(), 3);
    assert!(LedgerClient::new(&r3).write().quorum(majority()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_call_under_way_keeps_what_it_began_with() {
    let mut cluster = Cluster::new();
    let book = Book::default();
    let builder = cluster.builder("r1").tag("replica").topology(replicas(1));
    let r1 = builder.serve_as::<LedgerClient>(book.clone()).start().await.unwrap();
    let ledger = LedgerClient::new(&r1);
    let mut vote = ledger.slow().quorum(majority()).into_future();
    assert!(futures_util::poll!(&mut vote).is_pending());
    r1.reload_topology(replicas(3)).unwrap();
    book.0.notify_one();
    assert_eq!(vote.await.unwrap().required(), 1);
    let refused = ledger.slow().quorum(majority()).await.unwrap_err();
    assert!(matches!(refused, QuorumError::Unreachable { workers: 1, required: 2 }), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_differs_is_warned_of_once() {
    let (warnings, _guard) = Warnings::record();
    let mut cluster = Cluster::new();
    let r1 = cluster.replica("r1", Some(replicas(3))).await;
    let r2 = cluster.replica("r2", Some(replicas(4))).await;
    let (three, four, five) = (replicas(3).hash(), replicas(4).hash(), replicas(5).hash());
    met(&[&r1, &r2]).await;
    let told = |name: &str, theirs: TopologyHash, ours: TopologyHash| {
        warnings.with(&format!("{name} goes by the topology {theirs}, and this node by {ours}"))
    };
    sleep(Duration::from_secs(30)).await;
    assert_eq!((told("r2", four, three).len(), told("r1", three, four).len()), (1, 1));
    assert!(told("r2", four, three)[0].contains("give all nodes the same topology"));
    // Another pair is worth another word.
    r1.reload_topology(replicas(5)).unwrap();
    sleep(Duration::from_secs(30)).await;
    assert_eq!((told("r2", four, five).len(), told("r1", five, four).len()), (1, 1));
    assert_eq!(warnings.with("goes by the topology").len(), 4);
    r2.reload_topology(replicas(5)).unwrap();
    sleep(Duration::from_secs(30)).await;
    assert_eq!(warnings.with("goes by the topology").len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_votes_cannot_count_is_warned_of_at_start() {
    let (warnings, _guard) = Warnings::record();
    let idle = "the topology names this node, and it serves nothing to the cluster";
    let unknown = "the topology does not name this node, which serves the cluster";
    let mut cluster = Cluster::new();
    let _as_it_should_be = cluster.replica("r1", Some(replicas(3))).await;
    let _client = cluster.builder("web").topology(replicas(3)).start().await.unwrap();
    assert_eq!((warnings.with(idle), warnings.with(unknown)), (vec![], vec![]));

    let builder = cluster.builder("r2").tag("replica").topology(replicas(3));
    let r2 = builder.start().await.unwrap();
    let told = warnings.with(idle);
    assert!(told.len() == 1 && told[0].contains("r2"), "{told:?}");
    let r9 = cluster.replica("r9", Some(replicas(3))).await;
    let told = warnings.with(unknown);
    assert!(told.len() == 1 && told[0].contains("declare it"), "{told:?}");
    // A reload that changes nothing about it does not say it again, and one that mends it neither.
    for node in [&r2, &r9] {
        node.reload_topology(replicas(4)).unwrap();
    }
    r9.reload_topology(replicas(9)).unwrap();
    assert_eq!((warnings.with(idle).len(), warnings.with(unknown).len()), (1, 1));
    r9.reload_topology(replicas(4)).unwrap();
    assert_eq!(warnings.with(unknown).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_attributes_mean_nobody_is_warned_of_once_a_service() {
    let (warnings, _guard) = Warnings::record();
    let mut cluster = Cluster::new();
    let web = cluster.builder("web").topology(replicas(3)).start().await.unwrap();
    for _ in 0..3 {
        let _client = (TaggedClient::new(&web), LedgerClient::new(&web));
    }
    let told = warnings.with("the service `Tagged` is for `&ledger`");
    assert!(told.len() == 1 && told[0].contains("no configured node has the tag"), "{told:?}");
    assert_eq!(warnings.with("the service `Ledger`"), Vec::<String>::new());
    // What holds now is said of the next topology.
    web.reload_topology(Topology::new().node("r-1", ["ledger"]).unwrap()).unwrap();
    let _client = TaggedClient::new(&web);
    assert_eq!(warnings.with("the service `Tagged`").len(), 1);
    web.reload_topology(Topology::new().node("r-2", ["ledger"]).unwrap()).unwrap();
    let _clients = (TaggedClient::new(&web), TaggedClient::new(&web));
    assert_eq!(warnings.with("the service `Tagged` is for `@r-1`").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_selector_cannot_spell_is_no_name_and_no_tag() {
    let mut cluster = Cluster::new();
    for name in ["a b", "a\"b", "a&b", "(a)", "!a", "a|b", "a\tb", "a\u{7}b", "@h", "a@", "a@b@c"] {
        let error = cluster.builder(name).start().await.unwrap_err().to_string();
        let declared = Topology::new().node(name, ["x"]).unwrap_err().to_string();
        assert_eq!(error, declared);
    }
    for tag in ["a b", "a'b", "a@b", "&a"] {
        let error = cluster.builder("n").tag(tag).start().await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("a node cannot have the tag `{tag}`: ")), "{error}");
        assert!(Topology::new().node("n", [tag]).is_err());
    }
    let good = cluster.builder("ünit-1.eu_2#3@h-1").tags(["a/b:c", "é", "type=x"]);
    let node = good.start().await.unwrap();
    let topology = Topology::new().node(node.name(), ["a/b:c", "é", "type=x"]).unwrap();
    for selector in ["&a/b:c &é &type=x @ünit-1.eu_2#3", r#"@"ünit-1.eu_2#3@h-1""#] {
        assert_eq!(topology.check(&selector.parse().unwrap()), Ok(()));
    }
}

/// QUO-01, QUO-02, QUO-06, QUO-07, QUO-08 and QUO-10, on `R3`: this node is one of three configured
/// replicas and serves nothing, and the other two never come.
#[tokio::test(start_paused = true)]
async fn nobody_of_three_configured_is_there() {
    let mut cluster = Cluster::new();
    let builder = cluster.builder("r1").tag("replica").topology(replicas(3));
    let r1 = builder.start().await.unwrap();
    let ledger = LedgerClient::new(&r1);
    let refusal = |result: Result<Votes<u8>, QuorumError<u8>>| match result.unwrap_err() {
        QuorumError::Unreachable { workers, required } => (workers, required),
        error => panic!("{error}"),
    };
    assert_eq!(refusal(ledger.write().quorum(majority()).await), (0, 2));
    assert_eq!(refusal(ledger.write().on(tag("replica")).quorum(majority()).await), (0, 2));
    assert_eq!(refusal(ledger.write().quorum(at_least(1)).await), (0, 1));
    assert_eq!(refusal(ledger.write().quorum(at_least(2)).await), (0, 2));
}

/// QUO-11 and, with the other two still away, the other half of QUO-06.
#[tokio::test(start_paused = true)]
async fn one_of_three_configured_is_there() {
    let mut cluster = Cluster::new();
    let r1 = cluster.replica("r1", Some(replicas(3))).await;
    let ledger = LedgerClient::new(&r1);
    let votes = ledger.write().quorum(at_least(1)).await.unwrap();
    assert_eq!((votes.successes().len(), votes.required()), (1, 1));
    let refused = ledger.write().quorum(majority()).await.unwrap_err();
    assert!(matches!(refused, QuorumError::Unreachable { workers: 1, required: 2 }), "{refused}");
}

/// QUO-13
#[tokio::test(start_paused = true)]
async fn three_of_five_configured_are_enough() {
    let mut cluster = Cluster::new();
    let mut nodes = Vec::new();
    for name in ["r1", "r2", "r3"] {
        nodes.push(cluster.replica(name, Some(replicas(5))).await);
    }
    met(&nodes.iter().collect::<Vec<_>>()).await;
    let votes = LedgerClient::new(&nodes[2]).write().quorum(majority()).await.unwrap();
    assert_eq!((votes.successes().len(), votes.required()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_back_with_its_topology_is_not_spoken_of_again() {
    let (warnings, _guard) = Warnings::record();
    let mut cluster = Cluster::new();
    let r1 = cluster.replica("r1", Some(replicas(3))).await;
    let r2 = cluster.replica("r2", Some(replicas(4))).await;
    met(&[&r1, &r2]).await;
    sleep(Duration::from_secs(5)).await;
    let spoken = || warnings.with("goes by the topology").len();
    assert_eq!(spoken(), 2, "each of the other");
    for _ in 0..3 {
        cluster.0.partition(r1.local_addr(), r2.local_addr());
        until("it is gone", || r1.nodes().get(r2.id()).is_none()).await;
        sleep(Duration::from_secs(60)).await;
        cluster.0.heal();
        met(&[&r1, &r2]).await;
        sleep(Duration::from_secs(30)).await;
    }
    assert_eq!(spoken(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_same_topology_again_is_no_news() {
    let (warnings, _guard) = Warnings::record();
    let mut cluster = Cluster::new();
    let web = cluster.builder("web").topology(replicas(3)).start().await.unwrap();
    let said = || warnings.with("the service `Tagged` is for `&ledger`").len();
    for _ in 0..3 {
        let _client = TaggedClient::new(&web);
        web.reload_topology(replicas(3)).unwrap();
    }
    assert_eq!(said(), 1);
    web.reload_topology(replicas(4)).unwrap();
    let _client = TaggedClient::new(&web);
    assert_eq!(said(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_was_killed_and_started_again_votes_at_once() {
    // Which of its two identities is the lower one is left to chance.
    for _ in 0..6 {
        let mut cluster = Cluster::new();
        let web = cluster.builder("web").topology(replicas(2)).start().await.unwrap();
        let old = cluster.replica("r1", Some(replicas(2))).await;
        let r2 = cluster.replica("r2", Some(replicas(2))).await;
        met(&[&web, &old, &r2]).await;
        // Killed: nothing comes from its address any more, and nobody has noticed yet.
        for other in [&web, &r2] {
            cluster.0.partition(old.local_addr(), other.local_addr());
        }
        sleep(Duration::from_millis(1)).await;
        let new = cluster.replica("r1", Some(replicas(2))).await;
        until("it is known", || web.nodes().get(new.id()).is_some()).await;
        let ledger = LedgerClient::new(&web);
        let votes = ledger.write().timeout(Duration::from_secs(2)).quorum(majority()).await;
        let votes = votes.unwrap_or_else(|error| panic!("{error:#}"));
        assert_eq!(votes.successes().len(), 2);
    }
}
