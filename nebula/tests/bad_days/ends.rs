//! How calls end when a handler, its caller or its node does something odd at that very moment:
//! alike here and elsewhere, and never later than they should.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use macula::Limits;
use nebula::Exhausted;
use nebula::call::{CallError, Executed};
use nebula::prelude::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::time::{Instant, sleep, timeout};

use crate::desk::{Clerk, DeskClient, Mood};
use crate::site::{PATIENCE, Site, met};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// A value that refuses to be written.
#[derive(Clone, Debug)]
pub struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}

impl<'de> Deserialize<'de> for Unwritable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self)
    }
}

#[service(global)]
pub trait Odd {
    /// Lends its context to a thread, then asks for more time.
    #[api(timeout = "300ms")]
    async fn lends(&self, cx: &Context) -> u8;
    /// Panics, and leaves a task behind that waits for the end.
    #[api(timeout = "30s")]
    async fn panics(&self, cx: &Context);
    /// Hangs with a guard that asks for more time when it is dropped.
    #[api(timeout = "30s")]
    async fn guarded(&self, cx: &Context);
    /// Calls `guarded` for a moment, and says whether its own deadline stayed where it was.
    #[api(timeout = "10s")]
    async fn around(&self, cx: &Context) -> bool;
    /// Leaves its context behind and hangs.
    #[api(timeout = "30s")]
    async fn holds(&self, cx: &Context);
    #[api(idempotent)]
    async fn picky(&self, picky: Unwritable) -> u8;
    /// Waits a second, then writes to all desks and takes the first answer.
    #[api(timeout = "30s")]
    async fn relay(&self);
    /// For ever, leaving nothing of the task's budget.
    #[api(timeout = "400ms")]
    async fn greedy(&self);
    #[api(timeout = "5s")]
    async fn large(&self, bytes: usize) -> Vec<u8>;
    /// Blocks its thread until it may go on.
    #[api(spawn, timeout = "200ms")]
    async fn blocks(&self) -> u8;
}

#[derive(Clone, Default)]
struct Body(Arc<State>);

#[derive(Default)]
struct State {
    heard: OnceLock<Instant>,
    granted: Mutex<Option<Result<Duration, Exhausted>>>,
    desk: OnceLock<DeskClient>,
    odd: OnceLock<OddClient>,
    began: AtomicUsize,
    stopped: AtomicBool,
    go_on: AtomicBool,
    held: Mutex<Option<Context>>,
}

struct Greets<'c>(&'c Context, Arc<State>);

impl Drop for Greets<'_> {
    fn drop(&mut self) {
        *self.1.granted.lock().unwrap() = Some(self.0.extend(500 * MS));
    }
}

struct Stops(Arc<State>);

impl Drop for Stops {
    fn drop(&mut self) {
        self.0.stopped.store(true, SeqCst);
    }
}

impl Odd for Body {
    async fn lends(&self, cx: &Context) -> u8 {
        std::thread::scope(|scope| {
            scope.spawn(|| drop(cx.clone())).join().unwrap();
        });
        assert_eq!(cx.extend(SECOND), Ok(SECOND));
        sleep(600 * MS).await;
        7
    }

    async fn panics(&self, cx: &Context) {
        let (cx, state) = (cx.clone(), self.0.clone());
        tokio::spawn(async move {
            cx.cancelled().await;
            let _ = state.heard.set(Instant::now());
        });
        sleep(10 * MS).await;
        panic!("oops");
    }

    async fn guarded(&self, cx: &Context) {
        let _guard = Greets(cx, self.0.clone());
        std::future::pending::<()>().await;
    }

    async fn around(&self, cx: &Context) -> bool {
        let before = cx.deadline();
        let _ = self.0.odd.get().unwrap().guarded().timeout(100 * MS).await;
        cx.clone().deadline() == before
    }

    async fn holds(&self, cx: &Context) {
        *self.0.held.lock().unwrap() = Some(cx.clone());
        std::future::pending::<()>().await;
    }

    async fn picky(&self, _: Unwritable) -> u8 {
        sleep(200 * MS).await;
        7
    }

    async fn relay(&self) {
        sleep(SECOND).await;
        self.0.desk.get().unwrap().write().first().await.unwrap();
    }

    async fn greedy(&self) {
        let _stops = Stops(self.0.clone());
        self.0.began.fetch_add(1, SeqCst);
        loop {
            tokio::task::consume_budget().await;
        }
    }

    async fn large(&self, bytes: usize) -> Vec<u8> {
        vec![7; bytes]
    }

    async fn blocks(&self) -> u8 {
        self.0.began.fetch_add(1, SeqCst);
        while !self.0.go_on.load(SeqCst) {
            std::thread::sleep(MS);
        }
        7
    }
}

/// The node of a body and a client elsewhere.
async fn two(site: &Site, body: &Body) -> [Node; 2] {
    let server = site.node("server").serve_as::<OddClient>(body.clone()).start().await.unwrap();
    let client = site.client().await;
    met(&[&server, &client]).await;
    [server, client]
}

#[tokio::test(start_paused = true)]
async fn a_context_that_was_lent_to_a_thread_is_still_the_handlers() {
    let (site, body) = (Site::new(), Body::default());
    let [server, client] = two(&site, &body).await;
    let local = OddClient::local(body);
    for odd in [OddClient::new(&client), OddClient::new(&server), local] {
        assert_eq!(odd.lends().await, Ok(7));
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_end_hears_of_a_panic_here_and_elsewhere() {
    for here in [true, false] {
        let (site, body) = (Site::new(), Body::default());
        let [server, client] = two(&site, &body).await;
        let began = Instant::now();
        let odd = OddClient::new(if here { &server } else { &client });
        assert!(matches!(odd.panics().await, Err(CallError::Panicked { .. })));
        sleep(SECOND).await;
        let heard = body.0.heard.get().map(|at| at.duration_since(began));
        assert!(heard.is_some_and(|after| after < SECOND), "here: {here}, after {heard:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_destructor_has_the_context_of_its_own_body() {
    let body = Body::default();
    let odd = OddClient::local(body.clone());
    assert!(body.0.odd.set(odd.clone()).is_ok());
    assert_eq!(odd.around().await, Ok(true));
    let granted = body.0.granted.lock().unwrap().take();
    assert_eq!(granted, Some(Err(Exhausted::Over)));
}

#[tokio::test(start_paused = true)]
async fn no_body_begins_after_the_deadline_was_spent_on_finding_it() {
    let site = Site::new();
    let (seed, here) = (site.addr(), site.addr());
    let mut limits = Limits::default();
    limits.dial_timeout = SECOND / 2;
    let clerk = Clerk::new("me", Mood::Answer);
    let node = site.stranger("me", here).seed(seed.to_string()).limits(limits);
    let node = node.serve(clerk.clone()).join_timeout(Duration::ZERO).start().await.unwrap();
    assert!(!node.mesh().joining().borrow().joined);
    let desk = DeskClient::new(&node);
    let replies = desk.write().timeout(SECOND).all().await.unwrap();
    let errors: Vec<_> = replies.failures().map(|(_, error)| error.executed()).collect();
    assert_eq!((errors, clerk.count().began), (vec![Executed::No], 0));
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_cannot_be_sent_spares_the_first_attempt() {
    let site = Site::new();
    let body = Body::default();
    let a = site.node("a").serve_as::<OddClient>(body.clone()).start().await.unwrap();
    let b = site.node("b").serve_as::<OddClient>(body).start().await.unwrap();
    met(&[&a, &b]).await;
    let odd = OddClient::new(&a);
    assert_eq!(odd.picky(Unwritable).await, Ok(7));
    assert_eq!(odd.picky(Unwritable).hedge().await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn stragglers_of_a_running_handler_have_the_grace_period_too() {
    let (site, body) = (Site::new(), Body::default());
    let (quick, slow) = (Clerk::new("quick", Mood::Answer), Clerk::new("slow", Mood::Wait));
    let a = site.node("a").grace(20 * SECOND).serve_as::<OddClient>(body.clone());
    let a = a.start().await.unwrap();
    let b = site.serve("b", &quick).await;
    let c = site.serve("c", &slow).await;
    let client = site.client().await;
    met(&[&a, &b, &c, &client]).await;
    let desk = DeskClient::new(&a).with(|options| options.timeout(15 * SECOND));
    assert!(body.0.desk.set(desk).is_ok());
    let odd = OddClient::new(&client);
    let call = tokio::spawn(async move { odd.relay().await });
    sleep(SECOND / 2).await;
    let leaving = tokio::spawn({
        let a = a.clone();
        async move { a.shutdown().await }
    });
    call.await.unwrap().unwrap();
    sleep(SECOND).await;
    assert!(!leaving.is_finished());
    slow.turn(Mood::Answer);
    leaving.await.unwrap().unwrap();
    let count = slow.count();
    assert_eq!((count.began, count.ended, count.dropped), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_cancelled_before_it_was_sent_did_not_run() {
    let site = Site::new();
    let clerk = Clerk::new("db", Mood::Answer);
    let db = site.serve("db", &clerk).await;
    let client = site.client().await;
    let other = site.serve("other", &clerk).await;
    met(&[&db, &client, &other]).await;
    site.network.partition(client.local_addr(), other.local_addr());
    let cut = async {
        while client.mesh().peer(&other.id()).connected {
            sleep(10 * MS).await;
        }
    };
    timeout(PATIENCE, cut).await.unwrap();
    assert!(client.mesh().view().node(&other.id()).is_some(), "only the connection is gone");
    let body = Body::default();
    let odd = OddClient::local(body.clone());
    let call = tokio::spawn(async move { odd.holds().await });
    let held = async {
        while body.0.held.lock().unwrap().is_none() {
            sleep(MS).await;
        }
    };
    timeout(PATIENCE, held).await.unwrap();
    let cx = body.0.held.lock().unwrap().take().unwrap();
    tokio::spawn(async move {
        sleep(SECOND / 2).await;
        call.abort();
    });
    let desk = DeskClient::new(&client).within(&cx);
    let cut = desk.write().to(other.id()).timeout(PATIENCE).await.unwrap_err();
    assert!(matches!(cut, CallError::Cancelled(_)), "{cut:?}");
    assert_eq!((cut.executed(), clerk.count().began), (Executed::No, 0), "{cut:#}");
}

/// In real time: what a partition has cut off has to be stopped by the server's own clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_handler_that_uses_up_its_budget_is_stopped_at_its_deadline() {
    let (site, body) = (Site::new(), Body::default());
    let [server, client] = two(&site, &body).await;
    let odd = OddClient::new(&client);
    let call = tokio::spawn(async move { odd.greedy().await });
    let began = async {
        while body.0.began.load(SeqCst) == 0 {
            sleep(MS).await;
        }
    };
    timeout(PATIENCE, began).await.unwrap();
    site.network.partition(server.local_addr(), client.local_addr());
    call.await.unwrap().unwrap_err();
    // While the connection is still there: otherwise its end would stop the handler.
    let stopped = async {
        while !body.0.stopped.load(SeqCst) {
            assert!(server.mesh().peer(&client.id()).connected, "it outlived its connection");
            sleep(MS).await;
        }
    };
    timeout(PATIENCE, stopped).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_nobody_waits_for_is_not_sent_to_its_end() {
    let (site, body) = (Site::new(), Body::default());
    let [server, client] = two(&site, &body).await;
    site.network.delay(SECOND / 2);
    let odd = OddClient::new(&client);
    let calls = [(); 20].map(|()| {
        let odd = odd.clone();
        tokio::spawn(async move { odd.large(2 << 20).timeout(3 * SECOND).await.is_ok() })
    });
    for call in calls {
        call.await.unwrap();
    }
    sleep(2 * SECOND).await;
    assert_eq!(server.mesh().serving(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_its_replies_is_disconnected() {
    let (site, body) = (Site::new(), Body::default());
    let mut limits = Limits::default();
    limits.max_body = 64 * 1024;
    let server = site.node("server").limits(limits).serve_as::<OddClient>(body);
    let server = server.start().await.unwrap();
    let client = site.client().await;
    met(&[&server, &client]).await;
    site.network.delay(SECOND);
    let odd = OddClient::new(&client);
    // Five of 60 KB are fine, a hundred are more than 64 replies of 64 KiB.
    for (calls, fine) in [(5, true), (100, false)] {
        let calls: Vec<_> = (0..calls)
            .map(|_| {
                let odd = odd.clone();
                tokio::spawn(async move { odd.large(60_000).timeout(30 * SECOND).await })
            })
            .collect();
        let mut lost = 0;
        for call in calls {
            lost += usize::from(matches!(call.await.unwrap(), Err(CallError::Disconnected(_))));
        }
        assert_eq!(lost == 0, fine, "{lost} lost");
    }
}

/// In real time, since the clock does not pause for a thread that is blocked.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_method_that_blocks_in_a_task_of_its_own_ends_by_its_deadline() {
    for here in [true, false] {
        let (site, body) = (Site::new(), Body::default());
        let [server, client] = two(&site, &body).await;
        let odd = OddClient::new(if here { &server } else { &client });
        // It ends though the body cannot be stopped, which goes on until it may.
        let error = odd.blocks().await.unwrap_err();
        assert!(matches!(error, CallError::Deadline(_)), "here: {here}, {error:?}");
        assert!(!body.0.go_on.swap(true, SeqCst));
        assert_eq!(odd.blocks().timeout(PATIENCE).await, Ok(7));
    }
}
