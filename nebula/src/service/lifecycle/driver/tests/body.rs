//! A service that does as it is told and writes down what is done to it.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use futures_util::FutureExt;
use tokio::sync::Semaphore;

use super::*;

/// How a start goes.
#[derive(Clone, Copy)]
pub(super) enum Start {
    Works,
    Fails,
    Panics,
    /// Takes a second.
    Slow,
}

pub(super) struct Fake {
    log: Mutex<Vec<String>>,
    /// How the next starts go; those after them work.
    pub(super) starts: Mutex<VecDeque<Start>>,
    pub(super) reporter: Mutex<Option<Reporter>>,
    pub(super) lifecycle: Mutex<Option<Lifecycle>>,
    /// What each status hook does.
    pub(super) hook: Mutex<Option<Hook>>,
    pub(super) watches: AtomicBool,
    pub(super) waiting: Mutex<Vec<NotReady>>,
    pub(super) asked: AtomicUsize,
    pub(super) busy: Mutex<Vec<NotReady>>,
    /// One permit each for stops that hang, and for waits for calls.
    pub(super) stop_hangs: AtomicBool,
    pub(super) calls: Semaphore,
    pub(super) stop_panics: AtomicBool,
}

pub(super) type Hook = fn(Lifecycle) -> BoxFuture<'static, ()>;

impl Fake {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            log: Mutex::default(),
            starts: Mutex::default(),
            reporter: Mutex::default(),
            lifecycle: Mutex::default(),
            hook: Mutex::default(),
            watches: AtomicBool::new(false),
            waiting: Mutex::default(),
            asked: AtomicUsize::new(0),
            busy: Mutex::default(),
            stop_hangs: AtomicBool::new(false),
            calls: Semaphore::new(1),
            stop_panics: AtomicBool::new(false),
        })
    }

    pub(super) fn starting(starts: impl IntoIterator<Item = Start>) -> Arc<Self> {
        let fake = Self::new();
        fake.starts.lock().unwrap().extend(starts);
        fake
    }

    pub(super) fn note(&self, what: impl Into<String>) {
        self.log.lock().unwrap().push(what.into());
    }

    /// What was done since this was asked last.
    pub(super) fn log(&self) -> String {
        std::mem::take(&mut *self.log.lock().unwrap()).join(" ")
    }

    pub(super) fn report(&self, who: &str, message: &str) {
        let reporter = self.reporter.lock().unwrap().clone();
        reporter.expect("it was started").failed(who, message);
    }
}

impl Body for Fake {
    fn start(&self, reporter: Reporter) -> BoxFuture<'_, Result<(), Cause>> {
        async move {
            self.note("start");
            *self.reporter.lock().unwrap() = Some(reporter);
            let start = self.starts.lock().unwrap().pop_front().unwrap_or(Start::Works);
            match start {
                Start::Works => {}
                Start::Fails => return Err(Cause::new("db", "no route")),
                Start::Panics => panic!("oh"),
                Start::Slow => tokio::time::sleep(SECOND).await,
            }
            Ok(())
        }
        .boxed()
    }

    fn stop(&self, limit: Duration) -> BoxFuture<'_, ()> {
        async move {
            self.note("stop");
            if self.stop_hangs.load(SeqCst) {
                tokio::time::sleep(limit).await;
            }
            assert!(!self.stop_panics.load(SeqCst), "oh");
        }
        .boxed()
    }

    fn advertise(&self) {
        self.note("advertise");
    }

    fn withdraw(&self) {
        self.note("withdraw");
    }

    fn changed(
        &self,
        old: &ServiceStatus,
        new: &ServiceStatus,
        limit: Duration,
    ) -> BoxFuture<'_, ()> {
        self.note(format!("{}>{}", old.running, new.running));
        let hook = *self.hook.lock().unwrap();
        let lifecycle = self.lifecycle.lock().unwrap().clone();
        async move {
            if let (Some(hook), Some(lifecycle)) = (hook, lifecycle) {
                let _ = tokio::time::timeout(limit, hook(lifecycle)).await;
            }
        }
        .boxed()
    }

    fn watches_readiness(&self) -> bool {
        self.watches.load(SeqCst)
    }

    fn ready(&self, _: Duration) -> BoxFuture<'_, Vec<NotReady>> {
        self.asked.fetch_add(1, SeqCst);
        let waiting = self.waiting.lock().unwrap().clone();
        async { waiting }.boxed()
    }

    fn drained(&self, _: Duration) -> BoxFuture<'_, Vec<NotReady>> {
        let busy = self.busy.lock().unwrap().clone();
        async { busy }.boxed()
    }

    fn idle(&self) -> BoxFuture<'_, ()> {
        async {
            let _ = self.calls.acquire().await;
        }
        .boxed()
    }

    fn load(&self) -> (usize, usize) {
        (1 - self.calls.available_permits(), 0)
    }
}
