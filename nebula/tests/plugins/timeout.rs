//! Limits on time.

use std::time::Duration;

use nebula::Executed;
use nebula::plugins::Timeout;
use nebula::prelude::*;
use tokio::time::Instant;

use crate::both::{Both, refused};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_method_that_takes_too_long_is_stopped() {
    let both = Both::of(|service| service.plugin(Timeout::new(2 * SECOND))).await;
    for client in both.each() {
        assert_eq!(client.add(1.0, 2.0).await.unwrap(), 3.0);
        let began = Instant::now();
        let late = client.wait().timeout(10 * SECOND).await.unwrap_err();
        let took = began.elapsed();
        assert!((2 * SECOND..3 * SECOND).contains(&took), "{took:?}");
        assert!(matches!(late, CallError::Deadline(_)), "{late:?}");
        assert_eq!(late.executed(), Executed::Yes);
        let text = late.to_string();
        assert!(text.starts_with("the method took longer on server"), "{text}");
        // The caller's own deadline holds as ever.
        let began = Instant::now();
        let late = client.wait().timeout(SECOND).await.unwrap_err();
        assert!(matches!(late, CallError::Deadline(_)), "{late:?}");
        assert!(began.elapsed() < 2 * SECOND);
        assert!(late.to_string().contains("before the deadline"), "{late}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_method_has_a_limit_of_its_own_and_it_changes() {
    let timeout = Timeout::by_method().method("wait", 2 * SECOND);
    let both = Both::of(|service| service.plugin(timeout)).await;
    for client in both.each() {
        let took = async || {
            let began = Instant::now();
            client.wait().timeout(20 * SECOND).await.unwrap_err();
            began.elapsed().as_secs()
        };
        assert_eq!(took().await, 2);
        both.service.reconfigure("plugins.timeout.methods.wait = 5000").await.unwrap();
        assert_eq!(took().await, 5);
        both.service.reset_config().await.unwrap();
    }
    for change in ["limit_ms = 0", "methods.wait = 86400001"] {
        let refused = both.service.reconfigure(format!("plugins.timeout.{change}")).await;
        assert!(refused.unwrap_err().to_string().contains("must be from 1 to 86400000"));
    }
    let unknown = refused(|service| service.plugin(Timeout::by_method().method("w", SECOND))).await;
    assert!(unknown.contains("there is no method `w`"), "{unknown}");
}
