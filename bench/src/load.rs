//! The closed loop: so many callers, each of which calls again as soon as it has its answer.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::Failure;
use crate::peers::Peer;

/// What is called, by how many at once, for how long.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Callers.
    pub callers: usize,
    /// Bytes of each request and each reply.
    pub bytes: usize,
    /// For how long.
    pub lasts: Duration,
}

/// How long each call took.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

/// Calls until the time is over, and at least once a caller.
///
/// # Errors
/// A call failed, or its reply has another length than its request.
pub async fn run<P: Peer>(peer: &P, load: Load) -> Result<Times, Failure> {
    let payload = Bytes::from(vec![7; load.bytes]);
    let began = Instant::now();
    let callers: Vec<_> = (0..load.callers)
        .map(|_| tokio::spawn(call(peer.clone(), payload.clone(), began, load.lasts)))
        .collect();
    let mut times = Vec::new();
    for caller in callers {
        times.extend(caller.await??);
    }
    Ok(Times::new(times))
}

async fn call<P: Peer>(
    peer: P,
    payload: Bytes,
    began: Instant,
    lasts: Duration,
) -> Result<Vec<Duration>, Failure> {
    let mut times = Vec::new();
    loop {
        let from = Instant::now();
        let reply = peer.echo(payload.clone()).await?;
        times.push(from.elapsed());
        if reply.len() != payload.len() {
            return Err("a reply of another length".into());
        }
        if began.elapsed() >= lasts {
            return Ok(times);
        }
    }
}

impl Times {
    /// Times in any order.
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What so many of a hundred took at most, in microseconds; zero if there are none.
    pub fn percentile(&self, of_hundred: usize) -> f64 {
        let at = (self.0.len() * of_hundred / 100).min(self.0.len().saturating_sub(1));
        self.0.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    }
}
