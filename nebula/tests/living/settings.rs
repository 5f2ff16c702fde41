//! The configuration of a service and of its plugins.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use nebula::config::{ConfigError, Invalid, Patch, Schema};
use nebula::plugin::{Around, Hooks, Host, Plugin, Refusal, Updated};
use nebula::{Children, Node, Service, ServiceError, ServiceHandle};
use serde::{Deserialize, Serialize};

use crate::site::{Notes, Plain, Site, Sums, SumsClient};

#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Rounding {
    decimals: u32,
}

/// Rounds what is returned, as its configuration says.
struct Round {
    decimals: AtomicU32,
    notes: Notes,
}

impl Round {
    fn new(notes: &Notes) -> Self {
        Self { decimals: AtomicU32::new(0), notes: notes.clone() }
    }

    fn take(&self, host: &Host) -> nebula::Result<u32> {
        let config = host.config::<Rounding>().ok_or_else(|| nebula::Error::msg("no section"))?;
        if config.decimals == 7 {
            return Err(nebula::Error::msg("not seven"));
        }
        self.decimals.store(config.decimals, SeqCst);
        Ok(config.decimals)
    }
}

impl Plugin for Round {
    const HOOKS: Hooks = Hooks::START.and(Hooks::STOP).and(Hooks::UPDATED).and(Hooks::AROUND);

    fn name(&self) -> std::borrow::Cow<'static, str> {
        "round".into()
    }

    fn config(&self) -> Option<Schema> {
        Some(Schema::checked(Rounding { decimals: 2 }, |config| match config.decimals {
            0..=9 => Ok(()),
            _ => Err(Invalid::new("decimals", "there are at most 9")),
        }))
    }

    async fn start(&self, host: &Host) -> nebula::Result<Children> {
        let decimals = self.take(host)?;
        self.notes.note(format!("starts with {decimals}"));
        Ok(Children::new())
    }

    async fn stop(&self, _: &Host) -> nebula::Result<()> {
        self.notes.note("stops");
        Ok(())
    }

    async fn updated(&self, host: &Host) -> nebula::Result<Updated> {
        let decimals = self.take(host)?;
        self.notes.note(format!("takes {decimals}"));
        Ok(if decimals == 5 { Updated::Restart } else { Updated::Kept })
    }

    async fn around(&self, mut call: Around<'_>) -> Result<(), Refusal> {
        call.next().await?;
        if let Some(sum) = call.reply::<f64>() {
            let unit = 10_f64.powi(self.decimals.load(SeqCst) as i32);
            *sum = (*sum * unit).round() / unit;
        }
        Ok(())
    }
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default)]
struct Store {
    path: String,
    pool: Pool,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default)]
struct Pool {
    size: u32,
    idle: u32,
}

impl Default for Store {
    fn default() -> Self {
        Self { path: "/tmp".into(), pool: Pool::default() }
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self { size: 4, idle: 1 }
    }
}

async fn rounding(notes: &Notes) -> (Node, ServiceHandle) {
    let node = Site::new().node("server").await;
    let service = Service::new(Plain::new()).config(Store::default()).plugin(Round::new(notes));
    (node.clone(), service.start_on(&node).await.unwrap())
}

/// CFG-14: another number of decimals counts from the next call on.
#[tokio::test(start_paused = true)]
async fn a_plugin_takes_its_new_configuration() {
    let notes = Notes::default();
    let (node, service) = rounding(&notes).await;
    let client = SumsClient::new(&node);
    assert_eq!(client.divide(2.0, 3.0).await.unwrap(), 0.67);
    service.reconfigure("plugins.round.decimals = 4").await.unwrap();
    assert_eq!(client.divide(2.0, 3.0).await.unwrap(), 0.6667);
    assert_eq!(notes.take(), ["starts with 2", "takes 4"]);
    service.reconfigure("path = \"/var\"").await.unwrap();
    service.reconfigure("plugins.round.decimals = 4").await.unwrap();
    assert_eq!(notes.take(), [""; 0], "who is not concerned hears nothing");
    service.reconfigure("plugins.round.decimals = 5").await.unwrap();
    assert_eq!(notes.take(), ["takes 5", "stops", "starts with 5"], "CFG-11");
    service.reset_config().await.unwrap();
    assert_eq!(client.divide(2.0, 3.0).await.unwrap(), 0.67);
    assert_eq!(service.config::<Store>().unwrap().path, "/tmp");
}

/// CFG-9, CFG-13: what is refused changes nothing, wherever it is refused.
#[tokio::test(start_paused = true)]
async fn a_configuration_that_is_refused_changes_nothing() {
    let notes = Notes::default();
    let (node, service) = rounding(&notes).await;
    let mut watched = service.watch_config::<Store>().unwrap();
    for (patch, told) in [
        ("plugins.round.decimals = 10", "there are at most 9"),
        ("plugins.round.decimals = \"many\"", "expected an integer from 0"),
        ("plugins.round.decimal = 1", "decimal"),
        ("path = \"/var\"\npool.size = -1", "pool.size"),
        ("path = \"/var\"\nplugins.round.decimals = 7", "not seven"),
        ("plugins = [\"round\"]", "plugins"),
        ("name = \"x\"", "name"),
        ("path = ", "line 1"),
    ] {
        let refused = service.reconfigure(patch).await.unwrap_err();
        assert!(refused.to_string().contains(told), "{patch}: {refused}");
    }
    assert_eq!(*service.config::<Store>().unwrap(), Store::default());
    let changed = tokio::time::timeout(std::time::Duration::from_secs(1), watched.changed()).await;
    assert!(changed.is_err(), "{changed:?}");
    assert_eq!(SumsClient::new(&node).divide(2.0, 3.0).await.unwrap(), 0.67);
    let seven = Service::new(Plain::new()).plugin(Round::new(&notes));
    let other = Site::new().node("other").await;
    let refused = seven.start_with("plugins.round.decimals = 7").start_on(&other).await;
    assert!(matches!(refused, Err(ServiceError::Lifecycle(_))), "{refused:?}");
    let unknown = Service::new(Plain::new()).plugin(Round::new(&notes));
    let refused = unknown.start_with("plugins.round.x = 7").start_on(&other).await;
    assert!(matches!(refused, Err(ServiceError::Config(_))), "{refused:?}");
    assert!(other.service("Sums").is_none());
}

/// RT-12: values for a plugin that is not there are refused, where the program gives them; those of
/// a file may be for others.
#[tokio::test(start_paused = true)]
async fn an_unknown_plugin_is_not_configured() {
    let (notes, node) = (Notes::default(), Site::new().node("server").await);
    let sums = || Service::new(Plain::new()).plugin(Round::new(&notes));
    let said = |refused: Result<_, ServiceError>| match refused.map(|_: ServiceHandle| ()) {
        Err(ServiceError::Config(error @ ConfigError::UnknownPlugin { .. })) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        said(sums().start_with("path = \"/\"\n[plugins.rond]\ndecimals = 3").start_on(&node).await),
        "`plugins.rond` in what was given at the start, line 2 is for an unknown plugin: the service \
         has none of this name that is configured, did you mean `round`? (plugins: `round`)"
    );
    assert!(node.service("Sums").is_none());

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.toml");
    std::fs::write(&file, "plugins.others.size = 1\nplugins.round.decimals = 4").unwrap();
    let service = sums().config_file(&file).start_on(&node).await.unwrap();
    let divided = async || SumsClient::new(&node).divide(2.0, 3.0).await.unwrap();
    let patch = "plugins.round.decimals = 1\nplugins.others.size = 2";
    assert_eq!(
        said(service.reconfigure(patch).await.map(|()| service.clone())),
        "`plugins.others` in an update at run time, line 2 is for an unknown plugin: the service has \
         none of this name that is configured (plugins: `round`)"
    );
    assert_eq!(divided().await, 0.6667);
    // What was said at run time goes with the plugin, and nothing else.
    service.reconfigure("plugins.round.decimals = 1").await.unwrap();
    assert_eq!(divided().await, 0.7);
    service.remove_plugin("round").await.unwrap();
    assert_eq!(
        said(service.reconfigure("plugins.round.decimals = 1").await.map(|()| service.clone())),
        "`plugins.round` in an update at run time, line 1 is for an unknown plugin: the service has \
         none of this name that is configured"
    );
    assert_eq!(divided().await, 2.0 / 3.0);
    service.add_plugin(Round::new(&notes)).await.unwrap();
    assert_eq!(divided().await, 0.6667);

    struct Bare;
    impl Plugin for Bare {
        const HOOKS: Hooks = Hooks::NONE;
    }
    let added = service.add_plugin_with(Bare, "decimals = 1").await;
    assert_eq!(
        said(added.map(|_| service.clone())),
        "`plugins.Bare` in what was given at the start, line 1 is for an unknown plugin: the service \
         has none of this name that is configured (plugins: `round`)"
    );
    assert_eq!(service.plugins(), ["round"]);
}

/// CFG-1, CFG-2, CFG-5, CFG-6: later layers win, key by key; a service is built with what it watches.
#[tokio::test(start_paused = true)]
async fn a_service_is_built_with_its_configuration() {
    struct Sized(nebula::config::Watched<Store>, Arc<nebula::Extensions>);
    impl Sums for Sized {
        async fn add(&self, _: f64, _: f64) -> f64 {
            self.1.get_or_insert_with(|| 0_u8);
            f64::from(self.0.current().pool.size)
        }
        async fn divide(&self, _: f64, _: f64) -> Result<f64, String> {
            Err(self.0.current().path.clone())
        }
        async fn wait(&self) -> u32 {
            0
        }
        async fn fail(&self) -> u32 {
            0
        }
        async fn whoami(&self) -> nebula::NodeId {
            nebula::NodeId::from_bytes([0; 32])
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.toml");
    std::fs::write(&file, "path = \"/var\"\npool = { size = 8, idle = 2 }").unwrap();
    let node = Site::new().node("server").await;
    let service = Service::build::<SumsClient, _>(|host| {
        Sized(host.watch_config().unwrap(), host.extensions().unwrap())
    });
    let service = service.config(Store::default()).config_file(&file).start_with("pool.idle = 3");
    let service = service.start_on(&node).await.unwrap();
    let client = SumsClient::new(&node);
    assert_eq!(client.add(0.0, 0.0).await.unwrap(), 8.0);
    let pool = Pool { size: 8, idle: 3 };
    assert_eq!(service.config::<Store>().unwrap().pool, pool);
    let patch = Patch::of(&Store { path: "/srv".into(), pool: Pool { size: 16, idle: 3 } });
    service.reconfigure(patch.unwrap()).await.unwrap();
    assert_eq!(client.add(0.0, 0.0).await.unwrap(), 16.0);
    assert_eq!(client.divide(0.0, 0.0).await.unwrap_err().to_string(), "/srv");
    assert!(service.config_table().unwrap().contains_key("path"));
    // Kept over pauses, dropped by the stop.
    service.deactivate("rest").await.unwrap();
    service.activate("go").await.unwrap();
    assert!(service.extensions().get::<u8>().is_some());
    service.stop().await.unwrap();
    assert!(service.extensions().get::<u8>().is_none());
}
