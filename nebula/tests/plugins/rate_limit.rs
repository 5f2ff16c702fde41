//! Rates.

use std::time::Duration;

use nebula::Executed;
use nebula::plugins::{RateLimit, RateLimitConfig};

use crate::both::{Both, refused, retry_after};

const MILLI: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_burst_passes_and_then_the_rate() {
    let both = Both::of(|service| service.plugin(RateLimit::per_second(4).burst(3))).await;
    for client in both.each() {
        tokio::time::sleep(Duration::from_secs(10)).await;
        for _ in 0..3 {
            assert_eq!(client.add(1.0, 2.0).await.unwrap(), 3.0);
        }
        let refused = client.add(1.0, 2.0).await;
        assert_eq!(refused.as_ref().unwrap_err().executed(), Executed::No);
        let wait = retry_after(refused);
        assert!(wait <= 250 * MILLI && wait > 200 * MILLI, "{wait:?}");
        both.notes.take();
        tokio::time::sleep(wait - MILLI * 10).await;
        retry_after(client.add(1.0, 2.0).await);
        tokio::time::sleep(MILLI * 10).await;
        client.add(1.0, 2.0).await.unwrap();
        assert_eq!(both.notes.take(), ["add"], "the others did not run");
    }
}

#[tokio::test(start_paused = true)]
async fn all_share_one_rate_or_each_has_its_own() {
    let one = RateLimit::per_second(1);
    let both = Both::of(|service| service.plugin(one)).await;
    both.near.add(1.0, 2.0).await.unwrap();
    retry_after(both.far.add(1.0, 2.0).await);

    let each = RateLimit::per_second(1).per_caller();
    let all = RateLimit::per_second(1).burst(3).named("all");
    let both = Both::of(|service| service.plugin(each).plugin(all)).await;
    for client in both.each() {
        client.add(1.0, 2.0).await.unwrap();
        retry_after(client.add(1.0, 2.0).await);
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_changed_while_it_runs() {
    let both = Both::of(|service| service.plugin(RateLimit::per_second(1))).await;
    both.near.add(1.0, 2.0).await.unwrap();
    retry_after(both.near.add(1.0, 2.0).await);
    both.service.reconfigure("plugins.rate_limit.per_second = 100").await.unwrap();
    let config = both.service.plugin_config::<RateLimitConfig>("rate_limit").unwrap();
    let expected = RateLimitConfig { per_second: 100.0, burst: None, per_caller: false };
    assert_eq!(*config, expected);
    assert!(retry_after(both.near.add(1.0, 2.0).await) <= 10 * MILLI);
    tokio::time::sleep(20 * MILLI).await;
    for client in both.each() {
        client.add(1.0, 2.0).await.unwrap();
    }
    for (change, why) in [
        ("plugins.rate_limit.per_second = 0", "must be from 0.001 to 1000000"),
        ("plugins.rate_limit.burst = 0", "must be from 1 to 1000000"),
        ("plugins.rate_limit.per_second = 'many'", "expected"),
    ] {
        let refused = both.service.reconfigure(change).await.unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    let config = both.service.plugin_config::<RateLimitConfig>("rate_limit").unwrap();
    assert_eq!(*config, expected, "nothing has changed");
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_makes_no_sense_does_not_start() {
    let refused = refused(|service| service.plugin(RateLimit::per_second(-1))).await;
    assert!(refused.contains("`plugins.rate_limit.per_second`"), "{refused}");
}
