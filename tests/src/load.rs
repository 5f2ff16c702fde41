use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nebula::Node;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{Outcome, Site, Work};

/// How often calls are begun.
const TICK: Duration = Duration::from_millis(5);

/// Calls that begin at a steady rate, whether or not those before have ended: a node that is slow
/// does not have it easier.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    caller: JoinHandle<Vec<Outcome>>,
}

impl Load {
    /// So many calls of one node a second.
    pub fn start(site: &Site, node: &Node, rate: u64, work: Work, timeout: Duration) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let (site, node, stopped) = (site.clone(), node.clone(), Arc::clone(&stop));
        let caller = tokio::spawn(async move {
            let (start, mut made) = (Instant::now(), 0);
            let (mut calls, mut outcomes) = (JoinSet::new(), Vec::new());
            let mut ticks = interval(TICK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            while !stopped.load(Ordering::Relaxed) {
                ticks.tick().await;
                let due = start.elapsed().as_micros() * u128::from(rate) / 1_000_000;
                while made < due {
                    let (site, node) = (site.clone(), node.clone());
                    calls.spawn(async move { work.once(&site, &node, timeout).await });
                    made += 1;
                }
                while let Some(ended) = calls.try_join_next() {
                    outcomes.push(ended.expect("a call that does not panic"));
                }
            }
            outcomes.extend(calls.join_all().await);
            outcomes
        });
        Self { stop, caller }
    }

    /// Begins no more calls, and waits for those under way. What their callers were told.
    ///
    /// # Panics
    /// If a call panicked.
    pub async fn stop(self) -> Vec<Outcome> {
        self.stop.store(true, Ordering::Relaxed);
        self.caller.await.expect("callers that do not panic")
    }
}
