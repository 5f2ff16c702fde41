//! Plugins on their way out, and services that end.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use nebula::config::Schema;
use nebula::plugin::{Around, Hooks, Host, Plugin, Refusal};
use nebula::{Children, Service};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::site::{Notes, Plain, Site, SumsClient};

#[derive(Deserialize, Serialize)]
struct Rounding {
    decimals: u32,
}

/// Notes the configuration that it has when a call comes back.
struct Round {
    notes: Notes,
    go: Arc<Semaphore>,
    decimals: u32,
    fails: bool,
}

impl Round {
    fn note(&self, host: &Host) {
        let config = host.config::<Rounding>();
        self.notes.note(config.map_or("none".into(), |config| config.decimals.to_string()));
    }
}

impl Plugin for Round {
    const HOOKS: Hooks = Hooks::AROUND.and(Hooks::START).and(Hooks::STOP);

    fn name(&self) -> Cow<'static, str> {
        "round".into()
    }

    fn config(&self) -> Option<Schema> {
        Some(Schema::new(Rounding { decimals: self.decimals }))
    }

    async fn start(&self, _: &Host) -> nebula::Result<Children> {
        if self.fails { Err(nebula::Error::msg("no disk")) } else { Ok(Children::new()) }
    }

    async fn stop(&self, host: &Host) -> nebula::Result<()> {
        self.note(host);
        Ok(())
    }

    async fn around(&self, mut call: Around<'_>) -> Result<(), Refusal> {
        call.next().await?;
        if let Ok(permit) = self.go.acquire().await {
            permit.forget();
        }
        self.note(call.host());
        Ok(())
    }
}

/// Calls under way pass a plugin that is gone already: it rounds as it did.
#[tokio::test(start_paused = true)]
async fn a_plugin_that_leaves_keeps_its_configuration() {
    let mut site = Site::new();
    let node = site.node("server").await;
    let (notes, go) = (Notes::default(), Arc::new(Semaphore::new(0)));
    let round =
        |decimals, fails| Round { notes: notes.clone(), go: Arc::clone(&go), decimals, fails };
    let service = Service::new(Plain::new()).plugin(round(2, false));
    let service = service.start_on(&node).await.unwrap();
    let client = SumsClient::new(&node);
    let call = || {
        let client = client.clone();
        tokio::spawn(async move { client.add(1.0, 2.0).await })
    };
    let begun = || tokio::time::sleep(Duration::from_millis(100));
    let goes_on = async |call: tokio::task::JoinHandle<Result<f64, _>>| {
        go.add_permits(1);
        let _: f64 = call.await.unwrap().map_err(|_: nebula::CallError| ()).unwrap();
        notes.take()
    };
    service.reconfigure("plugins.round.decimals = 3").await.unwrap();
    // It is not replaced after all: what it gives is what is in force.
    service.replace_plugin(round(9, true)).await.unwrap_err();
    let under_way = call();
    begun().await;
    service.reconfigure("plugins.round.decimals = 4").await.unwrap();
    assert_eq!(goes_on(under_way).await, ["4"]);

    let under_way = call();
    begun().await;
    service.replace_plugin(round(5, false)).await.unwrap();
    service.reconfigure("plugins.round.decimals = 6").await.unwrap();
    assert_eq!(notes.take(), ["4"], "it stops with it");
    assert_eq!(goes_on(under_way).await, ["4"]);

    let under_way = call();
    begun().await;
    service.remove_plugin("round").await.unwrap();
    assert_eq!(notes.take(), ["6"], "it stops with it");
    assert_eq!(goes_on(under_way).await, ["6"]);
}

/// What a service shared is gone before another one can have its name.
#[tokio::test(start_paused = true)]
async fn extensions_go_before_the_name() {
    struct Last(Notes, nebula::Node);
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.note(self.1.service("Sums").map_or("free", |_| "taken"));
        }
    }
    let node = Site::new().node("server").await;
    let notes = Notes::default();
    let service = node.serve(Plain::new()).await.unwrap();
    service.extensions().insert(Last(notes.clone(), node.clone()));
    service.stop().await.unwrap();
    assert_eq!(notes.take(), ["taken"]);
}

/// Who watches the configuration hears of the end, though somebody still holds the service.
#[tokio::test(start_paused = true)]
async fn a_watch_of_the_configuration_ends_with_the_service() {
    let node = Site::new().node("server").await;
    let service = Service::new(Plain::new()).config(Rounding { decimals: 2 });
    let service = service.start_on(&node).await.unwrap();
    let mut watched = service.watch_config::<Rounding>().unwrap();
    service.reconfigure("decimals = 3").await.unwrap();
    service.stop().await.unwrap();
    let second = Duration::from_secs(1);
    let last = tokio::time::timeout(second, watched.changed()).await.unwrap();
    assert_eq!(last.unwrap().decimals, 3, "what changed before the end is still told");
    assert!(tokio::time::timeout(second, watched.changed()).await.unwrap().is_none());
    assert_eq!(watched.current().decimals, 3);
    drop(service);
}

/// What a plugin is added with is forgotten with the plugin, and not by a reset.
#[tokio::test(start_paused = true)]
async fn a_plugin_keeps_what_it_was_added_with() {
    let node = Site::new().node("server").await;
    let service = node.serve(Plain::new()).await.unwrap();
    let (notes, go) = (Notes::default(), Arc::new(Semaphore::new(0)));
    let round = || Round { notes: notes.clone(), go: Arc::clone(&go), decimals: 2, fails: false };
    let decimals = || service.plugin_config::<Rounding>("round").unwrap().decimals;
    service.add_plugin_with(round(), "decimals = 3").await.unwrap();
    service.reconfigure("plugins.round.decimals = 4").await.unwrap();
    assert_eq!(decimals(), 4);
    service.reset_config().await.unwrap();
    assert_eq!(decimals(), 3);
    service.remove_plugin("round").await.unwrap();
    service.add_plugin(round()).await.unwrap();
    assert_eq!(decimals(), 2);
    service.remove_plugin("round").await.unwrap();
    let refused = service.add_plugin_with(round(), "decimals = -1").await.unwrap_err();
    assert!(refused.to_string().contains("given at the start"), "{refused}");
}
