//! The states of a service, and who hears of them.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use nebula::plugin::{Hooks, Host, Order, Plugin};
use nebula::prelude::*;
use nebula::{Admin, Children, Executed, Restart, Running, Service, ServiceHandle, ServiceStatus};
use tokio::time::sleep;

use crate::site::{Notes, Plain, Site, SumsClient, until};

const SECOND: Duration = Duration::from_secs(1);

/// Notes what happens to it; comes after those it is told to come after.
struct Noted {
    name: &'static str,
    notes: Notes,
    order: Order,
    fails: Arc<AtomicU32>,
    ready: Arc<AtomicBool>,
    busy: Arc<AtomicBool>,
    child: bool,
}

impl Noted {
    fn new(name: &'static str, notes: &Notes) -> Self {
        let (fails, ready, busy) =
            (Arc::default(), Arc::new(AtomicBool::new(true)), Arc::default());
        Self { name, notes: notes.clone(), order: Order::new(), fails, ready, busy, child: false }
    }

    fn note(&self, what: &str) {
        self.notes.note(format!("{} {what}", self.name));
    }
}

impl Plugin for Noted {
    const HOOKS: Hooks =
        Hooks::START.and(Hooks::STOP).and(Hooks::STATUS).and(Hooks::READY).and(Hooks::DRAINED);

    fn name(&self) -> Cow<'static, str> {
        self.name.into()
    }

    fn order(&self) -> Order {
        self.order.clone()
    }

    async fn start(&self, _: &Host) -> nebula::Result<Children> {
        if self.fails.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            self.note("fails");
            return Err(nebula::Error::msg("the disk is full"));
        }
        self.note("starts");
        let notes = self.notes.clone();
        let name = self.name;
        Ok(match self.child {
            false => Children::new(),
            true => Children::new().child("worker", Restart::Always, move |stop| {
                let notes = notes.clone();
                async move {
                    notes.note(format!("{name} child runs"));
                    stop.cancelled().await;
                    notes.note(format!("{name} child ends"));
                    Ok::<(), String>(())
                }
            }),
        })
    }

    async fn stop(&self, _: &Host) -> nebula::Result<()> {
        self.note("stops");
        Ok(())
    }

    async fn status_changed(&self, _: &Host, _: &ServiceStatus, new: &ServiceStatus) {
        self.note(&new.running.to_string());
    }

    async fn ready(&self, _: &Host) -> Result<(), String> {
        if self.ready.load(SeqCst) { Ok(()) } else { Err("cold".into()) }
    }

    async fn drained(&self, _: &Host) -> Result<(), String> {
        if self.busy.load(SeqCst) { Err("3 jobs".into()) } else { Ok(()) }
    }
}

async fn refused(client: &SumsClient) -> CallError {
    let error = client.add(1.0, 1.0).timeout(SECOND).await.unwrap_err();
    assert_eq!(error.executed(), Executed::No, "{error:?}");
    error
}

/// LC-3, LC-14, LC-15, LC-24, LC-29: who is started, stopped and told, and in which order.
#[tokio::test(start_paused = true)]
async fn hooks_are_called_in_their_order() {
    let mut site = Site::new();
    let node = site.node("server").await;
    let notes = Notes::default();
    let upper = Noted { child: true, ..Noted::new("upper", &notes) };
    let service = Service::new(Plain::new()).plugin(upper).plugin(Noted::new("lower", &notes));
    let service = service.start_on(&node).await.unwrap();
    until("the child runs", || service.accepts_calls()).await;
    sleep(SECOND).await;
    assert_eq!(
        notes.take(),
        [
            "upper starting",
            "lower starting",
            "lower starts",
            "upper starts",
            "upper running",
            "lower running",
            "upper child runs",
        ]
    );
    service.pause("night").await.unwrap();
    assert_eq!(
        notes.take(),
        ["upper pausing", "lower pausing", "upper paused", "lower paused"],
        "what was started goes on"
    );
    service.activate("morning").await.unwrap();
    assert_eq!(
        notes.take(),
        ["upper starting", "lower starting", "upper running", "lower running"],
        "nothing is started twice"
    );
    service.activate("again").await.unwrap();
    assert_eq!(notes.take(), [""; 0], "LC-10: the same again is no news");
    service.deactivate("move").await.unwrap();
    assert_eq!(
        notes.take(),
        [
            "upper stopping",
            "lower stopping",
            "upper stops",
            "upper child ends",
            "lower stops",
            "upper stopped",
            "lower stopped",
        ]
    );
    service.activate("back").await.unwrap();
    sleep(SECOND).await;
    assert!(notes.take().contains(&"upper child runs".to_owned()), "LC-12: a new child");
    service.stop().await.unwrap();
    let last = notes.take();
    assert_eq!(last.iter().filter(|note| note.ends_with("stops")).count(), 2, "{last:?}");
    assert!(service.stop().await.is_err() && notes.take().is_empty(), "once");
}

/// LC-6 to LC-9, LC-16 to LC-18, LC-31: states as they are asked for, with reasons.
#[tokio::test(start_paused = true)]
async fn a_service_is_what_it_is_asked_to_be() {
    let mut site = Site::new();
    let node = site.node("server").await;
    assert!(node.service("Sums").is_none(), "LC-16");
    let notes = Notes::default();
    let plugin = Noted::new("p", &notes);
    let service = Service::new(Plain::new()).plugin(plugin).paused().start_on(&node).await.unwrap();
    let state = |service: &ServiceHandle| {
        let status = service.status();
        (status.admin, status.running, service.is_live())
    };
    assert_eq!(state(&service), (Admin::Paused, Running::Paused, true));
    assert!(!notes.take().contains(&"p starts".to_owned()), "LC-18");
    let client = SumsClient::new(&node);
    refused(&client).await;
    service.activate("go").await.unwrap();
    assert_eq!(state(&service), (Admin::Active, Running::Running, true));
    assert_eq!(&*service.status().reason, "go");
    assert_eq!(client.add(1.0, 1.0).await.unwrap(), 2.0);
    service.deactivate("rest").await.unwrap();
    assert_eq!(state(&service), (Admin::Inactive, Running::Stopped, true));
    refused(&client).await;
    service.pause("wait").await.unwrap();
    assert_eq!(state(&service).1, Running::Paused);
    service.activate("go").await.unwrap();
    assert_eq!(client.add(1.0, 1.0).await.unwrap(), 2.0);
    let taken = node.serve(Plain::new()).await.unwrap_err();
    assert!(taken.to_string().contains("something called `Sums` already"), "LC-2: {taken}");
    service.stop().await.unwrap();
    refused(&client).await;
    assert!(node.service("Sums").is_none());
    // The name is free again, and the same client finds who comes.
    node.serve(Plain::new()).await.unwrap();
    assert_eq!(client.add(2.0, 1.0).await.unwrap(), 3.0);
}

/// LC-30, gotcha 8: what was started is stopped when something else fails; then it is tried again.
#[tokio::test(start_paused = true)]
async fn a_service_that_fails_leaves_nothing_and_tries_again() {
    let mut site = Site::new();
    let node = site.node("server").await;
    let notes = Notes::default();
    let make = |fails: u32| {
        let upper = Noted::new("upper", &notes);
        upper.fails.store(fails, SeqCst);
        let lower = Noted { child: true, ..Noted::new("lower", &notes) };
        Service::new(Plain::new()).plugin(upper).plugin(lower)
    };
    let error = make(1).start_on(&node).await.unwrap_err();
    assert!(
        error.to_string().contains("the plugin `upper` failed at attempt 1: the disk is full"),
        "{error}"
    );
    let seen = notes.take();
    assert!(seen.contains(&"lower stops".to_owned()), "{seen:?}");
    assert!(node.service("Sums").is_none(), "nothing of it is left");

    let service = make(3).launch_on(&node).unwrap();
    let mut watch = service.watch();
    watch.wait_for(|status| status.running == Running::Failed).await.unwrap();
    assert!(!service.is_live(), "LC-17");
    let failure = service.status().error.clone().unwrap();
    assert_eq!((failure.attempt, &*failure.message), (1, "the disk is full"));
    refused(&SumsClient::new(&node)).await;
    watch.wait_for(|status| status.running == Running::Running).await.unwrap();
    assert_eq!(SumsClient::new(&node).add(1.0, 1.0).await.unwrap(), 2.0);
    assert!(service.status().error.is_none());
    let seen = notes.take();
    let count = |what: &str| seen.iter().filter(|note| *note == what).count();
    assert_eq!((count("upper fails"), count("upper starts"), count("upper stops")), (3, 1, 0));
    assert_eq!((count("lower starts"), count("lower stops")), (4, 3));
    service.stop().await.unwrap();
}

/// LC-20 to LC-23, and "only running, ready services are advertised": who is not ready is offered to
/// nobody, here and elsewhere, and one that drains refuses as not executed.
#[tokio::test(start_paused = true)]
async fn only_what_is_ready_is_offered() {
    let mut site = Site::new();
    let (server, caller) = (site.node("server").await, site.node("caller").await);
    let notes = Notes::default();
    let plugin = Noted::new("cache", &notes);
    let (ready, busy) = (plugin.ready.clone(), plugin.busy.clone());
    ready.store(false, SeqCst);
    let service = Service::new(Plain::new()).plugin(plugin).start_on(&server).await.unwrap();
    let (near, far) = (SumsClient::new(&server), SumsClient::new(&caller));
    let offered = || !far.add(1.0, 1.0).available_nodes().is_empty();
    sleep(5 * SECOND).await;
    assert!(!offered());
    refused(&near).await;
    let missing = service.readiness().await;
    assert_eq!(missing.iter().map(ToString::to_string).collect::<Vec<_>>(), ["cache: cold"]);
    ready.store(true, SeqCst);
    until("it is offered", offered).await;
    assert!(service.readiness().await.is_empty());
    assert_eq!(far.add(1.0, 1.0).await.unwrap(), 2.0);
    ready.store(false, SeqCst);
    until("it is withdrawn", || !offered()).await;
    ready.store(true, SeqCst);
    until("it is offered", offered).await;

    let waiting = tokio::spawn({
        let far = far.clone();
        async move { far.wait().timeout(60 * SECOND).await }
    });
    sleep(SECOND).await;
    busy.store(true, SeqCst);
    let left = service.drain(SECOND).await.unwrap_err().to_string();
    assert_eq!(left, "the service is not drained: calls: 1 still runs");
    until("it is withdrawn", || !offered()).await;
    refused(&near).await;
    refused(&far).await;
    assert_eq!(service.running(), Running::Running, "LC-23: draining stops nothing");
    waiting.abort();
    let left = service.drain(SECOND).await.unwrap_err().to_string();
    assert_eq!(left, "the service is not drained: cache: 3 jobs");
    busy.store(false, SeqCst);
    service.drain(SECOND).await.unwrap();
    service.activate("on we go").await.unwrap();
    until("it is offered again", offered).await;
    assert_eq!(far.add(1.0, 1.0).await.unwrap(), 2.0);
}

/// DISC-1, DISC-4: pauses and stops reach the others, and local services are not seen at all.
#[tokio::test(start_paused = true)]
async fn states_reach_the_other_nodes() {
    let mut site = Site::new();
    let (server, caller) = (site.node("server").await, site.node("caller").await);
    let far = SumsClient::new(&caller);
    let offered = || !far.add(1.0, 1.0).available_nodes().is_empty();
    let service = server.serve(Plain::new()).await.unwrap();
    until("it is offered", offered).await;
    service.pause("night").await.unwrap();
    until("it is withdrawn", || !offered()).await;
    service.activate("morning").await.unwrap();
    until("it is offered", offered).await;
    service.stop().await.unwrap();
    until("it is gone", || !offered()).await;
}

/// LC-2 and gotcha 20: a service given to the builder has the same life.
#[tokio::test(start_paused = true)]
async fn what_the_builder_serves_lives_as_well() {
    let mut site = Site::new();
    let server = site.builder("server").serve(Plain::new()).start().await.unwrap();
    let service = server.service("Sums").unwrap();
    let client = SumsClient::new(&server);
    assert_eq!(client.add(1.0, 1.0).await.unwrap(), 2.0);
    service.pause("night").await.unwrap();
    refused(&client).await;
    service.activate("morning").await.unwrap();
    assert_eq!(client.add(1.0, 1.0).await.unwrap(), 2.0);
    server.shutdown().await.unwrap();
    assert!(service.activate("too late").await.is_err());
}

/// What is prepared may be kept and shared like any other value.
#[test]
fn what_is_prepared_crosses_threads() {
    fn check<T: Send + Sync>() {}
    check::<nebula::NodeBuilder>();
    check::<Service>();
    check::<ServiceHandle>();
}

/// As soon as its start has returned, calls are taken: with a clock that runs, and a plugin that has
/// all hooks.
#[tokio::test]
async fn what_is_started_takes_calls() {
    struct Any(bool);
    impl Plugin for Any {
        async fn ready(&self, _: &Host) -> Result<(), String> {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            if self.0 { Ok(()) } else { Err("cold".into()) }
        }
    }
    let mut site = Site::new();
    let node = site.node("server").await;
    let client = SumsClient::new(&node);
    let service = Service::new(Plain::new()).plugin(Any(true)).start_on(&node).await.unwrap();
    assert!(service.accepts_calls());
    assert_eq!(client.add(1.0, 1.0).await.unwrap(), 2.0);
    service.pause("night").await.unwrap();
    assert!(!service.accepts_calls());
    service.activate("morning").await.unwrap();
    assert_eq!(client.add(1.0, 1.0).await.unwrap(), 2.0);
    service.stop().await.unwrap();

    let cold = Service::new(Plain::new()).plugin(Any(false)).start_on(&node).await.unwrap();
    assert!(cold.status().accepts_calls() && !cold.accepts_calls());
    refused(&client).await;
}
