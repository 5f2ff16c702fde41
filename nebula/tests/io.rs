//! Typed calls between nodes whose I/O runs on threads of their own.

use std::time::Duration;

use nebula::Io;
use nebula::prelude::*;
use tokio::runtime::Handle;

/// What nodes are asked here.
#[service(global)]
pub trait Where {
    /// Whether this runs on the runtime of the test, before and after a pause.
    #[api(idempotent)]
    async fn home(&self, pause: bool) -> (bool, bool);
    /// Gives back what it is given.
    #[api(idempotent)]
    async fn echo(&self, bytes: Vec<u8>) -> Vec<u8>;
}

#[derive(Clone, Debug)]
struct Here(tokio::runtime::Id);

impl Where for Here {
    async fn home(&self, pause: bool) -> (bool, bool) {
        let at_first = Handle::current().id() == self.0;
        if pause {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (at_first, Handle::current().id() == self.0)
    }

    async fn echo(&self, bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }
}

async fn calls() {
    let builder = |name| {
        let node = Node::builder(name).cookie("of these tests").local_discovery(false);
        node.io(Io::Thread)
    };
    let here = Here(Handle::current().id());
    let first = builder("first").serve(here.clone()).start().await.unwrap();
    let seed = first.local_addr().to_string();
    let second = builder("second").serve(here).seed(seed.clone()).start().await.unwrap();
    let client = builder("client").seed(seed).start().await.unwrap();
    let here = WhereClient::new(&client);
    while here.home(false).available_nodes().len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for pause in [false, true] {
        assert_eq!(here.home(pause).await.unwrap(), (true, true));
        let replies = here.home(pause).all().await.unwrap();
        assert!(replies.ok().all(|at_home| *at_home == (true, true)));
        assert_eq!(replies.ok().count(), 2);
    }
    for size in [0, 1000, 1 << 20] {
        assert_eq!(here.echo(vec![7; size]).await.unwrap(), vec![7; size]);
    }
    for node in [client, second, first] {
        node.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn on_a_runtime_of_one_thread() {
    calls().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_runtime_of_several_threads() {
    calls().await;
}
