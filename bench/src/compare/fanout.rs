//! Five servers: calls to one of them, to whichever the policy takes, to all, and to all until
//! three have answered.

use std::time::Duration;

use bytes::Bytes;
use macula::identity::NodeId;
use nebula::prelude::at_least;

use super::{Plan, Results};
use crate::Failure;
use crate::args::Args;
use crate::load::{self, Load, Times};
use crate::meter::Meter;
use crate::peers::nebula::Nebula;
use crate::peers::{Peer, Place, Served};
use crate::process::{Client, Server};
use crate::sample::{Sample, Series};

const SERVERS: usize = 5;
const QUORUM: usize = 3;
/// Callers at once.
const CALLERS: usize = 16;

/// The ways to call.
#[derive(Clone, Debug, Default)]
pub struct Fanout {
    /// Always the same node, so that its calls share packets as those of all nodes do.
    pub one: Series,
    /// One node, as the policy chooses.
    pub spread: Series,
    /// All five.
    pub all: Series,
    /// All five, until three have answered.
    pub quorum: Series,
}

/// Measures them in turn.
///
/// # Errors
/// A process fails.
pub fn run(plan: &Plan, results: &mut Results) -> Result<(), Failure> {
    let mut servers = vec![Server::start(&["nebula"], None)?];
    while servers.len() < SERVERS {
        let seed = servers.first().map(|first| first.addr.clone()).unwrap_or_default();
        servers.push(Server::start(&["nebula", "1", &seed], None)?);
    }
    let pids: Vec<_> = servers.iter().flat_map(|server| server.pids.clone()).collect();
    let seed = servers.first().map(|first| first.addr.clone()).unwrap_or_default();
    let mut client = Client::of("nebula", &seed, &pids, None)?;
    let mut fanout = Fanout::default();
    for _ in 0..plan.rounds {
        let ways = [
            ("one", &mut fanout.one),
            ("spread", &mut fanout.spread),
            ("all", &mut fanout.all),
            ("quorum", &mut fanout.quorum),
        ];
        for (way, series) in ways {
            let order = format!("fanout {way} {}", plan.slice.as_millis());
            series.push(client.order(&order)?.parse()?);
        }
    }
    results.fanout = Some(fanout);
    Ok(())
}

/// What the client does: `fanout WAY MILLIS`.
///
/// # Errors
/// A call fails.
pub async fn order(addr: &str, servers: &[u32], mut words: Args) -> Result<String, Failure> {
    let way = words.next().ok_or("which way?")?;
    let lasts = Duration::from_millis(words.number("the time")?);
    let client = Nebula::connect(addr).await?;
    client.knows(SERVERS).await?;
    let load = Load { callers: CALLERS, bytes: 64, lasts };
    let warm_up = Load { lasts: lasts / 5, ..load };
    let meter = Meter::with(servers);
    let (times, used) = match way.as_str() {
        "one" => measure(&One::of(&client)?, &meter, warm_up, load).await?,
        "spread" => measure(&client, &meter, warm_up, load).await?,
        "all" => measure(&All(client.clone()), &meter, warm_up, load).await?,
        _ => measure(&Quorum(client.clone()), &meter, warm_up, load).await?,
    };
    client.close().await;
    let calls = times.count() as f64;
    let sample = Sample {
        per_second: calls / used.lasted.as_secs_f64(),
        p50: times.percentile(50),
        p99: times.percentile(99),
        cpu: used.cpu.as_secs_f64() * 1e6 / calls,
        others: used.others,
        ..Sample::default()
    };
    Ok(sample.to_string())
}

async fn measure<P: Peer>(
    peer: &P,
    meter: &Meter,
    warm_up: Load,
    load: Load,
) -> Result<(Times, crate::meter::Used), Failure> {
    load::run(peer, warm_up).await?;
    let mark = meter.mark()?;
    let times = load::run(peer, load).await?;
    Ok((times, meter.since(mark)?))
}

/// Calls to one of the nodes.
#[derive(Clone)]
pub struct One(Nebula, NodeId);

impl One {
    fn of(client: &Nebula) -> Result<Self, Failure> {
        let servers = client.echoer.echo(Bytes::new()).available_nodes();
        let first = servers.first().ok_or("no server is known")?;
        Ok(Self(client.clone(), first.id))
    }
}

impl Peer for One {
    async fn serve(place: Place) -> Result<Served, Failure> {
        Nebula::serve(place).await
    }

    async fn connect(addr: &str) -> Result<Self, Failure> {
        Self::of(&Nebula::connect(addr).await?)
    }

    async fn echo(&self, payload: Bytes) -> Result<Bytes, Failure> {
        Ok(self.0.echoer.echo(payload).to(self.1).await?)
    }
}

/// Calls that all nodes answer.
#[derive(Clone)]
struct All(Nebula);

impl Peer for All {
    async fn serve(place: Place) -> Result<Served, Failure> {
        Nebula::serve(place).await
    }

    async fn connect(addr: &str) -> Result<Self, Failure> {
        Ok(Self(Nebula::connect(addr).await?))
    }

    async fn echo(&self, payload: Bytes) -> Result<Bytes, Failure> {
        let replies = self.0.echoer.echo(payload).all().await?;
        if replies.ok().count() != SERVERS {
            return Err("not all have answered".into());
        }
        replies.ok().next().cloned().ok_or_else(|| "nobody has answered".into())
    }
}

/// Calls that three of five nodes answer.
#[derive(Clone)]
struct Quorum(Nebula);

impl Peer for Quorum {
    async fn serve(place: Place) -> Result<Served, Failure> {
        Nebula::serve(place).await
    }

    async fn connect(addr: &str) -> Result<Self, Failure> {
        Ok(Self(Nebula::connect(addr).await?))
    }

    async fn echo(&self, payload: Bytes) -> Result<Bytes, Failure> {
        let votes = self.0.echoer.echo(payload).quorum(at_least(QUORUM)).await?;
        let reply = votes.successes().first().ok_or("a quorum without replies")?;
        Ok(reply.value.clone())
    }
}
