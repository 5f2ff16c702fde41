//! One candidate under one load, so that a profiler can be attached.

use crate::Failure;
use crate::args::Args;
use crate::process::{Client, Server};

/// `profile CANDIDATE CALLERS SECONDS [BYTES]`.
///
/// # Errors
/// A word is wrong, or a process fails.
pub fn run(mut args: Args) -> Result<(), Failure> {
    let id = args.next().ok_or("which candidate?")?;
    let callers: usize = args.number("the number of callers")?;
    let seconds: u64 = args.number("the number of seconds")?;
    let bytes: usize = args.next().map_or(Ok(64), |word| word.parse())?;
    args.end()?;
    let server = Server::start(&[&id], None)?;
    let mut client = Client::start(&id, &server, None)?;
    let servers: Vec<_> = server.pids.iter().map(u32::to_string).collect();
    println!("server {}, client {}", servers.join(" "), client.pid());
    println!("perf record -g -p {},{} -- sleep {seconds}", servers.join(","), client.pid());
    let millis = seconds * 1000;
    println!("{}", client.order(&format!("run {callers} {bytes} {millis}"))?);
    Ok(())
}
