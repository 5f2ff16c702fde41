//! Plugins of all kinds, and what became of them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use nebula::config::Schema;
use nebula::plugin::{Hooks, Host, Inbound, Order, Plugin, Refusal, Updated};
use nebula::{Children, Restart, ServiceHandle};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::callers::CALL;

/// How long a plugin takes to start, and to stop.
const TAKES: Duration = Duration::from_millis(20);

/// How a plugin does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Doing {
    Well,
    /// It never starts.
    Fails,
    /// It never starts, without manners.
    Panics,
    /// It starts the first time.
    Once,
}

/// What all plugins of a service share.
#[derive(Clone, Default)]
pub(crate) struct World(Arc<Mutex<Seen>>);

#[derive(Default)]
pub(crate) struct Seen {
    /// Whose plugins these are.
    pub(crate) service: Option<ServiceHandle>,
    /// The plugins that it has had, one after the other.
    pub(crate) lists: Vec<Vec<String>>,
    /// Whom a call has passed, in order.
    pub(crate) passed: Vec<String>,
    /// The same of those that say which call they are.
    pub(crate) calls: BTreeMap<String, Vec<String>>,
    /// By name: how often it was started without having been stopped.
    pub(crate) up: BTreeMap<String, i32>,
    pub(crate) children: i32,
    /// Whether the one that is asked is ready.
    pub(crate) ready: bool,
    /// What must never happen.
    pub(crate) wrong: Vec<String>,
}

impl World {
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap()
    }

    /// Notes which plugins the service has now, and says where.
    pub(crate) fn note(&self) -> usize {
        let mut seen = self.seen();
        let plugins = seen.service.as_ref().map(ServiceHandle::plugins).unwrap_or_default();
        if seen.lists.last() != Some(&plugins) {
            seen.lists.push(plugins);
        }
        seen.lists.len() - 1
    }

    fn of(host: &Host) -> Self {
        let extensions = host.extensions().expect("a service that lives");
        Self::clone(&extensions.get::<Self>().expect("a world"))
    }
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Size {
    pub(crate) size: u32,
}

/// 0 has a child. 1 has a configuration. 2 stands above 0, which must be there; 3 above 4, which is
/// made for it, and may be not ready; 5 above 6, and 6 above 5. 7 is called as 0 is.
pub(crate) struct P<const KIND: u8> {
    doing: Doing,
    starts: AtomicU32,
    is_up: AtomicBool,
}

impl<const KIND: u8> P<KIND> {
    pub(crate) fn new(doing: Doing) -> Self {
        Self { doing, starts: AtomicU32::new(0), is_up: AtomicBool::new(false) }
    }
}

impl<const KIND: u8> Default for P<KIND> {
    fn default() -> Self {
        Self::new(Doing::Well)
    }
}

pub(crate) fn name(kind: u8) -> &'static str {
    ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p0"][usize::from(kind)]
}

/// Counts while it lives.
struct Alive(World);

impl Alive {
    fn new(world: World) -> Self {
        world.seen().children += 1;
        Self(world)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.seen().children -= 1;
    }
}

impl<const KIND: u8> Plugin for P<KIND> {
    const HOOKS: Hooks = match KIND {
        4 => Hooks::BEFORE.and(Hooks::START).and(Hooks::STOP).and(Hooks::READY),
        1 => Hooks::BEFORE.and(Hooks::START).and(Hooks::STOP).and(Hooks::UPDATED),
        _ => Hooks::BEFORE.and(Hooks::START).and(Hooks::STOP),
    };

    fn name(&self) -> Cow<'static, str> {
        name(KIND).into()
    }

    fn order(&self) -> Order {
        match KIND {
            2 => Order::new().after_listed::<P<0>>(),
            3 => Order::new().after::<P<4>>(),
            5 => Order::new().after_optional::<P<6>>(),
            6 => Order::new().after_optional::<P<5>>(),
            _ => Order::new(),
        }
    }

    fn config(&self) -> Option<Schema> {
        (KIND == 1).then(|| Schema::new(Size { size: 1 }))
    }

    async fn start(&self, host: &Host) -> nebula::Result<Children> {
        let world = World::of(host);
        sleep(TAKES).await;
        let before = self.starts.load(SeqCst);
        let size = host.config::<Size>().map_or(0, |config| config.size);
        match self.doing {
            Doing::Fails => return Err(nebula::Error::msg("it never starts")),
            // Without a word on the screen: it happens many times.
            Doing::Panics => std::panic::resume_unwind(Box::new("it never starts")),
            Doing::Once if before > 0 => return Err(nebula::Error::msg("once is enough")),
            _ if size == 15 => return Err(nebula::Error::msg("not with 15")),
            Doing::Well | Doing::Once => {}
        }
        self.starts.fetch_add(1, SeqCst);
        if self.is_up.swap(true, SeqCst) {
            world.seen().wrong.push(format!("{} was started twice", name(KIND)));
        }
        *world.seen().up.entry(name(KIND).to_owned()).or_default() += 1;
        if KIND != 0 {
            return Ok(Children::new());
        }
        Ok(Children::new().child("worker", Restart::Always, move |stop| {
            let alive = Alive::new(world.clone());
            async move {
                stop.cancelled().await;
                drop(alive);
            }
        }))
    }

    async fn stop(&self, host: &Host) -> nebula::Result<()> {
        let world = World::of(host);
        if !self.is_up.swap(false, SeqCst) {
            world.seen().wrong.push(format!("{} was stopped twice", name(KIND)));
        }
        *world.seen().up.entry(name(KIND).to_owned()).or_default() -= 1;
        sleep(TAKES).await;
        Ok(())
    }

    async fn ready(&self, host: &Host) -> Result<(), String> {
        if World::of(host).seen().ready { Ok(()) } else { Err("cold".into()) }
    }

    async fn updated(&self, host: &Host) -> nebula::Result<Updated> {
        match host.config::<Size>().map(|config| config.size) {
            Some(13) => Err(nebula::Error::msg("not 13")),
            Some(14 | 15) => Ok(Updated::Restart),
            _ => Ok(Updated::Kept),
        }
    }

    fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
        let world = World::of(call.host());
        if !self.is_up.load(SeqCst) {
            world.seen().wrong.push(format!("a call passed {}, which is not up", name(KIND)));
        }
        world.note();
        let mut seen = world.seen();
        let passed = match call.header(CALL) {
            Some(call) => seen.calls.entry(call.to_owned()).or_default(),
            None => &mut seen.passed,
        };
        passed.push(name(KIND).to_owned());
        Ok(())
    }
}
