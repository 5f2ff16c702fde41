//! Handlers that panic, never end and answer far too much, ten thousand times.

use std::panic;
use std::time::Duration;

use futures_util::future::join_all;
use macula::Limits;
use nebula::call::CallError;
use nebula::prelude::*;
use tokio::time::{Instant, sleep, timeout};

use crate::site::{PATIENCE, Site, met};

const CALLS: usize = 10_000;
const AT_ONCE: usize = 100;
const LIMIT: usize = 4 << 10;
const MS: Duration = Duration::from_millis(1);
const FALLS: &str = "falls into the pit";

#[service(global)]
pub trait Pit {
    #[api]
    async fn falls(&self, number: usize) -> usize;
    #[api]
    async fn circles(&self) -> usize;
    #[api]
    async fn overflows(&self, bytes: usize) -> Vec<u8>;
    #[api]
    async fn answers(&self, number: usize) -> usize;
}

struct Bottomless;

impl Pit for Bottomless {
    async fn falls(&self, number: usize) -> usize {
        // Half of them at once, half of them later.
        if number.is_multiple_of(2) {
            sleep(MS).await;
        }
        panic!("{number} {FALLS}")
    }

    async fn circles(&self) -> usize {
        loop {
            sleep(MS).await;
        }
    }

    async fn overflows(&self, bytes: usize) -> Vec<u8> {
        vec![7; bytes]
    }

    async fn answers(&self, number: usize) -> usize {
        number
    }
}

/// These panics are on purpose, and too many to be read.
fn hush() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let text = info.payload().downcast_ref::<String>();
        if !text.is_some_and(|text| text.ends_with(FALLS)) {
            hook(info);
        }
    }));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_bad_handlers_do_not_bring_a_node_down() {
    hush();
    let site = Site::new();
    let mut limits = Limits::default();
    limits.max_body = LIMIT;
    let node = site.node("db").limits(limits).serve(Bottomless);
    let (server, client) = (node.start().await.unwrap(), site.client().await);
    met(&[&server, &client]).await;
    let pit = PitClient::new(&client);
    for round in 0..CALLS / AT_ONCE {
        let calls = (0..AT_ONCE).map(async |number| match number % 3 {
            0 => {
                let error = pit.falls(number).timeout(PATIENCE).await.unwrap_err();
                assert!(matches!(error, CallError::Panicked { .. }), "{round}: {error:?}");
            }
            1 => {
                let error = pit.circles().timeout(20 * MS).await.unwrap_err();
                assert!(matches!(error, CallError::Deadline(_)), "{round}: {error:?}");
            }
            _ => {
                let error = pit.overflows(LIMIT + number).timeout(PATIENCE).await.unwrap_err();
                assert!(matches!(error, CallError::TooLarge { .. }), "{round}: {error:?}");
            }
        });
        join_all(calls).await;
        let asked = Instant::now();
        assert_eq!(pit.answers(round).await.unwrap(), round);
        assert!(asked.elapsed() < 5 * MS, "{round}: {:?}", asked.elapsed());
    }
    let over = async {
        while server.mesh().serving() > 0 {
            sleep(MS).await;
        }
    };
    timeout(PATIENCE, over).await.expect("a handler runs on");
}
