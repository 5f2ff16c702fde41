//! Calls over a way that loses one datagram in a hundred, with 20 ms there and back, in virtual
//! time: the lanes of a node beside a stream for each call, which waits for nobody's lost packet.

use std::net::SocketAddr;
use std::time::Duration;

use macula::MemoryNetwork;

use super::{Plan, Results};
use crate::Failure;
use crate::load::{self, Load, Times};
use crate::peers::Peer;
use crate::peers::nebula::Nebula;
use crate::peers::quic::{On, endpoint};
use crate::peers::quinn_mux::QuinnMux;
use crate::peers::quinn_streams::QuinnStreams;
use crate::sample::median;

const LOSS: f64 = 0.01;
const ONE_WAY: Duration = Duration::from_millis(10);
/// The seeds of the networks: the figures are the medians of them.
const SEEDS: std::ops::Range<u64> = 1..6;
/// How long each lasts, in virtual time.
const LASTS: Duration = Duration::from_secs(10);

/// Milliseconds of a call, half of them and all but one in a hundred.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tail {
    /// Half of the calls took at most this.
    pub p50: f64,
    /// All but one in a hundred took at most this.
    pub p99: f64,
}

/// What the ways to call make of it.
#[derive(Clone, Copy, Debug)]
pub struct Lossy {
    /// Typed calls between nodes.
    pub nebula: Tail,
    /// A stream for each call.
    pub streams: Tail,
    /// One stream for all calls.
    pub one: Tail,
}

/// Measures them.
///
/// # Errors
/// A call fails.
pub fn run(_: &Plan, results: &mut Results) -> Result<(), Failure> {
    results.lossy = Some(Lossy { nebula: tail(nebula)?, streams: tail(streams)?, one: tail(one)? });
    Ok(())
}

fn addr(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 7000))
}

fn tail(measure: impl AsyncFn(MemoryNetwork) -> Result<Times, Failure>) -> Result<Tail, Failure> {
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for seed in SEEDS {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()?;
        let times = runtime.block_on(measure(MemoryNetwork::new(seed)))?;
        p50.push(times.percentile(50) / 1000.0);
        p99.push(times.percentile(99) / 1000.0);
    }
    Ok(Tail { p50: median(p50), p99: median(p99) })
}

/// Spoils the network only now, when the connection stands, and calls.
async fn call<P: Peer>(network: &MemoryNetwork, peer: P) -> Result<Times, Failure> {
    network.loss(LOSS);
    network.delay(ONE_WAY);
    let load = Load { callers: 64, bytes: 64, lasts: LASTS };
    // Until what the connection knows of the way is what the way is.
    load::run(&peer, Load { lasts: LASTS / 5, ..load }).await?;
    load::run(&peer, load).await
}

async fn nebula(network: MemoryNetwork) -> Result<Times, Failure> {
    let _server = Nebula::serve_in_memory(&network, addr(1)).await?;
    let client = Nebula::in_memory(&network, addr(2), addr(1)).await?;
    client.knows(1).await?;
    call(&network, client).await
}

async fn streams(network: MemoryNetwork) -> Result<Times, Failure> {
    QuinnStreams::accept(QuinnStreams::endpoint(&On::Memory(network.clone(), addr(1)))?);
    let endpoint = QuinnStreams::endpoint(&On::Memory(network.clone(), addr(2)))?;
    call(&network, QuinnStreams::dial(&endpoint, addr(1)).await?).await
}

async fn one(network: MemoryNetwork) -> Result<Times, Failure> {
    QuinnMux::accept(endpoint(&On::Memory(network.clone(), addr(1)), 8)?);
    let endpoint = endpoint(&On::Memory(network.clone(), addr(2)), 8)?;
    call(&network, QuinnMux::dial(&endpoint, addr(1)).await?).await
}
