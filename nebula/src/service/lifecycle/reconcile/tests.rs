mod invariants;
mod table;

use std::time::Duration;

use super::*;
use crate::service::lifecycle::backoff::JITTER;

const SECOND: Duration = Duration::from_secs(1);

/// A machine and a clock.
struct Bench {
    machine: Machine,
    now: Moment,
}

impl Bench {
    /// Any moment will do.
    #[allow(clippy::disallowed_methods)]
    fn new() -> Self {
        let now = Moment { at: Instant::now(), time: SystemTime::UNIX_EPOCH };
        Self { machine: Machine::new(now.time), now }
    }

    fn after(&mut self, time: Duration) {
        self.now = Moment { at: self.now.at + time, time: self.now.time + time };
    }

    /// Without jitter.
    fn on(&mut self, event: Event) -> Vec<Action> {
        self.machine.on(event, self.now, JITTER)
    }

    /// What is done in words.
    fn said(&mut self, event: Event) -> String {
        let words: Vec<_> = self.on(event).iter().map(word).collect();
        words.join(" ")
    }

    fn all(&mut self, events: &[&str]) -> String {
        let mut said = Vec::new();
        for name in events {
            said.push(self.said(event(name)));
        }
        said.retain(|words| !words.is_empty());
        said.join(" ")
    }
}

fn word(action: &Action) -> String {
    match action {
        Action::Announce(old, new) => format!("{}>{}", old.running, new.running),
        Action::Publish(status) if status.draining => format!("[{} draining]", status.admin),
        Action::Publish(status) => format!("[{}]", status.admin),
        Action::Begin(work) => format!("{work:?}").to_lowercase(),
        Action::Cancel => "cancel".into(),
        Action::Advertise => "advertise".into(),
        Action::Withdraw => "withdraw".into(),
        Action::Finish => "finish".into(),
    }
}

fn event(name: &str) -> Event {
    let cause = || Cause::new("db", "gone");
    match name {
        "active" => Event::SetAdmin(Admin::Active, name.into()),
        "paused" => Event::SetAdmin(Admin::Paused, name.into()),
        "inactive" => Event::SetAdmin(Admin::Inactive, name.into()),
        "drain" => Event::Drain,
        "ok" => Event::Started(Ok(())),
        "err" => Event::Started(Err(cause())),
        "stopped" => Event::Stopped,
        "drained" => Event::Drained,
        "child" => Event::ChildFailed(cause()),
        "ready" => Event::Ready(true),
        "unready" => Event::Ready(false),
        "due" => Event::RetryDue,
        "shutdown" => Event::Shutdown(name.into()),
        _ => panic!("`{name}` is no event"),
    }
}

/// Brings a new machine through these events.
fn after(events: &[&str]) -> Bench {
    let mut bench = Bench::new();
    bench.all(events);
    bench
}
