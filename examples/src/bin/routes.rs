//! The routing map of a small cluster: `cargo run -p examples --bin routes`. With `-- --json` it is
//! JSON.

use std::io::IsTerminal;

use nebula::nodes::RouteCell;
use nebula::prelude::*;

#[service(global, on = "&db")]
trait Users {
    #[api]
    async fn find(&self, id: u64) -> String;
    #[api]
    async fn put(&self, name: String) -> u64;
}

#[service(global)]
trait Pages {
    #[api]
    async fn show(&self, path: String) -> String;
}

struct Site;

impl Users for Site {
    async fn find(&self, id: u64) -> String {
        format!("user {id}")
    }

    async fn put(&self, name: String) -> u64 {
        name.len() as u64
    }
}

impl Pages for Site {
    async fn show(&self, path: String) -> String {
        path
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let topology = Topology::new().node("db-1@h1", ["db"])?.node("db-2@h2", ["db"])?;
    let topology = topology.node("db-3@h3", ["db"])?.node("web@h4", ["web"])?;
    let builder = |name: &str, tag: &str| {
        Node::builder(name).tag(tag).realm("routes").topology(topology.clone())
    };
    // The second one was started without its service, and the third one not at all.
    let db_1 = builder("db-1@h1", "db").serve_as::<UsersClient>(Site).start().await?;
    let db_2 = builder("db-2@h2", "db").start().await?;
    let web = builder("web@h4", "web").serve_as::<PagesClient>(Site).start().await?;

    // Who calls a service knows where its attributes say it is.
    let users = UsersClient::new(&web);
    let mut maps = web.watch_routes();
    let map = loop {
        let map = maps.next().await.ok_or("the node has stopped")?;
        // The others have been heard of.
        let heard = |node, cell| map.cell("Users", "put", node) == Some(cell);
        if heard("db-1@h1", RouteCell::Available) && heard("db-2@h2", RouteCell::WorkerDown) {
            break map;
        }
    };
    if std::env::args().any(|argument| argument == "--json") {
        println!("{}", map.to_json());
    } else if std::io::stdout().is_terminal() {
        println!("{}", map.coloured());
    } else {
        println!("{map}");
    }

    // The same for one call, before it is made.
    let call = users.find(1);
    eprintln!("{:#}", call.why());
    println!(
        "{} of {} configured nodes",
        call.available_nodes().len(),
        call.configured_nodes().len()
    );

    for node in [web, db_2, db_1] {
        node.shutdown().await?;
    }
    Ok(())
}
