//! Three processes whose service is managed, one after the other, while it is called 500 times a
//! second and more: no call fails.
//!
//! Nothing here waits for luck: each step waits for what must happen, with patience, and an oracle
//! compares what callers were told with what the servers wrote down.
#![cfg(target_os = "linux")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use nebula::Node;
use tests::{Load, OpsClient, Process, Site, Traffic, Work, until};
use tokio::time::Instant;

/// What a call may take, all attempts included.
const LIMIT: Duration = Duration::from_secs(10);

/// Calls a second that may run twice.
const RATE: u64 = 500;

const NAMES: [&str; 3] = ["s1", "s2", "s3"];

/// What goes on all the time.
struct Calls {
    steady: Load,
    /// Calls that must not run twice, short and long ones.
    once: [Traffic; 2],
}

impl Calls {
    fn start(site: &Site, node: &Node) -> Self {
        let once = [Work::Add, Work::AddSlowly(Duration::from_millis(20))];
        Self {
            steady: Load::start(site, node, RATE, Work::Find, LIMIT),
            once: once.map(|work| Traffic::start(site, node, 2, work, LIMIT)),
        }
    }

    /// Waits until so many more have been made from beginning to end.
    async fn more(&self, calls: u64) {
        for traffic in &self.once {
            traffic.more(calls).await;
        }
    }
}

/// How many calls of the steady traffic and of the rest a server has begun.
fn begun(site: &Site, server: &Process) -> usize {
    ["find", "add", "add_slowly"].map(|method| site.executions(server.name(), method)).iter().sum()
}

/// It is called again.
async fn is_used(site: &Site, server: &Process) {
    let before = begun(site, server);
    let name = server.name();
    until(&format!("{name} is used"), async || begun(site, server) > before + 20).await;
}

async fn offers(node: &Node, server: &Process, offered: bool) {
    let ledger = tests::LedgerClient::new(node);
    until(&format!("{} is offered: {offered}", server.name()), async || {
        let nodes = ledger.find(0).available_nodes();
        nodes.iter().any(|node| *node.name == *server.name()) == offered
    })
    .await;
}

/// All that can be done to a service, but its end.
async fn manage(site: &Site, node: &Node, calls: &Calls, server: &Process) {
    let at = nebula::nodes::node(server.name());
    let ops = OpsClient::new(node).with(|options| options.on(at).timeout(tests::PATIENCE));
    ops.pause().await.unwrap();
    let before = begun(site, server);
    offers(node, server, false).await;
    calls.more(10).await;
    assert_eq!(begun(site, server), before, "{} is paused", server.name());
    assert_eq!(ops.state().await.unwrap().0, "paused (by its operator)");
    ops.activate().await.unwrap();
    is_used(site, server).await;

    ops.drain().await.unwrap();
    let before = begun(site, server);
    calls.more(10).await;
    assert_eq!(begun(site, server), before, "{} drains", server.name());
    ops.activate().await.unwrap();
    is_used(site, server).await;

    assert!(ops.add_tally(3).await.unwrap());
    assert_eq!(ops.state().await.unwrap().1, ["Tally"]);
    until("calls are counted", async || ops.tally().await.unwrap().0 > 20).await;
    let (count, sum) = ops.tally().await.unwrap();
    assert_eq!(sum % 3, 0, "{count} calls");
    let refused = ops.reconfigure("plugins.Tally.step = \"many\"".into()).await.unwrap_err();
    assert!(refused.to_string().contains("plugins.Tally.step"), "{refused}");
    ops.reconfigure("plugins.Tally.step = 1000000".into()).await.unwrap();
    until("the new step counts", async || ops.tally().await.unwrap().1 > 20_000_000).await;
    ops.remove_tally().await.unwrap();
    assert_eq!(ops.state().await.unwrap().1, [""; 0]);
    // A call that was under way may count itself; those that begin now do not.
    calls.more(5).await;
    let counted = ops.tally().await.unwrap();
    is_used(site, server).await;
    assert_eq!(ops.tally().await.unwrap(), counted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_managed_and_upgraded_without_a_failed_call() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path(), env!("CARGO_BIN_EXE_node"));
    let port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut servers = Vec::new();
    for name in NAMES {
        servers.push(site.serve_version("1.0", name, port).await);
    }
    let node = site.node("client").start().await.unwrap();
    site.sees(&node, &NAMES).await;
    let (calls, start) = (Calls::start(&site, &node), Instant::now());
    for server in &servers {
        is_used(&site, server).await;
    }
    for server in &servers {
        manage(&site, &node, &calls, server).await;
    }
    println!("managed after {:?}", start.elapsed());
    let mut upgraded = Vec::new();
    for old in servers {
        let (name, addr) = (old.name().to_owned(), old.addr());
        assert!(old.leave().await.success(), "{name}");
        let new = site.serve_version("2.0", &name, addr).await;
        site.reaches(&node, &new).await;
        is_used(&site, &new).await;
        upgraded.push(new);
    }
    println!("upgraded after {:?}", start.elapsed());
    let versions: Vec<_> = NAMES.iter().map(|name| version(&node, name)).collect();
    assert_eq!(versions, ["2.0"; 3]);
    let Calls { steady, once } = calls;
    let mut outcomes = steady.stop().await;
    let steady = outcomes.len();
    for traffic in once {
        outcomes.extend(traffic.stop().await.into_iter().flatten());
    }
    let took = start.elapsed();
    for server in upgraded {
        assert!(server.leave().await.success());
    }
    println!("{} calls in {took:?}, {steady} of them at a steady rate", outcomes.len());
    site.judge(&outcomes);
    let failed: Vec<_> = outcomes.iter().filter(|outcome| outcome.result.is_err()).collect();
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), outcomes.len());
}

/// The version of the ledger of this node, as its record says.
fn version(node: &Node, name: &str) -> String {
    let view = node.mesh().view();
    let mut records = view.nodes().iter().filter_map(|node| node.record.clone());
    let record = records.find(|record| record.name == name).expect("a record");
    let ledger = record.services.iter().find(|service| service.name == "Ledger");
    ledger.map(|ledger| ledger.version.clone()).unwrap_or_default()
}
