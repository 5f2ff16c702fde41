//! Handlers that ask for more time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use macula::MemoryNetwork;
use nebula::call::{CallError, Executed};
use nebula::prelude::*;
use nebula::{Exhausted, QuorumError};
use tokio::time::{Instant, sleep};

use crate::site::{Site, met};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[service(global)]
trait Works {
    /// Does what the worker was told to do.
    #[api(idempotent, timeout = "300ms")]
    async fn work(&self, cx: &Context) -> String;
    /// The same, and asks from a task of its own.
    #[api(timeout = "300ms")]
    async fn aside(&self, cx: &Context) -> String;
    /// May ask twice.
    #[api(timeout = "300ms", max_extensions = 2)]
    async fn twice(&self, cx: &Context) -> String;
    /// The time left, in a call made before an extension by a second, after it, and in a task.
    #[api(timeout = "300ms")]
    async fn nested(&self, cx: &Context) -> [Duration; 3];
    #[api]
    async fn left(&self, cx: &Context) -> Duration;
    /// Asks for so much at once and hangs.
    #[api(timeout = "100ms")]
    async fn stretch(&self, cx: &Context, by: Duration);
}

/// The same, where the service says how often a call may be extended.
#[service(global, max_extensions = 1)]
trait Strict {
    #[api(timeout = "300ms")]
    async fn once(&self, cx: &Context) -> String;
    #[api(timeout = "300ms", max_extensions = 2)]
    async fn twice(&self, cx: &Context) -> String;
}

/// What to ask for, and for how long to work after that.
type Step = (u64, u64);
type Granted = Result<Duration, Exhausted>;

#[derive(Clone, Default)]
struct Worker(Arc<Inner>);

#[derive(Default)]
struct Inner {
    name: &'static str,
    steps: Mutex<Vec<Step>>,
    /// What came of each question, and the contexts of the calls.
    granted: Mutex<Vec<Granted>>,
    contexts: Mutex<Vec<Context>>,
    next: OnceLock<WorksClient>,
    /// Where workers that share it say who was asked, in order: the first one hangs.
    asked: Option<Arc<Mutex<Vec<&'static str>>>>,
}

impl Worker {
    fn new(name: &'static str, steps: &[Step]) -> Self {
        Self(Arc::new(Inner { name, steps: Mutex::new(steps.to_vec()), ..Inner::default() }))
    }

    fn granted(&self) -> Vec<Granted> {
        std::mem::take(&mut self.0.granted.lock().unwrap())
    }

    async fn run(&self, cx: &Context) -> String {
        let steps = self.0.steps.lock().unwrap().clone();
        self.0.contexts.lock().unwrap().push(cx.clone());
        let hangs = self.0.asked.as_ref().is_some_and(|asked| {
            let mut asked = asked.lock().unwrap();
            asked.push(self.0.name);
            asked.len() == 1
        });
        for (by, pause) in steps {
            let before = cx.deadline();
            let granted = cx.extend(ms(by));
            assert_eq!(cx.deadline(), before + granted.unwrap_or_default());
            self.0.granted.lock().unwrap().push(granted);
            sleep(ms(pause)).await;
        }
        if hangs {
            std::future::pending::<()>().await;
        }
        self.0.name.into()
    }
}

impl Works for Worker {
    async fn work(&self, cx: &Context) -> String {
        self.run(cx).await
    }

    async fn aside(&self, cx: &Context) -> String {
        let (cx, worker) = (cx.clone(), self.clone());
        tokio::spawn(async move { worker.run(&cx).await }).await.unwrap()
    }

    async fn twice(&self, cx: &Context) -> String {
        self.run(cx).await
    }

    async fn nested(&self, cx: &Context) -> [Duration; 3] {
        let next = self.0.next.get().unwrap().with(|options| options.timeout(ms(60_000)));
        let before = next.left().await.unwrap();
        cx.extend(ms(1000)).unwrap();
        let after = next.left().await.unwrap();
        let within = next.within(cx);
        let task = tokio::spawn(async move { within.left().await.unwrap() });
        [before, after, task.await.unwrap()]
    }

    async fn left(&self, cx: &Context) -> Duration {
        cx.remaining()
    }

    async fn stretch(&self, cx: &Context, by: Duration) {
        if let Some(next) = self.0.next.get() {
            let _ = next.stretch(ms(60_000)).timeout(ms(50)).max_extensions(1000).await;
        } else {
            self.0.granted.lock().unwrap().push(cx.extend(by));
            std::future::pending::<()>().await;
        }
    }
}

impl Strict for Worker {
    async fn once(&self, cx: &Context) -> String {
        self.run(cx).await
    }

    async fn twice(&self, cx: &Context) -> String {
        self.run(cx).await
    }
}

/// One worker, and clients of it without a node, on its node and on another one.
struct Shop {
    worker: Worker,
    clients: BTreeMap<&'static str, WorksClient>,
    nodes: [Node; 2],
}

impl Shop {
    async fn new() -> Self {
        let site = Site::new();
        let worker = Worker::new("worker", &[]);
        let server = site.node("server").serve_as::<WorksClient>(worker.clone());
        let server = server.start().await.unwrap();
        let client = site.client().await;
        met(&[&server, &client]).await;
        let clients = BTreeMap::from([
            ("alone", WorksClient::local(worker.clone())),
            ("here", WorksClient::new(&server)),
            ("there", WorksClient::new(&client)),
        ]);
        Self { worker, clients, nodes: [server, client] }
    }

    /// Whatever way the call takes, it gives this result, after so long, and the worker was
    /// granted that.
    async fn each(
        &self,
        steps: &[Step],
        call: impl AsyncFn(&WorksClient) -> Result<String, CallError>,
        takes: u64,
        ends: bool,
        granted: &[Granted],
    ) {
        *self.worker.0.steps.lock().unwrap() = steps.to_vec();
        for (way, client) in &self.clients {
            let start = Instant::now();
            let result = call(client).await;
            let took = start.elapsed();
            assert!(took >= ms(takes) && took < ms(takes + 20), "{way}: {took:?}, not {takes} ms");
            match result {
                Ok(name) => assert!(ends && name == "worker", "{way}: {name}"),
                Err(CallError::Deadline(_)) => assert!(!ends, "{way}"),
                Err(other) => panic!("{way}: {other:#}"),
            }
            assert_eq!(self.worker.granted(), granted, "{way}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_beat_with_each_step_keeps_the_call_alive() {
    let shop = Shop::new().await;
    let work = async |client: &WorksClient| client.work().await;
    shop.each(&[(100, 100); 4], work, 400, true, &[Ok(ms(100)); 4]).await;
    shop.each(&[(200, 200); 4], work, 800, true, &[Ok(ms(200)); 4]).await;
    let aside = async |client: &WorksClient| client.aside().await;
    shop.each(&[(200, 200); 4], aside, 800, true, &[Ok(ms(200)); 4]).await;
    // Beats that stop, or come too late, do not help.
    shop.each(&[(200, 600)], work, 500, false, &[Ok(ms(200))]).await;
    shop.each(&[(10, 400), (500, 0)], work, 310, false, &[Ok(ms(10))]).await;
}

#[tokio::test(start_paused = true)]
async fn in_all_each_leg_may_ask_for_itself() {
    let shop = Shop::new().await;
    let all = async |client: &WorksClient| {
        let mut replies = client.work().all().await.unwrap().into_iter();
        let entry = replies.next().unwrap();
        assert!(replies.next().is_none());
        entry.result
    };
    shop.each(&[(200, 200); 4], all, 800, true, &[Ok(ms(200)); 4]).await;
    shop.each(&[(200, 600)], all, 500, false, &[Ok(ms(200))]).await;
    let first = async |client: &WorksClient| Ok(client.work().first().await.unwrap().value);
    shop.each(&[(200, 200); 4], first, 800, true, &[Ok(ms(200)); 4]).await;
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_spent_at_last() {
    let shop = Shop::new().await;
    let twice = async |client: &WorksClient| client.twice().await;
    let granted = [Ok(ms(100)), Ok(ms(100)), Err(Exhausted::Spent), Err(Exhausted::Spent)];
    shop.each(&[(100, 100); 4], twice, 400, true, &granted).await;
    shop.each(&[(100, 150); 9], twice, 500, false, &granted).await;
    let none = async |client: &WorksClient| client.twice().max_extensions(0).await;
    shop.each(&[(100, 400)], none, 300, false, &[Err(Exhausted::Spent)]).await;
    shop.each(&[(0, 0), (1, 0)], twice, 0, true, &[Err(Exhausted::Nothing), Ok(ms(1))]).await;
}

#[tokio::test(start_paused = true)]
async fn no_call_outlives_its_cap() {
    let shop = Shop::new().await;
    // Three times 300 ms in all.
    let twice = async |client: &WorksClient| client.twice().await;
    let granted = [Ok(ms(600)), Err(Exhausted::Latest)];
    shop.each(&[(60_000, 10), (1, 60_000)], twice, 900, false, &granted).await;
    let short = async |client: &WorksClient| client.twice().timeout(ms(100)).await;
    let granted = [Ok(ms(200)), Err(Exhausted::Latest)];
    shop.each(&[(60_000, 10), (1, 60_000)], short, 300, false, &granted).await;
    // Eleven times, where nothing is said.
    let work = async |client: &WorksClient| client.work().await;
    shop.each(&[(60_000, 60_000)], work, 3300, false, &[Ok(ms(3000))]).await;
}

#[tokio::test(start_paused = true)]
async fn the_nearest_budget_wins() {
    let site = Site::new();
    let worker = Worker::new("worker", &[(1, 0); 9]);
    let node = site.node("server").max_extensions(4).serve_as::<StrictClient>(worker.clone());
    let node = node.serve_as::<WorksClient>(worker.clone()).start().await.unwrap();
    let (strict, works) = (StrictClient::new(&node), WorksClient::new(&node));
    let times = |worker: &Worker| worker.granted().iter().filter(|granted| granted.is_ok()).count();
    works.work().await.unwrap();
    assert_eq!(times(&worker), 4, "node");
    strict.once().await.unwrap();
    assert_eq!(times(&worker), 1, "service");
    strict.twice().await.unwrap();
    assert_eq!(times(&worker), 2, "method");
    let client = strict.with(|options| options.max_extensions(3));
    client.twice().await.unwrap();
    assert_eq!(times(&worker), 3, "client");
    client.twice().max_extensions(5).await.unwrap();
    assert_eq!(times(&worker), 5, "call");
    *worker.0.steps.lock().unwrap() = vec![(1, 0); 1100];
    client.twice().timeout(ms(100)).max_extensions(u32::MAX).await.unwrap();
    assert_eq!(times(&worker), 1000, "the limit");
}

#[tokio::test(start_paused = true)]
async fn a_context_outside_its_call_does_no_harm() {
    let shop = Shop::new().await;
    for (way, client) in &shop.clients {
        client.work().await.unwrap();
        let cx = shop.worker.0.contexts.lock().unwrap().pop().unwrap();
        // The reply has been sent; the deadline is still to come.
        assert!(!cx.remaining().is_zero(), "{way}");
        assert_eq!(cx.extend(ms(100)), Err(Exhausted::Over), "{way}");
    }
    // Nor does that of a call whose caller has gone.
    *shop.worker.0.steps.lock().unwrap() = vec![(1, 60_000)];
    for (way, client) in &shop.clients {
        assert!(tokio::time::timeout(ms(100), client.work()).await.is_err());
        let cx = shop.worker.0.contexts.lock().unwrap().pop().unwrap();
        cx.cancelled().await;
        assert_eq!(cx.extend(ms(100)), Err(Exhausted::Over), "{way}");
    }
    let cx = Context::detached(ms(300));
    *shop.worker.0.steps.lock().unwrap() = vec![(100, 100); 4];
    assert_eq!(shop.worker.work(&cx).await, "worker");
}

#[tokio::test(start_paused = true)]
async fn calls_inside_inherit_what_was_granted() {
    let shop = Shop::new().await;
    let next = WorksClient::new(&shop.nodes[1]);
    assert!(shop.worker.0.next.set(next).is_ok());
    for (way, client) in &shop.clients {
        let [before, after, task] = client.nested().await.unwrap();
        assert!(before <= ms(300) && before > ms(280), "{way}: {before:?}");
        assert!(after <= ms(1300) && after > ms(1250), "{way}: {after:?}");
        assert!(task <= ms(1300) && task > ms(1250), "{way}: {task:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_inside_stays_within_the_one_around_it() {
    for way in ["alone", "there"] {
        let shop = Shop::new().await;
        let outer = Worker::new("outer", &[]);
        assert!(outer.0.next.set(shop.clients[way].clone()).is_ok());
        let start = Instant::now();
        let result = WorksClient::local(outer).stretch(ms(1)).await;
        assert!(matches!(result, Err(CallError::Deadline(_)) | Ok(())), "{result:?}");
        assert!(start.elapsed() < ms(110), "{way}: {:?}", start.elapsed());
        // Of 100 ms, 50 were its own.
        let granted = shop.worker.granted()[0].unwrap();
        assert!(granted <= ms(50) && granted > ms(40), "{way}: {granted:?}");
    }
}

/// Workers on nodes `a`, `b`, `c` with these steps, and a client elsewhere.
struct Row {
    workers: Vec<Worker>,
    nodes: Vec<Node>,
    client: WorksClient,
    network: MemoryNetwork,
}

impl Row {
    async fn of(workers: Vec<Worker>) -> Self {
        let (site, mut nodes) = (Site::new(), Vec::new());
        for worker in &workers {
            let node = site.node(worker.0.name).serve_as::<WorksClient>(worker.clone());
            nodes.push(node.start().await.unwrap());
        }
        let client = site.client().await;
        nodes.push(client.clone());
        met(&nodes.iter().collect::<Vec<_>>()).await;
        Self { workers, nodes, client: WorksClient::new(&client), network: site.network }
    }

    /// `a` answers at once, `b` hangs, `c` asks for more time and answers after 800 ms.
    async fn uneven() -> Self {
        let steps: [&[Step]; 3] = [&[], &[(0, 60_000)], &[(200, 200); 4]];
        let workers = ["a", "b", "c"].into_iter().zip(steps);
        Self::of(workers.map(|(name, steps)| Worker::new(name, steps)).collect()).await
    }
}

fn about(start: Instant, milliseconds: u64) -> bool {
    let took = start.elapsed();
    took >= ms(milliseconds) && took < ms(milliseconds + 30)
}

#[tokio::test(start_paused = true)]
async fn each_leg_has_a_deadline_of_its_own() {
    let row = Row::uneven().await;
    // From a client elsewhere, and from a node that serves itself.
    for client in
        [row.client.clone(), WorksClient::new(&row.nodes[1]), WorksClient::new(&row.nodes[2])]
    {
        let start = Instant::now();
        let replies = client.work().all().await.unwrap();
        assert!(about(start, 800), "{:?}", start.elapsed());
        assert_eq!(replies.ok().collect::<Vec<_>>(), ["a", "c"]);
        let silent = replies.get("b").unwrap();
        assert!(matches!(silent.result, Err(CallError::Deadline(_))), "{silent:?}");
        assert!(silent.elapsed >= ms(300) && silent.elapsed < ms(330), "{:?}", silent.elapsed);

        let start = Instant::now();
        let mut stream = client.work().all().stream();
        for (name, at) in [("a", 0), ("b", 300), ("c", 800)] {
            assert_eq!(&*stream.next().await.unwrap().node.name, name);
            assert!(about(start, at), "{name}: {:?}", start.elapsed());
        }
        assert!(stream.next().await.is_none());

        let start = Instant::now();
        let votes = client.work().quorum(at_least(2)).await.unwrap();
        assert!(about(start, 800), "{:?}", start.elapsed());
        assert_eq!(votes.successes().len(), 2);
        let not_a = client.work().first().success(|name| name != "a");
        assert_eq!(not_a.await.unwrap().value, "c");
    }
}

#[tokio::test(start_paused = true)]
async fn a_leg_that_is_late_may_decide_before_the_others_end() {
    let row = Row::uneven().await;
    let start = Instant::now();
    let error = row.client.work().quorum(at_least(3)).await.unwrap_err();
    assert!(about(start, 300), "{:?}", start.elapsed());
    let QuorumError::Deadline(replies) = error else { panic!("{error:?}") };
    let result = |name| replies.get(name).unwrap().result.clone();
    assert!(matches!(result("b"), Err(CallError::Deadline(_))));
    let Err(CallError::Cancelled(log)) = result("c") else { panic!("{:?}", result("c")) };
    assert_eq!(log.executed(), Executed::Unknown);
}

/// The timer of a leg and the one of all run out together, and it never shows.
#[tokio::test(start_paused = true)]
async fn legs_that_end_together_are_told_alike() {
    let hangs = |name| Worker::new(name, &[(0, 60_000)]);
    let row = Row::of(["a", "b", "c"].map(hangs).to_vec()).await;
    for client in [row.client.clone(), WorksClient::new(&row.nodes[0])] {
        for required in 1..=3 {
            let error = client.work().quorum(at_least(required)).await.unwrap_err();
            let QuorumError::Deadline(replies) = error else { panic!("{error:?}") };
            let late =
                |entry: &nebula::Entry<_>| matches!(entry.result, Err(CallError::Deadline(_)));
            assert!(replies.iter().all(late), "{replies:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_node_has_what_is_left() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let worker = |name| {
        let (steps, asked) = (Mutex::new(vec![(2000, 0)]), Some(asked.clone()));
        Worker(Arc::new(Inner { name, steps, asked, ..Inner::default() }))
    };
    let row = Row::of(vec![worker("a"), worker("b")]).await;
    let start = Instant::now();
    let call = async { row.client.work().timeout(ms(1000)).max_extensions(3).await };
    let crash = async {
        sleep(ms(1200)).await;
        let first = asked.lock().unwrap()[0];
        let at = row.workers.iter().position(|worker| worker.0.name == first).unwrap();
        let [first, client] = [&row.nodes[at], &row.nodes[2]].map(Node::local_addr);
        row.network.partition(first, client);
        row.workers[1 - at].clone()
    };
    let (answer, second) = tokio::join!(call, crash);
    assert_eq!(answer.unwrap(), second.0.name);
    // 1000 + 2000 ms as extended, and of 4 × 1000 in all there were as many left to give.
    assert_eq!(second.granted(), [Ok(ms(1000))]);
    let cx = second.0.contexts.lock().unwrap()[0].clone();
    let deadline = cx.deadline().duration_since(start);
    assert!(deadline >= ms(4000) && deadline < ms(4010), "{deadline:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hedged_call_ends_with_the_latest_that_runs() {
    let steps: [&[Step]; 2] = [&[(0, 60_000)], &[(200, 200); 4]];
    let workers = ["a", "b"].into_iter().zip(steps);
    let row = Row::of(workers.map(|(name, steps)| Worker::new(name, steps)).collect()).await;
    // From elsewhere, and from each of the two.
    for client in row.nodes.iter().map(WorksClient::new) {
        let start = Instant::now();
        assert_eq!(client.work().hedge().await.unwrap(), "b");
        // Whichever was asked first.
        assert!(start.elapsed() >= ms(800) && start.elapsed() < ms(900), "{:?}", start.elapsed());
    }
    // Nobody has to wait for a call that was dropped.
    assert!(row.client.work().hedge().into_future().now_or_never().is_none());
}
