//! What becomes of calls that nobody needs any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use nebula::Stragglers::{Cancel, Finish};
use nebula::call::CallError;
use nebula::prelude::*;
use tokio::time::{Instant, sleep};

use crate::site::{Site, met};

const SECOND: Duration = Duration::from_secs(1);

/// Each method takes as long as its clerk is slow.
#[service(global)]
trait Usual {
    #[api]
    async fn write(&self);
    #[api(idempotent)]
    async fn read(&self);
    #[api(stragglers = "cancel")]
    async fn torn(&self);
    #[api(idempotent, stragglers = "finish")]
    async fn kept(&self);
}

#[service(global, stragglers = "cancel")]
trait Hasty {
    #[api]
    async fn write(&self);
    #[api(stragglers = "finish")]
    async fn kept(&self);
}

#[service(global, stragglers = "finish")]
trait Thorough {
    #[api(idempotent)]
    async fn read(&self);
    #[api(idempotent, stragglers = "cancel")]
    async fn torn(&self);
}

#[derive(Clone)]
struct Clerk(Arc<Inner>);

struct Inner {
    slow: Duration,
    began: AtomicUsize,
    ended: AtomicUsize,
    dropped: AtomicUsize,
}

struct Running(Clerk, bool);

impl Drop for Running {
    fn drop(&mut self) {
        let Inner { ended, dropped, .. } = &*self.0.0;
        if self.1 { ended } else { dropped }.fetch_add(1, SeqCst);
    }
}

impl Clerk {
    fn new(slow: Duration) -> Self {
        let zero = AtomicUsize::default;
        Self(Arc::new(Inner { slow, began: zero(), ended: zero(), dropped: zero() }))
    }

    async fn run(&self) {
        self.0.began.fetch_add(1, SeqCst);
        let mut running = Running(self.clone(), false);
        sleep(self.0.slow).await;
        running.1 = true;
    }

    /// How many calls began, ended and were dropped since this was last asked.
    fn count(&self) -> (usize, usize, usize) {
        let Inner { began, ended, dropped, .. } = &*self.0;
        (began.swap(0, SeqCst), ended.swap(0, SeqCst), dropped.swap(0, SeqCst))
    }
}

impl Usual for Clerk {
    async fn write(&self) {
        self.run().await;
    }
    async fn read(&self) {
        self.run().await;
    }
    async fn torn(&self) {
        self.run().await;
    }
    async fn kept(&self) {
        self.run().await;
    }
}

impl Hasty for Clerk {
    async fn write(&self) {
        self.run().await;
    }
    async fn kept(&self) {
        self.run().await;
    }
}

impl Thorough for Clerk {
    async fn read(&self) {
        self.run().await;
    }
    async fn torn(&self) {
        self.run().await;
    }
}

/// Nodes whose clerks are so slow, and a client that serves nothing.
struct Row {
    clerks: Vec<Clerk>,
    nodes: Vec<Node>,
    client: Node,
}

impl Row {
    async fn of<const N: usize>(slow: [Duration; N]) -> Self {
        let (site, clerks) = (Site::new(), slow.map(Clerk::new).to_vec());
        let mut nodes = Vec::new();
        for (name, clerk) in ["a", "b", "c"].into_iter().zip(&clerks) {
            let node = site.node(name).grace(3 * SECOND).serve_as::<UsualClient>(clerk.clone());
            let node = node.serve_as::<HastyClient>(clerk.clone());
            nodes.push(node.serve_as::<ThoroughClient>(clerk.clone()).start().await.unwrap());
        }
        let client = site.node("client").grace(3 * SECOND).start().await.unwrap();
        met(&nodes.iter().chain([&client]).collect::<Vec<_>>()).await;
        Self { clerks, nodes, client }
    }
}

#[tokio::test(start_paused = true)]
async fn the_nearest_that_says_anything_decides() {
    let quick = Duration::from_millis(1);
    let row = Row::of([quick, SECOND, quick]).await;
    let (usual, hasty) = (UsualClient::new(&row.client), HastyClient::new(&row.client));
    let thorough = ThoroughClient::new(&row.client);
    // What the slow clerk makes of the call that the other two have decided.
    macro_rules! ends {
        ($call:expr) => {{
            let start = Instant::now();
            let votes = $call.quorum(at_least(2)).await.unwrap();
            assert_eq!(votes.successes().len(), 2);
            assert!(start.elapsed() < SECOND);
            // The caller drops all it has of it.
            drop(votes);
            sleep(2 * SECOND).await;
            match row.clerks[1].count() {
                (1, 1, 0) => Finish,
                (1, 0, 1) => Cancel,
                other => panic!("{}: {other:?}", stringify!($call)),
            }
        }};
    }
    assert_eq!(ends!(usual.write()), Finish);
    assert_eq!(ends!(usual.read()), Cancel);
    assert_eq!(ends!(usual.torn()), Cancel);
    assert_eq!(ends!(usual.kept()), Finish);
    assert_eq!(ends!(hasty.write()), Cancel);
    assert_eq!(ends!(hasty.kept()), Finish);
    assert_eq!(ends!(thorough.read()), Finish);
    assert_eq!(ends!(thorough.torn()), Cancel);
    for (client, call) in [(Finish, Cancel), (Cancel, Finish)] {
        let usual = usual.with(|options| options.stragglers(client));
        assert_eq!(ends!(usual.write()), client);
        assert_eq!(ends!(usual.read()), client);
        assert_eq!(ends!(usual.torn()), client);
        assert_eq!(ends!(usual.kept()), client);
        assert_eq!(ends!(usual.kept().stragglers(call)), call);
        assert_eq!(ends!(usual.torn().stragglers(call)), call);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_is_sent() {
    // A node that answers itself before anything has left it, over and over.
    let row = Row::of([Duration::ZERO; 3]).await;
    for node in &row.nodes {
        let usual = UsualClient::new(node);
        usual.write().first().await.unwrap();
        sleep(SECOND).await;
        for clerk in &row.clerks {
            assert_eq!(clerk.count(), (1, 1, 0));
        }
    }
    // A client that has no connection to most of them yet.
    let row = Row::of([Duration::ZERO; 3]).await;
    let usual = UsualClient::new(&row.client);
    let call = tokio::spawn(async move { usual.write().first().await.map(|reply| reply.node) });
    call.await.unwrap().unwrap();
    sleep(SECOND).await;
    for clerk in &row.clerks {
        assert_eq!(clerk.count(), (1, 1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_before_the_decision_stops_them_all() {
    let row = Row::of([Duration::ZERO, SECOND, SECOND]).await;
    for node in [&row.client, &row.nodes[0]] {
        let usual = UsualClient::new(node).with(|options| options.stragglers(Finish));
        let call = usual.write().quorum(at_least(2)).into_future();
        assert!(tokio::time::timeout(SECOND / 2, call).await.is_err());
        sleep(2 * SECOND).await;
        assert_eq!(row.clerks[0].count(), (1, 1, 0));
        assert_eq!((row.clerks[1].count(), row.clerks[2].count()), ((1, 0, 1), (1, 0, 1)));
    }
}

#[tokio::test(start_paused = true)]
async fn none_outlives_its_deadline() {
    let row = Row::of([Duration::ZERO, 4 * SECOND, SECOND]).await;
    for node in [&row.client, &row.nodes[1]] {
        UsualClient::new(node).write().timeout(2 * SECOND).first().await.unwrap();
        sleep(3 * SECOND).await;
        assert_eq!((row.clerks[1].count(), row.clerks[2].count()), ((1, 0, 1), (1, 1, 0)));
    }
    // Also where there is no node.
    let clerk = Clerk::new(SECOND);
    let alone = UsualClient::local(clerk.clone());
    let late = alone.write().timeout(SECOND / 2).all().await.unwrap();
    assert!(matches!(late.iter().next().unwrap().result, Err(CallError::Deadline(_))));
    assert_eq!(clerk.count(), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stops_waits_for_them_as_long_as_for_others() {
    for (slow, ends) in [(SECOND, true), (60 * SECOND, false)] {
        let row = Row::of([Duration::ZERO, slow, slow]).await;
        // Its own service is one of the slow ones.
        let node = row.nodes[1].clone();
        let call = UsualClient::new(&node);
        call.write().timeout(100 * SECOND).first().await.unwrap();
        sleep(SECOND / 2).await;
        let start = Instant::now();
        assert_eq!(node.shutdown().await.is_ok(), ends);
        // Goodbyes take a moment.
        let most = if ends { 2 * SECOND } else { 5 * SECOND };
        assert!(start.elapsed() < most, "{:?}", start.elapsed());
        sleep(SECOND).await;
        let each = if ends { (1, 1, 0) } else { (1, 0, 1) };
        assert_eq!((row.clerks[1].count(), row.clerks[2].count()), (each, each));
        // Nothing holds on to the services any more.
        drop((node, call));
        let Row { clerks, mut nodes, .. } = row;
        drop(nodes.remove(1));
        sleep(SECOND).await;
        // Three services are made of one clerk, and the test has one.
        assert_eq!(Arc::strong_count(&clerks[1].0), 1);
    }
}
