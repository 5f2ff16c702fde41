//! A steady stream of calls, and what became of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep};

/// How long a caller rests between two calls.
const PAUSE: Duration = Duration::from_millis(1);

/// How many failures are kept with their text.
const KEPT: usize = 3;

/// Callers that call again and again until [`Traffic::stop`]. Dropping it stops them at once.
#[derive(Debug)]
pub struct Traffic {
    callers: JoinSet<()>,
    stopping: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
}

/// What became of the calls so far.
#[derive(Clone, Debug)]
pub struct Tally {
    /// How many succeeded.
    pub succeeded: u64,
    /// How many failed.
    pub failed: u64,
    /// What the first failures said.
    pub failures: Vec<String>,
    /// The longest time without any success.
    pub longest_gap: Duration,
    /// The longest time a call took, failed ones included.
    pub slowest: Duration,
    last_success: Instant,
}

impl Traffic {
    /// Lets `callers` callers make `call`s, each its next one shortly after its last one ended.
    pub fn start<F, E>(callers: usize, call: impl Fn() -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send,
        E: ToString + Send,
    {
        let stopping = Arc::new(AtomicBool::new(false));
        let tally = Arc::new(Mutex::new(Tally::new(Instant::now())));
        let mut tasks = JoinSet::new();
        for _ in 0..callers {
            let (stopping, tally) = (Arc::clone(&stopping), Arc::clone(&tally));
            let call = call.clone();
            tasks.spawn(async move {
                while !stopping.load(Ordering::Relaxed) {
                    let from = Instant::now();
                    let outcome = call().await.map_err(|error| error.to_string());
                    lock(&tally).count(outcome, from, Instant::now());
                    sleep(PAUSE).await;
                }
            });
        }
        Self { callers: tasks, stopping, tally }
    }

    /// What became of the calls so far.
    pub fn tally(&self) -> Tally {
        lock(&self.tally).clone()
    }

    /// Waits for the calls under way and says what became of all.
    ///
    /// # Errors
    /// A call panicked.
    pub async fn stop(mut self) -> Result<Tally, JoinError> {
        self.stopping.store(true, Ordering::Relaxed);
        while let Some(ended) = self.callers.join_next().await {
            ended?;
        }
        Ok(self.tally())
    }
}

impl Tally {
    fn new(now: Instant) -> Self {
        Self {
            succeeded: 0,
            failed: 0,
            failures: Vec::new(),
            longest_gap: Duration::ZERO,
            slowest: Duration::ZERO,
            last_success: now,
        }
    }

    fn count(&mut self, outcome: Result<(), String>, from: Instant, now: Instant) {
        self.slowest = self.slowest.max(now - from);
        match outcome {
            Ok(()) => {
                self.succeeded += 1;
                self.longest_gap = self.longest_gap.max(now - self.last_success);
                self.last_success = now;
            }
            Err(error) => {
                self.failed += 1;
                if self.failures.len() < KEPT {
                    self.failures.push(error);
                }
            }
        }
    }
}

fn lock(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn gaps_and_failures_are_counted() {
        let number = Arc::new(AtomicU32::new(0));
        let traffic = Traffic::start(1, move || {
            let number = number.fetch_add(1, Ordering::Relaxed);
            async move {
                sleep(Duration::from_millis(if number == 5 { 700 } else { 9 })).await;
                if number == 4 { Err(format!("call {number} failed")) } else { Ok(()) }
            }
        });
        while traffic.tally().succeeded < 20 {
            sleep(PAUSE).await;
        }
        let tally = traffic.stop().await.unwrap();
        assert_eq!((tally.failed, tally.failures), (1, vec!["call 4 failed".to_owned()]));
        assert_eq!(tally.slowest, Duration::from_millis(700));
        // From the end of call 3: a pause, 9 ms of call 4, a pause, 700 ms of call 5.
        assert_eq!(tally.longest_gap, Duration::from_millis(711));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_the_calls_under_way() {
        let traffic = Traffic::start(4, || async {
            sleep(Duration::from_secs(1)).await;
            Ok::<_, String>(())
        });
        tokio::task::yield_now().await;
        assert_eq!(traffic.stop().await.unwrap().succeeded, 4);
    }
}
