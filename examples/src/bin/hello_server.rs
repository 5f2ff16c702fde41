//! The server of two terminals: `cargo run -p examples --bin hello_server`, then `hello_client`
//! in the other. Ctrl-C ends it.
//!
//! For two machines give both the same `MACULA_COOKIE`, the server an address to listen on
//! (`hello_server 0.0.0.0:9443`), and the client the server's (`hello_client Ada 10.0.0.1:9443`).

use examples::greeter::{Greeter, REALM};
use nebula::prelude::*;

struct English;

impl Greeter for English {
    async fn hello(&self, name: String) -> String {
        format!("Hello, {name}! This is process {}.", std::process::id())
    }
}

#[tokio::main]
async fn main() -> nebula::Result<()> {
    let mut server = Node::builder("server").realm(REALM).serve(English);
    if let Some(address) = std::env::args().nth(1) {
        let Ok(address) = address.parse() else {
            eprintln!("`{address}` is no address to listen on: write it like 0.0.0.0:9443");
            std::process::exit(2);
        };
        server = server.listen(address);
    }
    let server = server.start().await?;
    println!("serving at {}; Ctrl-C ends it", server.local_addr());
    tokio::signal::ctrl_c().await?;
    server.shutdown().await?;
    println!("ended in good order");
    Ok(())
}
