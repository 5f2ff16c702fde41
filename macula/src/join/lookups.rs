//! Lookups that go on when nobody waits for them any more: of each host one at a time, for all who ask
//! for it meanwhile.
//!
//! The system answers on a thread that cannot be stopped. If a new one were begun each time that an
//! answer is late, a name server that is silent would be given more and more threads.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::{Semaphore, oneshot};

use crate::limits::ASKED_AT_ONCE;

/// The hosts that are looked up now.
#[derive(Debug)]
pub(crate) struct Lookups<T: Clone> {
    under_way: Arc<UnderWay<T>>,
    places: Arc<Semaphore>,
}

/// What comes of each of them.
type UnderWay<T> = Mutex<BTreeMap<String, Shared<BoxFuture<'static, Looked<T>>>>>;
type Looked<T> = Result<T, Arc<io::Error>>;

impl<T: Clone + Send + Sync + 'static> Lookups<T> {
    /// What this `lookup` of the host comes to, or one that is under way. It is done to its end, also
    /// if nobody waits for it; 64 are at once, and further ones wait their turn.
    pub(crate) async fn run(
        &self,
        host: &str,
        lookup: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        let looked = self.begin(host, lookup).await;
        looked.map_err(|error| io::Error::new(error.kind(), error))
    }

    fn begin(
        &self,
        host: &str,
        lookup: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> Shared<BoxFuture<'static, Looked<T>>> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(looked) = under_way.get(host) {
            return looked.clone();
        }
        let (tell, told) = oneshot::channel();
        let told = told.map(|told| {
            told.unwrap_or_else(|_| Err(Arc::new(io::Error::other("the lookup came to no end"))))
        });
        let looked = told.boxed().shared();
        under_way.insert(host.to_owned(), looked.clone());
        drop(under_way);
        let turn = Turn {
            under_way: Arc::clone(&self.under_way),
            host: host.to_owned(),
            answer: None,
            tell: Some(tell),
        };
        let places = Arc::clone(&self.places);
        // A runtime that ends drops it here and now: nothing may be locked.
        tokio::spawn(async move {
            let mut turn = turn;
            let Ok(_place) = places.acquire_owned().await else { return };
            turn.answer = Some(lookup.await.map_err(Arc::new));
        });
        looked
    }
}

impl<T: Clone> Default for Lookups<T> {
    fn default() -> Self {
        let places = Arc::new(Semaphore::new(ASKED_AT_ONCE));
        Self { under_way: Arc::default(), places }
    }
}

/// One that was begun. When it has ended, be it by a panic, it is none that others can wait for.
struct Turn<T: Clone> {
    under_way: Arc<UnderWay<T>>,
    host: String,
    answer: Option<Looked<T>>,
    tell: Option<oneshot::Sender<Looked<T>>>,
}

impl<T: Clone> Drop for Turn<T> {
    fn drop(&mut self) {
        let over = self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.host);
        drop(over);
        if let (Some(tell), Some(answer)) = (self.tell.take(), self.answer.take()) {
            // Nobody may be waiting.
            let _ = tell.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::{Instant, sleep, timeout};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_lookup_that_hangs_is_the_only_one_of_its_host() {
        let (lookups, begun) = (Lookups::default(), Arc::new(AtomicU32::new(0)));
        let (answer, answered) = oneshot::channel();
        let counted = begun.clone();
        let hangs = lookups.run("site", async move {
            counted.fetch_add(1, SeqCst);
            answered.await.map_err(io::Error::other)
        });
        assert!(timeout(SECOND, hangs).await.is_err());
        let again = || {
            let begun = begun.clone();
            lookups.run("site", async move { Ok(begun.fetch_add(1, SeqCst)) })
        };
        for _ in 0..9 {
            assert!(timeout(SECOND, again()).await.is_err());
        }
        assert_eq!(begun.load(SeqCst), 1, "nobody waits for it, and it goes on");
        assert_eq!(lookups.run("plain", async { Ok(7) }).await.unwrap(), 7);
        let [one, other] = [0, 1].map(|value| lookups.begin("site", async move { Ok(value) }));
        answer.send(9).unwrap();
        assert_eq!((one.await.unwrap(), other.await.unwrap()), (9, 9));
        // What is over is looked up anew, also if nobody has heard of its end.
        assert_eq!(again().await.unwrap(), 1);
        drop(lookups.begin("site", async { Ok(0) }));
        sleep(SECOND).await;
        assert_eq!(again().await.unwrap(), 2);
        assert!(lookups.under_way.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_to_all_and_is_over() {
        let lookups = Lookups::default();
        let fails = |kind: io::ErrorKind| async move {
            sleep(SECOND).await;
            Err::<u8, _>(io::Error::new(kind, "no such host"))
        };
        let kinds = [io::ErrorKind::NotFound, io::ErrorKind::TimedOut];
        for looked in join_all(kinds.map(|kind| lookups.run("site", fails(kind)))).await {
            let error = looked.unwrap_err();
            assert_eq!((error.kind(), error.to_string()), (kinds[0], "no such host".to_owned()));
        }
        lookups.run("site", async { panic!("on purpose") }).await.unwrap_err();
        assert_eq!(lookups.run("site", async { Ok(1) }).await.unwrap(), 1);
    }

    /// What is spawned then is dropped at once, by who spawns it.
    #[test]
    fn a_lookup_while_the_runtime_ends_is_a_failure() {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).build().unwrap();
        let handle = runtime.handle().clone();
        drop(runtime);
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let _entered = handle.enter();
            let lookups = Lookups::default();
            let looked = lookups.run("site", async { Ok(1) }).now_or_never();
            let open = lookups.under_way.lock().unwrap().len();
            let _ = tell.send((looked.map(|looked| looked.is_err()), open));
        });
        // Only a failure takes that long.
        assert_eq!(told.recv_timeout(10 * SECOND), Ok((Some(true), 0)));
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_are_looked_up_side_by_side_within_a_bound() {
        let (lookups, began) = (Lookups::default(), Instant::now());
        let (now, most) = (AtomicU32::new(0), AtomicU32::new(0));
        let counts = Arc::new((now, most));
        let lookup = |host: usize| {
            let counts = counts.clone();
            let looked = async move {
                counts.1.fetch_max(counts.0.fetch_add(1, SeqCst) + 1, SeqCst);
                sleep(SECOND).await;
                counts.0.fetch_sub(1, SeqCst);
                Ok(host)
            };
            let (lookups, name) = (&lookups, format!("h{host}"));
            async move { lookups.run(&name, looked).await }
        };
        // Of each host three seeds, say.
        let hosts = (0..ASKED_AT_ONCE + 1).cycle().take(3 * (ASKED_AT_ONCE + 1));
        let all = join_all(hosts.clone().map(lookup)).await;
        assert!(all.into_iter().map(Result::unwrap).eq(hosts));
        assert_eq!(counts.1.load(SeqCst) as usize, ASKED_AT_ONCE);
        assert_eq!(began.elapsed(), 2 * SECOND);
    }
}
