//! One program for nodes of several kinds, and a build that carries only one of them:
//!
//! ```text
//! cargo run -p examples --bin roles
//! cargo run -p examples --bin roles --no-default-features --features web
//! ```
//!
//! The roles are Cargo features of this package, all of them on by default. The second build holds
//! nothing of the books, and says so when it is started as the node that should hold them.

use nebula::nodes::NodeName;
use nebula::prelude::*;
use nebula::{Roles, on_nodes, roles};

// The nodes, known to the compiler: an unknown name below is an error there.
nebula::topology!(mod cluster = "nebula.toml");

const ROLES: Roles = roles![db, web];

#[service(global)]
trait Shelf {
    #[api(idempotent)]
    async fn title(&self, id: u64) -> Option<String>;
}

// Another build has neither the type nor what only it would need.
on_nodes!(&db {
    struct Books(Vec<&'static str>);

    impl Shelf for Books {
        async fn title(&self, id: u64) -> Option<String> {
            let title = self.0.get(usize::try_from(id).ok()?)?;
            Some(title.to_string())
        }
    }
});

/// A real program takes the name from its arguments, and starts this one node.
async fn start(name: NodeName) -> nebula::Result<Node> {
    let cluster = cluster::topology();
    let tags = cluster.tags_of(name.as_str()).cloned().unwrap_or_default();
    let node = Node::builder(name).tags(tags).topology(cluster).realm("roles").roles(ROLES);
    // `ALLOW_GENERIC=1` starts it all the same: it serves nothing, and can call others.
    let allowed = std::env::var("ALLOW_GENERIC").as_deref() == Ok("1");
    let node = node.generic_on_mismatch(allowed);
    let node = on_nodes!(if &db {
        node.serve(Books(vec!["A Tale of a Tub", "Hard Times"]))
    } else {
        node
    });
    node.start().await
}

#[tokio::main]
async fn main() -> nebula::Result<()> {
    println!("this build carries: {}", ROLES.carried().collect::<Vec<_>>().join(", "));
    let mut nodes = Vec::new();
    for name in [cluster::nodes::DB_1, cluster::nodes::WEB_1] {
        match start(name).await {
            Ok(node) => {
                println!(
                    "{name} runs{}",
                    if node.is_generic() { " and serves nothing" } else { "" }
                );
                nodes.push(node);
            }
            Err(refused) => println!("{name} does not start: {refused}"),
        }
    }
    if let Some(asking) = nodes.last() {
        let shelf = ShelfClient::new(asking);
        match shelf.title(1).on(cluster::sel!(&db)).await {
            Ok(title) => println!("title 1: {}", title.as_deref().unwrap_or("none")),
            Err(error) => println!("no title: {error:#}"),
        }
        println!("title 0: {:?}", shelf.title(0).on(!cluster::tags::WEB).await.ok().flatten());
    }
    for node in nodes {
        node.shutdown().await?;
    }
    Ok(())
}
