//! A store on three nodes that are paused, upgraded and stopped while it is used:
//! `cargo run -p examples --bin storage`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nebula::plugin::{Hooks, Host, Plugin};
use nebula::prelude::*;
use nebula::{Children, Extensions, Restart, Service, ServiceHandle};

#[service(global)]
trait Storage {
    #[api(idempotent)]
    async fn put(&self, key: String, value: String);
    #[api(idempotent)]
    async fn get(&self, key: String) -> Option<String>;
    #[api(idempotent)]
    async fn delete(&self, key: String) -> bool;
}

/// What is stored. It belongs to the service, not to what implements it: it outlives pauses and
/// stops of the plugins, and ends with the service.
#[derive(Default)]
struct Table(Mutex<BTreeMap<String, String>>);

struct Store(Arc<Table>);

impl Store {
    fn new(extensions: &Extensions) -> Self {
        Self(extensions.get_or_insert_with(Table::default))
    }
}

impl Storage for Store {
    async fn put(&self, key: String, value: String) {
        self.0.0.lock().unwrap().insert(key, value);
    }

    async fn get(&self, key: String) -> Option<String> {
        self.0.0.lock().unwrap().get(&key).cloned()
    }

    async fn delete(&self, key: String) -> bool {
        self.0.0.lock().unwrap().remove(&key).is_some()
    }
}

/// Looks after the table from time to time, in a task that is started again if it fails.
struct Keeper;

impl Plugin for Keeper {
    const HOOKS: Hooks = Hooks::START;

    async fn start(&self, host: &Host) -> nebula::Result<Children> {
        let host = host.clone();
        Ok(Children::new().child("sweeper", Restart::Always, move |stop| {
            let host = host.clone();
            async move {
                while let Some(table) = host.extensions().and_then(|all| all.get::<Table>()) {
                    table.0.lock().unwrap().retain(|_, value| !value.is_empty());
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(Duration::from_millis(50)) => {}
                    }
                }
            }
        }))
    }
}

async fn serve(node: &Node, version: &str) -> nebula::Result<ServiceHandle> {
    let service = Service::build::<StorageClient, _>(|host| {
        Store::new(&host.extensions().unwrap_or_default())
    });
    Ok(service.version(version).plugin(Keeper).start_on(node).await?)
}

#[tokio::main]
async fn main() -> nebula::Result<()> {
    let node = |name: &str| Node::builder(name).realm("storage").start();
    let (mut nodes, mut services) = (Vec::new(), Vec::new());
    for name in ["s1", "s2", "s3"] {
        let node = node(name).await?;
        services.push(serve(&node, "1.0.0").await?);
        nodes.push(node);
    }
    let web = node("web").await?;
    examples::assembled(&web, 4).await?;
    let storage = StorageClient::new(&web);

    let taken = storage.put("capital".into(), "Bern".into()).all().await?;
    println!("{} nodes have it", taken.ok().count());
    println!("one of them says: {:?}", storage.get("capital".into()).await?);

    services[0].pause("a look at the disk").await?;
    println!("s1 is {}", services[0].status());
    for _ in 0..100 {
        storage.get("capital".into()).await?;
    }
    println!("100 reads, none of them failed");
    services[0].activate("the disk is fine").await?;
    println!("s1 is {}", services[0].status());

    // Stopped and started again with what it has.
    services[1].deactivate("new memory").await?;
    services[1].activate("it is in").await?;
    // Asked from its own node, which knows at once that it takes calls again.
    let kept = StorageClient::new(&nodes[1]).get("capital".into()).to(nodes[1].id()).await?;
    println!("s2 still has {kept:?}");

    // A new version takes over: what belongs to the service ends with it.
    services[2].stop().await?;
    services[2] = serve(&nodes[2], "2.0.0").await?;
    println!("s3 runs again, and is {}", services[2].status());
    let again = storage.put("capital".into(), "Bern".into()).all().await?;
    println!("written again on {} nodes", again.ok().count());
    println!("deleted: {}", storage.delete("capital".into()).first().await.is_ok());

    web.shutdown().await?;
    for node in nodes {
        node.shutdown().await?;
    }
    Ok(())
}
