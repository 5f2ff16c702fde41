//! Plugins that are started again while the service is called.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use nebula::config::Schema;
use nebula::plugin::{Hooks, Host, Inbound, Plugin, Refusal, Updated};
use nebula::{
    CallError, Children, Executed, NodeId, Restart, Running, Service, ServiceError, ServiceHandle,
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::site::{Notes, Plain, Site, SumsClient, until};

const SECOND: Duration = Duration::from_secs(1);

/// How long a slow plugin takes to stop, and to start.
const TAKES: Duration = Duration::from_secs(10);

#[derive(Debug, Deserialize, Serialize)]
struct Starts {
    /// Whether it starts.
    well: bool,
    size: u32,
}

/// Takes its time to stop and to start.
#[derive(Default)]
struct Slow(AtomicBool);

impl Plugin for Slow {
    const HOOKS: Hooks = Hooks::BEFORE.and(Hooks::START).and(Hooks::STOP).and(Hooks::UPDATED);

    fn config(&self) -> Option<Schema> {
        Some(Schema::new(Starts { well: true, size: 1 }))
    }

    async fn start(&self, host: &Host) -> nebula::Result<Children> {
        sleep(TAKES).await;
        if host.config::<Starts>().is_some_and(|starts| !starts.well) {
            return Err(nebula::Error::msg("not well"));
        }
        self.0.store(true, SeqCst);
        Ok(Children::new())
    }

    async fn stop(&self, _: &Host) -> nebula::Result<()> {
        self.0.store(false, SeqCst);
        sleep(TAKES).await;
        Ok(())
    }

    async fn updated(&self, _: &Host) -> nebula::Result<Updated> {
        Ok(Updated::Restart)
    }

    fn before(&self, _: &mut Inbound<'_>) -> Result<(), Refusal> {
        if self.0.load(SeqCst) { Ok(()) } else { Err(Refusal::Failed("it is down".into())) }
    }
}

type Asked = JoinHandle<Result<(), ServiceError>>;

fn restart(service: &ServiceHandle) -> Asked {
    let service = service.clone();
    tokio::spawn(async move { service.restart_plugin("Slow").await })
}

fn reconfigure(service: &ServiceHandle, said: &'static str) -> Asked {
    let service = service.clone();
    tokio::spawn(async move { service.reconfigure(said).await })
}

async fn is_refused(client: &SumsClient) {
    let refused = client.add(1.0, 2.0).timeout(SECOND).await.unwrap_err();
    assert_eq!(refused.executed(), Executed::No);
    // From elsewhere it is tried again after pauses of chance, perhaps until its time is over.
    assert!(matches!(refused, CallError::NoProvider(_) | CallError::Deadline(_)), "{refused}");
}

async fn is_served(client: &SumsClient) {
    assert_eq!(client.add(1.0, 2.0).timeout(SECOND).await.unwrap(), 3.0);
}

/// While a plugin that calls pass is stopped and started, no call begins; whether calls begin
/// after that is for nobody but those to say who manage the service.
#[tokio::test(start_paused = true)]
async fn no_call_passes_a_plugin_that_is_started_again() {
    let mut site = Site::new();
    let (node, caller) = (site.node("server").await, site.node("caller").await);
    let slow = Service::new(Plain::new()).plugin(Slow::default());
    let service = slow.start_on(&node).await.unwrap();
    let (near, far) = (SumsClient::new(&node), SumsClient::new(&caller));
    until("it is offered", || !far.add(1.0, 1.0).available_nodes().is_empty()).await;
    let both = async |serves: bool| {
        for client in [&near, &far] {
            if serves { is_served(client).await } else { is_refused(client).await }
        }
    };
    both(true).await;

    for asked in [restart(&service), reconfigure(&service, "plugins.Slow.size = 2")] {
        // The one after the other.
        sleep(TAKES / 2).await;
        both(false).await;
        sleep(TAKES).await;
        both(false).await;
        asked.await.unwrap().unwrap();
    }
    both(true).await;
    assert_eq!(service.running(), Running::Running);

    let asked = restart(&service);
    sleep(TAKES / 2).await;
    service.pause("meanwhile").await.unwrap();
    asked.await.unwrap().unwrap();
    both(false).await;
    let asked = restart(&service);
    sleep(TAKES / 2).await;
    service.activate("meanwhile").await.unwrap();
    both(false).await;
    asked.await.unwrap().unwrap();
    both(true).await;

    let asked = reconfigure(&service, "plugins.Slow.well = false");
    sleep(5 * TAKES / 2).await;
    // What it had before is being put back.
    both(false).await;
    assert!(matches!(asked.await.unwrap(), Err(ServiceError::Plugin { .. })));
    both(true).await;
}

/// Calls that are refused meanwhile go on to another node.
#[tokio::test(start_paused = true)]
async fn calls_go_elsewhere_while_a_plugin_is_started_again() {
    let mut site = Site::new();
    let mut nodes = Vec::new();
    let mut services = Vec::new();
    for name in ["one", "other"] {
        let node = site.node(name).await;
        let plain = Plain(Notes::default(), node.id());
        let slow = Service::new(plain).plugin(Slow::default());
        services.push(slow.start_on(&node).await.unwrap());
        nodes.push(node);
    }
    let client = SumsClient::new(&nodes[0]);
    until("both are known", || client.whoami().available_nodes().len() == 2).await;
    let who = async || -> NodeId { client.whoami().await.unwrap() };
    assert_eq!(who().await, nodes[0].id());
    let asked = restart(&services[0]);
    sleep(TAKES / 2).await;
    assert_eq!(who().await, nodes[1].id());
    asked.await.unwrap().unwrap();
    assert_eq!(who().await, nodes[0].id());
}

/// A plugin that is not started again in time, or panics: no call passes it, and what is added
/// meanwhile has nothing to do with it.
#[tokio::test(start_paused = true)]
async fn what_is_added_while_a_start_fails_is_no_part_of_that() {
    /// Starts once.
    #[derive(Default)]
    struct Once(AtomicBool);

    impl Plugin for Once {
        const HOOKS: Hooks = Hooks::START.and(Hooks::BEFORE);

        async fn start(&self, _: &Host) -> nebula::Result<Children> {
            sleep(TAKES).await;
            match self.0.swap(true, SeqCst) {
                // Without a word on the screen.
                true => std::panic::resume_unwind(Box::new("once is enough")),
                false => Ok(Children::new()),
            }
        }
    }

    let mut site = Site::new();
    let node = site.node("server").await;
    let near = SumsClient::new(&node);
    let once = Service::new(Plain::new()).plugin(Once::default());
    let service = once.start_on(&node).await.unwrap();
    is_served(&near).await;
    let (restarted, added) =
        tokio::join!(service.restart_plugin("Once"), service.add_plugin(Slow::default()));
    assert!(matches!(restarted, Err(ServiceError::NotRestarted { .. })), "{restarted:?}");
    assert!(added.unwrap());
    is_refused(&near).await;
    until("it has failed", || service.running() == Running::Failed).await;
    is_refused(&near).await;

    service.remove_plugin("Slow").await.unwrap();
    let (activated, added) = tokio::join!(
        async {
            service.deactivate("again").await.unwrap();
            service.activate("again").await
        },
        async {
            sleep(TAKES / 2).await;
            service.add_plugin(Slow::default()).await
        }
    );
    assert!(matches!(activated, Err(ServiceError::Lifecycle(_))), "{activated:?}");
    assert!(added.unwrap());
    assert_eq!(service.plugins(), ["Once", "Slow"]);
}

/// Is ready some time after a start, and is called before that by nobody.
struct Warm {
    is_asked: AtomicBool,
    notes: Notes,
}

impl Plugin for Warm {
    const HOOKS: Hooks = Hooks::BEFORE.and(Hooks::START).and(Hooks::READY).and(Hooks::UPDATED);

    fn config(&self) -> Option<Schema> {
        Some(Schema::new(Starts { well: true, size: 1 }))
    }

    async fn start(&self, _: &Host) -> nebula::Result<Children> {
        self.is_asked.store(false, SeqCst);
        self.notes.note("starts");
        Ok(Children::new())
    }

    async fn ready(&self, _: &Host) -> Result<(), String> {
        sleep(SECOND / 10).await;
        self.is_asked.store(true, SeqCst);
        Ok(())
    }

    async fn updated(&self, _: &Host) -> nebula::Result<Updated> {
        Ok(Updated::Restart)
    }

    fn before(&self, _: &mut Inbound<'_>) -> Result<(), Refusal> {
        if !self.is_asked.load(SeqCst) {
            self.notes.note("is called too early");
        }
        Ok(())
    }
}

/// What has been started is asked whether it is ready before calls pass it, and before the operation
/// that started it returns.
#[tokio::test(start_paused = true)]
async fn plugins_are_asked_whether_they_are_ready_before_calls_pass_them() {
    let mut site = Site::new();
    let node = site.node("server").await;
    let near = SumsClient::new(&node);
    let service = Service::new(Plain::new()).start_on(&node).await.unwrap();
    let calling = tokio::spawn({
        let near = near.clone();
        async move {
            loop {
                let _ = near.add(1.0, 2.0).timeout(SECOND).await;
                sleep(Duration::from_millis(1)).await;
            }
        }
    });
    let notes = Notes::default();
    let warm = || Warm { is_asked: AtomicBool::new(false), notes: notes.clone() };
    assert!(service.add_plugin(warm()).await.unwrap());
    is_served(&near).await;
    assert_eq!(notes.take(), ["starts"]);
    service.restart_plugin("Warm").await.unwrap();
    is_served(&near).await;
    assert_eq!(notes.take(), ["starts"]);
    service.reconfigure("plugins.Warm.size = 2").await.unwrap();
    is_served(&near).await;
    assert_eq!(notes.take(), ["starts"]);
    service.replace_plugin(warm()).await.unwrap();
    is_served(&near).await;
    assert_eq!(notes.take(), ["starts"]);
    // What has no say in it does not close the service.
    let asked = tokio::spawn({
        let service = service.clone();
        async move { service.add_plugin(Slow::default()).await }
    });
    while !asked.is_finished() {
        assert!(service.accepts_calls());
        sleep(SECOND / 100).await;
    }
    assert!(asked.await.unwrap().unwrap());
    calling.abort();
}

/// A restart that ends half-way, in code of the plugin that nobody awaits, is a failure of the
/// service, which is started again as a whole.
#[tokio::test(start_paused = true)]
async fn a_restart_that_panics_is_a_failure_of_the_service() {
    struct Bad;

    impl Drop for Bad {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("oh"));
        }
    }

    /// Has too many children the second time, one of which panics when it goes.
    #[derive(Default)]
    struct Crowd(AtomicU32);

    impl Plugin for Crowd {
        const HOOKS: Hooks = Hooks::START.and(Hooks::BEFORE);

        async fn start(&self, _: &Host) -> nebula::Result<Children> {
            let mut children = Children::new();
            if self.0.fetch_add(1, SeqCst) == 1 {
                let bad = Bad;
                children = children.child("bad", Restart::Never, move |_| {
                    let _ = &bad;
                    async {}
                });
                for _ in 0..1024 {
                    children = children.child("one", Restart::Never, |_| async {});
                }
            }
            Ok(children)
        }
    }

    let mut site = Site::new();
    let node = site.node("server").await;
    let near = SumsClient::new(&node);
    let crowd = Service::new(Plain::new()).plugin(Crowd::default());
    let service = crowd.start_on(&node).await.unwrap();
    let restarted = service.restart_plugin("Crowd").await;
    assert!(matches!(restarted, Err(ServiceError::Panicked(_))), "{restarted:?}");
    is_refused(&near).await;
    until("it takes calls again", || service.accepts_calls()).await;
    is_served(&near).await;
}
