//! What looks at the calls of a node before they leave and when they have ended.

use std::future::ready;
use std::time::Duration;

use futures_util::StreamExt;
use nebula::intercept::{Interceptor, Made, Outgoing};
use nebula::plugin::Refusal;
use nebula::prelude::*;
use nebula::{Executed, Node};
use serde_json::json;

use crate::site::{Notes, Site, until};

const SECOND: Duration = Duration::from_secs(1);

#[service(global)]
trait Echo {
    /// Twice the number, and the region that the call says it comes from.
    #[api(idempotent)]
    async fn twice(&self, cx: &Context, number: u32) -> (u32, String);
    #[api]
    async fn waits(&self);
}

struct Twice(Notes);

impl Echo for Twice {
    async fn twice(&self, cx: &Context, number: u32) -> (u32, String) {
        self.0.note(format!("run {number}"));
        (number * 2, cx.header("region").unwrap_or("nowhere").to_owned())
    }

    async fn waits(&self) {
        std::future::pending().await
    }
}

/// What becomes of the calls with this number.
const REFUSED: u32 = 13;
const PANICS: u32 = 14;
const FULL: u32 = 15;
const CHANGED: u32 = 16;

struct Looks(&'static str, Notes);

impl Interceptor for Looks {
    fn before(&self, call: &mut Outgoing<'_>) -> Result<(), Refusal> {
        let Self(name, notes) = self;
        notes.note(format!("{name} {} {} {}", call.kind(), call.service(), call.method()));
        if *name == "first" {
            assert_eq!(call.header("region"), None);
            call.set_header("region", "eu");
            return Ok(());
        }
        assert_eq!(call.header("region"), Some("eu"));
        match call.args::<(u32,)>() {
            Some((REFUSED,)) => Err(Refusal::denied("unlucky")),
            Some((PANICS,)) => panic!("on purpose"),
            Some((FULL,)) => Err(Refusal::Overloaded { retry_after: SECOND }),
            Some((number,)) if *number == CHANGED => {
                *number = 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn after(&self, call: &Made<'_>) {
        self.1.note(format!("{} {} {}", self.0, call.method(), call.outcome()));
    }
}

/// A node that serves, and one that asks: both have the same two interceptors.
async fn pair(notes: &Notes) -> [Node; 2] {
    let mut site = Site::new();
    let mut nodes = Vec::new();
    for name in ["server", "caller"] {
        let builder = site.builder(name);
        let builder = builder.intercept(Looks("first", notes.clone()));
        nodes.push(builder.intercept(Looks("second", notes.clone())).start().await.unwrap());
    }
    nodes[0].serve::<EchoClient>(Twice(notes.clone())).await.unwrap();
    let far = EchoClient::new(&nodes[1]);
    until("it is known", || !far.waits().available_nodes().is_empty()).await;
    nodes.try_into().unwrap()
}

/// Every call passes once, whatever it is, wherever it is answered.
#[tokio::test(start_paused = true)]
async fn each_call_is_seen_once() {
    let notes = Notes::default();
    for node in pair(&notes).await {
        let echo = EchoClient::new(&node);
        let seen = |kind: &str, run: &str, outcome: &str| {
            let before = ["first", "second"].map(|name| format!("{name} {kind} Echo twice"));
            let after = ["second", "first"].map(|name| format!("{name} twice {outcome}"));
            let all: Vec<_> = before.into_iter().chain([run.to_owned()]).chain(after).collect();
            assert_eq!(notes.take(), all);
        };
        let two = (2, "eu".to_owned());
        assert_eq!(echo.twice(1).await.unwrap(), two);
        seen("one", "run 1", "ok");
        assert_eq!(echo.twice(CHANGED).await.unwrap(), two);
        seen("one", "run 1", "ok");
        assert_eq!(echo.twice(1).all().await.unwrap().ok().count(), 1);
        seen("all", "run 1", "ok");
        assert_eq!(echo.twice(1).all().stream().count().await, 1);
        seen("all", "run 1", "ok");
        for streamed in [false, true] {
            let late = echo.waits().timeout(SECOND).all();
            let failed = match streamed {
                false => late.await.unwrap().failures().count(),
                true => late.stream().filter(|entry| ready(entry.result.is_err())).count().await,
            };
            assert_eq!(failed, 1);
            let told = notes.take();
            assert_eq!(told[2..], ["second waits failed", "first waits failed"], "{told:?}");
        }
        assert_eq!(echo.twice(1).first().await.unwrap().value, two);
        seen("first", "run 1", "ok");
        assert_eq!(echo.twice(1).quorum(at_least(1)).await.unwrap().successes().len(), 1);
        seen("quorum", "run 1", "ok");
        assert_eq!(node.call_raw("Echo", "twice", json!([1])).await.unwrap(), json!([2, "eu"]));
        seen("raw", "run 1", "ok");
        echo.twice(1).cast().await.unwrap();
        let mut told = Vec::new();
        until("the cast is over", || {
            told.extend(notes.take());
            told.len() == 5
        })
        .await;
        assert_eq!(told.pop().unwrap(), "first twice ok");
        assert!(told.contains(&"second cast Echo twice".to_owned()), "{told:?}");
    }
}

/// One that is refused is made nowhere, and those who let it through hear how it ended.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_refused_is_not_made() {
    let notes = Notes::default();
    for node in pair(&notes).await {
        let echo = EchoClient::new(&node);
        let ended = |kind: &str, outcome: &str| {
            let before = ["first", "second"].map(|name| format!("{name} {kind} Echo twice"));
            let all: Vec<_> =
                before.into_iter().chain([format!("first twice {outcome}")]).collect();
            assert_eq!(notes.take(), all);
        };
        for number in [REFUSED, PANICS] {
            let refused = echo.twice(number).await.unwrap_err();
            assert_eq!(refused.executed(), Executed::No);
            let denied = refused.denial().unwrap_or_else(|| panic!("{refused}")).to_string();
            assert_eq!(denied.contains("unlucky"), number == REFUSED, "{denied}");
            ended("one", "denied");
        }
        let refused = echo.twice(FULL).await.unwrap_err();
        assert!(matches!(refused, CallError::Overloaded { .. }), "{refused}");
        ended("one", "overloaded");
        let replies = echo.twice(REFUSED).all().await.unwrap();
        assert!(replies.iter().all(|entry| matches!(entry.result, Err(CallError::Denied(_)))));
        ended("all", "failed");
        let entries: Vec<_> = echo.twice(REFUSED).all().stream().collect().await;
        assert!(entries.iter().all(|entry| matches!(entry.result, Err(CallError::Denied(_)))));
        ended("all", "failed");
        // Nothing is asked for before the first poll.
        drop((echo.twice(1).cast().into_future(), echo.twice(1).all().into_future()));
        assert!(notes.take().is_empty());
        assert!(echo.twice(REFUSED).first().await.is_err());
        ended("first", "failed");
        assert!(echo.twice(REFUSED).quorum(at_least(1)).await.is_err());
        ended("quorum", "failed");
        let refused = echo.twice(REFUSED).cast().await.unwrap_err();
        assert!(matches!(refused, CallError::Denied(_)), "{refused}");
        ended("cast", "denied");
    }
}

/// A call that nobody waits for any more has ended, too.
#[tokio::test(start_paused = true)]
async fn the_end_is_told_whatever_it_is() {
    let notes = Notes::default();
    for node in pair(&notes).await {
        let echo = EchoClient::new(&node);
        let late = echo.waits().timeout(SECOND).await;
        assert!(matches!(late, Err(CallError::Deadline(_))), "{late:?}");
        assert_eq!(notes.take().pop().unwrap(), "first waits deadline");
        assert!(tokio::time::timeout(SECOND, echo.waits().timeout(9 * SECOND)).await.is_err());
        assert_eq!(notes.take().pop().unwrap(), "first waits dropped");
        let unknown = node.call_raw("Echo", "nothing", json!([])).await;
        assert!(matches!(unknown, Err(CallError::NoProvider(_))), "{unknown:?}");
        assert_eq!(notes.take().pop().unwrap(), "first nothing no_provider");
    }
}

/// What goes back beside an answer is heard of calls to one node, near and far, also beside the
/// method's own error; of those to several, and of casts, nothing.
#[tokio::test(start_paused = true)]
async fn what_goes_back_is_heard() {
    #[service(global)]
    trait Shop {
        #[api(idempotent)]
        async fn sell(&self, cx: &Context, number: u32) -> Result<u32, String>;
    }
    struct Selling;
    impl Shop for Selling {
        async fn sell(&self, cx: &Context, number: u32) -> Result<u32, String> {
            cx.reply_header("left", number.to_string()).unwrap();
            if number == REFUSED { Err("unlucky".into()) } else { Ok(number) }
        }
    }
    struct Hears(Notes);
    impl Interceptor for Hears {
        fn after(&self, call: &Made<'_>) {
            let left = call.header("left").unwrap_or("nothing");
            self.0.note(format!("{} {} {left}", call.kind(), call.outcome()));
        }
    }
    let (mut site, notes, mut nodes) = (Site::new(), Notes::default(), Vec::new());
    for name in ["server", "caller"] {
        let builder = site.builder(name).intercept(Hears(notes.clone()));
        nodes.push(builder.start().await.unwrap());
    }
    nodes[0].serve::<ShopClient>(Selling).await.unwrap();
    let far = ShopClient::new(&nodes[1]);
    until("it is known", || !far.sell(1).available_nodes().is_empty()).await;
    for node in &nodes {
        let shop = ShopClient::new(node);
        assert_eq!(shop.sell(1).await, Ok(1));
        shop.sell(REFUSED).await.unwrap_err();
        assert_eq!(shop.sell(2).hedge().await, Ok(2));
        assert_eq!(shop.sell(3).reply().await.unwrap().headers.get("left"), Some("3"));
        assert_eq!(notes.take(), ["one ok 1", "one error 13", "one ok 2", "one ok 3"]);
        // Of an earlier answer nothing is left.
        shop.sell(4).timeout(Duration::ZERO).await.unwrap_err();
        assert_eq!(notes.take(), ["one deadline nothing"]);
        let raw = node.call_raw("Shop", "sell", json!([5])).reply().await.unwrap();
        assert_eq!((raw.value, raw.node.to_string()), (json!(5), "server".into()));
        assert_eq!((raw.headers.get("left"), raw.headers.len()), (Some("5"), 1));
        node.call_raw("Shop", "sell", json!([REFUSED])).await.unwrap_err();
        assert_eq!(notes.take(), ["raw ok 5", "raw error 13"]);
        assert!(shop.sell(6).all().await.unwrap().all_ok());
        shop.sell(7).cast().await.unwrap();
        let mut told = Vec::new();
        until("the cast is over", || {
            told.extend(notes.take());
            told.len() == 2
        })
        .await;
        assert_eq!(told, ["all ok nothing", "cast ok nothing"]);
    }
}
