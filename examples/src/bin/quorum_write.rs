//! A write that a majority must take: `cargo run -p examples --bin quorum_write`.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nebula::call::QuorumError;
use nebula::nodes::Topology;
use nebula::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, Serialize, thiserror::Error)]
#[error("the disk is read-only")]
struct ReadOnly;

#[service(global, on = "&db")]
trait Ledger {
    #[api(idempotent, timeout = "2s")]
    async fn put(&self, key: String, value: u64) -> Result<(), ReadOnly>;
    #[api]
    async fn lock(&self);
}

#[derive(Default)]
struct Disk(AtomicBool);

impl Ledger for Disk {
    async fn put(&self, _key: String, _value: u64) -> Result<(), ReadOnly> {
        if self.0.load(Relaxed) { Err(ReadOnly) } else { Ok(()) }
    }

    async fn lock(&self) {
        self.0.store(true, Relaxed);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let names = ["db-1", "db-2", "db-3"];
    // What a majority is counted over, whoever is up. It may also be read from a TOML file.
    let topology = names.iter().try_fold(Topology::new(), |all, name| all.node(*name, ["db"]))?;
    let node = |name| Node::builder(name).realm("quorum-write").topology(topology.clone());
    let mut dbs = Vec::new();
    for name in names {
        dbs.push(node(name).tag("db").serve(Disk::default()).start().await?);
    }
    let web = node("web").start().await?;
    examples::assembled(&web, 4).await?;
    let ledger = LedgerClient::new(&web);

    let votes = ledger.put("rent".into(), 900).quorum(majority()).await?;
    println!("{} of 3 needed, {} took it", votes.required(), votes.successes().len());

    for db in &dbs[..2] {
        ledger.lock().to(db.id()).await?;
    }
    match ledger.put("rent".into(), 950).quorum(majority()).await {
        // It ends as soon as it is lost. Nothing is rolled back: who took the write keeps it.
        Err(error @ QuorumError::NotReached(_)) => println!("{error}"),
        other => panic!("two of three are read-only: {other:?}"),
    }

    for db in dbs.drain(..2) {
        db.shutdown().await?;
    }
    match ledger.put("rent".into(), 999).quorum(majority()).await {
        Err(error @ QuorumError::Unreachable { .. }) => println!("{error}"),
        other => panic!("one of three cannot be a majority: {other:?}"),
    }
    web.shutdown().await?;
    Ok(dbs[0].shutdown().await?)
}
