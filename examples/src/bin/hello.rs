//! A server and a client in one file: `cargo run -p examples --bin hello`.

use nebula::prelude::*;

#[service(global)]
pub trait Greeter {
    #[api(idempotent)]
    async fn hello(&self, name: String) -> String;
}

struct English;
impl Greeter for English {
    async fn hello(&self, name: String) -> String {
        format!("Hello, {name}!")
    }
}

#[tokio::main]
async fn main() -> nebula::Result<()> {
    let server = Node::builder("server").serve(English).start().await?;
    let client = Node::builder("client").start().await?;
    println!("{}", GreeterClient::new(&client).hello("Ada".into()).await?);
    client.shutdown().await?;
    server.shutdown().await
}
