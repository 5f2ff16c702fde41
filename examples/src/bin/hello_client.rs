//! The client of two terminals: `cargo run -p examples --bin hello_client`, while `hello_server`
//! runs in the other. `hello_client Grace` greets Grace; see `hello_server` for two machines.

use std::process::ExitCode;

use examples::greeter::{GreeterClient, REALM};
use nebula::prelude::*;

#[tokio::main]
async fn main() -> nebula::Result<ExitCode> {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_else(|| "Ada".into());
    let mut client = Node::builder("client").realm(REALM);
    if let Some(seed) = args.next() {
        client = client.seed(seed);
    }
    let client = client.start().await?;
    let greeted = GreeterClient::new(&client).hello(name).await;
    client.shutdown().await?;
    match greeted {
        Ok(greeting) => println!("{greeting}"),
        Err(error @ CallError::NoProvider(_)) => {
            eprintln!(
                "{error}\nIs a server up? `cargo run -p examples --bin hello_server` starts one."
            );
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}
