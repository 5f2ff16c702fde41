//! What plugins leave with a call for those that it passes after them.

use nebula::plugin::{Around, Finished, Hooks, Inbound, Plugin, Refusal};
use nebula::prelude::*;
use nebula::{Context, Service};

use crate::site::{Notes, Site};

#[service(global)]
trait Whose {
    #[api]
    async fn whose(&self, cx: &Context) -> String;
}

struct Plain;

impl Whose for Plain {
    async fn whose(&self, cx: &Context) -> String {
        let moved = cx.clone();
        tokio::spawn(async move { said(&moved) }).await.unwrap()
    }
}

/// Who asks, as a plugin found out.
struct User(String);

/// By how many hooks it went.
struct Steps(u32);

fn said(cx: &Context) -> String {
    let steps = cx.extension::<Steps>().map_or(0, |steps| steps.0);
    match cx.extension::<User>() {
        Some(User(name)) => format!("{name} after {steps}"),
        None => format!("nobody after {steps}"),
    }
}

fn step(call: &mut Inbound<'_>) {
    let steps = call.context().extension::<Steps>().map_or(0, |steps| steps.0);
    call.leave(Steps(steps + 1));
}

/// Finds out who asks.
struct Door;

impl Plugin for Door {
    const HOOKS: Hooks = Hooks::BEFORE;

    fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
        assert_eq!(said(call.context()), "nobody after 0");
        if let Some(token) = call.header("token") {
            let user = User(token.to_uppercase());
            call.leave(user);
        }
        step(call);
        Ok(())
    }
}

/// Reads what was found out, and has all hooks.
struct Desk(Notes);

impl Plugin for Desk {
    const HOOKS: Hooks = Hooks::BEFORE.and(Hooks::AROUND).and(Hooks::AFTER);

    fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
        self.0.note(said(call.context()));
        step(call);
        Ok(())
    }

    async fn around(&self, mut call: Around<'_>) -> Result<(), Refusal> {
        step(&mut call);
        self.0.note(said(call.context()));
        if call.header("token") == Some("eve") {
            return Err(Refusal::denied("not you"));
        }
        call.next().await
    }

    fn after(&self, call: &mut Finished<'_>) {
        self.0.note(said(call.context()));
    }
}

/// REQ-09: the plugins below find what one has left, and so does the method, in a task of its own as
/// well, and whoever sees the end, whatever that is. The next call finds nothing of it.
#[tokio::test(start_paused = true)]
async fn what_a_plugin_leaves_is_found_below() {
    let mut site = Site::new();
    let (server, caller) = (site.node("server").await, site.node("caller").await);
    let notes = Notes::default();
    let service = Service::new(Plain).plugin(Door).start_on(&server).await.unwrap();
    for with_desk in [false, true] {
        if with_desk {
            assert!(service.add_plugin(Desk(notes.clone())).await.unwrap());
        }
        for node in [&server, &caller] {
            let client = WhoseClient::new(node);
            let whose = async |token: &'static str| client.whose().header("token", token).await;
            let steps = if with_desk { 3 } else { 1 };
            assert_eq!(whose("ada").await.unwrap(), format!("ADA after {steps}"));
            assert_eq!(client.whose().await.unwrap(), format!("nobody after {steps}"));
            if with_desk {
                let ada = ["ADA after 1", "ADA after 3", "ADA after 3"];
                let nobody = ["nobody after 1", "nobody after 3", "nobody after 3"];
                assert_eq!(notes.take(), [ada, nobody].concat());
                whose("eve").await.unwrap_err();
                assert_eq!(notes.take(), ["EVE after 1", "EVE after 3", "EVE after 3"]);
            }
        }
    }
}
