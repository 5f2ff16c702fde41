//! What is left of a service that has been stopped: calls that wait for it, and what implements it.

use std::sync::Arc;
use std::time::Duration;

use nebula::prelude::*;
use nebula::{Executed, Service};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::site::{Notes, Site, until};

const SECOND: Duration = Duration::from_secs(1);

mod other {
    use super::*;

    /// Another contract of the same name, whose methods have the same numbers.
    #[service(global, name = "Vault")]
    pub(super) trait Shredder {
        #[api]
        async fn erase(&self, id: u32) -> u32;
    }

    pub(super) struct Shred(pub(super) Notes);

    impl Shredder for Shred {
        async fn erase(&self, id: u32) -> u32 {
            self.0.note(format!("erase {id}"));
            id
        }
    }
}

#[service(global)]
trait Vault {
    #[api(max_concurrent = 1)]
    async fn get(&self, id: u32) -> u32;
}

struct Slow {
    notes: Notes,
    ends: Arc<Semaphore>,
}

impl Vault for Slow {
    async fn get(&self, id: u32) -> u32 {
        self.notes.note(format!("get {id}"));
        self.ends.acquire().await.unwrap().forget();
        id
    }
}

/// A call that waits for its turn with a service that stops is refused as not executed: it is none
/// of what has the place then.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_service_is_not_run_by_the_next() {
    let mut site = Site::new();
    let (server, caller) = (site.node("server").await, site.node("caller").await);
    let notes = Notes::default();
    let slow = Slow { notes: notes.clone(), ends: Arc::new(Semaphore::new(0)) };
    let ends = Arc::clone(&slow.ends);
    let service = Service::new(slow).grace(SECOND).start_on(&server).await.unwrap();
    let client = VaultClient::new(&caller);
    until("it is offered", || !client.get(0).available_nodes().is_empty()).await;
    let get = |id| {
        let client = client.clone();
        tokio::spawn(async move { client.get(id).timeout(60 * SECOND).await })
    };
    let first = get(1);
    sleep(SECOND).await;
    let second = get(2);
    sleep(SECOND).await;
    assert_eq!(notes.take(), ["get 1"]);
    service.stop().await.unwrap();
    server.serve(other::Shred(notes.clone())).await.unwrap();
    assert!(!first.is_finished() && !second.is_finished());
    ends.add_permits(2);
    assert_eq!(first.await.unwrap(), Ok(1));
    let error = second.await.unwrap().unwrap_err();
    assert_eq!(error.executed(), Executed::No, "{error:?}");
    assert_eq!(notes.take(), [""; 0]);
}

/// What implements a service is dropped with it, whoever has its handle or a client: calls under way
/// beyond its grace period keep it, and nobody else.
#[tokio::test(start_paused = true)]
async fn a_service_that_is_stopped_is_dropped() {
    let mut site = Site::new();
    let slow = || {
        let ends = Arc::new(Semaphore::new(0));
        (Slow { notes: Notes::default(), ends: Arc::clone(&ends) }, ends)
    };
    let ((first, ends), (second, later)) = (slow(), slow());
    let node = site.builder("server").grace(SECOND).serve(first).start().await.unwrap();
    let client = VaultClient::new(&node);
    let get = |id| {
        let client = client.clone();
        tokio::spawn(async move { client.get(id).timeout(60 * SECOND).await })
    };
    let call = get(1);
    sleep(SECOND).await;
    let service = node.service("Vault").unwrap();
    service.stop().await.unwrap();
    assert_eq!(Arc::strong_count(&ends), 2, "by the call");
    ends.add_permits(1);
    assert_eq!(call.await.unwrap(), Ok(1));
    assert_eq!(Arc::strong_count(&ends), 1);

    let service = node.serve(second).await.unwrap();
    later.add_permits(1);
    assert_eq!(get(2).await.unwrap(), Ok(2));
    service.stop().await.unwrap();
    assert_eq!(Arc::strong_count(&later), 1);
    let error = get(3).await.unwrap().unwrap_err();
    assert_eq!(error.executed(), Executed::No, "{error:?}");
}

/// Panics when it goes, without a word on the screen.
struct Bad<const KIND: u8>(Notes);

impl<const KIND: u8> Drop for Bad<KIND> {
    fn drop(&mut self) {
        self.0.note(format!("{KIND} goes"));
        std::panic::resume_unwind(Box::new("oh"));
    }
}

impl Vault for Bad<0> {
    async fn get(&self, id: u32) -> u32 {
        id
    }
}

/// Whatever the parts of a service do when they are dropped, all are, and its name is free.
#[tokio::test(start_paused = true)]
async fn a_service_that_panics_when_it_is_dropped_leaves_nothing() {
    let mut site = Site::new();
    let (server, caller) = (site.node("server").await, site.node("caller").await);
    let notes = Notes::default();
    let client = VaultClient::new(&caller);
    let is_offered = || !client.get(0).available_nodes().is_empty();
    let service = server.serve(Bad::<0>(notes.clone())).await.unwrap();
    service.extensions().insert(Bad::<1>(notes.clone()));
    service.extensions().insert(Bad::<2>(notes.clone()));
    until("it is offered", is_offered).await;
    service.stop().await.unwrap();
    let mut gone = notes.take();
    gone.sort();
    assert_eq!(gone, ["0 goes", "1 goes", "2 goes"]);
    until("it is offered no more", || !is_offered()).await;
    server.serve(other::Shred(notes.clone())).await.unwrap();
}
