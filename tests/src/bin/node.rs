//! A server for tests: `node NAME ADDRESS DIRECTORY`, with the cookie in `MACULA_COOKIE`. It says
//! `ready ADDRESS ID` and serves until its standard input closes; then it drains and leaves.
//!
//! `NODE_ADVERTISE` is the address that it tells others, if that is another one; `NODE_TOPOLOGY`
//! the names of the servers that a majority counts, with blanks between them. With `NODE_VERSION`
//! its ledger has this version, and is managed by its [`Ops`](tests::Ops).

use std::alloc::System;
use std::env;
use std::error::Error;
use std::fs;
use std::io::{Write, stderr, stdout};
use std::path::PathBuf;
use std::time::Duration;

use nebula::{Node, Service};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tests::{Book, Desk, LedgerClient, Lifeline, Members, Store, heap_file, heap_kib, topology};
use tokio::time::sleep;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How often it says how much of its heap is in use.
const SAY_HEAP: Duration = Duration::from_secs(2);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let lifeline = Lifeline::hold()?;
    tracing_subscriber::fmt().with_writer(stderr).with_env_filter("info").init();
    let args: Vec<_> = env::args().skip(1).collect();
    let [name, addr, dir] = &args[..] else { return Err("say NAME ADDRESS DIRECTORY".into()) };
    let dir = PathBuf::from(dir);
    let store = Store::open(&dir, name)?;
    let mut node = Node::builder(name)
        .realm("test")
        .tag("ledger")
        .listen(addr.parse()?)
        .runtime_dir(dir.join("run"))
        // The same key after a restart: the same node, back again.
        .identity(dir.join(format!("{name}.key")))
        .serve(store.clone());
    let (book, desk) = (Book::open(&dir.join("books"), name)?, Desk::new());
    node = match env::var("NODE_VERSION") {
        Ok(version) => {
            node.service(Service::new::<LedgerClient>(book).version(version)).serve(desk.clone())
        }
        Err(_) => node.serve(book),
    };
    if let Ok(told) = env::var("NODE_ADVERTISE") {
        node = node.advertise(told.parse()?);
    }
    if let Ok(names) = env::var("NODE_TOPOLOGY") {
        node = node.topology(topology(names.split(' ')));
    }
    let node = node.start().await?;
    store.on(&node);
    desk.on(node.service("Ledger"));
    Members::write(&node, &dir.join("members"))?;
    writeln!(stdout(), "ready {} {}", node.local_addr(), node.id())?;
    let heap = heap_file(&dir, name);
    fs::create_dir_all(heap.parent().ok_or("a directory")?)?;
    tokio::spawn(async move {
        loop {
            // Renamed, so that nobody reads half a number. Where the directory is gone, so are those
            // who read it.
            let next = heap.with_extension("next");
            let _ = fs::write(&next, heap_kib(&HEAP.stats()).to_string());
            let _ = fs::rename(&next, &heap);
            sleep(SAY_HEAP).await;
        }
    });
    lifeline.closed().await;
    node.shutdown().await?;
    Ok(())
}
