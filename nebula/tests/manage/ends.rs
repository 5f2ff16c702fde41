//! Beginnings and ends: services that are stopped, given up half-way, and left alone by their nodes.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use nebula::plugin::{Hooks, Host, Plugin};
use nebula::testing::Cluster;
use nebula::{Children, LifecycleError, Restart, Running, Service, ServiceError, ServiceHandle};
use tokio::time::{sleep, timeout};

use crate::site::{Plain, Site, SumsClient, until};

const SECOND: Duration = Duration::from_secs(1);

/// What it did.
#[derive(Clone, Default)]
struct Counts {
    starts: Arc<AtomicU32>,
    stops: Arc<AtomicU32>,
    ticks: Arc<AtomicU32>,
}

/// Takes a second to start, fails as often as it is told to, and has a child that never rests.
struct Slow {
    counts: Counts,
    fails: u32,
}

impl Plugin for Slow {
    const HOOKS: Hooks = Hooks::START.and(Hooks::STOP);

    async fn start(&self, _: &Host) -> nebula::Result<Children> {
        sleep(SECOND).await;
        if self.counts.starts.fetch_add(1, SeqCst) < self.fails {
            return Err(nebula::Error::msg("not yet"));
        }
        let ticks = Arc::clone(&self.counts.ticks);
        Ok(Children::new().child("ticks", Restart::Always, move |_| {
            let ticks = Arc::clone(&ticks);
            async move {
                loop {
                    ticks.fetch_add(1, SeqCst);
                    sleep(SECOND / 10).await;
                }
            }
        }))
    }

    async fn stop(&self, _: &Host) -> nebula::Result<()> {
        self.counts.stops.fetch_add(1, SeqCst);
        Ok(())
    }
}

async fn ticks(counts: &Counts) -> bool {
    let before = counts.ticks.load(SeqCst);
    sleep(SECOND).await;
    counts.ticks.load(SeqCst) > before
}

/// All that can be asked of a service, asked of one that is no more.
async fn asked_in_vain(gone: &ServiceHandle) {
    let stopped = |result: Result<(), ServiceError>| match result {
        Err(ServiceError::Lifecycle(LifecycleError::Stopped)) => {}
        other => panic!("{other:?}"),
    };
    let slow = || Slow { counts: Counts::default(), fails: 0 };
    stopped(gone.pause("x").await);
    stopped(gone.activate("x").await);
    stopped(gone.deactivate("x").await);
    stopped(gone.drain(SECOND).await);
    stopped(gone.stop().await);
    stopped(gone.add_plugin(slow()).await.map(drop));
    stopped(gone.add_plugin_with(slow(), "x = 1").await.map(drop));
    stopped(gone.replace_plugin(slow()).await);
    stopped(gone.remove_plugin("Slow").await);
    stopped(gone.restart_plugin("Slow").await);
    stopped(gone.reconfigure("x = 1").await);
    stopped(gone.reset_config().await);
    assert_eq!(gone.readiness().await.len(), 1);
    assert_eq!(gone.running(), Running::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_outlives_its_service_does_nothing_to_the_next() {
    let mut site = Site::new();
    let (server, caller) = (site.node("server").await, site.node("caller").await);
    let gone = server.serve(Plain::new()).await.unwrap();
    gone.stop().await.unwrap();
    asked_in_vain(&gone).await;
    let next = server.serve(Plain::new()).await.unwrap();
    asked_in_vain(&gone).await;
    let (near, far) = (SumsClient::new(&server), SumsClient::new(&caller));
    assert_eq!(near.add(1.0, 1.0).await.unwrap(), 2.0);
    until("it is offered", || !far.add(1.0, 1.0).available_nodes().is_empty()).await;
    assert_eq!(far.add(1.0, 1.0).await.unwrap(), 2.0);
    assert!(server.service("Sums").is_some_and(|service| service.accepts_calls()));
    assert!(next.accepts_calls());
}

#[tokio::test(start_paused = true)]
async fn of_several_stops_only_one_takes_the_service_away() {
    let node = Site::new().node("server").await;
    let first = node.serve(Plain::new()).await.unwrap();
    let stops: Vec<_> = (0..3)
        .map(|_| {
            let first = first.clone();
            tokio::spawn(async move { first.stop().await })
        })
        .collect();
    // As soon as one of them returns, there is room for the next service.
    let mut stops = stops.into_iter();
    stops.next().unwrap().await.unwrap().unwrap();
    node.serve(Plain::new()).await.unwrap();
    for stop in stops {
        let _ = stop.await.unwrap();
    }
    assert_eq!(SumsClient::new(&node).add(1.0, 1.0).await.unwrap(), 2.0);
    assert!(node.service("Sums").is_some());
}

/// Whatever is asked first, a service that was launched is started.
#[tokio::test(start_paused = true)]
async fn a_service_that_is_drained_at_once_is_started_all_the_same() {
    let node = Site::new().node("server").await;
    let counts = Counts::default();
    let slow = Slow { counts: counts.clone(), fails: 0 };
    let service = Service::new(Plain::new()).plugin(slow).launch_on(&node).unwrap();
    service.drain(Duration::ZERO).await.unwrap();
    let mut watch = service.watch();
    let running = watch.wait_for(|status| status.running == Running::Running);
    timeout(10 * SECOND, running).await.expect("it starts").unwrap();
    assert!(!service.accepts_calls(), "it drains");
    service.activate("go").await.unwrap();
    assert_eq!(SumsClient::new(&node).add(1.0, 1.0).await.unwrap(), 2.0);
}

/// A start that nobody waits for any more goes on; if it fails, nothing is left, as if somebody did.
#[tokio::test(start_paused = true)]
async fn a_start_that_is_given_up_comes_to_an_end() {
    for fails in [0, 1] {
        let node = Site::new().node("server").await;
        let counts = Counts::default();
        let slow = Slow { counts: counts.clone(), fails };
        let start = Service::new(Plain::new()).plugin(slow).start_on(&node);
        timeout(SECOND / 2, start).await.unwrap_err();
        sleep(100 * SECOND).await;
        assert_eq!(counts.starts.load(SeqCst), 1);
        assert_eq!(node.service("Sums").is_some(), fails == 0);
        assert_eq!(ticks(&counts).await, fails == 0);
        node.shutdown().await.unwrap();
        assert!(!ticks(&counts).await);
        assert_eq!(counts.stops.load(SeqCst), 1 - fails);
    }
}

/// A service that is being made while its node leaves is refused, and nothing of it is left.
#[tokio::test(start_paused = true)]
async fn nothing_is_started_on_a_node_that_leaves() {
    type Leaving = Pin<Box<dyn Future<Output = nebula::Result<()>> + Send>>;
    let node = Site::new().node("server").await;
    let counts = Counts::default();
    let leaving: Arc<Mutex<Option<Leaving>>> = Arc::default();
    let service = Service::build::<SumsClient, _>({
        let leaving = Arc::clone(&leaving);
        move |host: &Host| {
            // In the middle of the launch, which by itself never waits.
            let node = host.node().unwrap();
            let mut shutdown: Leaving = Box::pin(async move { node.shutdown().await });
            let polled = shutdown.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
            *leaving.lock().unwrap() = Some(shutdown);
            Plain::new()
        }
    });
    let refused = service.plugin(Slow { counts: counts.clone(), fails: 0 }).launch_on(&node);
    assert!(matches!(refused, Err(ServiceError::NodeStopped)), "{refused:?}");
    let shutdown = leaving.lock().unwrap().take().unwrap();
    shutdown.await.unwrap();
    assert!(node.service("Sums").is_none() && node.local_services().is_empty());
    assert!(SumsClient::new(&node).add(1.0, 1.0).await.is_err());
    sleep(10 * SECOND).await;
    assert_eq!(counts.starts.load(SeqCst), 0);
    let late = Service::new(Plain::new()).start_on(&node).await;
    assert!(matches!(late, Err(ServiceError::NodeStopped)), "{late:?}");
}

/// A node may leave at any moment of the start of its services: what was started is stopped.
#[tokio::test(start_paused = true)]
async fn a_node_leaves_while_its_services_start() {
    for wait in [0, 1, 500, 999, 1500, 2500] {
        let node = Site::new().node("server").await;
        let counts = Counts::default();
        let starting = tokio::spawn({
            let (node, slow) = (node.clone(), Slow { counts: counts.clone(), fails: 0 });
            async move { Service::new(Plain::new()).plugin(slow).start_on(&node).await }
        });
        sleep(Duration::from_millis(wait)).await;
        node.shutdown().await.unwrap();
        let started = starting.await.unwrap();
        assert_eq!(started.is_ok(), wait > 1000, "after {wait} ms: {started:?}");
        assert!(!ticks(&counts).await, "after {wait} ms");
        let (starts, stops) = (counts.starts.load(SeqCst), counts.stops.load(SeqCst));
        assert_eq!(starts, stops, "after {wait} ms");
        assert!(node.local_services().is_empty());
    }
}

/// A node that crashes takes with it what its services had started, without a word to it.
#[tokio::test(start_paused = true)]
async fn a_crash_leaves_no_tasks() {
    let mut cluster = Cluster::new(1);
    let (server, caller) =
        (cluster.node("server").start().await, cluster.node("caller").start().await);
    let counts = Counts::default();
    let slow = || Slow { counts: counts.clone(), fails: 0 };
    let service = Service::new(Plain::new()).plugin(slow()).start_on(&server).await.unwrap();
    cluster.settle().await;
    assert_eq!(SumsClient::new(&caller).add(1.0, 1.0).await.unwrap(), 2.0);
    assert!(ticks(&counts).await);
    // One more is on its way when it happens.
    let replacing = tokio::spawn({
        let (service, slow) = (service.clone(), slow());
        async move { service.replace_plugin(slow).await }
    });
    sleep(SECOND / 2).await;
    cluster.kill(&server);
    assert!(replacing.await.unwrap().is_err());
    sleep(SECOND).await;
    assert!(!ticks(&counts).await);
    assert_eq!(counts.stops.load(SeqCst), 0, "a crash says nothing");
    let asked = timeout(10 * SECOND, service.pause("x")).await.expect("an answer");
    assert!(asked.is_err());
    assert!(!service.accepts_calls());
    let asked = timeout(10 * SECOND, service.stop()).await.expect("an answer");
    assert!(asked.is_err());
}

/// Where nobody could run it, a service is refused in words, and its name is as free as before.
#[test]
fn a_service_is_started_where_it_can_run() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    let mut site = Site::new();
    let (node, caller) =
        runtime.block_on(async { (site.node("server").await, site.node("caller").await) });
    let refused = Service::new(Plain::new()).launch_on(&node).unwrap_err();
    assert!(matches!(refused, ServiceError::NoRuntime), "{refused}");
    let far = SumsClient::new(&caller);
    assert!(node.service("Sums").is_none());
    runtime.block_on(async {
        assert!(SumsClient::new(&node).add(1.0, 2.0).await.is_err());
        Service::new(Plain::new()).start_on(&node).await.unwrap();
        until("it is offered", || !far.add(1.0, 2.0).available_nodes().is_empty()).await;
        assert_eq!(far.add(1.0, 2.0).await.unwrap(), 3.0);
    });
}
