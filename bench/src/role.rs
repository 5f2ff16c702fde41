//! What this program is when the one that compares has started it: a server, or the client that
//! calls it and answers orders, one line each.

use std::io::Write;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::runtime::Runtime;

use crate::args::Args;
use crate::compare::fanout;
use crate::load::{self, Load};
use crate::meter::{Meter, resident};
use crate::peers::nebula::Nebula;
use crate::peers::{Peer, with_peer};
use crate::sample::Sample;
use crate::{Failure, peers};

/// Bytes of a MiB.
const MIB: f64 = 1048576.0;

/// Keeps this process, and the threads that it will start, on one core.
///
/// # Errors
/// There is no such core.
pub fn pin(core: usize) -> Result<(), Failure> {
    let mut cores = CpuSet::new();
    cores.set(core)?;
    Ok(sched_setaffinity(Pid::this(), &cores)?)
}

/// Lets this process have as many sockets as it may ask for.
fn raise_limits() -> Result<(), Failure> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, most, most)?)
}

/// The runtime of servers and clients: tokio's own default, a worker for each core.
///
/// # Errors
/// The system refuses threads.
pub fn runtime() -> Result<Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// `serve CANDIDATE [NODES] [SEED] [--services N] [--methods N]`: serves until its input ends.
///
/// # Errors
/// The server does not start.
pub fn serve(mut args: Args) -> Result<(), Failure> {
    let id = args.next().ok_or("which candidate?")?;
    raise_limits()?;
    let services = args.number_option("--services", 1)?;
    let methods = args.number_option("--methods", 1)?;
    let nodes = args.next().map_or(Ok(1), |word| word.parse())?;
    let place = peers::Place { nodes, seed: args.next(), services, methods };
    runtime()?.block_on(async {
        with_peer!(id.as_str(), P => {
            let served = P::serve(place).await?;
            ready(&served.addr, &served.helpers)?;
            input_ends().await;
            drop(served);
            Ok(())
        })
    })
}

/// `start ADDRESS`: the time from here to the first answer to a node that has just started.
///
/// # Errors
/// The node does not start, or the call fails.
pub fn start(mut args: Args) -> Result<(), Failure> {
    let began = Instant::now();
    let addr = args.next().ok_or("where is the server?")?;
    runtime()?.block_on(async {
        let client = Nebula::connect(&addr).await?;
        client.echo(Bytes::from_static(&[7; 64])).await?;
        println!("{}", began.elapsed().as_secs_f64() * 1e6);
        Ok(())
    })
}

/// `drive CANDIDATE ADDRESS SERVER..`: connects, and does what each line of its input says.
///
/// # Errors
/// The connection cannot be made, or the output is gone. What an order does wrong is answered.
pub fn drive(mut args: Args) -> Result<(), Failure> {
    let id = args.next().ok_or("which candidate?")?;
    raise_limits()?;
    let addr = args.next().ok_or("where is the server?")?;
    let servers = args.map(|word| word.parse()).collect::<Result<Vec<u32>, _>>()?;
    runtime()?.block_on(async {
        with_peer!(id.as_str(), P => {
            let driver = Driver { peer: P::connect(&addr).await?, addr, servers };
            ready("-", &[])?;
            driver.obey().await
        })
    })
}

struct Driver<P> {
    peer: P,
    addr: String,
    servers: Vec<u32>,
}

impl<P: Peer> Driver<P> {
    async fn obey(self) -> Result<(), Failure> {
        let mut orders = BufReader::new(tokio::io::stdin()).lines();
        while let Some(order) = orders.next_line().await? {
            let words = order.split_whitespace().map(str::to_owned);
            match self.order(Args::new(words)).await {
                Ok(answer) => println!("{answer}"),
                Err(error) => println!("failed {error}"),
            }
            std::io::stdout().flush()?;
        }
        Ok(())
    }

    async fn order(&self, mut words: Args) -> Result<String, Failure> {
        match words.next().as_deref() {
            Some("run") => self.run(words, None).await,
            Some("beside") => {
                let bulk = words.number("the size of the transfer")?;
                self.run(words, Some(bulk)).await
            }
            Some("connect") => self.connect(words).await,
            Some("idle") => self.idle(words).await,
            Some("fanout") => fanout::order(&self.addr, &self.servers, words).await,
            other => Err(format!("an unknown order: {other:?}").into()),
        }
    }

    /// Calls, and beside that moves bodies of `bulk` bytes, two at a time, if that is asked for.
    async fn run(&self, mut words: Args, bulk: Option<usize>) -> Result<String, Failure> {
        let load = Load {
            callers: words.number("the number of callers")?,
            bytes: words.number("the size")?,
            lasts: Duration::from_millis(words.number("the time")?),
        };
        let beside = bulk.map(|bytes| {
            let (peer, load) = (self.peer.clone(), Load { callers: 2, bytes, ..load });
            tokio::spawn(async move { load::run(&peer, load).await })
        });
        let meter = Meter::with(&self.servers);
        let mark = meter.mark()?;
        let times = load::run(&self.peer, load).await?;
        let used = meter.since(mark)?;
        let moved = match beside {
            Some(beside) => beside.await??.count(),
            None => 0,
        };
        let calls = times.count() as f64;
        let sample = Sample {
            per_second: calls / used.lasted.as_secs_f64(),
            p50: times.percentile(50),
            p99: times.percentile(99),
            cpu: used.cpu.as_secs_f64() * 1e6 / calls,
            server_memory: self.server_memory()?,
            client_memory: resident(std::process::id())? as f64 / MIB,
            beside: (moved * bulk.unwrap_or(0)) as f64 / 1e6 / load.lasts.as_secs_f64(),
            others: used.others,
        };
        Ok(sample.to_string())
    }

    /// New connections, each with one call, one after the other.
    async fn connect(&self, mut words: Args) -> Result<String, Failure> {
        let lasts = Duration::from_millis(words.number("the time")?);
        let meter = Meter::with(&self.servers);
        let mark = meter.mark()?;
        let times = self.peer.connects(&self.addr, lasts).await?;
        let used = meter.since(mark)?;
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

    /// How the memory of the server grows with so many more clients, in KiB each.
    async fn idle(&self, mut words: Args) -> Result<String, Failure> {
        let clients: usize = words.number("how many")?;
        let before = self.server_memory()?;
        let mut kept = Vec::new();
        for _ in 0..clients {
            let peer = P::connect(&self.addr).await?;
            peer.echo(Bytes::from_static(&[7; 64])).await?;
            kept.push(peer);
        }
        let grown = (self.server_memory()? - before).max(0.0);
        // Without goodbyes, which take nodes a second each; they end with this process.
        drop(kept);
        Ok(format!("{}", grown * 1024.0 / clients as f64))
    }

    fn server_memory(&self) -> Result<f64, Failure> {
        let all = self.servers.iter().map(|server| resident(*server));
        Ok(all.sum::<Result<u64, _>>()? as f64 / MIB)
    }
}

/// Tells the parent where this server is, and which processes help it.
fn ready(addr: &str, helpers: &[u32]) -> Result<(), Failure> {
    let helpers: Vec<_> = helpers.iter().map(u32::to_string).collect();
    println!("ready {addr} {}", helpers.join(" "));
    Ok(std::io::stdout().flush()?)
}

/// Waits until the parent has gone, or says that it is done.
async fn input_ends() {
    let mut input = tokio::io::stdin();
    while !matches!(input.read(&mut [0; 64]).await, Ok(0) | Err(_)) {}
}
