//! Calls on their way through plugins.

use std::borrow::Cow;
use std::time::Duration;

use nebula::plugin::{Around, Ended, Finished, Hooks, Inbound, Order, Plugin, Refusal};
use nebula::prelude::*;
use nebula::{Executed, Service};

use crate::site::{Notes, Plain, Site, SumsClient, until};

/// Notes the calls that it sees, under its name.
struct Watcher(&'static str, Notes);

impl Plugin for Watcher {
    fn name(&self) -> Cow<'static, str> {
        self.0.into()
    }

    fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
        self.1.note(format!("{} before {}", self.0, call.method()));
        Ok(())
    }

    async fn around(&self, mut call: Around<'_>) -> Result<(), Refusal> {
        self.1.note(format!("{} in", self.0));
        call.next().await?;
        self.1.note(format!("{} out", self.0));
        Ok(())
    }

    fn after(&self, call: &mut Finished<'_>) {
        let ended = match call.ended() {
            Ended::Refused(_) => "Refused".to_owned(),
            ended => format!("{ended:?}"),
        };
        self.1.note(format!("{} after {ended}", self.0));
    }
}

/// A `before` hook alone.
struct Before<F>(&'static str, F);

impl<F> Plugin for Before<F>
where
    F: Fn(&mut Inbound<'_>) -> Result<(), Refusal> + Send + Sync + 'static,
{
    const HOOKS: Hooks = Hooks::BEFORE;

    fn name(&self) -> Cow<'static, str> {
        self.0.into()
    }

    fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
        (self.1)(call)
    }
}

fn before(
    name: &'static str,
    hook: impl Fn(&mut Inbound<'_>) -> Result<(), Refusal> + Send + Sync + 'static,
) -> impl Plugin {
    Before(name, hook)
}

/// The service on one node, called from there and from another: what one sees, the other does.
async fn both(service: impl Fn(Notes) -> Service) -> [(SumsClient, Notes); 2] {
    let mut site = Site::new();
    let (server, caller) = (site.node("server").await, site.node("caller").await);
    let notes = Notes::default();
    service(notes.clone()).start_on(&server).await.unwrap();
    let (near, far) = (SumsClient::new(&server), SumsClient::new(&caller));
    until("it is known", || !far.add(1.0, 1.0).available_nodes().is_empty()).await;
    [(near, notes.clone()), (far, notes)]
}

/// CB-1 to CB-8 and CALL-13: each hook of each plugin, in the order of the chain.
#[tokio::test(start_paused = true)]
async fn the_hooks_of_a_call_run_in_order() {
    for (client, notes) in both(|notes| {
        let service = Service::new(Plain(notes.clone(), nebula::NodeId::from_bytes([0; 32])));
        service.plugin(Watcher("a", notes.clone())).plugin(Watcher("b", notes))
    })
    .await
    {
        assert_eq!(client.add(1.0, 2.0).await.unwrap(), 3.0);
        let seen = notes.take();
        assert_eq!(
            seen,
            [
                "a before add",
                "b before add",
                "a in",
                "b in",
                "add",
                "b out",
                "a out",
                "b after Replied",
                "a after Replied",
            ]
        );
        assert!(matches!(client.divide(1.0, 0.0).await, Err(CallError::App(_))));
        assert_eq!(notes.take().last().unwrap(), "a after Failed");
        assert!(matches!(client.fail().await, Err(CallError::Panicked { .. })));
        assert_eq!(notes.take().last().unwrap(), r#"a after Panicked("it fails")"#);
        let late = client.wait().timeout(Duration::from_millis(10)).await;
        assert!(matches!(late, Err(CallError::Deadline(_))), "{late:?}");
        let seen = notes.clone();
        let mut last = Vec::new();
        until("it is over", || {
            last.extend(seen.take());
            last.last().is_some_and(|last| last == "a after Cancelled")
        })
        .await;
    }
}

/// CB-5, CB-9, CB-23: arguments are rewritten for whoever comes below, without them knowing.
#[tokio::test(start_paused = true)]
async fn arguments_and_replies_are_rewritten() {
    for (client, _) in both(|_| {
        let round = before("Round", |call| {
            if let Some((left, right)) = call.args::<(f64, f64)>() {
                (*left, *right) = (left.round(), right.round());
            }
            Ok(())
        });
        struct Negate;
        impl Plugin for Negate {
            const HOOKS: Hooks = Hooks::AROUND;

            async fn around(&self, mut call: Around<'_>) -> Result<(), Refusal> {
                call.next().await?;
                if let Some(sum) = call.reply::<f64>() {
                    *sum = -*sum;
                }
                Ok(())
            }
        }
        Service::new(Plain::new()).plugin(round).plugin(Negate)
    })
    .await
    {
        assert_eq!(client.add(1.4, 2.6).await.unwrap(), -4.0);
        assert_eq!(client.divide(9.1, 3.2).await.unwrap(), -3.0, "what is in the Ok");
        assert_eq!(client.divide(1.0, 0.1).await.unwrap_err().to_string(), "by zero");
    }
}

/// CB-6, CB-19, REQ-11: who answers ends the chain, and the method does not run.
#[tokio::test(start_paused = true)]
async fn a_plugin_answers_in_place_of_the_method() {
    for (client, notes) in both(|notes| {
        let seen = notes.clone();
        let ready = before("Ready", |call| {
            if call.args::<(f64, f64)>().is_some_and(|args| args.0 == 0.0) {
                call.answer(42.0).unwrap();
            }
            Ok(())
        });
        let below = before("Below", move |_| {
            seen.note("below");
            Ok(())
        });
        let service = Service::new(Plain(notes, nebula::NodeId::from_bytes([0; 32])));
        service.plugin(ready).plugin(below)
    })
    .await
    {
        assert_eq!(client.add(0.0, 2.0).await.unwrap(), 42.0);
        assert_eq!(client.divide(0.0, 0.0).await.unwrap(), 42.0);
        assert_eq!(notes.take(), [""; 0]);
        assert_eq!(client.add(1.0, 2.0).await.unwrap(), 3.0);
        assert_eq!(notes.take(), ["below", "add"]);
    }
}

/// CALL-14, REQ-8: a refusal says that nothing ran; a reply that is refused says that it did.
#[tokio::test(start_paused = true)]
async fn a_plugin_refuses() {
    for (client, notes) in both(|notes| {
        struct Strict;
        impl Plugin for Strict {
            const HOOKS: Hooks = Hooks::BEFORE.and(Hooks::AROUND);

            fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
                match call.args::<(f64, f64)>().map(|args| args.0) {
                    Some(1.0) => Err(Refusal::denied("not one")),
                    Some(2.0) => Err(Refusal::Overloaded { retry_after: Duration::from_secs(7) }),
                    Some(3.0) => Err(Refusal::Unavailable("not here".into())),
                    Some(4.0) => panic!("four"),
                    _ => Ok(()),
                }
            }

            async fn around(&self, mut call: Around<'_>) -> Result<(), Refusal> {
                if call.args::<(f64, f64)>().is_some_and(|args| args.0 == 5.0) {
                    return Ok(());
                }
                call.next().await?;
                match call.reply::<f64>() {
                    Some(sum) if *sum > 100.0 => Err(Refusal::denied("too much")),
                    Some(sum) if *sum > 50.0 => call.next().await,
                    _ => Ok(()),
                }
            }
        }
        Service::new(Plain(notes, nebula::NodeId::from_bytes([0; 32]))).plugin(Strict)
    })
    .await
    {
        let refused =
            async |left| client.add(left, 1.0).timeout(Duration::from_secs(1)).await.unwrap_err();
        let denied = refused(1.0).await;
        assert!(matches!(denied, CallError::Denied(_)), "{denied:?}");
        assert!(format!("{denied:#}").contains("not one"), "{denied:#}");
        assert_eq!(denied.executed(), Executed::No);
        assert_eq!(denied.denial().unwrap().code(), "forbidden");
        let busy = refused(2.0).await;
        assert!(matches!(busy, CallError::Overloaded { .. }), "{busy:?}");
        assert_eq!(busy.executed(), Executed::No);
        let away = refused(3.0).await;
        assert_eq!(away.executed(), Executed::No, "{away:?}");
        let broken = refused(4.0).await;
        assert_eq!(broken.executed(), Executed::No);
        assert!(format!("{broken:#}").contains("the plugin `Strict` panicked: four"), "{broken:#}");
        assert_eq!(notes.take(), [""; 0], "nothing ran");
        let silent = refused(5.0).await;
        assert!(
            format!("{silent:#}").contains("neither answered the call nor went on"),
            "{silent:#}"
        );
        let twice = refused(60.0).await;
        assert!(format!("{twice:#}").contains("went on with a call twice"), "{twice:#}");
        assert_eq!(notes.take(), ["add"]);
        let late = refused(100.0).await;
        assert_eq!(
            (notes.take(), late.executed()),
            (vec!["add".to_owned()], Executed::Yes),
            "{late:?}"
        );
    }
}

/// CB-12: who does not have a hook is not asked; one that declares nothing has them all.
#[tokio::test(start_paused = true)]
async fn a_hook_that_is_not_declared_is_not_called() {
    struct Quiet(Notes);
    impl Plugin for Quiet {
        const HOOKS: Hooks = Hooks::AFTER;

        fn before(&self, _: &mut Inbound<'_>) -> Result<(), Refusal> {
            self.0.note("before");
            Ok(())
        }

        fn after(&self, _: &mut Finished<'_>) {
            self.0.note("after");
        }
    }
    let mut site = Site::new();
    let node = site.node("server").await;
    let notes = Notes::default();
    Service::new(Plain::new()).plugin(Quiet(notes.clone())).start_on(&node).await.unwrap();
    SumsClient::new(&node).add(1.0, 1.0).await.unwrap();
    assert_eq!(notes.take(), ["after"]);
}

/// ORD-5, ORD-6: what a plugin needs stands below it, whether or not it was listed.
#[tokio::test(start_paused = true)]
async fn what_a_plugin_needs_is_there() {
    #[derive(Default)]
    struct Lower;
    impl Plugin for Lower {
        const HOOKS: Hooks = Hooks::NONE;
    }
    /// Of another type, whatever it is called.
    struct Other(&'static str);
    impl Plugin for Other {
        const HOOKS: Hooks = Hooks::NONE;

        fn name(&self) -> Cow<'static, str> {
            self.0.into()
        }
    }
    struct Upper;
    impl Plugin for Upper {
        const HOOKS: Hooks = Hooks::NONE;

        fn order(&self) -> Order {
            Order::new().after::<Lower>()
        }
    }
    let mut site = Site::new();
    let node = site.node("server").await;
    let service = Service::new(Plain::new()).plugin(Upper).start_on(&node).await.unwrap();
    assert_eq!(service.plugins(), ["Upper", "Lower"]);
    let refused = service.remove_plugin("Lower").await.unwrap_err();
    assert_eq!(refused.to_string(), "the plugin `Lower` is needed by `Upper`: remove that first");
    let refused = service.replace_plugin(Other("Lower")).await.unwrap_err();
    assert_eq!(refused.to_string(), "the plugin `Lower` is needed by `Upper`: remove that first");
    service.replace_plugin(Lower).await.unwrap();
    service.remove_plugin("Upper").await.unwrap();
    assert_eq!(service.plugins(), ["Lower"], "it was asked for since");

    struct Strict;
    impl Plugin for Strict {
        const HOOKS: Hooks = Hooks::NONE;

        fn order(&self) -> Order {
            Order::new().after_listed::<Lower>()
        }
    }
    service.add_plugin(Strict).await.unwrap();
    let refused =
        [service.remove_plugin("Lower").await, service.replace_plugin(Other("Lower")).await];
    for refused in refused.map(Result::unwrap_err) {
        let said = "the plugin `Lower` is needed by `Strict`: remove that first";
        assert_eq!(refused.to_string(), said);
    }
    service.remove_plugin("Strict").await.unwrap();
    service.replace_plugin(Other("Lower")).await.unwrap();
    service.add_plugin(Upper).await.unwrap_err();
    service.remove_plugin("Lower").await.unwrap();
    assert_eq!(service.plugins(), [""; 0]);
}
