//! Nodes whose I/O runs on a thread of its own, on runtimes of several kinds.

#![cfg(target_os = "linux")]

#[allow(dead_code)]
mod common;

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use macula::rpc::admission::Gate;
use macula::rpc::{Answer, Fault, Handler, Incoming, Method, Response, Service};
use macula::{Io, Mesh};
use tokio::runtime::{Builder, Handle, Runtime};

use common::{KEY, PATIENCE, request, until};

const ECHO: u64 = 1;
const LATER: u64 = 2;
const SPAWNED: u64 = 3;
const HANG: u64 = 4;

/// The tests count the threads and the panics of their process, so they run one by one.
static ONE: Mutex<()> = Mutex::new(());
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// How often handlers ran elsewhere than where their node was started.
static ASTRAY: AtomicUsize = AtomicUsize::new(0);

struct Tester(tokio::runtime::Id);

impl Handler for Tester {
    fn handle(
        &self,
        call: Incoming,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>> {
        let home = self.0;
        let look = move || ASTRAY.fetch_add((Handle::current().id() != home).into(), SeqCst);
        look();
        Box::pin(async move {
            look();
            match call.method {
                // Ready at once, and what it spawns runs at home.
                0 => drop(tokio::spawn(async move { look() })),
                // A timer and a task of its own.
                1 | 2 => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    look();
                    tokio::spawn(async move { look() }).await.unwrap();
                }
                _ => std::future::pending().await,
            }
            Ok(call.body.into())
        })
    }
}

/// A cluster, while no other test runs.
struct Site {
    of: common::Site,
    _one: MutexGuard<'static, ()>,
}

impl Site {
    fn new() -> Self {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        std::panic::set_hook(Box::new(|info| {
            PANICS.fetch_add(1, SeqCst);
            eprintln!("{info}");
        }));
        Self { of: common::Site::new(), _one: one }
    }

    /// Must be called on the runtime that is to run the handlers.
    async fn server(&self, io: Io) -> Mesh {
        let gate = Gate::new(16, 16);
        let method = |name: &str, id| Method::new(name, id, KEY, gate.clone());
        let methods = [
            method("echo", ECHO),
            method("later", LATER),
            method("spawned", SPAWNED).spawned(true),
            method("hang", HANG),
        ];
        let tester = Arc::new(Tester(Handle::current().id()));
        let service = Service::new("Tester", methods, tester).version("1");
        self.of.builder("server").service(service).io(io).start().await.unwrap()
    }

    async fn client(&self, io: Io) -> Mesh {
        let client = self.of.builder("client").io(io).start().await.unwrap();
        let known = |mesh: &Mesh| !mesh.view().providers(ECHO).is_empty();
        until(&client, PATIENCE, "the service is known", known).await;
        client
    }
}

fn single() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn several() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

async fn call(client: &Mesh, method: u64, body: Bytes) -> Response {
    let server = client.view().providers(ECHO)[0].node;
    client.call_to(server, request(method, body)).await
}

async fn all_kinds(client: &Mesh) {
    for method in [ECHO, LATER, SPAWNED] {
        for size in [0, 1000, 1 << 20] {
            let body = Bytes::from(vec![7; size]);
            let response = call(client, method, body.clone()).await;
            assert_eq!(response.result.unwrap(), body, "{size} bytes to {method}");
        }
    }
}

/// The threads of I/O that this process has.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |task: std::io::Result<std::fs::DirEntry>| {
        // One that ends meanwhile has no name.
        std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
    };
    tasks.filter_map(name).filter(|name| name.trim_end() == "macula-io").count()
}

fn threads_end() {
    let began = Instant::now();
    while threads() > 0 {
        assert!(began.elapsed() < PATIENCE, "{} threads are left", threads());
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn nothing_went_wrong() {
    assert_eq!((ASTRAY.swap(0, SeqCst), PANICS.swap(0, SeqCst)), (0, 0));
}

#[test]
fn handlers_run_at_home_and_the_threads_end_with_their_nodes() {
    let site = Site::new();
    for runtime in [single(), several()] {
        for (ours, theirs) in
            [(Io::Thread, Io::Thread), (Io::Thread, Io::Shared), (Io::Shared, Io::Thread)]
        {
            runtime.block_on(async {
                let server = site.server(theirs).await;
                let client = site.client(ours).await;
                let expected = [ours, theirs].iter().filter(|io| **io == Io::Thread).count();
                assert_eq!(threads(), expected);
                all_kinds(&client).await;
                client.shutdown(Duration::ZERO).await;
                server.shutdown(Duration::ZERO).await;
                // A second time changes nothing.
                server.shutdown(Duration::ZERO).await;
                assert_eq!(threads(), 0);
                let gone = call(&client, ECHO, Bytes::new()).await;
                assert!(gone.result.is_err());
            });
        }
    }
    nothing_went_wrong();
}

#[test]
fn a_node_that_is_aborted_or_does_not_start_leaves_no_thread() {
    let site = Site::new();
    let runtime = single();
    runtime.block_on(async {
        let server = site.server(Io::Thread).await;
        let taken = site.of.builder("other").listen(server.addr()).io(Io::Thread).start().await;
        assert!(taken.is_err());
        server.abort();
    });
    threads_end();
    nothing_went_wrong();
}

#[test]
fn it_ends_with_the_runtime_that_runs_its_handlers() {
    let site = Site::new();
    for runtime in [single(), several()] {
        let elsewhere = several();
        let server = runtime.block_on(site.server(Io::Thread));
        let client = elsewhere.block_on(site.client(Io::Shared));
        elsewhere.block_on(async {
            let hung = tokio::spawn({
                let client = client.clone();
                async move { call(&client, HANG, Bytes::new()).await }
            });
            while server.serving() == 0 {
                tokio::task::yield_now().await;
            }
            runtime.shutdown_background();
            let hung = tokio::time::timeout(PATIENCE, hung).await.unwrap().unwrap();
            assert!(hung.result.is_err());
            // The handle of a node that has ended does no harm.
            server.shutdown(Duration::ZERO).await;
            client.shutdown(Duration::ZERO).await;
        });
        threads_end();
    }
    nothing_went_wrong();
}

#[test]
fn it_answers_while_the_runtime_is_busy() {
    let site = Site::new();
    let (runtime, elsewhere) = (single(), single());
    let server = runtime.block_on(site.server(Io::Thread));
    // From here on nobody drives that runtime.
    elsewhere.block_on(async {
        let client = site.client(Io::Shared).await;
        let response = call(&client, ECHO, "hello".into()).await;
        assert_eq!(response.result.unwrap(), "hello");
        client.shutdown(Duration::ZERO).await;
    });
    runtime.block_on(server.shutdown(Duration::ZERO));
    assert_eq!(threads(), 0);
    nothing_went_wrong();
}
