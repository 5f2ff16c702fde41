//! Plugins that come, go and change while their service runs.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use nebula::plugin::{Around, Hooks, Host, Inbound, Order, Plugin, Refusal};
use nebula::prelude::*;
use nebula::{Children, Service, ServiceError};

use crate::site::{Notes, Plain, Site, SumsClient};

/// Converts arguments, as in the tutorial: below zero they are zero.
struct Positive(Notes);

impl Plugin for Positive {
    const HOOKS: Hooks = Hooks::BEFORE.and(Hooks::START).and(Hooks::STOP);

    fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
        if let Some((left, right)) = call.args::<(f64, f64)>() {
            (*left, *right) = (left.max(0.0), right.max(0.0));
        }
        Ok(())
    }

    async fn start(&self, host: &Host) -> nebula::Result<Children> {
        self.0.note(format!("starts on {}", host.service()));
        Ok(Children::new())
    }

    async fn stop(&self, _: &Host) -> nebula::Result<()> {
        self.0.note("stops");
        Ok(())
    }
}

/// RT-14, RT-15, RT-17: added and removed under a client that never notices a gap.
#[tokio::test(start_paused = true)]
async fn a_plugin_comes_and_goes() {
    let mut site = Site::new();
    let node = site.node("server").await;
    let service = node.serve(Plain::new()).await.unwrap();
    let (client, notes) = (SumsClient::new(&node), Notes::default());
    assert_eq!(client.add(-1.0, 2.0).await.unwrap(), 1.0);
    assert!(service.add_plugin(Positive(notes.clone())).await.unwrap());
    assert_eq!(notes.take(), ["starts on Sums"]);
    assert_eq!(client.add(-1.0, 2.0).await.unwrap(), 2.0);
    assert!(!service.add_plugin(Positive(notes.clone())).await.unwrap(), "RT-11");
    assert_eq!(notes.take(), [""; 0]);
    service.restart_plugin("Positive").await.unwrap();
    assert_eq!(notes.take(), ["stops", "starts on Sums"]);
    service.replace_plugin(Positive(notes.clone())).await.unwrap();
    assert_eq!(notes.take(), ["starts on Sums", "stops"], "the new one first");
    assert_eq!(client.add(-1.0, 2.0).await.unwrap(), 2.0);
    service.remove_plugin("Positive").await.unwrap();
    assert_eq!(notes.take(), ["stops"]);
    assert_eq!(client.add(-1.0, 2.0).await.unwrap(), 1.0);
    // A paused service keeps what it has started, and starts what comes; a stopped one does not.
    service.pause("night").await.unwrap();
    service.add_plugin(Positive(notes.clone())).await.unwrap();
    assert_eq!(notes.take(), ["starts on Sums"]);
    service.deactivate("rest").await.unwrap();
    service.remove_plugin("Positive").await.unwrap();
    service.add_plugin(Positive(notes.clone())).await.unwrap();
    assert_eq!(notes.take(), ["stops"]);
    service.activate("go").await.unwrap();
    assert_eq!(notes.take(), ["starts on Sums"]);
}

/// RT-12 and gotcha 6: what is wrong changes nothing, and the service goes on.
#[tokio::test(start_paused = true)]
async fn a_bad_plugin_changes_nothing() {
    struct Broken(&'static str);
    impl Plugin for Broken {
        fn name(&self) -> Cow<'static, str> {
            self.0.into()
        }

        async fn start(&self, _: &Host) -> nebula::Result<Children> {
            if self.0 == "panics" { panic!("oh") } else { Err(nebula::Error::msg("no disk")) }
        }
    }
    struct Yin;
    struct Yang;
    impl Plugin for Yin {
        fn order(&self) -> Order {
            Order::new().after_listed::<Yang>()
        }
    }
    impl Plugin for Yang {
        fn order(&self) -> Order {
            Order::new().after_optional::<Yin>()
        }
    }
    let mut site = Site::new();
    let node = site.node("server").await;
    let notes = Notes::default();
    let service = Service::new(Plain::new()).plugin(Positive(notes.clone())).plugin(Yang);
    let service = service.start_on(&node).await.unwrap();
    let client = SumsClient::new(&node);
    let before = service.plugins();
    let failed = service.add_plugin(Broken("fails")).await.unwrap_err().to_string();
    assert_eq!(failed, "the plugin `fails` failed, and nothing has changed: no disk");
    let panicked = service.add_plugin(Broken("panics")).await.unwrap_err().to_string();
    assert!(panicked.contains("it panicked: oh"), "{panicked}");
    let circle = service.add_plugin(Yin).await.unwrap_err().to_string();
    assert!(circle.contains("in a circle: Yang -> Yin -> Yang"), "{circle}");
    let absent = service.remove_plugin("Nobody").await.unwrap_err().to_string();
    assert_eq!(absent, "the service has no plugin called `Nobody`: it has `Positive`, `Yang`");
    let absent = service.replace_plugin(Broken("x")).await.unwrap_err();
    assert!(matches!(absent, ServiceError::UnknownPlugin { .. }));
    assert!(service.restart_plugin("Nobody").await.is_err());
    let config = service.add_plugin_with(Broken("fails"), "x = [").await.unwrap_err();
    assert!(matches!(config, ServiceError::Config(_)), "{config}");
    assert_eq!(service.plugins(), before);
    assert_eq!(notes.take(), ["starts on Sums"]);
    assert_eq!(client.add(-1.0, 2.0).await.unwrap(), 2.0);
}

/// RT-14: a call that is under way keeps the plugins it began with.
#[tokio::test(start_paused = true)]
async fn a_call_under_way_keeps_its_plugins() {
    struct Slow(Arc<AtomicU32>);
    impl Plugin for Slow {
        const HOOKS: Hooks = Hooks::AROUND;

        async fn around(&self, mut call: Around<'_>) -> Result<(), Refusal> {
            tokio::time::sleep(Duration::from_secs(1)).await;
            call.next().await?;
            self.0.fetch_add(1, SeqCst);
            Ok(())
        }
    }
    let mut site = Site::new();
    let node = site.node("server").await;
    let left = Arc::new(AtomicU32::new(0));
    let service =
        Service::new(Plain::new()).plugin(Slow(left.clone())).start_on(&node).await.unwrap();
    let client = SumsClient::new(&node);
    let call = tokio::spawn(async move { client.add(1.0, 2.0).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    service.remove_plugin("Slow").await.unwrap();
    assert_eq!(left.load(SeqCst), 0);
    assert_eq!(call.await.unwrap().unwrap(), 3.0);
    assert_eq!(left.load(SeqCst), 1);
}

/// Gotcha 6: a hook that waits for its own service is refused instead of waiting for ever.
#[tokio::test(start_paused = true)]
async fn a_hook_does_not_wait_for_itself() {
    struct Selfish(Notes);
    impl Plugin for Selfish {
        const HOOKS: Hooks = Hooks::START;

        async fn start(&self, host: &Host) -> nebula::Result<Children> {
            if let Some(service) = host.node().and_then(|node| node.service(host.service())) {
                let removed = service.remove_plugin("Selfish").await;
                self.0.note(removed.unwrap_err().to_string());
                self.0.note(service.pause("now").await.unwrap_err().to_string());
                self.0.note(service.stop().await.unwrap_err().to_string());
            }
            Ok(Children::new())
        }
    }
    let mut site = Site::new();
    let node = site.node("server").await;
    let notes = Notes::default();
    let service = Service::new(Plain::new()).plugin(Selfish(notes.clone()));
    let service = service.start_on(&node).await.unwrap();
    let refused = "a hook cannot wait for its own service: spawn a task that does";
    assert_eq!(notes.take(), [refused; 3]);
    assert!(service.accepts_calls());
}

/// REQ-9, REQ-10 and CALL-14: what the caller sends along reaches plugins and the method.
#[tokio::test(start_paused = true)]
async fn headers_reach_plugins() {
    struct Tenant;
    impl Plugin for Tenant {
        const HOOKS: Hooks = Hooks::BEFORE;

        fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
            match call.header("tenant") {
                Some("acme") => Ok(()),
                Some(other) => Err(Refusal::denied(format!("{other} is unknown"))),
                None => Err(Refusal::Denied(nebula::Status::unauthorized("say who you are"))),
            }
        }
    }
    let mut site = Site::new();
    let (server, caller) = (site.node("server").await, site.node("caller").await);
    Service::new(Plain::new()).plugin(Tenant).start_on(&server).await.unwrap();
    for node in [&server, &caller] {
        let client = SumsClient::new(node);
        let code = async |call: Call<'_, _>| match call.await {
            Ok(sum) => Ok::<f64, String>(sum),
            Err(error) => Err(error.denial().map_or_else(|| error.to_string(), |s| s.to_string())),
        };
        let missing = code(client.add(1.0, 2.0)).await.unwrap_err();
        assert_eq!(missing, "unauthorized (401): say who you are");
        assert_eq!(code(client.add(1.0, 2.0).header("tenant", "acme")).await, Ok(3.0));
        let other = code(client.add(1.0, 2.0).header("tenant", "me")).await.unwrap_err();
        assert_eq!(other, "forbidden (403): me is unknown");
        let known = client.with(|o| o.header("tenant", "acme"));
        assert_eq!(code(known.add(1.0, 2.0)).await, Ok(3.0));
        assert!(code(known.add(1.0, 2.0).header("tenant", "me")).await.is_err(), "the call's wins");
        let bad = client.add(1.0, 2.0).header("Tenant", "x").await.unwrap_err();
        assert!(matches!(bad, CallError::Protocol(_)), "{bad:?}");
        assert!(format!("{bad:#}").contains("the header `Tenant`: a header's key has"), "{bad:#}");
        let said = "the call cannot be sent, and the method did not run: the header `Tenant`: ";
        assert!(bad.to_string().starts_with(said), "{bad}");
    }
}

/// LC-27, LC-28, RT-5: those that are added together start from the lowest on; one is restarted and
/// the other is not; a stop hook that fails stops nobody.
#[tokio::test(start_paused = true)]
async fn of_two_plugins_one_is_restarted() {
    #[derive(Default)]
    struct Lower;
    struct Upper;

    fn note(host: &Host, what: &str) {
        host.extensions().unwrap().get_or_insert_with(Notes::default).note(what);
    }

    impl Plugin for Lower {
        const HOOKS: Hooks = Hooks::START.and(Hooks::STOP);

        async fn start(&self, host: &Host) -> nebula::Result<Children> {
            note(host, "lower starts");
            Ok(Children::new())
        }

        async fn stop(&self, host: &Host) -> nebula::Result<()> {
            note(host, "lower stops");
            Ok(())
        }
    }

    impl Plugin for Upper {
        const HOOKS: Hooks = Hooks::START.and(Hooks::STOP);

        fn order(&self) -> Order {
            Order::new().after::<Lower>()
        }

        async fn start(&self, host: &Host) -> nebula::Result<Children> {
            note(host, "upper starts");
            Ok(Children::new())
        }

        async fn stop(&self, host: &Host) -> nebula::Result<()> {
            note(host, "upper stops");
            Err(nebula::Error::msg("the disk is full"))
        }
    }

    let mut site = Site::new();
    let node = site.node("server").await;
    let service = node.serve(Plain::new()).await.unwrap();
    let notes = service.extensions().get_or_insert_with(Notes::default);
    service.add_plugin(Upper).await.unwrap();
    assert_eq!(notes.take(), ["lower starts", "upper starts"]);
    service.restart_plugin("Lower").await.unwrap();
    assert_eq!(notes.take(), ["lower stops", "lower starts"]);
    service.restart_plugin("Upper").await.unwrap();
    assert_eq!(notes.take(), ["upper stops", "upper starts"]);
    service.deactivate("rest").await.unwrap();
    assert_eq!(notes.take(), ["upper stops", "lower stops"]);
    service.activate("go").await.unwrap();
    assert_eq!(notes.take(), ["lower starts", "upper starts"]);
    service.stop().await.unwrap();
    assert_eq!(notes.take(), ["upper stops", "lower stops"]);
}
