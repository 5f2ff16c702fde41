//! What a service shall be.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use macula::text::Safe;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;

use super::{Crew, Instance, ServiceError, ServiceHandle};
use crate::Node;
use crate::config::{Patch, Schema};
use crate::events::Teller;
use crate::nodes::{Profile, is_version};
use crate::service::config::{Change, ConfigCell, Given, Part, read_file};
use crate::service::exported::{Offer, export};
use crate::service::info::{BadServiceName, ServiceInfo};
use crate::service::input::panic_message;
use crate::service::lifecycle::cell::StatusCell;
use crate::service::lifecycle::handle::{Lifecycle, Settings};
use crate::service::lifecycle::{LifecycleError, ServiceStatus};
use crate::service::plugin::erased::Erased;
use crate::service::plugin::order::resolve;
use crate::service::plugin::{Host, Plugin};
use crate::service::serve::{Dispatch, Serve};
use crate::service::served::Served;

/// A service to be: an implementation, and all that is said of it.
///
/// ```
/// # use nebula::prelude::*;
/// # use nebula::Service;
/// # #[service]
/// # trait Greeter {
/// #     #[api]
/// #     async fn hello(&self, name: String) -> String;
/// # }
/// # struct English;
/// # impl Greeter for English {
/// #     async fn hello(&self, name: String) -> String {
/// #         format!("Hello, {name}!")
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> nebula::Result<()> {
/// let node = Node::builder("server").start().await?;
/// let greeter = Service::new(English).version("1.4.0").start_on(&node).await?;
/// assert!(greeter.status().accepts_calls());
/// greeter.pause("lunch").await?;
/// assert!(GreeterClient::new(&node).hello("Ada".into()).await.is_err());
/// greeter.activate("back").await?;
/// assert_eq!(GreeterClient::new(&node).hello("Ada".into()).await?, "Hello, Ada!");
/// # node.shutdown().await
/// # }
/// ```
#[must_use = "a service does nothing until it is started: `.start_on(&node).await?`"]
pub struct Service {
    make: Make,
    name: Option<String>,
    version: Option<String>,
    class: String,
    metadata: BTreeMap<String, String>,
    plugins: Vec<Arc<dyn Erased>>,
    config: Option<Schema>,
    file: Option<PathBuf>,
    environment: Option<String>,
    patch: Option<Patch>,
    paused: bool,
    grace: Option<Duration>,
    start_limit: Duration,
}

/// How long each start hook may take, unless it is said.
const START_LIMIT: Duration = Duration::from_secs(60);

type Build = Box<dyn FnOnce(&Host) -> Arc<dyn Dispatch> + Send>;

/// Where the implementation comes from.
enum Make {
    Made(Arc<dyn Dispatch>),
    /// It is in its place already.
    There(Arc<Served>),
    /// Behind a lock only so that a service to be may be shared like any other setting.
    Later(&'static ServiceInfo, TypeId, Mutex<Build>),
}

impl Make {
    fn info(&self) -> &'static ServiceInfo {
        match self {
            Self::Made(service) => service.info(),
            Self::There(served) => served.info(),
            Self::Later(info, ..) => info,
        }
    }

    /// The type of the generated client.
    fn contract(&self) -> TypeId {
        match self {
            Self::Made(service) => service.contract(),
            Self::There(served) => served.contract(),
            Self::Later(_, contract, _) => *contract,
        }
    }
}

impl Service {
    /// A service that this value implements. A value that implements several says which one:
    /// `Service::new::<UsersClient>(store)`.
    pub fn new<S>(service: impl Serve<S>) -> Self {
        Self::of(Make::Made(service.erase()))
    }

    /// A service whose implementation is made when it is started, with what it needs to know of
    /// where it is: its configuration to watch, its extensions, its node.
    pub fn build<S: crate::service::method::Service, T: Serve<S>>(
        make: impl FnOnce(&Host) -> T + Send + 'static,
    ) -> Self {
        let make: Build = Box::new(|host| make(host).erase());
        Self::of(Make::Later(S::INFO, TypeId::of::<S>(), Mutex::new(make)))
    }

    /// Its names and methods, under the name that it has been given.
    pub(crate) fn info(&self) -> Result<&'static ServiceInfo, BadServiceName> {
        match &self.name {
            Some(name) => self.make.info().named(self.make.contract(), name),
            None => Ok(self.make.info()),
        }
    }

    fn of(make: Make) -> Self {
        Self {
            make,
            name: None,
            version: None,
            class: String::new(),
            metadata: BTreeMap::new(),
            plugins: Vec::new(),
            config: None,
            file: None,
            environment: None,
            patch: None,
            paused: false,
            grace: None,
            start_limit: START_LIMIT,
        }
    }

    /// Serves it under this name in place of that of its contract, so that one node can serve several
    /// instances of one contract: shards, tenants, a second version beside the first. Clients name
    /// the one they mean: `UsersClient::named(&node, "users-eu")?`; those that name none mean the
    /// service that bears the name of the contract.
    ///
    /// A name has 1 to 128 bytes without white space, characters that are not seen and `/`; with any
    /// other the service is not started. Each that is used is kept for the life of the process, so do not make
    /// names of what comes from outside.
    ///
    /// ```
    /// # use nebula::prelude::*;
    /// # use nebula::Service;
    /// # #[service]
    /// # trait Greeter {
    /// #     #[api]
    /// #     async fn hello(&self) -> String;
    /// # }
    /// # struct Says(&'static str);
    /// # impl Greeter for Says {
    /// #     async fn hello(&self) -> String {
    /// #         self.0.to_owned()
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> nebula::Result<()> {
    /// let node = Node::builder("server").start().await?;
    /// Service::new(Says("Hello")).name("greeter-en").start_on(&node).await?;
    /// Service::new(Says("Salut")).name("greeter-fr").start_on(&node).await?;
    /// let french = GreeterClient::named(&node, "greeter-fr")?;
    /// assert_eq!(french.hello().await?, "Salut");
    /// # node.shutdown().await
    /// # }
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets its version, at most 32 bytes; that of the contract unless set. Clients may
    /// [require](crate::Options::version) one: those that do take none without its three numbers, as
    /// `1.4.0` has them, of which there is a warning in the log.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Sets what kind of service it is, for people: at most 64 bytes.
    pub fn class(mut self, class: impl Into<String>) -> Self {
        self.class = class.into();
        self
    }

    /// Says more of it, for people and tools: at most 16 pairs, keys of 1 to 64 bytes and values of
    /// at most 256.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Adds a plugin. The order of adding counts where the plugins themselves leave it open: the
    /// first one stands on top.
    pub fn plugin(mut self, plugin: impl Plugin) -> Self {
        self.plugins.push(Arc::new(plugin));
        self
    }

    /// Says what its configuration is, with the values that hold where no layer says anything.
    pub fn config<C>(self, defaults: C) -> Self
    where
        C: DeserializeOwned + Serialize + Send + Sync + 'static,
    {
        self.schema(Schema::new(defaults))
    }

    /// The same with rules of its own.
    pub fn schema(mut self, schema: Schema) -> Self {
        self.config = Some(schema);
        self
    }

    /// Reads a layer of configuration from this file (TOML), which must exist. It is read when the
    /// service is started.
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Takes a layer of configuration from the environment: under the prefix `USERS` the variable
    /// `USERS__POOL__SIZE` is the key `pool.size`. It is read when the service is started.
    pub fn config_env(mut self, prefix: impl Into<String>) -> Self {
        self.environment = Some(prefix.into());
        self
    }

    /// Puts values over those of the code, the file and the environment. Those for a plugin that it
    /// does not have are refused when it is started.
    pub fn start_with(mut self, patch: impl Into<Patch>) -> Self {
        self.patch = Some(patch.into());
        self
    }

    /// Leaves it paused when it is started, with no plugin started, until it is activated.
    pub fn paused(mut self) -> Self {
        self.paused = true;
        self
    }

    /// How long calls and plugins may take to end when it stops; that of the node unless set.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// How long the start of each plugin may take, be it with the service or later: 60 s unless set.
    pub fn start_limit(mut self, limit: Duration) -> Self {
        self.start_limit = limit;
        self
    }

    /// Starts it on this node, and returns once it runs (or is paused, if it was asked to be). It
    /// takes calls then, unless a plugin says that it is not [ready](Plugin::ready) yet, which is no
    /// error. It is started also if nobody waits for it any more: [`Node::service`] finds it.
    ///
    /// # Errors
    ///
    /// Says what is wrong with what it was to be, or what failed. Nothing of it is left then. To
    /// have a service that fails at first tried again, see [`launch_on`](Self::launch_on).
    pub async fn start_on(self, node: &Node) -> Result<ServiceHandle, ServiceError> {
        let handle = self.launch_on(node)?;
        // Whoever stops waiting does not keep what fails from being taken away.
        let starting = tokio::spawn(async move {
            match handle.started().await {
                Ok(()) => Ok(handle),
                Err(error) => {
                    // The failure is told; what its end may say adds nothing.
                    let _ = handle.stop().await;
                    Err(error.for_good())
                }
            }
        });
        starting.await.unwrap_or_else(|_| Err(LifecycleError::Stopped.into()))
    }

    /// Gives a service that is in its place on a node already, and takes calls, a life.
    pub(crate) async fn adopt(served: Arc<Served>, node: &Node) -> Result<(), ServiceError> {
        Self::of(Make::There(served)).launch_on(node)?.started().await
    }

    /// Starts it on this node without waiting for it: if it fails, it is tried again after 1 s, 2 s
    /// and so on up to 60 s, until it is stopped.
    ///
    /// # Errors
    ///
    /// Says what is wrong with what it was to be, or that this is no place to start it: it must be
    /// called within a Tokio runtime. Nothing of it is left then.
    pub fn launch_on(self, node: &Node) -> Result<ServiceHandle, ServiceError> {
        if Handle::try_current().is_err() {
            return Err(ServiceError::NoRuntime);
        }
        let launched = catch_unwind(AssertUnwindSafe(|| self.launch(node)));
        launched.unwrap_or_else(|panic| Err(ServiceError::Panicked(panic_message(panic))))
    }

    fn launch(self, node: &Node) -> Result<ServiceHandle, ServiceError> {
        let info = self.info()?;
        let Self { make, version, class, metadata, plugins: listed, .. } = self;
        let name: Arc<str> = info.service_name().into();
        let plugins = resolve(&listed, &[])?;
        let mut sections = Instance::sections(&plugins, &Default::default(), |_| false)?;
        if let Some(schema) = self.config {
            sections.insert(Part::Service, schema.section(&Part::Service)?);
        }
        let mut changes = vec![Change::Sections(sections)];
        if let Some(path) = &self.file {
            changes.push(Change::Layer(read_file(path)?));
        }
        if let Some(prefix) = &self.environment {
            changes.push(Change::Layer(Given::environment(prefix, std::env::vars_os())?));
        }
        if let Some(patch) = self.patch {
            changes.push(Change::Layer(Given::start(patch)?));
        }
        let config = ConfigCell::new(changes)?;
        let now = SystemTime::now();
        let cell = StatusCell::new(ServiceStatus::fresh(now));
        let teller = Teller::new(&name, node.bus());
        let cell = Arc::new(cell.telling(node.service_changes().clone(), teller));
        let place = node.occupy(&name)?;
        let profile = Profile {
            info,
            node_name: node.name().into(),
            version: version.as_deref().or(info.version_text()).unwrap_or_default().to_owned(),
            class,
            metadata,
            started: told_start(node, &name).unwrap_or_else(|| milliseconds(now)),
        };
        let instance = Arc::new(Instance {
            name: Arc::clone(&name),
            profile,
            node: node.downgrade(),
            node_id: node.id(),
            global: info.is_global(),
            slot: node.slot(&name),
            config,
            extensions: Arc::default(),
            cell: Arc::clone(&cell),
            lifecycle: OnceLock::new(),
            core: OnceLock::new(),
            crew: Mutex::new(Crew::default()),
            start_limit: self.start_limit,
            managing: tokio::sync::Mutex::new(()),
            left: AtomicBool::new(false),
            unasked: AtomicBool::new(false),
        });
        let there = matches!(make, Make::There(_));
        let core = match make {
            Make::Made(service) => Served::named(service, info),
            Make::There(served) => served,
            Make::Later(_, _, make) => {
                let make = make.into_inner().unwrap_or_else(PoisonError::into_inner);
                Served::named(make(&Host::new(&instance, Part::Service)), info)
            }
        };
        let version = &instance.profile.version;
        if !version.is_empty() && !is_version(version) {
            tracing::warn!(
                service = %name, version = %Safe(version),
                "this version has not three numbers, as `1.4.0` has: clients that require a version \
                 do not ask this service"
            );
        }
        core.say_version(version);
        let seats: Vec<_> = plugins.iter().map(|plugin| instance.seat(plugin)).collect();
        *instance.crew() = Crew { listed, seats: seats.clone(), reporter: None };
        // It is set here and nowhere else.
        let _ = instance.core.set(Arc::clone(&core));
        if !there {
            core.close();
            if info.is_global() {
                let Profile { version, class, metadata, started, .. } = &instance.profile;
                let started = *started;
                let offer = Offer { version, class, metadata, started, advertised: false };
                let exported = export(&instance.slot, &core, node.callers(), offer);
                let served = node.mesh().serve(exported);
                served.map_err(|error| ServiceError::Record(error.to_string()))?;
            }
        }
        let undo = Undo(Some(&instance));
        if !there {
            instance.show(&seats);
        }
        node.contracts().serve(info);
        let mut settings = Settings::new(Arc::clone(&name));
        settings.paused = self.paused;
        settings.grace = self.grace.unwrap_or(node.grace());
        let lifecycle = Lifecycle::new(cell, instance.clone(), settings);
        let _ = instance.lifecycle.set(lifecycle.clone());
        let handle = ServiceHandle::new(Arc::clone(&instance), lifecycle.clone());
        if let Err(left) = place.fill(handle.clone()) {
            handle.abandon();
            return Err(left);
        }
        undo.forget();
        lifecycle.begin();
        Ok(handle)
    }
}

/// Takes what was to be a service off its node, unless it comes to be one.
struct Undo<'i>(Option<&'i Instance>);

impl Undo<'_> {
    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if let Some(instance) = self.0 {
            instance.take_off();
        }
    }
}

/// When a service that the node's record names already has started.
fn told_start(node: &Node, service: &str) -> Option<u64> {
    let record = node.mesh().record(&node.id())?;
    record.services.iter().find(|known| known.name == service).map(|known| known.started)
}

/// Since the Unix epoch.
fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("name", &self.name.as_deref().unwrap_or(self.make.info().service_name()))
            .field("plugins", &self.plugins)
            .finish_non_exhaustive()
    }
}
