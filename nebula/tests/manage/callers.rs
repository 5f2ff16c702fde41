//! Who calls a service all the time, whatever is made of it meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use nebula::prelude::*;
use nebula::{CallError, Context, Executed};
use tokio::time::sleep;

use crate::odds::World;

/// The header by which a call is told from others.
pub(crate) const CALL: &str = "call";

/// How long a job takes.
const HELD: Duration = Duration::from_millis(30);

/// How long a caller waits before it calls again: less than a job takes, so that of two callers one
/// has to wait for its turn.
const PAUSE: Duration = Duration::from_millis(20);

#[service(global)]
pub(crate) trait Jobs {
    #[api(idempotent)]
    async fn add(&self, left: f64, right: f64) -> f64;
    /// One at a time.
    #[api(max_concurrent = 1)]
    async fn job(&self, cx: &Context);
}

pub(crate) struct Worker(pub(crate) World);

impl Jobs for Worker {
    async fn add(&self, left: f64, right: f64) -> f64 {
        left + right
    }

    async fn job(&self, _: &Context) {
        self.0.note();
        sleep(HELD).await;
    }
}

/// Calls until it is told to end, and counts the calls that were served.
pub(crate) async fn call(
    who: &str,
    jobs: &JobsClient,
    world: &World,
    ends: &AtomicBool,
    served: &AtomicU32,
) {
    for number in 0.. {
        if ends.load(SeqCst) {
            return;
        }
        let (name, since) = (format!("{who} {number}"), world.note());
        let ended = jobs.job().header(CALL, &name).timeout(40 * HELD).await;
        judge(world, &name, since, ended, served);
        sleep(PAUSE).await;
    }
}

/// Whether a call passed plugins that the service had together between its beginning and its end, or
/// was refused and passed none.
fn judge(
    world: &World,
    name: &str,
    since: usize,
    ended: Result<(), CallError>,
    served: &AtomicU32,
) {
    let mut seen = world.seen();
    let passed = seen.calls.remove(name).unwrap_or_default();
    match ended {
        Ok(()) if seen.lists[since..].contains(&passed) => {
            served.fetch_add(1, SeqCst);
        }
        Err(error) if error.executed() == Executed::No && passed.is_empty() => {}
        ended => {
            let there = seen.lists[since..].to_vec();
            let wrong = format!("{name} ended {ended:?}: passed {passed:?} of {there:?}");
            seen.wrong.push(wrong);
        }
    }
}
