//! Whom a call is made to, on clusters of several nodes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use macula::{Limits, MemoryNetwork};
use nebula::call::{Attempt, Outcome, Path};
use nebula::nodes::TopologyError;
use nebula::prelude::*;
use nebula::{NodeBuilder, Topology};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::time::{Instant, sleep};

/// What nodes are asked here.
#[service(global)]
pub trait Work {
    /// Whose service it is.
    #[api(idempotent)]
    async fn name(&self) -> String;
    /// Never ends.
    #[api(idempotent)]
    async fn never(&self) -> String;
    /// Takes one call at a time, lets one wait, and ends none that is to be held.
    #[api(max_concurrent = 1, queue = 1)]
    async fn alone(&self, hold: bool) -> String;
    /// Takes what it is given.
    #[api(idempotent)]
    async fn take(&self, awkward: Awkward) -> u8;
    /// Gives what it is asked for.
    #[api]
    async fn give(&self, awkward: u8) -> Awkward;
    /// Takes many bytes.
    #[api(idempotent)]
    async fn bulk(&self, bytes: Vec<u8>) -> usize;
}

const UNWRITABLE: u8 = 1;
const WRITING_PANICS: u8 = 2;
const UNREADABLE: u8 = 3;
const READING_PANICS: u8 = 4;

/// A value that refuses to be written or read, or panics at it.
#[derive(Debug, PartialEq)]
pub struct Awkward(u8);

impl Serialize for Awkward {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            UNWRITABLE => Err(serde::ser::Error::custom("too awkward")),
            WRITING_PANICS => panic!("far too awkward"),
            kind => to.serialize_u8(kind),
        }
    }
}

impl<'de> Deserialize<'de> for Awkward {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match u8::deserialize(from)? {
            UNREADABLE => Err(serde::de::Error::custom("too awkward")),
            READING_PANICS => panic!("far too awkward"),
            kind => Ok(Self(kind)),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Worker {
    name: &'static str,
    begun: Arc<AtomicUsize>,
}

impl Work for Worker {
    async fn name(&self) -> String {
        self.begun.fetch_add(1, SeqCst);
        self.name.into()
    }

    async fn never(&self) -> String {
        self.begun.fetch_add(1, SeqCst);
        std::future::pending().await
    }

    async fn alone(&self, hold: bool) -> String {
        if hold {
            std::future::pending::<()>().await;
        }
        self.name.into()
    }

    async fn take(&self, awkward: Awkward) -> u8 {
        awkward.0
    }

    async fn give(&self, awkward: u8) -> Awkward {
        self.begun.fetch_add(1, SeqCst);
        Awkward(awkward)
    }

    async fn bulk(&self, bytes: Vec<u8>) -> usize {
        bytes.len()
    }
}

/// A cluster, and the number of nodes in it so far.
struct Cluster(MemoryNetwork, u16);

impl Cluster {
    fn new() -> Self {
        Self(MemoryNetwork::new(1), 0)
    }

    fn builder(&mut self, name: &str) -> NodeBuilder {
        self.1 += 1;
        let addr = |port| SocketAddr::from(([10, 0, 0, 1], port));
        let builder = Node::builder(name).cookie("of these tests");
        let builder = builder.memory(self.0.clone(), addr(self.1));
        if self.1 > 1 { builder.seed(addr(1).to_string()) } else { builder }
    }

    async fn worker(&mut self, name: &'static str) -> (Node, Worker) {
        let worker = Worker { name, ..Worker::default() };
        let node = self.builder(name).tag("work").serve(worker.clone()).start().await.unwrap();
        (node, worker)
    }

    async fn client(&mut self, name: &str) -> Node {
        self.builder(name).start().await.unwrap()
    }
}

/// Waits until `node` knows of so many workers.
async fn workers(node: &Node, wanted: usize) {
    let serving = || node.nodes().iter().filter(|node| node.services().next().is_some()).count();
    while serving() != wanted {
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_pick_is_never_widened() {
    let mut cluster = Cluster::new();
    let web = cluster.client("web").await;
    let (a, _) = cluster.worker("a").await;
    let (_b, b) = cluster.worker("b").await;
    workers(&web, 2).await;
    let work = WorkClient::new(&web);
    // The one that is picked refuses, since it has just begun to leave.
    let picked = work.name().pick(|nodes| {
        a.mesh().drain();
        nodes.by_name("a")
    });
    let error = picked.await.unwrap_err();
    assert!(matches!(error, CallError::NoProvider(_)), "{error:#}");
    assert!(format!("{error:#}").contains("a: takes no calls"), "{error:#}");
    assert!(format!("{error:#}").contains("b: was not picked"), "{error:#}");
    assert_eq!(b.begun.load(SeqCst), 0, "{error:#}");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_goes_to_nobody_else() {
    let mut cluster = Cluster::new();
    let web = cluster.client("web").await;
    let mut all = Vec::new();
    for name in ["a", "b", "c"] {
        all.push(cluster.worker(name).await);
    }
    workers(&web, 3).await;
    let begun = || all.iter().map(|(_, worker)| worker.begun.load(SeqCst)).sum::<usize>();
    for hedge in [false, true] {
        let before = begun();
        let error = in_a_handler_that_is_left(&web, hedge).await;
        assert!(matches!(error, CallError::Cancelled(_)), "{error:#}");
        assert_eq!(error.executed(), Executed::Unknown, "{error:#}");
        let asked = begun() - before;
        assert_eq!(asked, if hedge { 2 } else { 1 }, "{error:#}");
        assert_eq!(error.attempts().len(), asked, "{error:#}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_does_not_wait_for_the_join() {
    let mut cluster = Cluster::new();
    cluster.1 = 1;
    let builder = cluster.builder("lost").join_timeout(Duration::from_millis(1));
    let lost = builder.start().await.unwrap();
    for hedge in [false, true] {
        let error = in_a_handler_that_is_left(&lost, hedge).await;
        assert!(matches!(error, CallError::Cancelled(_)), "{error:#}");
        assert_eq!(error.attempts().len(), 0);
    }
}

/// Outlives its caller, and reports how its call ended.
#[service]
trait Outlive {
    #[api]
    async fn outlive(&self, cx: &Context, hedge: bool);
}

struct Outliving {
    work: WorkClient,
    ended: tokio::sync::mpsc::UnboundedSender<CallError>,
}

impl Outlive for Outliving {
    async fn outlive(&self, cx: &Context, hedge: bool) {
        let (work, ended) = (self.work.within(cx), self.ended.clone());
        tokio::spawn(async move {
            let long = Duration::from_secs(100);
            let made = match hedge {
                true => work.never().hedge().timeout(long).await,
                false => work.never().timeout(long).await,
            };
            ended.send(made.unwrap_err()).unwrap();
        });
        std::future::pending().await
    }
}

async fn in_a_handler_that_is_left(node: &Node, hedge: bool) -> CallError {
    let (ended, mut errors) = tokio::sync::mpsc::unbounded_channel();
    let client = OutliveClient::local(Outliving { work: WorkClient::new(node), ended });
    let long = Duration::from_secs(100);
    let call = client.outlive(hedge).timeout(long).into_future();
    assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
    tokio::time::timeout(Duration::from_millis(10), errors.recv()).await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_pick_that_takes_nobody_is_final_and_sees_everybody() {
    let mut cluster = Cluster::new();
    let web = cluster.client("web").await;
    let (_a, _) = cluster.worker("a").await;
    workers(&web, 1).await;
    let work = WorkClient::new(&web);
    let begun = Instant::now();
    let nobody = work.name().pick(|_| None).await.unwrap_err();
    assert!(nobody.to_string().contains("a (was not picked)"), "{nobody}");
    let panics = work.name().pick(|_| panic!("no idea")).await.unwrap_err();
    assert!(panics.to_string().contains("panicked: no idea"), "{panics}");
    assert_eq!(begun.elapsed(), Duration::ZERO);

    // A node that has not joined yet shows its closure what there is after the join.
    cluster.0.delay(Duration::from_millis(20));
    let late = cluster.builder("late").join_timeout(Duration::from_millis(1));
    let late = late.serve(Worker { name: "late", ..Worker::default() }).start().await.unwrap();
    let picked = WorkClient::new(&late).name().pick(|nodes| nodes.by_name("a")).await;
    assert_eq!(picked.unwrap(), "a");
}

#[tokio::test(start_paused = true)]
async fn a_fan_out_waits_until_everybody_is_known() {
    let mut cluster = Cluster::new();
    let (_a, _) = cluster.worker("a").await;
    let (_b, _) = cluster.worker("b").await;
    cluster.0.delay(Duration::from_millis(20));
    let builder = cluster.builder("late").join_timeout(Duration::from_millis(1));
    let worker = Worker { name: "late", ..Worker::default() };
    let late = builder.serve(worker).start().await.unwrap();
    let all = WorkClient::new(&late).name().all().await.unwrap();
    assert_eq!((all.len(), all.all_ok()), (3, true));
}

/// QUO-05: what is configured is not known.
#[tokio::test(start_paused = true)]
async fn without_a_topology_no_majority_is_counted_before_the_join() {
    let mut cluster = Cluster::new();
    cluster.1 = 1;
    // Nobody is at the seed.
    let builder = cluster.builder("lost").join_timeout(Duration::from_millis(1));
    let worker = Worker { name: "lost", ..Worker::default() };
    let lost = builder.serve(worker.clone()).start().await.unwrap();
    let work = WorkClient::new(&lost);
    let begun = Instant::now();
    let refused = work.name().quorum(majority()).await.unwrap_err();
    assert!(matches!(refused, QuorumError::Unreachable { workers: 0, required: 1 }), "{refused}");
    assert_eq!(begun.elapsed().as_secs(), 2);
    assert_eq!(worker.begun.load(SeqCst), 0);
    // Thresholds of what is there go on with what is there.
    assert!(work.name().quorum(at_least(1)).await.is_ok());
    assert!(work.name().quorum(available_majority()).await.is_ok());
    let begun = Instant::now();
    let refused = work.name().timeout(Duration::ZERO).all().await.unwrap();
    assert!(matches!(refused.get("lost").unwrap().result, Err(CallError::Deadline(_))));
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

fn three() -> Result<Topology, TopologyError> {
    Topology::new().node("a", ["work"])?.node("b", ["spare"])?.node("web", ["work"])
}

#[tokio::test(start_paused = true)]
async fn a_vote_counts_the_tags_of_the_topology() {
    let mut cluster = Cluster::new();
    let (_a, _) = cluster.worker("a").await;
    // It says that it has the tag, and the topology says that it has not.
    let (_b, b) = cluster.worker("b").await;
    let (_stranger, stranger) = cluster.worker("stranger").await;
    let builder = cluster.builder("web").tag("work").topology(three().unwrap());
    let web = builder.start().await.unwrap();
    let work = WorkClient::new(&web);
    let refused = work.name().on(tag("work")).quorum(majority()).await.unwrap_err();
    assert!(matches!(refused, QuorumError::Unreachable { workers: 1, required: 2 }), "{refused}");
    let one = work.name().on(tag("work")).quorum(at_least(1)).await.unwrap();
    assert_eq!(one.successes().len(), 1);
    assert_eq!((b.begun.load(SeqCst), stranger.begun.load(SeqCst)), (0, 0));
    // Among all who are declared, it counts.
    assert_eq!(work.name().quorum(majority()).await.unwrap().required(), 2);
    // A tag that nobody has by the topology is no fault of the nodes.
    let unknown = work.name().on(tag("worc")).await.unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "nobody can be asked for `Work.name`: no configured node has the tag `worc`, did you mean \
         `work`? (tags: `spare`, `work`)"
    );
    let other = cluster.builder("b").tag("work").topology(three().unwrap());
    let error = other.start().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the node `b` has other tags than the topology gives it: `work` here, `spare` there; make \
         them the same, here with `.tag(..)`"
    );
}

#[tokio::test(start_paused = true)]
async fn who_left_in_good_order_counts_no_more_and_who_crashed_does() {
    let mut cluster = Cluster::new();
    let web = cluster.client("web").await;
    let (a, _) = cluster.worker("a").await;
    let (b, _) = cluster.worker("b").await;
    let (c, _) = cluster.worker("c").await;
    workers(&web, 3).await;
    let work = WorkClient::new(&web);
    let required = async || work.name().quorum(majority()).await.unwrap().required();
    assert_eq!(required().await, 2);
    a.shutdown().await.unwrap();
    workers(&web, 2).await;
    assert_eq!(required().await, 2);
    // A node under the name of one that is gone takes its place.
    let (a, _) = cluster.worker("a").await;
    workers(&web, 3).await;
    assert_eq!(required().await, 2);
    a.shutdown().await.unwrap();
    // Nobody reaches the third any more: it still counts.
    for other in [web.local_addr(), b.local_addr()] {
        cluster.0.partition(c.local_addr(), other);
    }
    workers(&web, 1).await;
    let refused = work.name().quorum(majority()).await.unwrap_err();
    assert!(matches!(refused, QuorumError::Unreachable { workers: 1, required: 2 }), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_stopped_node_is_not_followed_any_more() {
    let mut cluster = Cluster::new();
    let web = cluster.client("web").await;
    let (a, _) = cluster.worker("a").await;
    workers(&web, 1).await;
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let again = cluster.client("again").await;
    assert!(tokio::runtime::Handle::current().metrics().num_alive_tasks() > before);
    again.shutdown().await.unwrap();
    drop(again);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), before);
    drop(a);
}

#[tokio::test(start_paused = true)]
async fn what_this_node_is_asked_for_stays_here_unencoded() {
    let mut cluster = Cluster::new();
    let (a, _) = cluster.worker("a").await;
    let (_b, _) = cluster.worker("b").await;
    workers(&a, 2).await;
    let work = WorkClient::new(&a);
    // A value that cannot be written can be handed over.
    let awkward = || Awkward(UNWRITABLE);
    assert_eq!(work.take(awkward()).await.unwrap(), UNWRITABLE);
    assert_eq!(work.take(awkward()).on(tag("work")).await.unwrap(), UNWRITABLE);
    assert_eq!(work.take(awkward()).to(a.id()).await.unwrap(), UNWRITABLE);
    let all = work.take(awkward()).on(nebula::nodes::node("a")).all().await.unwrap();
    assert!(all.all_ok());
    // Where others are asked too, it is written for them alone.
    let all = work.take(awkward()).all().await.unwrap();
    assert_eq!(all.get("a").unwrap().result, Ok(UNWRITABLE));
    assert!(matches!(all.get("b").unwrap().result, Err(CallError::Protocol(_))));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_here_goes_on_with_those_who_are_meant_or_is_the_answer() {
    let mut cluster = Cluster::new();
    let (a, _) = cluster.worker("a").await;
    let (_b, _) = cluster.worker("b").await;
    workers(&a, 2).await;
    let work = WorkClient::new(&a);
    // One runs, one waits.
    let hold = || work.alone(true).to(a.id()).timeout(Duration::from_secs(900)).into_future();
    let (mut running, mut waiting) = (hold(), hold());
    assert!(futures_util::poll!(&mut running).is_pending());
    assert!(futures_util::poll!(&mut waiting).is_pending());
    assert_eq!(work.alone(false).await.unwrap(), "b");
    assert_eq!(work.alone(false).on(tag("work")).await.unwrap(), "b");
    for refused in
        [work.alone(false).to(a.id()).await, work.alone(false).on(nebula::nodes::node("a")).await]
    {
        let error = refused.unwrap_err();
        assert!(matches!(error, CallError::Overloaded { .. }), "{error}");
        assert!(matches!(
            error.attempts(),
            [Attempt { outcome: Outcome::Overloaded, path: Path::Local, .. }]
        ));
    }
    // Going elsewhere is a retry, and retries are a share of the traffic.
    let mut elsewhere = 0;
    while work.alone(false).await.is_ok() {
        elsewhere += 1;
        assert!(elsewhere < 10_000);
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_or_read_is_said_so() {
    const UNSENDABLE: &str = "the call cannot be sent, and the method did not run: the arguments \
                              cannot be written: ";
    let mut cluster = Cluster::new();
    let web = cluster.client("web").await;
    let (_a, a) = cluster.worker("a").await;
    workers(&web, 1).await;
    let work = WorkClient::new(&web);
    let table = [
        (UNWRITABLE, UNSENDABLE),
        (WRITING_PANICS, UNSENDABLE),
        (UNREADABLE, "a could not read the arguments, and the method did not run: "),
        (READING_PANICS, "a could not read the arguments, and the method did not run: "),
    ];
    for (kind, sentence) in table {
        let error = work.take(Awkward(kind)).await.unwrap_err();
        assert!(matches!(&error, CallError::Protocol(_)), "{error}");
        assert!(error.to_string().starts_with(sentence), "{error}");
        assert_eq!((error.attempts().len(), error.executed()), (1, Executed::No));
        assert!(error.to_string().contains("far too awkward") || kind % 2 == 1, "{error}");
    }
    let table = [
        (UNWRITABLE, "a could not write the reply, and the method ran: "),
        (WRITING_PANICS, "a could not write the reply, and the method ran: "),
        (UNREADABLE, "the answer of a could not be understood, and the method ran: "),
        (READING_PANICS, "the answer of a could not be understood, and the method ran: "),
    ];
    for (kind, sentence) in table {
        let error = work.give(kind).await.unwrap_err();
        assert!(matches!(&error, CallError::Protocol(_)), "{error}");
        assert!(error.to_string().starts_with(sentence), "{error}");
        assert_eq!((error.attempts().len(), error.executed()), (1, Executed::Yes));
    }
    assert_eq!(a.begun.load(SeqCst), table.len());
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_offered_once() {
    let mut cluster = Cluster::new();
    let mut limits = Limits::default();
    limits.max_body = 1 << 16;
    let web = cluster.builder("web").limits(limits).start().await.unwrap();
    let (_a, _) = cluster.worker("a").await;
    let (_b, _) = cluster.worker("b").await;
    workers(&web, 2).await;
    let work = WorkClient::new(&web);
    for error in [
        work.bulk(vec![0; 1 << 17]).await.unwrap_err(),
        work.bulk(vec![0; 1 << 17]).hedge().await.unwrap_err(),
    ] {
        assert!(matches!(error, CallError::TooLarge { .. }), "{error}");
        assert_eq!(error.attempts().len(), 1, "{error:#}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_service_of_this_process_may_have_run() {
    let work = WorkClient::local(Worker::default());
    let short = Duration::from_millis(50);
    let all = work.never().timeout(short).all().await.unwrap();
    let error = all.get("local").unwrap().result.as_ref().unwrap_err();
    assert!(matches!(error, CallError::Deadline(_)));
    assert_ne!(error.executed(), Executed::No);
}
