//! A service in its place on a node: the object that runs it, and the gates before it.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use macula::rpc::admission::Gate;

use super::info::ServiceInfo;
use super::serve::Dispatch;

/// How many calls run at once, and how many wait, where a method does not say.
const DEFAULT_CONCURRENT: u32 = 1024;
const DEFAULT_QUEUE: u32 = 1024;

/// A service and what guards it. Calls from this process and from elsewhere pass the same gates.
pub(crate) struct Served {
    dispatch: Arc<dyn Dispatch>,
    /// Of the methods that set no bound of their own, and of all when the service sets one.
    shared: Arc<Gate>,
    /// By index, for the methods that do.
    own: Box<[Option<Arc<Gate>>]>,
    draining: AtomicBool,
}

impl Served {
    /// Puts gates before a service, as its attributes ask.
    pub(crate) fn new(dispatch: Arc<dyn Dispatch>) -> Arc<Self> {
        let bounds = |running: Option<u32>, queue: Option<u32>| {
            let running = running.unwrap_or(DEFAULT_CONCURRENT);
            (running as usize, queue.unwrap_or(DEFAULT_QUEUE) as usize)
        };
        let info = dispatch.info();
        let (running, queue) = bounds(info.concurrency(), info.queue_len());
        let shared = Gate::new(running, queue);
        let own = info.by_index(|method| {
            let bounded = method.concurrency().is_some() || method.queue_len().is_some();
            let (running, queue) = bounds(method.concurrency(), method.queue_len());
            bounded.then(|| match info.concurrency() {
                Some(_) => Gate::within(&shared, running, queue),
                None => Gate::new(running, queue),
            })
        });
        let own = own.into();
        Arc::new(Self { dispatch, shared, own, draining: AtomicBool::new(false) })
    }

    /// The object that runs it.
    #[inline]
    pub(crate) fn dispatch(&self) -> &dyn Dispatch {
        &*self.dispatch
    }

    /// Its names and methods.
    pub(crate) fn info(&self) -> &'static ServiceInfo {
        self.dispatch.info()
    }

    /// Whether it is the service of the generated client `S`, and not one of the same name.
    pub(crate) fn is<S: 'static>(&self) -> bool {
        self.dispatch.contract() == TypeId::of::<S>()
    }

    /// The gate that calls of the method with this index pass.
    #[inline]
    pub(crate) fn gate(&self, method: u16) -> &Arc<Gate> {
        self.own.get(usize::from(method)).and_then(Option::as_ref).unwrap_or(&self.shared)
    }

    /// Whether it takes no new calls any more.
    #[inline]
    pub(crate) fn draining(&self) -> bool {
        self.draining.load(SeqCst)
    }

    /// Takes no new calls from now on.
    pub(crate) fn drain(&self) {
        self.draining.store(true, SeqCst);
    }

    /// How many calls wait for their turn.
    pub(crate) fn queued(&self) -> usize {
        let own = self.own.iter().flatten().map(|gate| gate.queued());
        own.fold(self.shared.queued(), usize::saturating_add)
    }

    /// How many calls run or wait, each once: what runs behind a gate within the shared one runs
    /// behind that too.
    pub(crate) fn load(&self) -> usize {
        let nested = self.info().concurrency().is_some();
        let load = |gate: &Gate, running: usize| running.saturating_add(gate.queued());
        let own = self.own.iter().flatten();
        let own = own.map(|gate| load(gate, if nested { 0 } else { gate.running() }));
        own.fold(load(&self.shared, self.shared.running()), usize::saturating_add)
    }

    /// Waits until no call runs or waits.
    pub(crate) async fn idle(&self) {
        self.shared.idle().await;
        for gate in self.own.iter().flatten() {
            gate.idle().await;
        }
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served")
            .field("service", &self.info().service_name())
            .field("draining", &self.draining())
            .finish_non_exhaustive()
    }
}
