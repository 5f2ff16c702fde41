//! A service in its place on a node: the object that runs it, the gates before it, and the plugins
//! that its calls pass.

use std::any::TypeId;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use macula::rpc::admission::Gate;

use super::info::{MethodInfo, ServiceInfo};
use super::lifecycle::hooks::contained;
use super::plugin::chain::Chain;
use super::serve::Dispatch;

/// How many calls run at once, and how many wait, where a method does not say.
const DEFAULT_CONCURRENT: u32 = 1024;
const DEFAULT_QUEUE: u32 = 1024;

/// Why the gates are closed: the service takes no calls, or a plugin that its calls pass is being
/// started again. The one knows nothing of the other.
const CLOSED: u8 = 1;
const HELD: u8 = 2;

/// A service and what guards it, in one form: with other plugins it is another one, with the same
/// gates. Calls from this process and from elsewhere pass the same.
pub(crate) struct Served {
    /// Lent: whoever looked this up in time may have it long after the service is gone.
    dispatch: Arc<dyn Dispatch>,
    contract: TypeId,
    /// The contract under the name that the service has here, if that is not the contract's own.
    renamed: Option<&'static ServiceInfo>,
    gates: Arc<Gates>,
    /// What calls pass on their way.
    chain: Chain,
}

/// What all forms of a service share, and no other service has.
pub(crate) struct Gates {
    /// Of the methods that set no bound of their own, and of all when the service sets one.
    shared: Arc<Gate>,
    /// By index, for the methods that do.
    own: Box<[Option<Arc<Gate>>]>,
    /// Of [`CLOSED`] and [`HELD`] those that hold.
    closed: AtomicU8,
    /// What holds the implementation, until the service is gone.
    owner: Mutex<Option<Arc<dyn Dispatch>>>,
    /// What its instance says, if it is not what the contract says.
    version: OnceLock<Box<str>>,
}

impl Served {
    /// Puts gates before a service, as its attributes ask. It takes calls.
    pub(crate) fn new(service: Arc<dyn Dispatch>) -> Arc<Self> {
        let info = service.info();
        Self::named(service, info)
    }

    /// The same under the name that this form of its contract has.
    pub(crate) fn named(service: Arc<dyn Dispatch>, info: &'static ServiceInfo) -> Arc<Self> {
        let (contract, dispatch) = (service.contract(), service.lent());
        let renamed = (info.service_name() != service.info().service_name()).then_some(info);
        let gates = Arc::new(Gates::new(service));
        Arc::new(Self { dispatch, contract, renamed, gates, chain: Chain::default() })
    }

    /// The same service with other plugins.
    pub(crate) fn with(&self, chain: Chain) -> Arc<Self> {
        let (dispatch, gates) = (Arc::clone(&self.dispatch), Arc::clone(&self.gates));
        Arc::new(Self { dispatch, contract: self.contract, renamed: self.renamed, gates, chain })
    }

    /// Whether the other is the same service, perhaps with other plugins.
    pub(crate) fn is_form_of(&self, other: &Self) -> bool {
        self.is_behind(&other.gates)
    }

    /// Whether these are its gates, and so it is the service that they were made for.
    pub(crate) fn is_behind(&self, gates: &Arc<Gates>) -> bool {
        Arc::ptr_eq(&self.gates, gates)
    }

    /// The object that runs it.
    #[inline]
    pub(crate) fn dispatch(&self) -> &dyn Dispatch {
        &*self.dispatch
    }

    /// The plugins that its calls pass.
    #[inline]
    pub(crate) fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Its names and methods.
    pub(crate) fn info(&self) -> &'static ServiceInfo {
        self.renamed.unwrap_or_else(|| self.dispatch.info())
    }

    /// A method of its contract, as it is called here.
    #[inline]
    pub(crate) fn method(&self, contract: &'static MethodInfo) -> &'static MethodInfo {
        contract.under(self.renamed)
    }

    /// Whether it is the service of the generated client `S`, and not one of the same name.
    #[inline]
    pub(crate) fn is<S: 'static>(&self) -> bool {
        self.contract == TypeId::of::<S>()
    }

    /// The type of the generated client.
    pub(crate) fn contract(&self) -> TypeId {
        self.contract
    }

    /// What tells it from every other service, whatever its form.
    pub(crate) fn gates(&self) -> &Arc<Gates> {
        &self.gates
    }

    /// The gate that calls of the method with this index pass.
    #[inline]
    pub(crate) fn gate(&self, method: u16) -> &Arc<Gate> {
        let Gates { shared, own, .. } = &*self.gates;
        own.get(usize::from(method)).and_then(Option::as_ref).unwrap_or(shared)
    }

    /// Its version; empty if nobody said one.
    pub(crate) fn version(&self) -> &str {
        let said = self.gates.version.get().map(|version| &**version);
        said.or(self.info().version_text()).unwrap_or_default()
    }

    /// Says its version, once.
    pub(crate) fn say_version(&self, version: &str) {
        self.gates.version.get_or_init(|| version.into());
    }

    /// Whether it takes no new calls now.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.gates.closed.load(SeqCst) != 0
    }

    /// Takes no new calls from now on.
    pub(crate) fn close(&self) {
        self.gates.closed.fetch_or(CLOSED, SeqCst);
    }

    /// Takes calls again.
    pub(crate) fn open(&self) {
        self.gates.closed.fetch_and(!CLOSED, SeqCst);
    }

    /// Takes no new calls until it is [resumed](Self::resume), whether open or not. Those that were
    /// let in before may still begin.
    pub(crate) fn hold(&self) {
        self.gates.closed.fetch_or(HELD, SeqCst);
    }

    /// Takes calls again, if it is open.
    pub(crate) fn resume(&self) {
        self.gates.closed.fetch_and(!HELD, SeqCst);
    }

    /// Lets go of the implementation, which the calls under way keep until they end.
    pub(crate) fn let_go(&self) {
        let owner = self.gates.owner.lock().unwrap_or_else(PoisonError::into_inner).take();
        // It is the application's, and may panic: nothing is locked while it is dropped.
        contained("drop a service", || drop(owner));
    }

    /// How many calls wait for their turn.
    pub(crate) fn queued(&self) -> usize {
        self.gates.queued()
    }

    /// How many calls run or wait, each once: what runs behind a gate within the shared one runs
    /// behind that too.
    pub(crate) fn load(&self) -> usize {
        let Gates { shared, own, .. } = &*self.gates;
        let nested = self.info().concurrency().is_some();
        let load = |gate: &Gate, running: usize| running.saturating_add(gate.queued());
        let own = own.iter().flatten();
        let own = own.map(|gate| load(gate, if nested { 0 } else { gate.running() }));
        own.fold(load(shared, shared.running()), usize::saturating_add)
    }

    /// Waits until no call runs or waits.
    pub(crate) async fn idle(&self) {
        self.gates.shared.idle().await;
        for gate in self.gates.own.iter().flatten() {
            gate.idle().await;
        }
    }
}

impl Gates {
    fn new(service: Arc<dyn Dispatch>) -> Self {
        let info = service.info();
        let bounds = |running: Option<u32>, queue: Option<u32>| {
            let running = running.unwrap_or(DEFAULT_CONCURRENT);
            (running as usize, queue.unwrap_or(DEFAULT_QUEUE) as usize)
        };
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
        let closed = AtomicU8::new(0);
        let owner = Mutex::new(Some(service));
        Self { shared, own: own.into(), closed, owner, version: OnceLock::new() }
    }

    fn queued(&self) -> usize {
        let own = self.own.iter().flatten().map(|gate| gate.queued());
        own.fold(self.shared.queued(), usize::saturating_add)
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served")
            .field("service", &self.info().service_name())
            .field("closed", &self.is_closed())
            .field("plugins", &self.chain)
            .finish_non_exhaustive()
    }
}
