//! Which node answers: `cargo run -p examples --bin selectors`.

use nebula::prelude::*;

#[service(global)]
trait Who {
    #[api(idempotent)]
    async fn are_you(&self) -> String;
}

struct Me(&'static str);

impl Who for Me {
    async fn are_you(&self) -> String {
        self.0.into()
    }
}

async fn start(name: &'static str, tags: &[&str]) -> nebula::Result<Node> {
    let node = Node::builder(name).tags(tags.iter().copied()).realm("selectors");
    node.serve(Me(name)).start().await
}

#[tokio::main]
async fn main() -> nebula::Result<()> {
    let nodes = [
        start("db-1@h1", &["db"]).await?,
        start("db-2@h2", &["db", "backup"]).await?,
        start("cache@h1", &["cache"]).await?,
    ];
    let web = Node::builder("web@h3").realm("selectors").start().await?;
    examples::assembled(&web, 4).await?;
    let who = WhoClient::new(&web);

    println!("a tag:       {}", who.are_you().on(tag("cache")).await?);
    println!("and not:     {}", who.are_you().on(tag("db") & !tag("backup")).await?);
    println!("a name:      {}", who.are_you().on(node("db-2")).await?);
    println!("short form:  {}", who.are_you().on(sel!(&db !@db-2)).await?);
    println!("exactly:     {}", who.are_you().to(nodes[2].id()).await?);
    let emptiest = who.are_you().pick(|nodes| {
        // The closure is given whoever serves the method.
        nodes.with_tag("db").min_by_key(|node| (node.memory_permille(), node.name().to_owned()))
    });
    println!("by closure:  {}", emptiest.await?);
    let either = who.are_you().on(sel!(&backup | &cache)).all().await?;
    println!("all of them: {}", either.ok().cloned().collect::<Vec<_>>().join(", "));

    // A selector that matches nothing never widens. It says what removed each node.
    match who.are_you().on(tag("db") & tag("gpu")).await {
        Ok(name) => panic!("{name} has no tag `gpu`"),
        Err(error) => println!("nobody:      {error:#}"),
    }
    web.shutdown().await?;
    for node in nodes {
        node.shutdown().await?;
    }
    Ok(())
}
