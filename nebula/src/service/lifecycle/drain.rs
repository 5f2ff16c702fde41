//! Waits until a service that takes no new calls has no work left.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::body::{Body, NotReady};
use super::hooks::Service;

/// How often the hooks are asked whether they are done: at first, and in the end.
const SOON: Duration = Duration::from_millis(10);
const PERIOD: Duration = Duration::from_secs(1);

/// No wait is longer, whatever somebody asks for: a clock ends somewhere.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The moment after that time, or after a year.
pub(crate) fn after(time: Duration) -> Instant {
    Instant::now() + time.min(YEAR)
}

/// Waits for the calls first and asks the hooks then, since a call may leave work behind. After
/// `within` the error says who still has work.
pub(crate) async fn drained(
    body: &dyn Body,
    service: Service,
    within: Duration,
) -> Result<(), Vec<NotReady>> {
    let until = after(within);
    let left = || until.saturating_duration_since(Instant::now());
    if service.call(left(), async { body.idle().await }).await.is_err()
        && let Some(left) = calls(body.load())
    {
        return Err(vec![NotReady::new("calls", left)]);
    }
    let mut waiting: Vec<NotReady> = Vec::new();
    let mut pause = SOON;
    loop {
        let mut still = body.drained(left()).await;
        if still.is_empty() {
            return Ok(());
        }
        if left().is_zero() {
            // That there was no time to answer says less than what was answered before.
            for now in &mut still {
                let before = waiting.iter().find(|before| before.who == now.who);
                before.inspect(|before| now.reason.clone_from(&before.reason));
            }
        }
        waiting = still;
        if left().is_zero() {
            return Err(waiting);
        }
        sleep_until(until.min(Instant::now() + pause)).await;
        pause = (pause * 2).min(PERIOD);
    }
}

/// `2 still run and 1 waits to run`; nothing of none.
fn calls((running, waiting): (usize, usize)) -> Option<String> {
    let running = match running {
        0 => None,
        1 => Some("1 still runs".to_owned()),
        more => Some(format!("{more} still run")),
    };
    let waiting = match waiting {
        0 => None,
        1 => Some("1 waits to run".to_owned()),
        more => Some(format!("{more} wait to run")),
    };
    match (running, waiting) {
        (Some(running), Some(waiting)) => Some(format!("{running} and {waiting}")),
        (running, waiting) => running.or(waiting),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_many_calls_are_left() {
        let table = [
            ((0, 0), None),
            ((1, 0), Some("1 still runs")),
            ((3, 0), Some("3 still run")),
            ((0, 1), Some("1 waits to run")),
            ((2, 1), Some("2 still run and 1 waits to run")),
            ((1, 7), Some("1 still runs and 7 wait to run")),
        ];
        for (load, said) in table {
            assert_eq!(calls(load).as_deref(), said);
        }
    }
}
