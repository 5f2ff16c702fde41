//! Whoever would wait in vain is sent away at once, from its own node, from others and without any.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use futures_util::future::join_all;
use nebula::call::Executed;
use nebula::prelude::*;
use tokio::time::{Instant, sleep};

use crate::site::{Site, met};

const MS: Duration = Duration::from_millis(1);

#[service(global, timeout = "400ms")]
pub trait Mill {
    #[api(max_concurrent = 1)]
    async fn grind(&self) -> usize;
    /// Takes twice the time that its callers give it.
    #[api(max_concurrent = 4)]
    async fn extends(&self, cx: &Context) -> usize;
}

#[derive(Clone, Default)]
struct Miller(Arc<AtomicUsize>);

impl Mill for Miller {
    async fn grind(&self) -> usize {
        let before = self.0.fetch_add(1, SeqCst);
        sleep(100 * MS).await;
        before
    }

    async fn extends(&self, cx: &Context) -> usize {
        cx.extend(600 * MS).unwrap();
        let before = self.0.fetch_add(1, SeqCst);
        sleep(800 * MS).await;
        before
    }
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_done_in_time_is_told_at_once_and_did_not_run() {
    let (site, alone) = (Site::new(), Miller::default());
    let (near, far) = (Miller::default(), Miller::default());
    let server = site.node("server").serve(far.clone()).start().await.unwrap();
    let client = site.node("client").start().await.unwrap();
    met(&[&server, &client]).await;
    let home = Site::new().node("home").serve(near.clone()).start().await.unwrap();
    let clients = [
        (MillClient::new(&client), &far),
        (MillClient::new(&home), &near),
        (MillClient::local(alone.clone()), &alone),
    ];
    for (mill, miller) in clients {
        // It gets known how long they take.
        for call in 0..16 {
            assert_eq!(mill.grind().await.unwrap(), call);
        }
        let start = Instant::now();
        let ends = (0..100).map(|_| async { (mill.grind().await, start.elapsed()) });
        let (mut done, mut sent_away) = (0, 0);
        for (answer, took) in join_all(ends).await {
            match answer {
                Ok(_) => done += 1,
                Err(CallError::Overloaded { retry_after, log }) => {
                    assert!(took < 50 * MS, "{took:?}");
                    assert_eq!(log.executed(), Executed::No);
                    assert!((200..=400).contains(&retry_after.as_millis()), "{retry_after:?}");
                    sent_away += 1;
                }
                Err(other) => panic!("{other:#}"),
            }
        }
        // A fourth would be done at its deadline, if nothing came in between.
        assert_eq!((done, sent_away), (3, 97));
        assert_eq!(miller.0.load(SeqCst), 19);
        assert!(mill.grind().await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn who_gets_more_time_once_it_runs_may_wait_for_its_turn() {
    let mill = &MillClient::local(Miller::default());
    for _ in 0..2 {
        // It gets known that they take 800 ms, which is more than the 400 ms they begin with.
        for answer in join_all((0..4).map(|_| mill.extends().into_future())).await {
            answer.unwrap();
        }
    }
    // The last of these comes while all four places are taken, and has its turn after 100 ms.
    let calls = [0, 200, 400, 600, 700].map(|after| async move {
        sleep(after * MS).await;
        mill.extends().await
    });
    for answer in join_all(calls).await {
        answer.unwrap();
    }
}
