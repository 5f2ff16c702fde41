//! Replies that are given again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use futures_util::future::join_all;
use nebula::Service;
use nebula::plugins::{Cache, CacheConfig};
use nebula::prelude::*;

use crate::both::{Both, refused};
use crate::site::{Site, SumsClient, until};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_reply_is_given_again_until_its_time_is_over() {
    let both = Both::of(|service| service.plugin(Cache::ttl(SECOND).method("add"))).await;
    for client in both.each() {
        both.notes.take();
        for _ in 0..3 {
            assert_eq!(client.add(1.0, 2.0).await.unwrap(), 3.0);
        }
        assert_eq!(client.add(2.0, 2.0).await.unwrap(), 4.0);
        assert_eq!(both.notes.take(), ["add", "add"], "one for each pair of arguments");
        tokio::time::sleep(SECOND).await;
        assert_eq!(client.add(1.0, 2.0).await.unwrap(), 3.0);
        assert_eq!(both.notes.take(), ["add"]);
        tokio::time::sleep(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_time_holds_for_what_is_kept() {
    let both = Both::of(|service| service.plugin(Cache::ttl(60 * SECOND).method("add"))).await;
    let add = async || {
        both.far.add(1.0, 2.0).await.unwrap();
        both.notes.take().len()
    };
    assert_eq!((add().await, add().await), (1, 0));
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(add().await, 0);
    both.service.reconfigure("plugins.cache.ttl_ms = 1000").await.unwrap();
    assert_eq!((add().await, add().await), (1, 0));
    both.service.reconfigure("plugins.cache.ttl_ms = 60000").await.unwrap();
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(add().await, 0);
}

#[tokio::test(start_paused = true)]
async fn it_is_cleared_by_a_clone_and_by_a_stop() {
    let cache = Cache::ttl(SECOND).method("add").capacity(2);
    let handle = cache.clone();
    let both = Both::of(|service| service.plugin(cache)).await;
    let add = async |left| {
        both.far.add(left, 0.0).await.unwrap();
        both.notes.take().len()
    };
    assert_eq!((add(1.0).await, add(1.0).await), (1, 0));
    handle.clear();
    assert!(handle.is_empty());
    assert_eq!((add(1.0).await, add(1.0).await), (1, 0));
    assert_eq!((add(2.0).await, add(3.0).await, handle.len()), (1, 1, 2));
    assert_eq!((add(3.0).await, add(2.0).await, add(1.0).await), (0, 0, 1), "the oldest has gone");
    both.service.reconfigure("plugins.cache.capacity = 1").await.unwrap();
    assert_eq!(handle.len(), 1);
    both.service.deactivate("move").await.unwrap();
    assert!(handle.is_empty());
}

#[tokio::test(start_paused = true)]
async fn callers_share_replies_unless_they_shall_not() {
    for (cache, times) in
        [(Cache::ttl(SECOND).method("add"), 1), (Cache::ttl(SECOND).method("add").per_caller(), 2)]
    {
        let both = Both::of(|service| service.plugin(cache)).await;
        for client in both.each() {
            client.add(1.0, 2.0).await.unwrap();
            client.add(1.0, 2.0).await.unwrap();
        }
        assert_eq!(both.notes.take().len(), times);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_for_those_whose_headers_say_the_same() {
    let cache = Cache::ttl(60 * SECOND).method("add").vary("tenant").vary("to");
    let both = Both::of(|service| service.plugin(cache)).await;
    let headers: [&[(&str, &str)]; 7] = [
        &[],
        &[("tenant", "")],
        &[("tenant", "a")],
        &[("tenant", "b")],
        &[("to", "a")],
        &[("tenant", "ab"), ("to", "c")],
        &[("tenant", "a"), ("to", "bc")],
    ];
    let add = async |client: &SumsClient, headers: &[(&str, &str)]| {
        let call = client.add(1.0, 2.0);
        headers.iter().fold(call, |call, (key, value)| call.header(key, value)).await.unwrap();
        both.notes.take().len()
    };
    for (at, client) in both.each().into_iter().enumerate() {
        for headers in headers {
            let runs = add(client, headers).await;
            assert_eq!(runs, 1 - at, "{headers:?}: one reply for all callers that say this");
            assert_eq!(add(client, headers).await, 0);
            let other = [headers, &[("other", "x")]].concat();
            assert_eq!(add(client, &other).await, 0, "nothing depends on it");
        }
    }
    // What was kept by other headers is not taken for it.
    both.service.reconfigure("plugins.cache.vary = ['other']").await.unwrap();
    assert_eq!(add(&both.near, &[("other", "a")]).await, 1);
    both.service.reconfigure("plugins.cache.vary = []").await.unwrap();
    assert_eq!((add(&both.near, headers[2]).await, add(&both.near, headers[3]).await), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_kept_is_told() {
    let ttl = || Cache::ttl(SECOND);
    for (cache, why) in [
        (ttl(), "of no method: name those that only read"),
        (ttl().method("divide"), "`divide` is not idempotent"),
        (ttl().method("ad"), "there is no method `ad`"),
        (Cache::ttl(Duration::ZERO).method("add"), "it must be from 1 to"),
        (ttl().method("add").capacity(0), "it must be from 1 to"),
        (ttl().method("add").max_bytes(0), "4 KiB"),
        (ttl().method("add").vary("Tenant"), "`a`-`z`"),
    ] {
        let refused = refused(|service| service.plugin(cache)).await;
        assert!(refused.contains(why), "{refused}");
    }
    let both = Both::of(|service| service.plugin(ttl().all_idempotent())).await;
    let refused = both.service.reconfigure("plugins.cache.methods = ['divide']").await;
    assert!(refused.unwrap_err().to_string().contains("is not idempotent"));
    let config = both.service.plugin_config::<CacheConfig>("cache").unwrap();
    assert!(config.methods.is_empty());
    both.far.divide(1.0, 2.0).await.unwrap();
    both.far.add(1.0, 2.0).await.unwrap();
    both.far.add(1.0, 2.0).await.unwrap();
    assert_eq!(both.notes.take(), ["add"]);
}

#[service(global)]
trait Slow {
    /// Takes a second, and fails for the first so many times.
    #[api(idempotent)]
    async fn slow(&self, failures: u32) -> Result<u32, u32>;
}

#[derive(Clone, Default)]
struct Count(Arc<AtomicU32>);

impl Slow for Count {
    async fn slow(&self, failures: u32) -> Result<u32, u32> {
        let count = self.0.fetch_add(1, SeqCst);
        tokio::time::sleep(SECOND).await;
        if count < failures { Err(count) } else { Ok(count) }
    }
}

#[tokio::test(start_paused = true)]
async fn of_equal_calls_one_runs_at_a_time() {
    let mut site = Site::new();
    let (server, caller) = (site.node("server").await, site.node("caller").await);
    let cache = Cache::ttl(60 * SECOND).method("slow").single_flight();
    let (count, handle) = (Count::default(), cache.clone());
    Service::new(count.clone()).plugin(cache).start_on(&server).await.unwrap();
    let far = SlowClient::new(&caller);
    until("it is known", || !far.slow(0).available_nodes().is_empty()).await;
    for client in [SlowClient::new(&server), far] {
        count.0.store(0, SeqCst);
        let replies = join_all((0..5).map(|_| client.slow(0).into_future())).await;
        assert!(replies.iter().all(|reply| *reply == Ok(0)), "{replies:?}");
        // One that fails is not kept, and one that is dropped neither: then all that wait run.
        handle.clear();
        count.0.store(0, SeqCst);
        let dropped = tokio::time::timeout(SECOND / 2, client.slow(2).into_future()).await;
        assert!(dropped.is_err());
        let began = tokio::time::Instant::now();
        let replies = join_all((0..4).map(|_| client.slow(2).into_future())).await;
        let failed = replies.iter().filter(|reply| matches!(reply, Err(CallError::App(1))));
        assert_eq!(failed.count(), 1, "{replies:?}");
        let mut told: Vec<_> = replies.into_iter().filter_map(Result::ok).collect();
        told.sort_unstable();
        assert_eq!(told, [2, 3, 4]);
        assert!(began.elapsed() < 3 * SECOND, "nobody waits for more than one");
        assert!(matches!(client.slow(2).await, Ok(2..=4)), "it is kept");
        handle.clear();
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_from_before_a_clearing_is_not_kept() {
    let mut site = Site::new();
    let node = site.node("server").await;
    let cache = Cache::ttl(60 * SECOND).method("slow");
    let handle = cache.clone();
    Service::new(Count::default()).plugin(cache).start_on(&node).await.unwrap();
    let client = SlowClient::new(&node);
    let clear = async {
        tokio::time::sleep(SECOND / 2).await;
        handle.clear();
    };
    let (reply, ()) = tokio::join!(client.slow(0).into_future(), clear);
    assert_eq!(reply, Ok(0));
    assert_eq!(client.slow(0).await, Ok(1));
    assert_eq!(client.slow(0).await, Ok(1));
}

/// What went back beside a reply belongs to the call that brought it: it is not kept.
#[tokio::test(start_paused = true)]
async fn what_went_back_beside_a_reply_is_not_kept() {
    #[service(global)]
    trait Rows {
        #[api(idempotent)]
        async fn count(&self, cx: &Context) -> u32;
    }
    struct Says;
    impl Rows for Says {
        async fn count(&self, cx: &Context) -> u32 {
            cx.reply_header("read", "12").unwrap();
            12
        }
    }
    let mut site = Site::new();
    let node = site.node("server").await;
    let service = Service::new(Says).plugin(Cache::ttl(SECOND).method("count"));
    service.start_on(&node).await.unwrap();
    let rows = RowsClient::new(&node);
    for said in [Some("12"), None] {
        let reply = rows.count().reply().await.unwrap();
        assert_eq!((reply.value, reply.headers.get("read")), (12, said));
    }
}
