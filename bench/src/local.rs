//! What happens without any network: the service, and its client in the same process.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use macula::MemoryNetwork;
use macula::identity::NodeId;
use nebula::Service;
use nebula::nodes::{NodeFacts, NodeInfo, Nodes};
use nebula::plugin::{Around, Inbound, Plugin, Refusal};
use nebula::prelude::*;

use crate::Failure;

/// Each figure is the best of so many rounds, since other work on the machine only adds to it.
pub const ROUNDS: usize = 15;
/// The selectors that are measured.
pub const SELECTORS: [&str; 3] =
    ["&db", "&db &eu !@node-7", "(&db | &cache) !&us !@\"node-7@host-7\""];
/// Calls of a round.
const CALLS: u64 = 100_000;

/// A service whose method is ready at once.
#[service(global)]
pub trait Counter {
    /// The number after this one.
    #[api(idempotent)]
    async fn next(&self, after: u64) -> u64;
}

/// Counts up.
#[derive(Clone, Copy, Debug)]
pub struct Up;

impl Counter for Up {
    async fn next(&self, after: u64) -> u64 {
        after + 1
    }
}

/// A plugin that looks at the beginnings of calls. `0` is its name.
#[derive(Clone, Copy, Debug)]
pub struct Before(&'static str);

#[nebula::plugin]
impl Plugin for Before {
    fn name(&self) -> Cow<'static, str> {
        self.0.into()
    }

    fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
        black_box(call);
        Ok(())
    }
}

/// One that is around them.
#[derive(Clone, Copy, Debug)]
pub struct Wraps;

#[nebula::plugin]
impl Plugin for Wraps {
    async fn around(&self, mut call: Around<'_>) -> Result<(), Refusal> {
        call.next().await
    }
}

/// A node in memory that serves [`Counter`] behind so many [`Before`], up to seven, and perhaps
/// [`Wraps`].
///
/// # Errors
/// It does not start.
pub async fn chained(before: usize, wraps: bool) -> Result<Node, Failure> {
    let addr = SocketAddr::from(([10, 0, 0, 1], 1));
    let node = Node::builder("bench").memory(MemoryNetwork::new(1), addr).cookie("micro");
    let node = node.start().await?;
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let service = names.into_iter().take(before);
    let service = service.fold(Service::new(Up), |service, name| service.plugin(Before(name)));
    let service = if wraps { service.plugin(Wraps) } else { service };
    service.start_on(&node).await?;
    Ok(node)
}

/// What calls without a network take, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Local {
    /// The method itself.
    pub direct: f64,
    /// Through `CounterClient::local`.
    pub client: f64,
    /// Through a node that serves the method.
    pub node: f64,
    /// The slowest of the [`SELECTORS`] over a thousand nodes.
    pub selector: f64,
}

/// A node in memory that serves [`Counter`].
///
/// # Errors
/// It does not start.
pub async fn node() -> Result<Node, Failure> {
    let addr = SocketAddr::from(([10, 0, 0, 1], 1));
    let node = Node::builder("bench").memory(MemoryNetwork::new(1), addr).cookie("micro");
    Ok(node.serve(Up).start().await?)
}

/// A snapshot of a thousand nodes.
pub fn thousand() -> Nodes {
    let nodes = (0..1000_u32).map(|n| {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        let mut facts = NodeFacts::new(NodeId::from_bytes(id), format!("node-{n}@host-{}", n % 50));
        let tags = [["db", "web", "cache"][n as usize % 3], ["eu", "us"][n as usize % 2]];
        facts.tags = tags.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
        NodeInfo::new(facts)
    });
    Nodes::new(nodes.collect())
}

/// Measures all of it.
///
/// # Errors
/// The node does not start.
pub async fn measure() -> Result<Local, Failure> {
    let node = node().await?;
    let alone = CounterClient::local(Up);
    let here = CounterClient::new(&node);
    let nodes = thousand();
    let slowest = SELECTORS.iter().map(|text| {
        let selector: Selector = text.parse().unwrap_or_else(|_| Selector::any());
        best(200, || {
            black_box(nodes.matching(&selector).count());
        })
    });
    let selector = slowest.max().unwrap_or_default().as_nanos() as f64;
    Ok(Local {
        direct: nanoseconds(async |n| Up.next(n).await).await,
        client: nanoseconds(async |n| alone.next(n).await.unwrap_or(0)).await,
        node: nanoseconds(async |n| here.next(n).await.unwrap_or(0)).await,
        selector,
    })
}

/// The shortest time of one repetition.
pub fn best(repetitions: u32, mut work: impl FnMut()) -> Duration {
    let round = |work: &mut dyn FnMut()| {
        let began = Instant::now();
        (0..repetitions).for_each(|_| work());
        began.elapsed() / repetitions
    };
    (0..ROUNDS).map(|_| round(&mut work)).min().unwrap_or_default()
}

/// The shortest time of one call.
pub async fn nanoseconds(call: impl AsyncFn(u64) -> u64) -> f64 {
    let mut took = Duration::MAX;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for n in 0..CALLS {
            black_box(call(black_box(n)).await);
        }
        took = took.min(began.elapsed());
    }
    took.as_nanos() as f64 / CALLS as f64
}
