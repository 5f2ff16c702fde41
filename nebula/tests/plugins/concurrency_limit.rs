//! How many calls run.

use std::time::Duration;

use nebula::plugin::{Around, Plugin, Refusal};
use nebula::plugins::ConcurrencyLimit;
use nebula::prelude::*;
use nebula::{Executed, plugin};

use crate::both::{Both, refused, retry_after};
use crate::site::SumsClient;

const SECOND: Duration = Duration::from_secs(1);

/// A call that runs until it is dropped, once it has begun.
async fn begin(client: &SumsClient) -> tokio::task::JoinHandle<()> {
    let client = client.clone();
    let call = tokio::spawn(async move {
        let _ = client.wait().timeout(1000 * SECOND).await;
    });
    tokio::time::sleep(SECOND / 10).await;
    call
}

/// Calls once there is room: a call that was dropped elsewhere ends here a little later.
async fn passes(client: &SumsClient) {
    for _ in 0..1000 {
        if client.add(1.0, 2.0).await.is_ok() {
            return;
        }
        tokio::time::sleep(SECOND / 1000).await;
    }
    panic!("a place was not given back");
}

#[tokio::test(start_paused = true)]
async fn no_more_than_so_many_run() {
    let both = Both::of(|service| service.plugin(ConcurrencyLimit::new(2))).await;
    for client in both.each() {
        let [first, second] = [begin(client).await, begin(client).await];
        let refused = client.add(1.0, 2.0).await;
        assert_eq!(refused.as_ref().unwrap_err().executed(), Executed::No);
        assert_eq!(retry_after(refused), SECOND / 100);
        first.abort();
        passes(client).await;
        second.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_method_has_a_limit_of_its_own() {
    let limit = ConcurrencyLimit::by_method().method("wait", 1);
    let both = Both::of(|service| service.plugin(limit)).await;
    for client in both.each() {
        let call = begin(client).await;
        retry_after(client.wait().timeout(SECOND).await);
        client.add(1.0, 2.0).await.unwrap();
        call.abort();
        tokio::time::sleep(SECOND).await;
    }
    let unknown = refused(|service| service.plugin(ConcurrencyLimit::new(1).method("ad", 1))).await;
    assert!(unknown.contains("there is no method `ad` in `Sums`: it has `add`, "), "{unknown}");
}

/// Refuses what comes to it, and panics, below the limit.
struct Below;

#[plugin]
impl Plugin for Below {
    async fn around(&self, mut call: Around<'_>) -> Result<(), Refusal> {
        match call.args::<(f64, f64)>().map(|args| args.0) {
            Some(7.0) => Err(Refusal::denied("seven")),
            Some(8.0) => panic!("eight"),
            _ => call.next().await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_is_given_back_whatever_the_end() {
    let both = Both::of(|service| service.plugin(ConcurrencyLimit::new(1)).plugin(Below)).await;
    for client in both.each() {
        client.add(1.0, 2.0).await.unwrap();
        assert!(client.divide(1.0, 0.0).await.is_err());
        assert!(matches!(client.add(7.0, 0.0).await, Err(CallError::Denied(_))));
        // The plugin has panicked, and the method has not run.
        assert!(matches!(client.add(8.0, 0.0).await, Err(CallError::Denied(_))));
        assert!(matches!(client.fail().await, Err(CallError::Panicked { .. })));
        let late = client.wait().timeout(SECOND).await;
        assert!(matches!(late, Err(CallError::Deadline(_))), "{late:?}");
        passes(client).await;
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_changed_while_calls_run() {
    let both = Both::of(|service| service.plugin(ConcurrencyLimit::new(9))).await;
    for client in both.each() {
        let calls = [begin(client).await, begin(client).await];
        both.service.reconfigure("plugins.concurrency_limit.limit = 2").await.unwrap();
        retry_after(client.add(1.0, 2.0).await);
        both.service.reconfigure("plugins.concurrency_limit.limit = 3").await.unwrap();
        client.add(1.0, 2.0).await.unwrap();
        both.service.reconfigure("plugins.concurrency_limit.methods.add = 1").await.unwrap();
        let refused = both.service.reconfigure("plugins.concurrency_limit.methods.ad = 1").await;
        assert!(refused.unwrap_err().to_string().contains("no method `ad`"));
        client.add(1.0, 2.0).await.unwrap();
        calls.iter().for_each(|call| call.abort());
        both.service.reset_config().await.unwrap();
        tokio::time::sleep(SECOND).await;
    }
    let refused = both.service.reconfigure("plugins.concurrency_limit.limit = 0").await;
    assert!(refused.unwrap_err().to_string().contains("must get through"));
}
