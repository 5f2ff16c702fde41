//! What a call finds of a service that changes while the call is on its way.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nebula::plugin::{Around, Hooks, Inbound, Plugin, Refusal};
use nebula::prelude::*;
use nebula::{Executed, Service};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::site::{Notes, Plain, Site, SumsClient, until};

const SECOND: Duration = Duration::from_secs(1);

/// One call at a time, which waits until it may end.
#[service(global)]
trait Turns {
    #[api(max_concurrent = 1)]
    async fn turn(&self) -> u32;
}

struct Gate(Arc<Semaphore>);

impl Turns for Gate {
    async fn turn(&self) -> u32 {
        self.0.acquire().await.unwrap().forget();
        7
    }
}

/// Notes the calls that it sees.
struct Counts(Notes);

impl Plugin for Counts {
    const HOOKS: Hooks = Hooks::BEFORE;

    fn name(&self) -> Cow<'static, str> {
        "Counts".into()
    }

    fn before(&self, _: &mut Inbound<'_>) -> Result<(), Refusal> {
        self.0.note("seen");
        Ok(())
    }
}

/// A call that waits for its turn passes the plugins that there are when its turn comes, wherever
/// it comes from.
#[tokio::test(start_paused = true)]
async fn a_call_that_waited_passes_the_plugins_of_now() {
    let mut site = Site::new();
    let (server, caller) = (site.node("server").await, site.node("caller").await);
    let (notes, ends) = (Notes::default(), Arc::new(Semaphore::new(0)));
    let service = Service::new(Gate(ends.clone())).plugin(Counts(notes.clone()));
    let service = service.start_on(&server).await.unwrap();
    let (near, far) = (TurnsClient::new(&server), TurnsClient::new(&caller));
    until("it is known", || !far.turn().available_nodes().is_empty()).await;

    let calls = [near.clone(), near, far].map(|client| {
        tokio::spawn(async move { client.turn().timeout(60 * SECOND).await.unwrap() })
    });
    let by_name = tokio::spawn({
        let server = server.clone();
        async move { server.call_raw("Turns", "turn", json!([])).timeout(60 * SECOND).await }
    });
    // Virtual time: all of them are here by then.
    tokio::time::sleep(SECOND).await;
    assert_eq!(notes.take().len(), 1, "one runs, and three wait");
    service.remove_plugin("Counts").await.unwrap();
    ends.add_permits(4);
    for call in calls {
        assert_eq!(call.await.unwrap(), 7);
    }
    assert_eq!(by_name.await.unwrap().unwrap(), json!(7));
    assert!(notes.take().is_empty(), "a plugin that had gone saw a call");
}

/// Refuses each call as soon as it may.
struct Refuses(Arc<Semaphore>);

impl Plugin for Refuses {
    const HOOKS: Hooks = Hooks::AROUND;

    async fn around(&self, _: Around<'_>) -> Result<(), Refusal> {
        self.0.acquire().await.unwrap().forget();
        Err(Refusal::Overloaded { retry_after: SECOND })
    }
}

/// So does a call that was refused elsewhere before it comes to its own node.
#[tokio::test(start_paused = true)]
async fn a_call_that_comes_late_passes_the_plugins_of_now() {
    let mut site = Site::new();
    let (here, there) = (site.node("here").await, site.node("there").await);
    let (notes, may) = (Notes::default(), Arc::new(Semaphore::new(0)));
    let ends = Arc::new(Semaphore::new(9));
    let busy = Service::new(Gate(ends.clone())).plugin(Refuses(may.clone()));
    busy.start_on(&there).await.unwrap();
    let service = Service::new(Gate(ends)).plugin(Counts(notes.clone()));
    let service = service.start_on(&here).await.unwrap();
    let client = TurnsClient::new(&here);
    until("both are known", || client.turn().available_nodes().len() == 2).await;
    let call = || {
        let client = client.clone();
        tokio::spawn(async move {
            client.turn().policy(Policy::RoundRobin).timeout(60 * SECOND).await.unwrap()
        })
    };
    // One of two begins elsewhere.
    let mut late = call();
    tokio::time::sleep(SECOND).await;
    if late.is_finished() {
        late = call();
        tokio::time::sleep(SECOND).await;
    }
    assert!(!late.is_finished());
    notes.take();
    service.remove_plugin("Counts").await.unwrap();
    may.add_permits(1);
    assert_eq!(late.await.unwrap(), 7);
    assert!(notes.take().is_empty(), "a plugin that had gone saw a call");
}

/// Keeps the contexts of calls.
struct Keeps(Arc<Mutex<Vec<Context>>>);

impl Plugin for Keeps {
    const HOOKS: Hooks = Hooks::BEFORE;

    fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
        self.0.lock().unwrap().push(call.context().clone());
        Ok(())
    }
}

#[service]
trait Front {
    #[api]
    async fn ask(&self, cx: &Context) -> Duration;
}

struct Asks(SumsClient);

impl Front for Asks {
    async fn ask(&self, cx: &Context) -> Duration {
        let late = self.0.wait().timeout(SECOND).await;
        assert!(matches!(late, Err(CallError::Deadline(_))), "{late:?}");
        cx.remaining()
    }
}

/// What a hook takes along is the context of the call that it sees, also where that is made inside
/// another one.
#[tokio::test(start_paused = true)]
async fn a_hook_has_the_context_of_its_own_call() {
    let node = Site::new().node("server").await;
    let kept = Arc::default();
    let service = Service::new(Plain::new()).plugin(Keeps(Arc::clone(&kept)));
    service.start_on(&node).await.unwrap();
    node.serve(Asks(SumsClient::new(&node))).await.unwrap();
    let call = tokio::spawn({
        let front = FrontClient::new(&node);
        async move { front.ask().timeout(60 * SECOND).await }
    });
    until("it has begun", || !kept.lock().unwrap().is_empty()).await;
    let inner = kept.lock().unwrap().pop().unwrap();
    assert!(inner.remaining() <= SECOND);
    assert_eq!(inner.extend(SECOND), Ok(SECOND));
    // The inner call has ended two seconds after it began, and the outer one goes on.
    let left = call.await.unwrap().unwrap();
    assert_eq!(left.as_secs_f64().round(), 58.0);
    inner.cancelled().await;
}

/// Panics, or waits for ever, before it goes on with a call.
struct Stuck {
    panics: bool,
}

impl Plugin for Stuck {
    const HOOKS: Hooks = Hooks::AROUND;

    async fn around(&self, _: Around<'_>) -> Result<(), Refusal> {
        if self.panics {
            panic!("it is stuck");
        }
        std::future::pending().await
    }
}

/// Nobody says that a method has run if only a plugin before it has.
#[tokio::test(start_paused = true)]
async fn what_a_plugin_did_is_not_taken_for_the_method() {
    for panics in [true, false] {
        let mut site = Site::new();
        let (server, caller) = (site.node("server").await, site.node("caller").await);
        Service::new(Plain::new()).plugin(Stuck { panics }).start_on(&server).await.unwrap();
        let (near, far) = (SumsClient::new(&server), SumsClient::new(&caller));
        until("it is known", || !far.whoami().available_nodes().is_empty()).await;
        let by_name =
            server.call_raw("Sums", "whoami", json!([])).timeout(SECOND).await.unwrap_err();
        assert_ne!(by_name.executed(), Executed::Yes, "{by_name}");
        for client in [near, far] {
            match (client.whoami().timeout(SECOND).await.unwrap_err(), panics) {
                (error @ CallError::Denied(_), true) => {
                    assert_eq!(error.executed(), Executed::No);
                    let status = error.denial().unwrap().to_string();
                    assert!(!status.is_empty());
                }
                (error @ CallError::Deadline(_), false) => {
                    assert_ne!(error.executed(), Executed::Yes, "{error}");
                }
                (error, _) => panic!("{error}"),
            }
        }
    }
}

/// A service that takes no calls now is not said to be none.
#[tokio::test(start_paused = true)]
async fn a_paused_service_is_called_so() {
    let node = Site::new().node("server").await;
    let service = Service::new(Plain::new()).start_on(&node).await.unwrap();
    let client = SumsClient::new(&node);
    service.pause("lunch").await.unwrap();
    let refused = client.add(1.0, 1.0).await.unwrap_err().to_string();
    assert!(refused.contains("takes no calls now"), "{refused}");
    service.activate("back").await.unwrap();
    assert_eq!(client.add(1.0, 1.0).await.unwrap(), 2.0);
}

/// A call that waits for its node to join finds what comes to this node meanwhile.
#[tokio::test(start_paused = true)]
async fn a_service_that_comes_is_found_by_who_waits() {
    let node = Site::new().builder("server").seed("10.9.9.9:9").start().await.unwrap();
    let (client, caller) = (SumsClient::new(&node), node.clone());
    let call = tokio::spawn(async move { client.add(1.0, 2.0).timeout(30 * SECOND).await });
    let by_name = tokio::spawn(async move {
        caller.call_raw("Sums", "add", json!([1.0, 2.0])).timeout(30 * SECOND).await
    });
    tokio::time::sleep(3 * SECOND).await;
    assert!(!call.is_finished() && !by_name.is_finished(), "it did not wait");
    node.serve(Plain::new()).await.unwrap();
    assert_eq!(call.await.unwrap().unwrap(), 3.0);
    assert_eq!(by_name.await.unwrap().unwrap(), json!(3.0));
}
