//! Random operations on one service, one after the other, two at once, and given up half-way, next
//! to a model of it; it is called from its own node and from another one, after each step and all the
//! time.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::task::{Context, Waker};
use std::time::Duration;

use nebula::config::{ConfigError, Invalid, Schema};
use nebula::prelude::*;
use nebula::{Executed, LifecycleError, Running, Service, ServiceError, ServiceHandle};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::callers::{JobsClient, Worker, call};
use crate::model::{Model, Op, Patch, Size, Told};
use crate::odds::{self, Doing, P, World, name};
use crate::site::{Site, until};

const SECOND: Duration = Duration::from_secs(1);

/// How long a failed service may wait before it is tried again, and a little more.
const RETRIED: Duration = Duration::from_secs(70);

/// How often a plugin is asked whether it is ready, and a little more.
const ASKED: Duration = Duration::from_secs(3);

#[derive(Clone, Debug)]
enum Step {
    One(Op),
    /// Its future is polled so many times, and dropped.
    Dropped(Op, usize),
    Two(Op, Op),
}

/// The one that has a configuration is there more often than the others.
fn kinds() -> impl Strategy<Value = u8> {
    prop_oneof![8 => 0..=7_u8, 2 => Just(1)]
}

fn doings() -> impl Strategy<Value = Doing> {
    prop_oneof![
        8 => Just(Doing::Well),
        1 => Just(Doing::Fails),
        1 => Just(Doing::Panics),
        1 => Just(Doing::Once),
    ]
}

fn sizes() -> impl Strategy<Value = Size> {
    prop_oneof![
        3 => prop::sample::select(vec![2, 3, 13, 14, 15]).prop_map(Size::Number),
        1 => Just(Size::Text),
    ]
}

fn patches() -> impl Strategy<Value = Patch> {
    let limits = prop::sample::select(vec![2, 100, 101]);
    let values = (prop::option::of(limits), prop::option::of(sizes()));
    prop_oneof![1 => Just(Patch::Nonsense), 8 => values.prop_map(|(l, s)| Patch::Values(l, s))]
}

fn ops() -> impl Strategy<Value = Op> {
    let names = || kinds().prop_map(|kind| if kind == 7 { "nobody" } else { name(kind) });
    // Most of those that have none are given none.
    let sized = |(kind, size, anyway)| (kind, if kind == 1 || anyway { size } else { None });
    let size = prop::option::weighted(0.3, sizes());
    let added = (kinds(), size, prop::bool::weighted(0.2)).prop_map(sized);
    prop_oneof![
        8 => (added, doings()).prop_map(|((kind, size), doing)| Op::Add(kind, doing, size)),
        4 => names().prop_map(Op::Remove),
        3 => (kinds(), doings()).prop_map(|(kind, doing)| Op::Replace(kind, doing)),
        2 => names().prop_map(Op::Restart),
        5 => patches().prop_map(Op::Reconfigure),
        1 => Just(Op::Reset),
        2 => Just(Op::Pause),
        4 => Just(Op::Activate),
        2 => Just(Op::Deactivate),
        1 => Just(Op::Drain),
        2 => any::<bool>().prop_map(Op::Ready),
        1 => prop::bool::weighted(0.3).prop_map(|stop| if stop { Op::Stop } else { Op::Reset }),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => ops().prop_map(Step::One),
        1 => (ops(), 0..4_usize).prop_map(|(op, polls)| Step::Dropped(op, polls)),
        2 => (ops(), ops()).prop_map(|(one, other)| Step::Two(one, other)),
    ]
}

#[derive(Debug, Deserialize, Serialize)]
struct Limits {
    limit: u32,
}

macro_rules! with_kind {
    ($kind:expr, $plugin:ident => $call:expr) => {
        match $kind {
            0 => with_kind!(@ 0, $plugin, $call),
            1 => with_kind!(@ 1, $plugin, $call),
            2 => with_kind!(@ 2, $plugin, $call),
            3 => with_kind!(@ 3, $plugin, $call),
            4 => with_kind!(@ 4, $plugin, $call),
            5 => with_kind!(@ 5, $plugin, $call),
            6 => with_kind!(@ 6, $plugin, $call),
            _ => with_kind!(@ 7, $plugin, $call),
        }
    };
    (@ $kind:literal, $plugin:ident, $call:expr) => {{
        let $plugin = P::<$kind>::new;
        $call
    }};
}

async fn ask(service: &ServiceHandle, world: &World, op: &Op) -> Result<bool, ServiceError> {
    let done = |()| true;
    match op {
        Op::Add(kind, doing, size) => match size {
            None => with_kind!(*kind, plugin => service.add_plugin(plugin(*doing)).await),
            Some(Size::Number(size)) => {
                let config = format!("size = {size}");
                with_kind!(*kind, plugin => service.add_plugin_with(plugin(*doing), config).await)
            }
            Some(Size::Text) => with_kind!(*kind, plugin => {
                service.add_plugin_with(plugin(*doing), "size = \"much\"").await
            }),
        },
        Op::Remove(name) => service.remove_plugin(*name).await.map(done),
        Op::Replace(kind, doing) => {
            with_kind!(*kind, plugin => service.replace_plugin(plugin(*doing)).await.map(done))
        }
        Op::Restart(name) => service.restart_plugin(*name).await.map(done),
        Op::Reconfigure(patch) => service.reconfigure(patch.text()).await.map(done),
        Op::Reset => service.reset_config().await.map(done),
        Op::Pause => service.pause("pause").await.map(done),
        Op::Activate => service.activate("activate").await.map(done),
        Op::Deactivate => service.deactivate("deactivate").await.map(done),
        Op::Drain => service.drain(SECOND).await.map(done),
        Op::Stop => service.stop().await.map(done),
        Op::Ready(ready) => {
            world.seen().ready = *ready;
            Ok(true)
        }
    }
}

fn told(result: &Result<bool, ServiceError>) -> Told {
    match result {
        Ok(true) => Told::Done,
        Ok(false) => Told::No,
        Err(ServiceError::Lifecycle(LifecycleError::Stopped)) => Told::Gone,
        Err(
            ServiceError::UnknownPlugin { .. }
            | ServiceError::Config(ConfigError::UnknownPlugin { .. }),
        ) => Told::Unknown,
        Err(ServiceError::Needed { .. }) => Told::Needed,
        Err(ServiceError::Order(_)) => Told::Disordered,
        Err(ServiceError::Config(_)) => Told::Wrong,
        Err(ServiceError::Plugin { .. }) => Told::Refused,
        Err(_) => Told::Failed,
    }
}

fn is_state(op: &Op) -> bool {
    matches!(op, Op::Pause | Op::Activate | Op::Deactivate | Op::Drain)
}

fn is_superseded(result: &Result<bool, ServiceError>) -> bool {
    matches!(result, Err(ServiceError::Lifecycle(LifecycleError::Superseded)))
}

/// Whether what one of two at once was told can be what it would be told alone.
fn agrees(op: &Op, other: &Op, result: &Result<bool, ServiceError>, expected: Told) -> bool {
    let supersedes = is_state(other) || matches!(other, Op::Stop);
    // Both wait for the same end.
    let both_stop = matches!((op, other), (Op::Stop, Op::Stop)) && told(result) == Told::Done;
    both_stop || is_superseded(result) && is_state(op) && supersedes || told(result) == expected
}

/// A service on one node, and who calls it.
struct Scene {
    server: Node,
    near: JobsClient,
    far: JobsClient,
    /// How many calls were served of those that were made all the time.
    served: AtomicU32,
}

struct Case<'s> {
    scene: &'s Scene,
    service: ServiceHandle,
    world: World,
    /// What it may be. More than one only where something was left open.
    models: Vec<Model>,
}

impl Scene {
    async fn new() -> Self {
        let mut site = Site::new();
        let (server, caller) = (site.node("server").await, site.node("caller").await);
        let (near, far) = (JobsClient::new(&server), JobsClient::new(&caller));
        Self { server, near, far, served: AtomicU32::new(0) }
    }

    async fn run(&self, steps: &[Step]) -> Result<(), TestCaseError> {
        let world = World::default();
        world.seen().ready = true;
        let service = Service::build::<JobsClient, _>({
            let world = world.clone();
            move |host| {
                host.extensions().expect("extensions").insert(world.clone());
                Worker(world)
            }
        });
        let limits = Schema::checked(Limits { limit: 1 }, |limits| match limits.limit {
            0..=100 => Ok(()),
            _ => Err(Invalid::new("limit", "at most 100")),
        });
        let service = service.schema(limits).start_on(&self.server).await.expect("a service");
        world.seen().service = Some(service.clone());
        let (ends, called) = (AtomicBool::new(false), world.clone());
        let calls = |who, jobs| call(who, jobs, &called, &ends, &self.served);
        let mut case = Case { scene: self, service, world, models: vec![Model::running()] };
        let managed = async {
            let mut done = case.check().await;
            for step in steps {
                if done.is_err() {
                    break;
                }
                done = case.step(step).await;
            }
            // The next one finds the node as this one did.
            let ended = case.end().await;
            ends.store(true, SeqCst);
            done.and(ended)
        };
        let (done, (), ()) =
            tokio::join!(managed, calls("near", &self.near), calls("far", &self.far));
        let mut seen = called.seen();
        // It keeps the service, and is kept by it.
        seen.service = None;
        prop_assert!(seen.wrong.is_empty(), "{:?}", seen.wrong);
        done
    }
}

impl Case<'_> {
    async fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::One(op) => {
                let result = ask(&self.service, &self.world, op).await;
                self.models.retain_mut(|model| model.ask(op) == told(&result));
                let left = self.models.len();
                prop_assert!(left > 0, "{op:?} gave {result:?}");
            }
            Step::Dropped(op, polls) => {
                {
                    let mut asked = pin!(ask(&self.service, &self.world, op));
                    let mut task = Context::from_waker(Waker::noop());
                    for _ in 0..*polls {
                        if asked.as_mut().poll(&mut task).is_ready() {
                            break;
                        }
                        tokio::task::yield_now().await;
                    }
                }
                // What has begun goes on without it.
                sleep(SECOND / 2).await;
                for mut model in self.models.clone() {
                    model.ask(op);
                    self.models.push(model);
                }
            }
            Step::Two(one, other) => {
                let (service, world) = (&self.service, &self.world);
                let (first, second) =
                    tokio::join!(ask(service, world, one), ask(service, world, other));
                let mut next = Vec::new();
                for model in std::mem::take(&mut self.models) {
                    let (one, other) = ((one, &first), (other, &second));
                    for ((a, told_a), (b, told_b)) in [(one, other), (other, one)] {
                        // While the calls come to an end that run, it may be asked for something
                        // else.
                        let mut model = model.clone();
                        if matches!(a, Op::Deactivate)
                            && is_superseded(told_a)
                            && model.ask(b) == told(told_b)
                        {
                            next.push(model);
                        }
                    }
                    let mut model_of = |ends, (a, told_a): (&Op, _), (b, told_b): (&Op, _)| {
                        let mut model = model.clone();
                        if ends {
                            model.ask(&Op::Deactivate);
                        }
                        let (expected_a, expected_b) = (model.ask(a), model.ask(b));
                        if agrees(a, b, told_a, expected_a) && agrees(b, a, told_b, expected_b) {
                            next.push(model);
                        }
                    };
                    model_of(false, one, other);
                    model_of(false, other, one);
                    // Between the end of what it had started and the end of itself a service may
                    // still be changed.
                    if matches!(other.0, Op::Stop) {
                        model_of(true, one, other);
                    }
                    if matches!(one.0, Op::Stop) {
                        model_of(true, other, one);
                    }
                }
                prop_assert!(!next.is_empty(), "{one:?} gave {first:?}, {other:?} {second:?}");
                self.models = next;
            }
        }
        self.check().await
    }

    /// The service is one of what it may be, and takes calls if that does.
    async fn check(&mut self) -> Result<(), TestCaseError> {
        let failed = self.models.iter().any(|model| model.failed);
        for mut model in self.models.clone() {
            if model.failed && model.admin == nebula::Admin::Active {
                // It is tried again sooner or later.
                let before = self.models.iter().position(|other| *other == model);
                if model.attempt()
                    && let Some(at) = before
                {
                    self.models.remove(at);
                }
                self.models.push(model);
            }
        }
        let is_active = self.models.iter().any(|model| model.admin == nebula::Admin::Active);
        let wait = match (is_active, failed || self.service.running() != Running::Running) {
            (true, true) => RETRIED,
            (true, false) if self.models.iter().any(Model::is_asked) => ASKED,
            // What it had started is being stopped.
            (false, true) => SECOND,
            (_, false) => Duration::ZERO,
        };
        let begun = tokio::time::Instant::now();
        loop {
            let mut problems = Vec::new();
            let mut right = Vec::new();
            for model in &self.models {
                match self.is(model).await {
                    Ok(()) if !right.contains(model) => right.push(model.clone()),
                    Ok(()) => {}
                    Err(problem) => problems.push(problem),
                }
            }
            if !right.is_empty() {
                self.models = right;
                break;
            }
            prop_assert!(begun.elapsed() < wait, "{problems:#?}");
            sleep(SECOND / 4).await;
        }
        let wrong = self.world.seen().wrong.clone();
        prop_assert!(wrong.is_empty(), "{wrong:?}");
        self.is_seen_elsewhere().await
    }

    async fn is(&self, model: &Model) -> Result<(), TestCaseError> {
        let service = &self.service;
        prop_assert_eq!(service.running(), model.state());
        prop_assert_eq!(service.admin(), model.admin);
        let up: Vec<_> = {
            let seen = self.world.seen();
            prop_assert!(seen.up.values().all(|up| (0..=1).contains(up)), "{:?}", seen.up);
            seen.up.iter().filter(|(_, up)| **up == 1).map(|(name, _)| name.clone()).collect()
        };
        prop_assert_eq!(up, model.started());
        prop_assert_eq!(self.world.seen().children, model.children());
        if !model.gone {
            prop_assert_eq!(service.plugins(), model.plugins());
            let limit = service.config::<Limits>().map(|limits| limits.limit);
            prop_assert_eq!(limit, Some(model.limit()));
            let size = service.plugin_config::<odds::Size>("p1").map(|config| config.size);
            prop_assert_eq!(size, model.size());
        }
        prop_assert_eq!(service.readiness().await.is_empty(), model.takes_calls());
        self.world.seen().passed.clear();
        let called = self.scene.near.add(1.0, 2.0).timeout(SECOND).await;
        let passed = std::mem::take(&mut self.world.seen().passed);
        match (called, model.takes_calls()) {
            (Ok(sum), true) => {
                prop_assert_eq!(sum, 3.0);
                prop_assert_eq!(passed, model.plugins());
            }
            (Err(error), false) => {
                prop_assert_eq!(error.executed(), Executed::No);
                prop_assert!(passed.is_empty(), "{passed:?}");
            }
            (called, takes) => prop_assert!(false, "takes calls: {takes}; {called:?}"),
        }
        Ok(())
    }

    async fn is_seen_elsewhere(&self) -> Result<(), TestCaseError> {
        let (far, plugins) = (&self.scene.far, self.models[0].plugins());
        if !self.models[0].takes_calls() {
            let refused = far.add(1.0, 2.0).timeout(SECOND).await;
            let executed = refused.map_err(|error| error.executed());
            prop_assert_eq!(executed, Err(Executed::No));
            return Ok(());
        }
        until("it is offered", || !far.add(1.0, 1.0).available_nodes().is_empty()).await;
        self.world.seen().passed.clear();
        let sum = far.add(1.0, 2.0).timeout(SECOND).await;
        prop_assert_eq!(sum.map_err(|error| error.to_string()), Ok(3.0));
        prop_assert_eq!(std::mem::take(&mut self.world.seen().passed), plugins);
        Ok(())
    }

    async fn end(&mut self) -> Result<(), TestCaseError> {
        let gone = self.models.iter().any(|model| model.gone);
        let stopped = self.service.stop().await;
        prop_assert!(stopped.is_ok() || gone, "{stopped:?}");
        prop_assert!(self.scene.server.service("Jobs").is_none());
        let (far, near) = (&self.scene.far, &self.scene.near);
        prop_assert!(near.add(1.0, 2.0).timeout(SECOND).await.is_err());
        until("it is withdrawn", || far.add(1.0, 1.0).available_nodes().is_empty()).await;
        let seen = self.world.seen();
        prop_assert!(seen.up.values().all(|up| *up == 0), "{:?}", seen.up);
        prop_assert_eq!(seen.children, 0);
        prop_assert!(seen.wrong.is_empty(), "{:?}", seen.wrong);
        Ok(())
    }
}

#[test]
fn a_service_is_what_was_made_of_it() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    let scene = runtime.block_on(Scene::new());
    let config = Config { failure_persistence: None, ..Config::default() };
    let (steps, asked) = (prop::collection::vec(steps(), 1..16), AtomicU32::new(0));
    let tested = TestRunner::new(config).run(&steps, |steps| {
        asked.fetch_add(u32::try_from(steps.len()).unwrap_or(0), SeqCst);
        runtime.block_on(scene.run(&steps))
    });
    if let Err(failure) = tested {
        panic!("{failure}");
    }
    let (steps, served) = (asked.load(SeqCst), scene.served.load(SeqCst));
    println!("{steps} steps, {served} calls meanwhile");
    assert!(served > steps, "nobody called meanwhile");
}
