//! `cargo run --release`: a raw QUIC echo and a typed nebula call on loopback, in turn, server
//! and client in processes of their own. Prints calls per second, latency and the CPU time of both
//! processes per call, and how the two compare. `-- micro` measures what needs no network.

mod cpu;
mod micro;
mod nebula_echo;
mod raw_echo;

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long each measurement lasts, and how often the candidates take turns.
const SLICE: Duration = Duration::from_millis(700);
const ROUNDS: usize = 3;
const PAYLOAD: usize = 64;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One measurement.
#[derive(Clone, Copy)]
struct Sample {
    per_second: f64,
    p50: Duration,
    p99: Duration,
    cpu_micros: f64,
}

/// Something that can be called from many tasks at once.
trait Echo: Clone + Send + Sync + 'static {
    fn echo(&self, payload: Vec<u8>) -> impl Future<Output = Result<Vec<u8>, Failure>> + Send;
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("serve-raw") => return raw_echo::serve().await,
        Some("serve-nebula") => return nebula_echo::serve().await,
        Some("micro") => return micro::run().await,
        Some(other) => {
            return Err(format!("unknown argument `{other}`: give `micro` or none").into());
        }
        None => {}
    }
    let (mut raw_server, raw_addr) = server("serve-raw").await?;
    let (mut nebula_server, nebula_addr) = server("serve-nebula").await?;
    let raw = raw_echo::Client::connect(&raw_addr).await?;
    let nebula = nebula_echo::Client::connect(&nebula_addr).await?;
    let pids = (raw_server.id().unwrap_or(0), nebula_server.id().unwrap_or(0));

    println!("64 B echo on loopback, {ROUNDS} rounds of {SLICE:?} in turn, medians\n");
    println!("| callers | candidate | calls/s | p50 | p99 | CPU per call | to raw |");
    println!("|---:|---|---:|---:|---:|---:|---:|");
    for callers in [1, 64, 256] {
        let (mut raws, mut nebulas) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            raws.push(measure(&raw, callers, pids.0).await?);
            nebulas.push(measure(&nebula, callers, pids.1).await?);
        }
        let (raw, nebula) = (median(raws), median(nebulas));
        row(callers, "raw QUIC stream", raw, raw);
        row(callers, "nebula, remote", nebula, raw);
    }
    println!("\n{}", nebula_echo::local().await);
    raw_server.kill().await?;
    nebula_server.kill().await?;
    Ok(())
}

/// Starts this program as a server, and reads the address that it prints.
async fn server(role: &str) -> Result<(Child, String), Failure> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(role)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let out = child.stdout.take().ok_or("the server has no output")?;
    let line = BufReader::new(out).lines().next_line().await?;
    Ok((child, line.ok_or("the server ended before it was ready")?))
}

async fn measure<E: Echo>(echo: &E, callers: usize, server: u32) -> Result<Sample, Failure> {
    let before = cpu::time(std::process::id())? + cpu::time(server)?;
    let began = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let echo = echo.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                while began.elapsed() < SLICE {
                    let from = Instant::now();
                    let payload = vec![7; PAYLOAD];
                    if echo.echo(payload).await?.len() != PAYLOAD {
                        return Err("a reply of another length".into());
                    }
                    times.push(from.elapsed());
                }
                Ok::<_, Failure>(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await??);
    }
    let lasted = began.elapsed();
    let used = cpu::time(std::process::id())? + cpu::time(server)? - before;
    times.sort_unstable();
    let calls = times.len();
    Ok(Sample {
        per_second: calls as f64 / lasted.as_secs_f64(),
        p50: times[calls / 2],
        p99: times[calls * 99 / 100],
        cpu_micros: used.as_secs_f64() * 1e6 / calls as f64,
    })
}

fn median(mut samples: Vec<Sample>) -> Sample {
    samples.sort_by(|a, b| a.cpu_micros.total_cmp(&b.cpu_micros));
    samples[samples.len() / 2]
}

fn row(callers: usize, name: &str, sample: Sample, raw: Sample) {
    println!(
        "| {callers} | {name} | {:.0} | {:.0?} | {:.0?} | {:.2} µs | {:.2} |",
        sample.per_second,
        sample.p50,
        sample.p99,
        sample.cpu_micros,
        sample.cpu_micros / raw.cpu_micros,
    );
}

/// Tells the parent where this server is, and serves until it is killed.
async fn ready(addr: &str) -> Result<(), Failure> {
    println!("{addr}");
    std::io::stdout().flush()?;
    std::future::pending().await
}
