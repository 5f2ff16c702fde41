//! One service, unchanged, wherever it runs: in this process, in a client of its own, on a network
//! in memory, and on real processes.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use macula::MemoryNetwork;
use nebula::call::Executed;
use nebula::prelude::*;
use tempfile::TempDir;
use tests::{Book, LedgerClient, Overdrawn, PATIENCE, Site};

/// What must hold of a ledger wherever it is. `places` is how many serve it.
async fn check(site: &Site, ledger: &LedgerClient, places: usize) {
    let ledger = ledger.with(|options| options.timeout(PATIENCE));
    let call = site.call();
    assert_eq!(ledger.find(call).await, Ok(call * 2));
    assert_eq!(ledger.add(call).await, Ok(call * 2));
    assert_eq!(ledger.find(call).hedge().await, Ok(call * 2));
    assert_eq!(ledger.spend(site.call(), 100).await.map(|_| ()), Ok(()));

    // The method's own error, with its value.
    let error = ledger.spend(site.call(), 101).await.unwrap_err();
    assert_eq!(error, CallError::App(Overdrawn { amount: 101 }));
    assert_eq!(error.executed(), Executed::Yes);

    // A panic is that call's alone.
    let call = site.call();
    match ledger.break_down(call).await {
        Err(CallError::Panicked { message, .. }) => {
            assert_eq!(&*message, format!("call {call} broke down on purpose"));
        }
        other => panic!("{other:?}"),
    }

    // More than fits in a packet, and than small calls share a stream for.
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
    let mut reversed = bytes.clone();
    reversed.reverse();
    assert_eq!(ledger.reversed(bytes).await, Ok(reversed));

    // A deadline ends a call that has begun, which is not said to have done nothing.
    let wait = Duration::from_secs(3600);
    let late = ledger.add_slowly(site.call(), wait).timeout(Duration::from_millis(300)).await;
    let late = late.unwrap_err();
    assert!(matches!(late, CallError::Deadline(_)), "{late:?}");
    assert_ne!(late.executed(), Executed::No);

    let all = ledger.whoami().all().await.unwrap();
    assert!(all.all_ok());
    assert_eq!(all.len(), places);
    let votes = ledger.find(1).quorum(at_least(places)).success(|answer| *answer == 2).await;
    assert_eq!(votes.unwrap().len(), places);
    assert_eq!(ledger.find(1).first().await.unwrap().value, 2);
    let calls = (1..=50).map(|call| {
        let ledger = ledger.clone();
        async move { assert_eq!(ledger.find(call).await, Ok(call * 2)) }
    });
    calls.collect::<tokio::task::JoinSet<_>>().join_all().await;
}

fn place() -> (TempDir, Site) {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path(), env!("CARGO_BIN_EXE_node"));
    (dir, site)
}

fn book(dir: &Path, name: &str) -> Book {
    Book::open(&dir.join("books"), name).unwrap()
}

#[tokio::test]
async fn in_a_client_of_its_own() {
    let (dir, site) = place();
    check(&site, &LedgerClient::local(book(dir.path(), "local")), 1).await;
}

#[tokio::test]
async fn on_the_node_that_calls() {
    let (dir, site) = place();
    let node = site.node("one").serve(book(dir.path(), "one")).start().await.unwrap();
    check(&site, &LedgerClient::new(&node), 1).await;
    node.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn on_a_network_in_memory() {
    let (dir, site) = place();
    let network = MemoryNetwork::new(7);
    let addr = |n: u8| SocketAddr::from(([10, 0, 0, n], 7000));
    let mut servers = Vec::new();
    for n in 1..=3 {
        let name = format!("s{n}");
        let builder = site.node(&name).memory(network.clone(), addr(n)).seed(addr(1).to_string());
        servers.push(builder.serve(book(dir.path(), &name)).start().await.unwrap());
    }
    let client = site.node("client").memory(network, addr(9)).seed(addr(2).to_string());
    let client = client.start().await.unwrap();
    site.sees(&client, &["s1", "s2", "s3"]).await;
    check(&site, &LedgerClient::new(&client), 3).await;
    for node in servers.iter().chain([&client]) {
        node.shutdown().await.unwrap();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn on_three_processes() {
    let (_dir, site) = place();
    let servers = site.serve_all(["s1", "s2", "s3"]).await;
    let client = site.node("client").start().await.unwrap();
    site.sees(&client, &["s1", "s2", "s3"]).await;
    check(&site, &LedgerClient::new(&client), 3).await;
    for server in servers {
        assert!(server.leave().await.success());
    }
}
