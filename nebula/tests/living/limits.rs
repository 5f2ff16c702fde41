//! Hooks that take their time, hang or panic: each is bounded for itself, and named.

use std::borrow::Cow;
use std::future::pending;
use std::time::Duration;

use nebula::plugin::{Hooks, Host, Plugin};
use nebula::{Children, Restart, Service, ServiceError, ServiceStatus};
use tokio::time::{Instant, sleep, timeout};

use crate::site::{Notes, Plain, Site};

const SECOND: Duration = Duration::from_secs(1);

/// How long each hook takes; none for one that panics, and for ever for one that hangs.
#[derive(Clone)]
struct Slow {
    name: &'static str,
    notes: Notes,
    start: Option<Duration>,
    stop: Duration,
    status: Duration,
    ready: Option<Duration>,
    fails: bool,
    children: u32,
}

impl Slow {
    fn new(name: &'static str, notes: &Notes) -> Self {
        let (notes, none) = (notes.clone(), Duration::ZERO);
        let (start, ready) = (Some(none), Some(none));
        Self { name, notes, start, stop: none, status: none, ready, fails: false, children: 0 }
    }
}

async fn takes(time: Option<Duration>) {
    match time {
        Some(Duration::MAX) => pending().await,
        Some(time) => sleep(time).await,
        None => panic!("oh"),
    }
}

impl Plugin for Slow {
    const HOOKS: Hooks = Hooks::START.and(Hooks::STOP).and(Hooks::STATUS).and(Hooks::READY);

    fn name(&self) -> Cow<'static, str> {
        self.name.into()
    }

    async fn start(&self, _: &Host) -> nebula::Result<Children> {
        takes(self.start).await;
        if self.fails {
            return Err(nebula::Error::msg("no disk"));
        }
        let child = |children: Children, number: u32| {
            let (notes, name) = (self.notes.clone(), self.name);
            children.child(format!("{number}"), Restart::Always, move |stop| {
                let notes = notes.clone();
                async move {
                    stop.cancelled().await;
                    notes.note(format!("{name} {number} told"));
                    sleep(50 * SECOND).await;
                    notes.note(format!("{name} {number} ends"));
                }
            })
        };
        Ok((0..self.children).fold(Children::new().grace(100 * SECOND), child))
    }

    async fn stop(&self, _: &Host) -> nebula::Result<()> {
        sleep(self.stop).await;
        self.notes.note(format!("{} stopped", self.name));
        Ok(())
    }

    async fn ready(&self, _: &Host) -> Result<(), String> {
        takes(self.ready).await;
        Err("cold".into())
    }

    async fn status_changed(&self, _: &Host, _: &ServiceStatus, new: &ServiceStatus) {
        sleep(self.status).await;
        self.notes.note(format!("{} {}", self.name, new.running));
    }
}

async fn failed(service: Service) -> String {
    let node = Site::new().node("server").await;
    service.start_on(&node).await.unwrap_err().to_string()
}

/// What was started before the failure is stopped to its end, however long the start took; and the
/// failure says who failed, and why.
#[tokio::test(start_paused = true)]
async fn a_start_that_fails_is_undone_to_its_end() {
    let notes = Notes::default();
    let lower = Slow { stop: 40 * SECOND, ..Slow::new("lower", &notes) };
    let upper = Slow::new("upper", &notes);
    for (upper, why) in [
        (Slow { start: Some(30 * SECOND), fails: true, ..upper.clone() }, "no disk"),
        (Slow { start: Some(Duration::MAX), ..upper.clone() }, "longer than 60s and was given up"),
        (Slow { start: None, ..upper }, "it panicked: oh"),
    ] {
        let said = failed(Service::new(Plain::new()).plugin(upper).plugin(lower.clone())).await;
        assert!(said.contains("`upper`") && said.contains(why), "{said}");
        assert!(notes.take().contains(&"lower stopped".to_owned()));
    }
}

/// Starts are not bounded together, but each for itself.
#[tokio::test(start_paused = true)]
async fn each_start_has_its_own_limit() {
    let node = Site::new().node("server").await;
    let notes = Notes::default();
    let slow = |name| Slow { start: Some(50 * SECOND), ..Slow::new(name, &notes) };
    let service = Service::new(Plain::new()).plugin(slow("upper")).plugin(slow("lower"));
    let service = service.start_limit(51 * SECOND).start_on(&node).await.unwrap();
    let late = Slow { start: Some(52 * SECOND), ..slow("late") };
    let refused = service.add_plugin(late).await.unwrap_err().to_string();
    assert!(refused.contains("longer than 51s"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn each_status_hook_has_its_own_limit() {
    let node = Site::new().node("server").await;
    let notes = Notes::default();
    let slow = |name| Slow { status: 4 * SECOND, ..Slow::new(name, &notes) };
    let service = Service::new(Plain::new()).plugin(slow("upper")).plugin(slow("lower"));
    service.start_on(&node).await.unwrap();
    assert_eq!(
        notes.take(),
        ["upper starting", "lower starting", "upper running", "lower running"]
    );
}

/// One that hangs or panics hides nobody else.
#[tokio::test(start_paused = true)]
async fn each_that_is_not_ready_is_named() {
    let node = Site::new().node("server").await;
    let notes = Notes::default();
    let slow = |name, ready| Slow { ready, ..Slow::new(name, &notes) };
    let service = Service::new(Plain::new())
        .plugin(slow("hangs", Some(Duration::MAX)))
        .plugin(slow("panics", None))
        .plugin(slow("waits", Some(SECOND / 2)));
    let service = service.start_on(&node).await.unwrap();
    let said: Vec<_> = service.readiness().await.iter().map(ToString::to_string).collect();
    let hangs = "hangs: it took longer than 1s and was given up";
    assert_eq!(said, [hangs, "panics: it panicked: oh", "waits: cold"]);
}

/// Children have their graces beyond the time of the stop hook; after a minute, those that are left
/// are told at once.
#[tokio::test(start_paused = true)]
async fn children_keep_their_graces() {
    let node = Site::new().node("server").await;
    let notes = Notes::default();
    let plugin = Slow { stop: 59 * SECOND, children: 4, ..Slow::new("many", &notes) };
    let service = Service::new(Plain::new()).plugin(plugin).start_on(&node).await.unwrap();
    notes.take();
    let began = Instant::now();
    timeout(1000 * SECOND, service.deactivate("rest")).await.unwrap().unwrap();
    let mut seen = notes.take();
    seen.retain(|note| !note.contains("ing"));
    let told = ["many stopped", "many 3 told", "many 3 ends", "many 2 told"];
    assert_eq!(seen[..4], told);
    // 59 s of the hook, 50 s of the last child, 10 s of the next one, and 50 s of those left.
    assert_eq!(began.elapsed().as_secs(), 59 + 60 + 50);
    assert_eq!(seen.iter().filter(|note| note.ends_with("ends")).count(), 4);
}

/// A plugin that did not start again is started with the service, and not by what is done next.
#[tokio::test(start_paused = true)]
async fn what_has_failed_is_left_to_the_service() {
    struct Once(std::sync::atomic::AtomicBool);
    impl Plugin for Once {
        async fn start(&self, _: &Host) -> nebula::Result<Children> {
            match self.0.swap(true, std::sync::atomic::Ordering::SeqCst) {
                false => Ok(Children::new()),
                true => Err(nebula::Error::msg("once is enough")),
            }
        }
    }
    let node = Site::new().node("server").await;
    let notes = Notes::default();
    let service = Service::new(Plain::new()).plugin(Once(false.into()));
    let service = service.plugin(Slow::new("other", &notes)).start_on(&node).await.unwrap();
    let (restarted, removed) =
        tokio::join!(service.restart_plugin("Once"), service.remove_plugin("other"));
    assert!(matches!(restarted, Err(ServiceError::NotRestarted { .. })), "{restarted:?}");
    removed.unwrap();
}
