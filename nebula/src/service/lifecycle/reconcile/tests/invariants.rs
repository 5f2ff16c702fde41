//! What holds whatever happens in whatever order.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use Running as R;

/// Those of the module's doc.
const EDGES: [(Running, &[Running]); 7] = [
    (R::Stopped, &[R::Starting, R::Pausing]),
    (R::Starting, &[R::Running, R::Failed, R::Pausing, R::Stopping]),
    (R::Running, &[R::Pausing, R::Stopping, R::Failed]),
    (R::Pausing, &[R::Paused]),
    (R::Paused, &[R::Starting, R::Stopping, R::Failed]),
    (R::Stopping, &[R::Stopped]),
    (R::Failed, &[R::Starting, R::Stopping]),
];

/// What a driver and its body would know.
struct Model {
    bench: Bench,
    seen: Arc<ServiceStatus>,
    busy: Option<Work>,
    up: bool,
    advertised: bool,
    ready: bool,
    starts: u32,
    stops: u32,
    finished: bool,
}

impl Model {
    fn new() -> Self {
        let bench = Bench::new();
        let seen = Arc::clone(bench.machine.status());
        Self {
            bench,
            seen,
            busy: None,
            up: false,
            advertised: false,
            ready: false,
            starts: 0,
            stops: 0,
            finished: false,
        }
    }

    fn on(&mut self, name: &str) {
        match (name, self.busy) {
            ("ok" | "err", Some(Work::Start)) => {
                self.busy = None;
                self.up = name == "ok";
                self.starts += u32::from(self.up);
            }
            ("stopped", Some(Work::Stop)) => {
                (self.busy, self.up) = (None, false);
                self.stops += 1;
            }
            ("drained", Some(Work::Drain)) => self.busy = None,
            ("ready", _) if self.seen.running == Running::Running => self.ready = true,
            ("unready", _) if self.seen.running == Running::Running => self.ready = false,
            _ => {}
        }
        for action in self.bench.on(event(name)) {
            self.does(action);
        }
        assert_eq!(self.bench.machine.status(), &self.seen);
        assert_eq!(self.bench.machine.settled(), self.busy.is_none());
        let offered = self.ready && self.seen.accepts_calls();
        assert_eq!(self.advertised, offered, "{}", self.seen);
    }

    fn does(&mut self, action: Action) {
        assert!(!self.finished, "{action:?} after the end");
        match action {
            Action::Announce(old, new) => {
                assert_eq!(old, self.seen);
                let edges = EDGES.iter().find(|(from, _)| *from == old.running).unwrap().1;
                assert!(edges.contains(&new.running), "{} to {}", old.running, new.running);
                assert!(!self.advertised);
                assert_eq!(new.error.is_some(), self.failed(&new));
                (self.seen, self.ready) = (new, false);
            }
            Action::Publish(new) => {
                assert_eq!((new.running, new.since), (self.seen.running, self.seen.since));
                assert!(!self.advertised || !new.draining);
                self.seen = new;
            }
            Action::Begin(work) => {
                assert_eq!(self.busy, None);
                // Calls are refused by then.
                assert!(!self.seen.accepts_calls());
                assert_eq!(self.up, work != Work::Start, "{work:?}");
                self.busy = Some(work);
            }
            Action::Cancel => assert_eq!(self.busy.take(), Some(Work::Drain)),
            Action::Advertise => assert!(!std::mem::replace(&mut self.advertised, true)),
            Action::Withdraw => assert!(std::mem::replace(&mut self.advertised, false)),
            Action::Finish => {
                assert!(!self.up && self.busy.is_none() && !self.advertised);
                assert_eq!(self.starts, self.stops);
                self.finished = true;
            }
        }
    }

    /// Whether a status has an error: from its failure until it runs, is paused or stopped.
    fn failed(&self, new: &ServiceStatus) -> bool {
        match new.running {
            Running::Failed => true,
            Running::Starting | Running::Stopping | Running::Pausing => self.seen.error.is_some(),
            Running::Running | Running::Paused | Running::Stopped => false,
        }
    }

    /// All work ends well, and time passes.
    fn settle(&mut self) {
        for _ in 0..8 {
            match self.busy {
                Some(Work::Start) => self.on("ok"),
                Some(Work::Stop) => self.on("stopped"),
                Some(Work::Drain) => self.on("drained"),
                None => {
                    self.bench.after(120 * SECOND);
                    self.on("due");
                }
            }
        }
    }
}

fn any_event() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        3 => select(&["active", "paused", "inactive"][..]),
        3 => select(&["ok", "err", "stopped", "drained"][..]),
        2 => select(&["drain", "child", "ready", "unready", "due"][..]),
    ]
}

proptest! {
    #[test]
    fn whatever_happens(
        events in prop::collection::vec((any_event(), 0_u64..90), 0..60),
        last in select(&["active", "paused", "inactive"][..]),
        end in 0_usize..60,
    ) {
        let mut model = Model::new();
        for (position, (name, seconds)) in events.iter().enumerate() {
            model.bench.after(Duration::from_secs(*seconds));
            model.on(name);
            // The end may come at any time, and what comes after that changes nothing.
            if position == end {
                model.on("shutdown");
            }
        }
        if events.len() <= end {
            model.on(last);
            model.settle();
            let failed = model.seen.running == Running::Failed;
            match last {
                "active" => {
                    prop_assert!(model.seen.accepts_calls() && model.up);
                    model.on("ready");
                    prop_assert!(model.advertised);
                }
                "paused" => prop_assert!(failed || model.seen.running == Running::Paused),
                _ => prop_assert!(model.seen.running == Running::Stopped && !model.up),
            }
            model.on("shutdown");
        }
        model.settle();
        prop_assert!(model.finished);
        prop_assert_eq!(model.seen.running, Running::Stopped);
    }
}
