use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use bytes::Bytes;

use super::admission::Gate;
use super::{Answer, Headers, Lease};
use crate::directory::{MethodRecord, ServiceRecord};
use crate::identity::NodeId;

/// A service that this node offers to the cluster.
#[derive(Clone)]
pub struct Service {
    /// Its name, the same on every node that serves it.
    pub name: String,
    /// Its version, for people and for version requirements.
    pub version: String,
    /// What kind of service it is, for people: at most 64 bytes.
    pub class: String,
    /// When it started, in milliseconds since the Unix epoch; zero for when the node takes it.
    pub started: u64,
    /// What else is said of it, for people and for selectors: at most 16 pairs, keys of 1 to 64
    /// bytes and values of at most 256.
    pub metadata: BTreeMap<String, String>,
    /// Its methods; their positions are what the handler is given.
    pub methods: Vec<Method>,
    /// What runs them.
    pub handler: Arc<dyn Handler>,
    /// Whether the node's record names it, so that others find it. Calls that come all the same
    /// reach its gates and its handler.
    pub advertised: bool,
}

impl Service {
    /// A service of which nothing else is said, and which is advertised.
    pub fn new(
        name: impl Into<String>,
        methods: impl IntoIterator<Item = Method>,
        handler: Arc<dyn Handler>,
    ) -> Self {
        Self {
            name: name.into(),
            version: String::new(),
            class: String::new(),
            started: 0,
            metadata: BTreeMap::new(),
            methods: methods.into_iter().collect(),
            handler,
            advertised: true,
        }
    }

    /// Its version, at most [`MAX_VERSION_BYTES`](crate::directory::MAX_VERSION_BYTES) bytes.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// What kind of service it is, at most [`MAX_CLASS_BYTES`](crate::directory::MAX_CLASS_BYTES)
    /// bytes.
    pub fn class(mut self, class: impl Into<String>) -> Self {
        self.class = class.into();
        self
    }

    /// When it started, in milliseconds since the Unix epoch: when the node takes it, unless said
    /// otherwise.
    pub fn started(mut self, started: u64) -> Self {
        self.started = started;
        self
    }

    /// One more pair of its metadata, or another value for its key. At most
    /// [`MAX_METADATA`](crate::directory::MAX_METADATA) pairs.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Whether the node's record names it. True unless said otherwise.
    pub fn advertised(mut self, advertised: bool) -> Self {
        self.advertised = advertised;
        self
    }

    /// What the node says of it to others.
    pub(crate) fn record(&self) -> ServiceRecord {
        let methods = self.methods.iter().map(|method| MethodRecord {
            name: method.name.clone(),
            id: method.id,
            key: method.key,
        });
        ServiceRecord {
            name: self.name.clone(),
            version: self.version.clone(),
            methods: methods.collect(),
            class: self.class.clone(),
            started: self.started,
            metadata: self.metadata.iter().collect(),
        }
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("class", &self.class)
            .field("started", &self.started)
            .field("metadata", &self.metadata)
            .field("methods", &self.methods)
            .field("advertised", &self.advertised)
            .finish_non_exhaustive()
    }
}

/// One method of a service.
#[derive(Clone, Debug)]
pub struct Method {
    /// Its name within the service.
    pub name: String,
    /// Its wire id.
    pub id: u64,
    /// The hash of its shape.
    pub key: [u8; 8],
    /// How many of its calls may run and wait.
    pub gate: Arc<Gate>,
    /// Never run any part of it on the task that reads from the network.
    pub spawn: bool,
    /// Calls that are to be spawned at once, since an earlier one blocked when it was first
    /// polled. Kept by the server.
    pub(crate) wary: Arc<AtomicU32>,
}

impl Method {
    /// A method that is admitted through `gate`.
    pub fn new(name: impl Into<String>, id: u64, key: [u8; 8], gate: Arc<Gate>) -> Self {
        Self { name: name.into(), id, key, gate, spawn: false, wary: Arc::default() }
    }

    /// Whether no part of it may run on the task that reads from the network.
    pub fn spawned(mut self, spawn: bool) -> Self {
        self.spawn = spawn;
        self
    }
}

/// Runs the calls of one service.
pub trait Handler: Send + Sync + 'static {
    /// Begins a call. The future is dropped when nobody waits for the call any more.
    fn handle(&self, call: Incoming)
    -> Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>>;

    /// Why no call of this method, by its position in [`Service::methods`], is taken now, if none
    /// is: the service is paused, or about to stop. Asked for each call before it is admitted, on
    /// the task that reads from the network, so it must not wait. The fault must be one that says
    /// that the body was not run.
    fn refuses(&self, method: usize) -> Option<Fault> {
        let _ = method;
        None
    }
}

/// A call that has been admitted.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The position of the method in [`Service::methods`].
    pub method: usize,
    /// The encoded arguments.
    pub body: Bytes,
    /// What came beside them.
    pub headers: Headers,
    /// Who calls.
    pub caller: Caller,
    /// When the caller stops waiting, and whether it has.
    pub lease: Lease,
}

/// The verified identity of a calling node.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The key that it proved to hold.
    pub node: NodeId,
}

/// Why a handler has no result.
///
/// `Malformed`, `Denied`, `Overloaded`, `Expired` and `Draining` promise that the body was not run,
/// and that is what the caller is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The arguments do not decode; the body was not run.
    Malformed(String),
    /// The body panicked.
    Panicked(String),
    /// The body returned, and its result refuses to be written.
    Unwritable(String),
    /// The caller may not call this; the body was not run. The bytes say why in a form that the
    /// caller knows, and are handed to it as they are: at most [`MAX_DENIED_BYTES`](super::MAX_DENIED_BYTES), longer ones are
    /// left out.
    Denied(Bytes),
    /// Too much is going on; the body was not run.
    Overloaded {
        /// When another try has a chance.
        retry_after: Duration,
    },
    /// There was no time left; the body was not run.
    Expired,
    /// The service takes no calls now; the body was not run. The caller may ask another node.
    Draining,
    /// The body began and was stopped, since it took longer than the service allows.
    Overran,
}
