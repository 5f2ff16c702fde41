use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nebula::Node;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::patience::until;
use crate::{LedgerClient, Outcome, Site};

/// How long a caller waits between two calls.
const PAUSE: Duration = Duration::from_millis(5);

/// What a caller does.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// Calls that may run twice.
    Find,
    /// Calls that may run twice and take this long.
    FindSlowly(Duration),
    /// Calls that must not run twice.
    Add,
    /// Calls that must not run twice and take this long.
    AddSlowly(Duration),
    /// The same, eight at once and sixteen that wait.
    AddNarrowly(Duration),
}

impl Work {
    /// Does it once.
    pub async fn once(self, site: &Site, node: &Node, timeout: Duration) -> Outcome {
        let (call, start) = (site.call(), Instant::now());
        let ledger = LedgerClient::new(node).with(|options| options.timeout(timeout));
        let result = match self {
            Self::Find => ledger.find(call).await,
            Self::FindSlowly(wait) => ledger.find_slowly(call, wait).await,
            Self::Add => ledger.add(call).await,
            Self::AddSlowly(wait) => ledger.add_slowly(call, wait).await,
            Self::AddNarrowly(wait) => ledger.add_narrowly(call, wait).await,
        };
        let idempotent = matches!(self, Self::Find | Self::FindSlowly(_));
        Outcome { call, idempotent, elapsed: start.elapsed(), result }
    }
}

/// Callers that do the same again and again until they are stopped.
#[derive(Debug)]
pub struct Traffic {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    callers: JoinSet<Vec<Outcome>>,
}

impl Traffic {
    /// So many callers of one node.
    pub fn start(site: &Site, node: &Node, callers: usize, work: Work, timeout: Duration) -> Self {
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let caller = |_| {
            let (site, node, stop, done) = (site.clone(), node.clone(), stop.clone(), done.clone());
            async move {
                let mut outcomes = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    outcomes.push(work.once(&site, &node, timeout).await);
                    done.fetch_add(1, Ordering::Relaxed);
                    sleep(PAUSE).await;
                }
                outcomes
            }
        };
        let callers = (0..callers).map(caller).collect();
        Self { stop, done, callers }
    }

    /// Waits until so many more calls have ended.
    pub async fn more(&self, calls: u64) {
        let goal = self.done.load(Ordering::Relaxed) + calls;
        let done = async || self.done.load(Ordering::Relaxed) >= goal;
        until(&format!("{calls} more calls end"), done).await;
    }

    /// Lets the callers end the calls they are in. What each of them was told.
    pub async fn stop(self) -> Vec<Vec<Outcome>> {
        self.stop.store(true, Ordering::Relaxed);
        self.callers.join_all().await
    }
}
