//! Lookups that go on when nobody waits for them any more: of each host one at a time, for all who ask
//! for it meanwhile. What comes of one that nobody waits for is kept for who asks next.
//!
//! The system answers on a thread that cannot be stopped. If a new one were begun each time that an
//! answer is late, a name server that is silent would be given more and more threads.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

use crate::limits::ASKED_AT_ONCE;

/// How long an answer is kept of which nobody has heard: more than the pause of a seed, and than the
/// others take that are asked before it.
const KEPT: Duration = Duration::from_secs(60);
/// And beside how many hosts.
const KEPT_BESIDE: usize = 1024;

/// The hosts that are looked up now, and those of which it is kept what came of that.
#[derive(Debug)]
pub(crate) struct Lookups<T: Clone> {
    hosts: Arc<Hosts<T>>,
    places: Arc<Semaphore>,
}

type Hosts<T> = Mutex<BTreeMap<String, Host<T>>>;
type Answer<T> = Result<T, Arc<io::Error>>;

#[derive(Debug)]
struct Host<T: Clone> {
    stage: Stage,
    answer: Shared<BoxFuture<'static, Answer<T>>>,
}

#[derive(Debug)]
enum Stage {
    Waits,
    Asked,
    Ended(Instant),
}

impl<T: Clone + Send + Sync + 'static> Lookups<T> {
    /// What this `lookup` of the host comes to, or the last one if nobody has heard of that. It is done
    /// to its end, also if nobody waits for it; 64 are at once, and further ones wait their turn.
    pub(crate) async fn run(
        &self,
        host: &str,
        lookup: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        let answer = self.begin(host, lookup);
        let told = answer.clone().await;
        self.forget(host, &answer);
        told.map_err(|error| io::Error::new(error.kind(), error))
    }

    /// Whether the host waits for others to be looked up.
    pub(crate) fn waits(&self, host: &str) -> bool {
        lock(&self.hosts).get(host).is_some_and(|known| matches!(known.stage, Stage::Waits))
    }

    fn begin(
        &self,
        host: &str,
        lookup: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> Shared<BoxFuture<'static, Answer<T>>> {
        self.forget_old();
        let mut hosts = lock(&self.hosts);
        if let Some(known) = hosts.get(host) {
            return known.answer.clone();
        }
        let (tell, told) = oneshot::channel();
        let told = told.map(|told| {
            told.unwrap_or_else(|_| Err(Arc::new(io::Error::other("the lookup came to no end"))))
        });
        let answer = told.boxed().shared();
        hosts.insert(host.to_owned(), Host { stage: Stage::Waits, answer: answer.clone() });
        drop(hosts);
        let turn = Turn {
            hosts: Arc::clone(&self.hosts),
            host: host.to_owned(),
            answer: None,
            tell: Some(tell),
        };
        let places = Arc::clone(&self.places);
        // A runtime that ends drops it here and now: nothing may be locked.
        tokio::spawn(async move {
            let mut turn = turn;
            let Ok(_place) = places.acquire_owned().await else { return };
            turn.ask();
            turn.answer = Some(lookup.await.map_err(Arc::new));
        });
        answer
    }

    fn forget_old(&self) {
        let mut hosts = lock(&self.hosts);
        let old: Vec<_> = hosts.extract_if(.., |_, known| known.is_old()).collect();
        drop(hosts);
        drop(old);
    }

    /// What somebody has heard is not kept.
    fn forget(&self, host: &str, heard: &Shared<BoxFuture<'static, Answer<T>>>) {
        let mut hosts = lock(&self.hosts);
        let is_it = hosts.get(host).is_some_and(|known| known.answer.ptr_eq(heard));
        let over = if is_it { hosts.remove(host) } else { None };
        drop(hosts);
        drop(over);
    }
}

impl<T: Clone> Default for Lookups<T> {
    fn default() -> Self {
        let places = Arc::new(Semaphore::new(ASKED_AT_ONCE));
        Self { hosts: Arc::default(), places }
    }
}

impl<T: Clone> Host<T> {
    fn is_old(&self) -> bool {
        matches!(self.stage, Stage::Ended(at) if at.elapsed() > KEPT)
    }
}

/// One that was begun. When it has ended without an answer, be it by a panic, it is none that others
/// can wait for.
struct Turn<T: Clone> {
    hosts: Arc<Hosts<T>>,
    host: String,
    answer: Option<Answer<T>>,
    tell: Option<oneshot::Sender<Answer<T>>>,
}

impl<T: Clone> Turn<T> {
    fn ask(&self) {
        if let Some(known) = lock(&self.hosts).get_mut(&self.host) {
            known.stage = Stage::Asked;
        }
    }
}

impl<T: Clone> Drop for Turn<T> {
    fn drop(&mut self) {
        let mut hosts = lock(&self.hosts);
        let mut over = None;
        // An error may be over by the next try.
        let is_kept = matches!(self.answer, Some(Ok(_))) && hosts.len() <= KEPT_BESIDE;
        match hosts.get_mut(&self.host) {
            Some(known) if is_kept => known.stage = Stage::Ended(Instant::now()),
            _ => over = hosts.remove(&self.host),
        }
        drop(hosts);
        drop(over);
        if let (Some(tell), Some(answer)) = (self.tell.take(), self.answer.take()) {
            // Nobody may be waiting.
            let _ = tell.send(answer);
        }
    }
}

fn lock<T: Clone>(hosts: &Hosts<T>) -> MutexGuard<'_, BTreeMap<String, Host<T>>> {
    hosts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::time::Duration;

    use futures_util::future::{join, join_all};
    use tokio::time::{sleep, timeout};

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
        let next = async || {
            let begun = begun.clone();
            lookups.run("site", async move { Ok(begun.fetch_add(1, SeqCst)) }).await
        };
        for _ in 0..9 {
            assert!(timeout(SECOND, next()).await.is_err());
        }
        assert_eq!(begun.load(SeqCst), 1, "nobody waits for it, and it goes on");
        assert_eq!(lookups.run("plain", async { Ok(7) }).await.unwrap(), 7);
        let [one, other] = [0, 1].map(|value| lookups.run("site", async move { Ok(value) }));
        let (both, sent) = (join(one, other), async { answer.send(9) });
        let ((one, other), _) = join(both, sent).await;
        assert_eq!((one.unwrap(), other.unwrap()), (9, 9));
        // What was heard is looked up anew.
        assert_eq!(next().await.unwrap(), 1);
        assert!(lookups.hosts.lock().unwrap().is_empty());
    }

    /// What comes too late for who asked is for who asks next, once and not for long.
    #[tokio::test(start_paused = true)]
    async fn what_nobody_has_heard_is_kept() {
        let lookups = Lookups::default();
        let late = |host: String, answer| {
            let slow = async move {
                sleep(SECOND).await;
                answer
            };
            let begun = lookups.begin(&host, slow);
            async move { assert!(timeout(SECOND / 2, begun).await.is_err()) }
        };
        let next = async |host| lookups.run(host, async { Ok(2) }).await.unwrap();
        late("site".into(), Ok(1)).await;
        sleep(KEPT).await;
        assert_eq!((next("site").await, next("site").await), (1, 2));
        late("site".into(), Ok(1)).await;
        sleep(KEPT + SECOND).await;
        assert_eq!(next("site").await, 2);
        assert!(lookups.hosts.lock().unwrap().is_empty());
        // An error may be over by then.
        late("site".into(), Err(io::Error::other("no server answered"))).await;
        sleep(SECOND).await;
        assert_eq!(next("site").await, 2);
        // Whose answers come while there are too many are looked up anew.
        join_all((0..2 * KEPT_BESIDE).map(|n| late(format!("h{n}"), Ok(1)))).await;
        sleep(KEPT / 2).await;
        assert_eq!(lookups.hosts.lock().unwrap().len(), KEPT_BESIDE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_waits_until_it_is_its_turn() {
        let (lookups, gate) = (Lookups::default(), Arc::new(Semaphore::new(0)));
        for n in 0..ASKED_AT_ONCE {
            let gate = gate.clone();
            drop(lookups.begin(&n.to_string(), async move {
                drop(gate.acquire().await.map_err(io::Error::other)?);
                Ok(0)
            }));
        }
        assert!(timeout(SECOND, lookups.run("site", async { Ok(1) })).await.is_err());
        assert!(lookups.waits("site") && !lookups.waits("0") && !lookups.waits("nobody"));
        gate.add_permits(1);
        sleep(SECOND).await;
        assert!(!lookups.waits("site"));
        assert_eq!(lookups.run("site", async { Ok(2) }).await.unwrap(), 1);
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
            let open = lookups.hosts.lock().unwrap().len();
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
