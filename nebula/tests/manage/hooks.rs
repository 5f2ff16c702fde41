//! Plugins that hang, panic and refuse: the others, and the service, do not pay for it.

use std::borrow::Cow;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use nebula::config::Schema;
use nebula::plugin::{Hooks, Host, Inbound, Order, Plugin, Refusal, Updated};
use nebula::{Admin, Children, Restart, Running, Service, ServiceError, ServiceStatus};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use crate::site::{Notes, Plain, Site, SumsClient};

const SECOND: Duration = Duration::from_secs(1);

/// Where a plugin goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bad {
    Never,
    HangsInStop,
    HangsInStatus,
    PanicsInName,
    PanicsInOrder,
    PanicsInConfig,
    SlowToStart,
}

struct Odd {
    name: &'static str,
    bad: Bad,
    notes: Notes,
}

impl Odd {
    fn new(name: &'static str, bad: Bad, notes: &Notes) -> Self {
        Self { name, bad, notes: notes.clone() }
    }
}

impl Plugin for Odd {
    const HOOKS: Hooks = Hooks::START.and(Hooks::STOP).and(Hooks::STATUS);

    fn name(&self) -> Cow<'static, str> {
        assert_ne!(self.bad, Bad::PanicsInName);
        self.name.into()
    }

    fn order(&self) -> Order {
        assert_ne!(self.bad, Bad::PanicsInOrder);
        Order::new()
    }

    fn config(&self) -> Option<Schema> {
        assert_ne!(self.bad, Bad::PanicsInConfig);
        None
    }

    async fn start(&self, _: &Host) -> nebula::Result<Children> {
        if self.bad == Bad::SlowToStart {
            sleep(59 * SECOND).await;
        }
        self.notes.note(format!("{} starts", self.name));
        Ok(Children::new())
    }

    async fn stop(&self, _: &Host) -> nebula::Result<()> {
        self.notes.note(format!("{} stops", self.name));
        match self.bad {
            Bad::HangsInStop => pending().await,
            _ => Ok(()),
        }
    }

    async fn status_changed(&self, _: &Host, _: &ServiceStatus, new: &ServiceStatus) {
        if self.bad == Bad::HangsInStatus {
            pending::<()>().await;
        }
        if new.running == Running::Running {
            self.notes.note(format!("{} hears", self.name));
        }
    }
}

/// Every plugin that was started is stopped, once, whatever those above it do.
#[tokio::test(start_paused = true)]
async fn a_stop_that_hangs_spares_nobody_else_his_own() {
    let node = Site::new().node("server").await;
    let notes = Notes::default();
    let service = Service::new(Plain::new())
        .plugin(Odd::new("upper", Bad::HangsInStop, &notes))
        .plugin(Odd::new("middle", Bad::HangsInStop, &notes))
        .plugin(Odd::new("lower", Bad::Never, &notes));
    let service = service.start_on(&node).await.unwrap();
    notes.take();
    service.deactivate("rest").await.unwrap();
    assert_eq!(notes.take(), ["upper stops", "middle stops", "lower stops"]);
    service.activate("go").await.unwrap();
    let seen = notes.take();
    assert_eq!(seen.iter().filter(|note| note.ends_with("starts")).count(), 3, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_status_hook_that_hangs_keeps_no_news_from_the_others() {
    let node = Site::new().node("server").await;
    let notes = Notes::default();
    let service = Service::new(Plain::new())
        .plugin(Odd::new("upper", Bad::HangsInStatus, &notes))
        .plugin(Odd::new("lower", Bad::Never, &notes));
    service.start_on(&node).await.unwrap();
    assert_eq!(notes.take(), ["lower starts", "upper starts", "lower hears"]);
}

/// Needs another one, which is made for it; both take their time.
struct Above(Odd);

#[derive(Default)]
struct Below;

static BELOW: AtomicU32 = AtomicU32::new(0);

impl Plugin for Below {
    const HOOKS: Hooks = Hooks::START.and(Hooks::STOP);

    async fn start(&self, _: &Host) -> nebula::Result<Children> {
        sleep(59 * SECOND).await;
        BELOW.fetch_add(1, SeqCst);
        Ok(Children::new())
    }

    async fn stop(&self, _: &Host) -> nebula::Result<()> {
        BELOW.fetch_sub(1, SeqCst);
        Ok(())
    }
}

impl Plugin for Above {
    const HOOKS: Hooks = Odd::HOOKS;

    fn order(&self) -> Order {
        Order::new().after::<Below>()
    }

    async fn start(&self, host: &Host) -> nebula::Result<Children> {
        self.0.start(host).await
    }

    async fn stop(&self, host: &Host) -> nebula::Result<()> {
        self.0.stop(host).await
    }
}

/// A stop that comes while plugins are added waits for that, and stops them too.
#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_plugins_that_are_being_added() {
    let node = Site::new().node("server").await;
    let notes = Notes::default();
    let service = Service::new(Plain::new()).plugin(Odd::new("first", Bad::Never, &notes));
    let service = service.start_on(&node).await.unwrap();
    let adding = tokio::spawn({
        let (service, notes) = (service.clone(), notes.clone());
        async move { service.add_plugin(Above(Odd::new("above", Bad::SlowToStart, &notes))).await }
    });
    sleep(SECOND).await;
    service.deactivate("rest").await.unwrap();
    sleep(1000 * SECOND).await;
    adding.await.unwrap().unwrap();
    let seen = notes.take();
    let count = |what: &str| seen.iter().filter(|note| *note == what).count();
    assert_eq!((count("first starts"), count("first stops")), (1, 1), "{seen:?}");
    assert_eq!(count("above starts"), count("above stops"), "{seen:?}");
    assert_eq!(BELOW.load(SeqCst), 0);
}

/// Management operations do not panic, whatever a plugin does when it is asked who it is.
#[tokio::test(start_paused = true)]
async fn a_plugin_that_panics_when_it_is_asked_is_refused() {
    #[derive(Debug)]
    struct NoDefault;
    impl Default for NoDefault {
        fn default() -> Self {
            panic!("there is no default")
        }
    }
    impl Plugin for NoDefault {}
    struct Needy;
    impl Plugin for Needy {
        fn order(&self) -> Order {
            Order::new().after::<NoDefault>()
        }
    }
    let node = Site::new().node("server").await;
    let notes = Notes::default();
    let service = Service::new(Plain::new()).plugin(Odd::new("first", Bad::Never, &notes));
    let service = service.start_on(&node).await.unwrap();
    let client = SumsClient::new(&node);
    for bad in [Bad::PanicsInName, Bad::PanicsInOrder, Bad::PanicsInConfig] {
        let refused = service.add_plugin(Odd::new("odd", bad, &notes)).await.unwrap_err();
        assert!(refused.to_string().contains("panicked"), "{bad:?}: {refused}");
        let refused = service.replace_plugin(Odd::new("first", bad, &notes)).await.unwrap_err();
        assert!(refused.to_string().contains("panicked"), "{bad:?}: {refused}");
        assert_eq!(service.plugins(), ["first"]);
        assert_eq!(client.add(1.0, 1.0).await.unwrap(), 2.0);
    }
    let refused = service.add_plugin(Needy).await.unwrap_err();
    assert!(refused.to_string().contains("there is no default"), "{refused}");
    for bad in [Bad::PanicsInName, Bad::PanicsInOrder, Bad::PanicsInConfig] {
        let other = Site::new().node("other").await;
        let made = Service::new(Plain::new()).plugin(Odd::new("odd", bad, &notes));
        let refused = made.start_on(&other).await.unwrap_err();
        assert!(refused.to_string().contains("panicked"), "{bad:?}: {refused}");
        other.serve(Plain::new()).await.unwrap();
    }
    assert_eq!(client.add(1.0, 1.0).await.unwrap(), 2.0);
}

#[derive(Debug, Deserialize, Serialize)]
struct Size {
    size: u32,
}

/// Takes a new size by being started again, and does not start with a size over 9.
struct Pool {
    size: AtomicU32,
    broken: Arc<AtomicBool>,
    notes: Notes,
}

impl Pool {
    fn new(notes: &Notes) -> Self {
        Self { size: AtomicU32::new(0), broken: Arc::default(), notes: notes.clone() }
    }
}

impl Plugin for Pool {
    const HOOKS: Hooks = Hooks::START.and(Hooks::STOP).and(Hooks::UPDATED).and(Hooks::BEFORE);

    fn config(&self) -> Option<Schema> {
        Some(Schema::new(Size { size: 1 }))
    }

    async fn start(&self, host: &Host) -> nebula::Result<Children> {
        let size = host.config::<Size>().map_or(0, |config| config.size);
        if size > 9 || self.broken.load(SeqCst) {
            return Err(nebula::Error::msg(format!("{size} is too much")));
        }
        self.size.store(size, SeqCst);
        self.notes.note(format!("starts with {size}"));
        Ok(Children::new())
    }

    async fn stop(&self, _: &Host) -> nebula::Result<()> {
        self.notes.note("stops");
        Ok(())
    }

    async fn updated(&self, _: &Host) -> nebula::Result<Updated> {
        Ok(Updated::Restart)
    }

    fn before(&self, _: &mut Inbound<'_>) -> Result<(), Refusal> {
        match self.size.load(SeqCst) {
            1..=9 => Ok(()),
            size => Err(Refusal::Failed(format!("a pool of {size}"))),
        }
    }
}

/// A wrong configuration that shows only when a plugin is started again is taken back as well.
#[tokio::test(start_paused = true)]
async fn a_configuration_that_a_plugin_does_not_start_with_is_taken_back() {
    let node = Site::new().node("server").await;
    let notes = Notes::default();
    let pool = Pool::new(&notes);
    let broken = Arc::clone(&pool.broken);
    let service = Service::new(Plain::new()).plugin(pool).start_on(&node).await.unwrap();
    let size = || service.plugin_config::<Size>("Pool").unwrap().size;
    let client = SumsClient::new(&node);
    service.reconfigure("plugins.Pool.size = 2").await.unwrap();
    assert_eq!(notes.take(), ["starts with 1", "stops", "starts with 2"]);
    let refused = service.reconfigure("plugins.Pool.size = 10").await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the plugin `Pool` failed, and nothing has changed: 10 is too much"
    );
    assert_eq!(notes.take(), ["stops", "starts with 2"]);
    assert_eq!((size(), service.running()), (2, Running::Running));
    assert_eq!(client.add(1.0, 1.0).await.unwrap(), 2.0);

    // One that does not come back at all is a failure of the service, and is said to be.
    broken.store(true, SeqCst);
    let failed = service.reconfigure("plugins.Pool.size = 3").await.unwrap_err();
    assert!(!failed.to_string().contains("nothing has changed"), "{failed}");
    assert!(matches!(failed, ServiceError::NotRestarted { .. }), "{failed}");
    sleep(SECOND / 10).await;
    assert_eq!((size(), service.running(), service.admin()), (2, Running::Failed, Admin::Active));
    broken.store(false, SeqCst);
    let mut watch = service.watch();
    let running = watch.wait_for(|status| status.running == Running::Running);
    timeout(100 * SECOND, running).await.unwrap().unwrap();
    assert_eq!(client.add(1.0, 1.0).await.unwrap(), 2.0);
    broken.store(true, SeqCst);
    let failed = service.restart_plugin("Pool").await.unwrap_err();
    assert!(matches!(failed, ServiceError::NotRestarted { .. }), "{failed}");
}

/// What a plugin that is being taken out leaves behind is no failure of the service.
#[tokio::test(start_paused = true)]
async fn a_plugin_that_goes_takes_its_failures_with_it() {
    struct Line(Arc<AtomicBool>);
    impl Plugin for Line {
        const HOOKS: Hooks = Hooks::START.and(Hooks::STOP);

        async fn start(&self, _: &Host) -> nebula::Result<Children> {
            let closed = Arc::clone(&self.0);
            Ok(Children::new().child("reader", Restart::Always, move |_| {
                let closed = Arc::clone(&closed);
                async move {
                    while !closed.load(SeqCst) {
                        sleep(SECOND / 100).await;
                    }
                    Err::<(), _>("the line is closed")
                }
            }))
        }

        async fn stop(&self, _: &Host) -> nebula::Result<()> {
            self.0.store(true, SeqCst);
            sleep(20 * SECOND).await;
            Ok(())
        }
    }
    let node = Site::new().node("server").await;
    let service = Service::new(Plain::new()).plugin(Line(Arc::default()));
    let service = service.start_on(&node).await.unwrap();
    let watch = service.watch();
    service.remove_plugin("Line").await.unwrap();
    assert!(!watch.has_changed().unwrap(), "{}", service.status());
    assert_eq!(SumsClient::new(&node).add(1.0, 1.0).await.unwrap(), 2.0);
}

/// RT-11: the configuration of one that is not added counts for nobody.
#[tokio::test(start_paused = true)]
async fn a_plugin_that_is_there_already_brings_no_configuration() {
    let node = Site::new().node("server").await;
    let notes = Notes::default();
    let service = Service::new(Plain::new()).plugin(Pool::new(&notes));
    let service = service.start_on(&node).await.unwrap();
    assert!(!service.add_plugin_with(Pool::new(&notes), "size = 5").await.unwrap());
    assert_eq!(service.plugin_config::<Size>("Pool").unwrap().size, 1);
    assert!(!service.add_plugin_with(Pool::new(&notes), "size = 50").await.unwrap());
    assert_eq!(notes.take(), ["starts with 1"]);
}

/// What a plugin made of the arguments of a call that is refused here does not go to another node.
#[tokio::test(start_paused = true)]
async fn a_call_that_goes_elsewhere_goes_as_it_came() {
    struct Doubles;
    impl Plugin for Doubles {
        const HOOKS: Hooks = Hooks::BEFORE;

        fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
            if let Some((left, right)) = call.args::<(f64, f64)>() {
                (*left, *right) = (*left * 2.0, *right * 2.0);
            }
            Ok(())
        }
    }
    struct Busy;
    impl Plugin for Busy {
        const HOOKS: Hooks = Hooks::BEFORE;

        fn before(&self, _: &mut Inbound<'_>) -> Result<(), Refusal> {
            Err(Refusal::Overloaded { retry_after: SECOND })
        }
    }
    /// Refuses later than `before`.
    struct Late;
    impl Plugin for Late {
        const HOOKS: Hooks = Hooks::AROUND;

        async fn around(&self, _: nebula::plugin::Around<'_>) -> Result<(), Refusal> {
            tokio::task::yield_now().await;
            Err(Refusal::Unavailable("not now".into()))
        }
    }
    let mut site = Site::new();
    let (here, there) = (site.node("here").await, site.node("there").await);
    there.serve(Plain::new()).await.unwrap();
    let client = SumsClient::new(&here);
    crate::site::until("it is offered", || !client.add(1.0, 1.0).available_nodes().is_empty())
        .await;
    let service = Service::new(Plain::new()).plugin(Doubles).plugin(Busy);
    let service = service.start_on(&here).await.unwrap();
    assert_eq!(client.add(1.0, 1.0).await.unwrap(), 2.0);
    service.remove_plugin("Busy").await.unwrap();
    assert_eq!(client.add(1.0, 1.0).await.unwrap(), 4.0);
    service.add_plugin(Late).await.unwrap();
    assert_eq!(client.add(1.0, 1.0).await.unwrap(), 2.0);
}

/// Grows as it is, and shrinks by being started again.
struct Tank(Pool);

impl Plugin for Tank {
    const HOOKS: Hooks = Pool::HOOKS;

    fn config(&self) -> Option<Schema> {
        self.0.config()
    }

    async fn start(&self, host: &Host) -> nebula::Result<Children> {
        self.0.start(host).await
    }

    async fn updated(&self, host: &Host) -> nebula::Result<Updated> {
        let size = host.config::<Size>().map_or(0, |config| config.size);
        if size < self.0.size.load(SeqCst) {
            return Ok(Updated::Restart);
        }
        self.0.size.store(size, SeqCst);
        self.0.notes.note(format!("grows to {size}"));
        Ok(Updated::Kept)
    }
}

/// Takes no other configuration.
struct Stiff;

impl Plugin for Stiff {
    const HOOKS: Hooks = Hooks::UPDATED;

    fn config(&self) -> Option<Schema> {
        Some(Schema::new(Size { size: 1 }))
    }

    async fn updated(&self, _: &Host) -> nebula::Result<Updated> {
        Err(nebula::Error::msg("never"))
    }
}

/// A plugin that has taken a configuration in as it is may go back only by a start.
#[tokio::test(start_paused = true)]
async fn a_configuration_is_taken_back_by_a_start_where_that_is_asked_for() {
    let node = Site::new().node("server").await;
    let notes = Notes::default();
    let pool = Pool::new(&notes);
    let broken = Arc::clone(&pool.broken);
    let service = Service::new(Plain::new()).plugin(Stiff).plugin(Tank(pool));
    let service = service.start_on(&node).await.unwrap();
    assert_eq!(notes.take(), ["starts with 1"]);
    let both = "plugins.Tank.size = 2\nplugins.Stiff.size = 2";
    let refused = service.reconfigure(both).await.unwrap_err();
    assert!(matches!(&refused, ServiceError::Plugin { name, .. } if name == "Stiff"), "{refused}");
    assert_eq!(notes.take(), ["grows to 2", "starts with 1"]);
    assert_eq!(SumsClient::new(&node).add(1.0, 1.0).await.unwrap(), 2.0);

    broken.store(true, SeqCst);
    let failed = service.reconfigure(both).await.unwrap_err();
    assert!(
        matches!(&failed, ServiceError::NotRestarted { name, .. } if name == "Tank"),
        "{failed}"
    );
    sleep(SECOND / 10).await;
    assert_eq!(service.running(), Running::Failed);
}
