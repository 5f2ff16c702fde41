//! How many calls a service takes at once: the same bounds for calls from its own node, from other
//! nodes and without any node. The case ids are those of docs/conformance/nebula.md.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use nebula::call::Executed;
use nebula::prelude::*;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};

use crate::site::{PATIENCE, Site, met};

/// Two at a time in all, of them one `write`; one more may wait for each.
#[service(global, timeout = "700ms", max_concurrent = 2, queue = 1)]
pub trait Shop {
    #[api]
    async fn read(&self) -> usize;
    #[api(max_concurrent = 1, queue = 1)]
    async fn write(&self) -> usize;
    #[api(max_concurrent = 4, queue = 0)]
    async fn now_or_never(&self) -> usize;
    #[api(timeout = "300ms")]
    async fn hurried(&self);
    #[api]
    async fn fails(&self, how: Fails) -> u8;
}

#[derive(Clone, Copy, Debug, serde::Deserialize, serde::Serialize)]
pub enum Fails {
    Panics,
    Hangs,
}

#[derive(Clone)]
struct Keeper {
    /// Bodies end when they get one of these.
    leave: Arc<Semaphore>,
    inside: watch::Sender<usize>,
    most: Arc<AtomicUsize>,
    began: Arc<AtomicUsize>,
}

impl Keeper {
    fn new() -> Self {
        Self {
            leave: Arc::new(Semaphore::new(0)),
            inside: watch::Sender::new(0),
            most: Arc::default(),
            began: Arc::default(),
        }
    }

    /// How many bodies began before this one.
    async fn work(&self) -> usize {
        let before = self.began.fetch_add(1, SeqCst);
        self.inside.send_modify(|inside| *inside += 1);
        self.most.fetch_max(*self.inside.borrow(), SeqCst);
        let gone = Gone(self.inside.clone());
        self.leave.acquire().await.unwrap().forget();
        drop(gone);
        before
    }

    async fn until_inside(&self, count: usize) {
        let mut inside = self.inside.subscribe();
        timeout(PATIENCE, inside.wait_for(|inside| *inside == count)).await.unwrap().unwrap();
    }
}

struct Gone(watch::Sender<usize>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.send_modify(|inside| *inside -= 1);
    }
}

impl Shop for Keeper {
    async fn read(&self) -> usize {
        self.work().await
    }

    async fn write(&self) -> usize {
        self.work().await
    }

    async fn now_or_never(&self) -> usize {
        self.work().await
    }

    async fn hurried(&self) {
        std::future::pending().await
    }

    async fn fails(&self, how: Fails) -> u8 {
        match how {
            Fails::Panics => panic!("out of stock"),
            Fails::Hangs => std::future::pending().await,
        }
    }
}

/// Lets a spawned call come as far as it can.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// The clients through which a service is called: from its own node, and from another one.
async fn clients(site: &Site, keeper: &Keeper) -> ([Node; 2], [ShopClient; 2]) {
    let server = site.node("shop").serve(keeper.clone()).start().await.unwrap();
    let other = site.client().await;
    met(&[&server, &other]).await;
    let clients = [&server, &other].map(|node| ShopClient::new(node).with(|o| o.timeout(PATIENCE)));
    ([server, other], clients)
}

// WRK-03, WRK-10
#[tokio::test(start_paused = true)]
async fn one_at_a_time_holds_for_local_and_remote_calls_together() {
    let (site, keeper) = (Site::new(), Keeper::new());
    let (_nodes, clients) = clients(&site, &keeper).await;
    let calls: Vec<_> = clients
        .iter()
        .map(|shop| {
            tokio::spawn({
                let shop = shop.clone();
                async move { shop.write().await }
            })
        })
        .collect();
    keeper.until_inside(1).await;
    settle().await;
    assert_eq!(keeper.began.load(SeqCst), 1);
    keeper.leave.add_permits(2);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!((keeper.began.load(SeqCst), keeper.most.load(SeqCst)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn the_bound_of_a_service_holds_for_all_its_methods() {
    let (site, keeper) = (Site::new(), Keeper::new());
    let (_nodes, clients) = clients(&site, &keeper).await;
    let [here, there] = &clients;
    let spawn = |shop: &ShopClient, write: bool| {
        let shop = shop.clone();
        tokio::spawn(async move { if write { shop.write().await } else { shop.read().await } })
    };
    let running = [spawn(here, false), spawn(there, true)];
    keeper.until_inside(2).await;
    // `read` has no bound of its own and waits for the service; `write` waits for `write`.
    let waiting = [spawn(there, false), spawn(here, true)];
    settle().await;
    for shop in &clients {
        for error in [shop.read().await.unwrap_err(), shop.write().await.unwrap_err()] {
            assert!(matches!(error, CallError::Overloaded { .. }), "{error:?}");
            assert_eq!(error.executed(), Executed::No);
        }
    }
    assert_eq!(keeper.began.load(SeqCst), 2);
    keeper.leave.add_permits(4);
    for call in running.into_iter().chain(waiting) {
        call.await.unwrap().unwrap();
    }
    assert_eq!((keeper.began.load(SeqCst), keeper.most.load(SeqCst)), (4, 2));
}

#[tokio::test(start_paused = true)]
async fn a_queue_of_zero_refuses_at_once() {
    let (site, keeper) = (Site::new(), Keeper::new());
    let (_nodes, clients) = clients(&site, &keeper).await;
    // Its own places are four, those of the service two.
    let first = clients.clone().map(|shop| tokio::spawn(async move { shop.now_or_never().await }));
    keeper.until_inside(2).await;
    for shop in &clients {
        let error = shop.now_or_never().await.unwrap_err();
        assert!(matches!(error, CallError::Overloaded { .. }), "{error:?}");
    }
    keeper.leave.add_permits(2);
    for call in first {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn queued_calls_whose_caller_left_never_run() {
    let (site, keeper) = (Site::new(), Keeper::new());
    let (_nodes, clients) = clients(&site, &keeper).await;
    for shop in &clients {
        let began = keeper.began.load(SeqCst);
        let spawn = || {
            let shop = shop.clone();
            tokio::spawn(async move { shop.write().await })
        };
        let running = spawn();
        keeper.until_inside(1).await;
        let left = spawn();
        settle().await;
        left.abort();
        settle().await;
        let next = spawn();
        settle().await;
        keeper.leave.add_permits(2);
        assert_eq!(running.await.unwrap(), Ok(began));
        assert_eq!(next.await.unwrap(), Ok(began + 1));
        assert_eq!(keeper.began.load(SeqCst), began + 2);
    }
}

// WRK-01, WRK-04
#[tokio::test(start_paused = true)]
async fn failed_calls_free_their_places() {
    let (site, keeper) = (Site::new(), Keeper::new());
    let (_nodes, clients) = clients(&site, &keeper).await;
    let blocked = tokio::spawn({
        let shop = clients[0].clone();
        async move { shop.read().await }
    });
    keeper.until_inside(1).await;
    // One place of two is taken; the other one must come back each time.
    for shop in clients.iter().cycle().take(8) {
        let panicked = shop.fails(Fails::Panics).await.unwrap_err();
        assert!(matches!(panicked, CallError::Panicked { .. }), "{panicked:?}");
        let hung = shop.fails(Fails::Hangs).timeout(Duration::from_millis(50)).await.unwrap_err();
        assert!(matches!(hung, CallError::Deadline(_)), "{hung:?}");
    }
    keeper.leave.add_permits(1);
    blocked.await.unwrap().unwrap();
}

// OPT-01, and the order call > client > method > service > node.
#[tokio::test(start_paused = true)]
async fn the_nearest_of_five_timeouts_wins() {
    let ms = Duration::from_millis;
    let site = Site::new();
    let server = site.node("shop").serve(Keeper::new()).start().await.unwrap();
    let client = site.node("client").default_timeout(ms(777)).start().await.unwrap();
    met(&[&server, &client]).await;
    let took = async |call: nebula::Call<'_, _>| {
        let start = Instant::now();
        let error = call.await.unwrap_err();
        assert!(matches!(error, CallError::Deadline(_)), "{error:?}");
        start.elapsed().as_millis() / 10 * 10
    };
    let shop = ShopClient::new(&client);
    assert_eq!(took(shop.hurried()).await, 300);
    let patient = shop.with(|options| options.timeout(ms(400)));
    assert_eq!(took(patient.hurried()).await, 400);
    assert_eq!(took(patient.hurried().timeout(ms(100))).await, 100);
    let start = Instant::now();
    assert!(matches!(shop.read().await, Err(CallError::Deadline(_))));
    assert_eq!(start.elapsed().as_millis() / 10 * 10, 700);
}

// OPT-05: no call is without an end.
#[tokio::test(start_paused = true)]
async fn a_node_whose_calls_would_have_no_time_or_no_end_does_not_start() {
    for (timeout, told) in [(Duration::ZERO, "no time"), (Duration::MAX, "24 hours at most")] {
        let started = Site::new().node("client").default_timeout(timeout).start().await;
        let error = started.unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}
