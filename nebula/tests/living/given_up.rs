//! Nothing of a call goes on that nobody waits for any more, wherever it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::time::Duration;

use nebula::plugin::{Around, Ended, Finished, Hooks, Plugin, Refusal};
use nebula::prelude::*;
use nebula::{Exhausted, Node, NotSaid, Service};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::site::{Notes, Site, until};

const SECOND: Duration = Duration::from_secs(1);

/// Where calls stay for ever: nowhere, in a plugin before the method, in the method, or in the plugin
/// after it.
const NOWHERE: u8 = 0;
const ABOVE: u8 = 1;
const BODY: u8 = 2;
const BELOW: u8 = 3;

#[service(global)]
trait Errands {
    #[api(max_concurrent = 1, queue = 1)]
    async fn run(&self, cx: &Context);
}

#[derive(Clone)]
struct Way(Arc<AtomicU8>, Notes);

impl Way {
    async fn stay_at(&self, place: u8) {
        if self.0.load(SeqCst) == place {
            std::future::pending().await
        }
    }

    /// Notes when what it stands for is over.
    fn part(&self, name: &'static str) -> Part {
        Part(name, self.1.clone())
    }
}

struct Part(&'static str, Notes);

impl Drop for Part {
    fn drop(&mut self) {
        self.1.note(self.0);
    }
}

impl Errands for Way {
    async fn run(&self, cx: &Context) {
        let _part = self.part("the method");
        if self.0.load(SeqCst) == BODY {
            let (task, cx) = (self.part("a task"), cx.clone());
            tokio::spawn(async move {
                cx.cancelled().await;
                drop(task);
            });
        }
        self.stay_at(BODY).await;
    }
}

impl Plugin for Way {
    const HOOKS: Hooks = Hooks::AROUND.and(Hooks::AFTER);

    async fn around(&self, mut call: Around<'_>) -> Result<(), Refusal> {
        let _part = self.part("the plugin");
        self.stay_at(ABOVE).await;
        call.next().await?;
        self.stay_at(BELOW).await;
        Ok(())
    }

    fn after(&self, call: &mut Finished<'_>) {
        let cx = call.context();
        let over = cx.reply_header("rows", "1") == Err(NotSaid::Over)
            && cx.extend(SECOND) == Err(Exhausted::Over);
        self.1.note(match call.ended() {
            Ended::Cancelled if over => "cancelled",
            _ => "ended otherwise",
        });
    }
}

/// A call from the node of the service or from another one, by its client or by name.
fn call(node: &Node, by_name: bool, timeout: Duration) -> JoinHandle<bool> {
    let node = node.clone();
    tokio::spawn(async move {
        match by_name {
            true => node.call_raw("Errands", "run", json!([])).timeout(timeout).await.is_ok(),
            false => ErrandsClient::new(&node).run().timeout(timeout).await.is_ok(),
        }
    })
}

/// The deadline of a call, and whoever drops it, end it in the queue, in a plugin and in the method.
/// Whoever is told of it then hears that there is no more time, and nobody to say something to.
#[tokio::test(start_paused = true)]
async fn who_gives_up_ends_a_call_wherever_it_is() {
    let mut site = Site::new();
    let (server, caller) = (site.node("server").await, site.node("caller").await);
    let (place, notes) = (Arc::new(AtomicU8::new(NOWHERE)), Notes::default());
    let way = Way(place.clone(), notes.clone());
    Service::new::<ErrandsClient>(way.clone()).plugin(way).start_on(&server).await.unwrap();
    let far = ErrandsClient::new(&caller);
    until("it is known", || !far.run().available_nodes().is_empty()).await;
    let noted = || {
        let mut noted = notes.take();
        noted.sort();
        noted
    };
    for (node, by_name) in [(&server, false), (&caller, false), (&server, true), (&caller, true)] {
        for (stays, parts) in [
            (ABOVE, &["cancelled", "the plugin"][..]),
            (BODY, &["a task", "cancelled", "the method", "the plugin"]),
            (BELOW, &["cancelled", "the method", "the plugin"]),
        ] {
            let which = format!("{} {by_name} {stays}", node.name());
            place.store(stays, SeqCst);
            // At its deadline.
            assert!(!call(node, by_name, SECOND).await.unwrap(), "{which}");
            sleep(SECOND).await;
            assert_eq!(noted(), parts, "{which}");
            // Dropped, after one that waited for its turn and never began.
            let first = call(node, by_name, 60 * SECOND);
            sleep(SECOND).await;
            let waits = call(node, by_name, 60 * SECOND);
            for given_up in [waits, first] {
                sleep(SECOND).await;
                given_up.abort();
            }
            sleep(SECOND).await;
            assert_eq!(noted(), parts, "{which}");
            // Its place is free.
            place.store(NOWHERE, SeqCst);
            assert!(call(node, by_name, SECOND).await.unwrap(), "{which}");
            assert_eq!(noted(), ["ended otherwise", "the method", "the plugin"], "{which}");
        }
    }
}
