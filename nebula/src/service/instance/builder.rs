//! What a service shall be.

mod launch;

use std::any::TypeId;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::{Patch, Schema};
use crate::service::info::{BadServiceName, ServiceInfo};
use crate::service::plugin::erased::Erased;
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
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("name", &self.name.as_deref().unwrap_or(self.make.info().service_name()))
            .field("plugins", &self.plugins)
            .finish_non_exhaustive()
    }
}
