//! How a node is prepared: every setting has a default, and nothing happens before `start`.

#[cfg(feature = "testing")]
mod again;
mod begin;
mod check;
mod roles;
mod settings;
mod table;

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use macula::rpc::MAX_EXTENSIONS;
use macula::{Io, Limits, MemoryNetwork};
use tokio::sync::watch;

use crate::Result;
use crate::call::background::Background;
use crate::call::engine::known::Known;
use crate::call::retry::RetryBudget;
use crate::context::Caller;
use crate::declared::{self, Notice, Told};
use crate::error::Error;
use crate::intercept::Interceptor;
use crate::node::{Node, Shared};
use crate::nodes::callers::Callers;
use crate::nodes::choices::Choices;
use crate::nodes::live::{Live, follow};
use crate::nodes::{Policy, Topology};
use crate::registry::Registry;
use crate::service::contracts::Contracts;
use crate::service::exported::{Offer, export};
use crate::service::info::ServiceInfo;
use crate::service::instance::Service;
use crate::service::serve::{Dispatch, Serve};
use crate::service::services::Services;
use crate::service::slot::Slots;
use begin::begin;
use check::check;
use settings::{Secret, Settings};
use table::table;

/// Retries per thousand calls, and at once: an outage may fail many calls in one moment.
const RETRY_PERMILLE: u32 = 200;
const RETRY_RESERVE: u32 = 1000;

/// A node to be: `Node::builder("server").tag("db").serve(store).start().await?`.
#[must_use = "a node does nothing until it is started: `.start().await`"]
pub struct NodeBuilder {
    settings: Settings,
    services: Vec<Arc<dyn Dispatch>>,
    /// Those with plugins, or a life of their own, which are started after the node.
    living: Vec<Service>,
}

impl NodeBuilder {
    pub(crate) fn new(name: String) -> Self {
        Self { settings: Settings::new(name), services: Vec::new(), living: Vec::new() }
    }

    /// Adds a tag, for selectors to choose by: 1 to 64 bytes without white space, quotes, hidden
    /// characters (those of [`macula::text::is_hidden`]) and any of `&|!@(),;`; at most 64 tags.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.settings.tags.push(tag.into());
        self
    }

    /// Adds tags, for selectors to choose by.
    pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.settings.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// Sets the realm: nodes of different realms never talk to each other.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.settings.realm = Some(realm.into());
        self
    }

    /// Sets the secret that nodes of the realm share.
    pub fn cookie(mut self, cookie: impl Into<String>) -> Self {
        self.settings.cookie = Some(Secret(cookie.into()));
        self
    }

    /// Keeps the key of the node in this file, so that it is the same node after a restart.
    pub fn identity(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.identity = Some(path.into());
        self
    }

    /// Listens on this UDP address; port zero takes any free one.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.settings.listen = Some(address);
        self
    }

    /// Tells others to reach the node at this address, where it differs from the one it listens
    /// on.
    pub fn advertise(mut self, address: SocketAddr) -> Self {
        self.settings.advertise = Some(address);
        self
    }

    /// Adds a place to join by: `10.0.0.1:9443`, `[::1]:9443`, `host:port`, `host` or `name@host`.
    /// What each means says [`MeshBuilder::seed`](macula::MeshBuilder::seed).
    pub fn seed(mut self, address: impl Into<String>) -> Self {
        self.settings.seeds.push(address.into());
        self
    }

    /// Adds the seeds that this file names, one a line; what follows a `#` is a comment. It may
    /// change while the node runs: [`MeshBuilder::seed_file`](macula::MeshBuilder::seed_file).
    pub fn seed_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.seed_files.push(path.into());
        self
    }

    /// Whether the seeds in the environment variable `MACULA_SEEDS`, between commas or white space,
    /// are added to the others. True unless set; a node on a network in memory never reads it.
    pub fn seeds_from_env(mut self, on: bool) -> Self {
        self.settings.seeds_from_env = on;
        self
    }

    /// Whether nodes of the realm that this user runs on this machine find each other with no
    /// seeds, through the runtime directory. True unless set.
    pub fn local_discovery(mut self, on: bool) -> Self {
        self.settings.local_discovery = on;
        self
    }

    /// Sets the directory through which nodes of this machine find each other, instead of the
    /// user's own.
    pub fn runtime_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.settings.runtime_dir = Some(dir.into());
        self
    }

    /// Puts the node on a network inside this process, at this address of it: QUIC and TLS as
    /// ever, without sockets. Seeds are addresses of that network.
    pub fn memory(mut self, network: MemoryNetwork, addr: SocketAddr) -> Self {
        self.settings.memory = Some((network, addr));
        self
    }

    /// Sets what the node accepts, keeps and waits for, at most.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = Some(limits);
        self
    }

    /// Sets where the I/O of the node runs: on the runtime on which it is started unless set, or on
    /// a thread of its own.
    pub fn io(mut self, io: Io) -> Self {
        self.settings.io = io;
        self
    }

    /// Says which nodes there should be: what a majority counts. It can be replaced while the node
    /// runs: [`Node::reload_topology`].
    pub fn topology(mut self, topology: Topology) -> Self {
        self.settings.topology = Some(topology);
        self
    }

    /// Sets the time limit of calls where nothing nearer does; 5 seconds unless set. With zero, or
    /// more than 24 hours, the node does not start.
    pub fn default_timeout(mut self, timeout: Duration) -> Self {
        self.settings.default_timeout = Some(timeout);
        self
    }

    /// Sets by what a call from this node that goes to one node chooses it, where nothing nearer
    /// does; [`Policy::LocalFirst`] unless set.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.settings.policy = Some(policy);
        self
    }

    /// Has all calls of this node shown to `interceptor` before they leave and when they have ended; of
    /// several, in the order in which they are given here.
    pub fn intercept(mut self, interceptor: impl Interceptor) -> Self {
        self.settings.interceptors = self.settings.interceptors.with(interceptor);
        self
    }

    /// Sets the seed of all random choices that calls from this node make: which nodes they ask in
    /// which order, and how long they wait between attempts. On one platform and release, the
    /// same calls in the same order, on nodes of the same names that fare the same, then choose
    /// the same; by [`Policy::sticky`], which goes by the keys of the nodes and draws nothing, only
    /// if the nodes keep their [`identity`](Self::identity). From the system unless set. No secrets
    /// are made from it.
    pub fn random_seed(mut self, seed: u64) -> Self {
        self.settings.random_seed = Some(seed);
        self
    }

    /// Sets how often calls may be extended by their handlers where nothing nearer does; 10 times
    /// unless set, 0 is never, 1000 is the most (more is cut to that).
    pub fn max_extensions(mut self, extensions: u32) -> Self {
        self.settings.max_extensions = Some(extensions.min(MAX_EXTENSIONS));
        self
    }

    /// Sets how long the start may take to find another node before it
    /// returns and goes on trying; 5 seconds unless set.
    pub fn join_timeout(mut self, timeout: Duration) -> Self {
        self.settings.join_timeout = timeout;
        self
    }

    /// Sets how long a shutdown waits for running calls; 10 seconds unless set.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }

    /// Serves a value that implements a `#[service]` trait.
    ///
    /// When it implements several, say which one: [`serve_as`](Self::serve_as).
    pub fn serve<ServeAs, S: Serve<ServeAs>>(mut self, service: S) -> Self {
        self.services.push(service.erase());
        self
    }

    /// Serves a value as the service of the client `C`: `.serve_as::<UsersClient>(store)`.
    pub fn serve_as<C>(self, service: impl Serve<C>) -> Self {
        self.serve::<C, _>(service)
    }

    /// Serves a service with plugins, a configuration, or anything else that is said of it. It is
    /// started with the node; if it fails, so does the node.
    pub fn service(mut self, service: Service) -> Self {
        self.living.push(service);
        self
    }

    /// Starts the node.
    ///
    /// # Errors
    ///
    /// Two services of one name, two methods of one service with one wire name, a name or a tag
    /// that is empty, too long or not to be spelt (see [`Node::builder`] and [`tag`](Self::tag)),
    /// more than 64 tags, other tags than the topology gives a node of this name, a time limit of
    /// zero or of more than 24 hours, a cookie that is empty, a seed of another form than
    /// [`seed`](Self::seed) takes, a seed file that cannot be read, a selector in an attribute that names what the topology does not, an address that is taken, a
    /// key or cookie file that others may read, a build that leaves out a role of the node
    /// ([`roles`](Self::roles)).
    ///
    /// Seeds that do not answer are no error: the node goes on trying, and calls say what it
    /// tried.
    pub async fn start(self) -> Result<Node> {
        let Self { settings, services, mut living } = self;
        check(&settings)?;
        let mut services = table(services, &settings.name)?;
        let generic = roles::is_generic(&settings)?;
        let own_tags: BTreeSet<String> = settings.tags.iter().cloned().collect();
        let later = living.iter().map(Service::info).collect::<Result<Vec<_>, _>>()?;
        let infos = || {
            let here = services.values().map(|served| served.info());
            here.chain(later.iter().copied())
        };
        let mut notice = None;
        if let Some(topology) = &settings.topology {
            declared::check(&settings.name, &own_tags, infos(), topology)?;
            let serves = !generic && infos().any(ServiceInfo::is_global);
            notice = Notice::of(&settings.name, serves, topology);
        }
        if generic {
            services.clear();
            living.clear();
        }
        let callers = Callers::default();
        let mut mesh = settings.mesh()?;
        let slots = Arc::new(Slots::default());
        for (name, served) in &services {
            let slot = slots.slot(name);
            slot.put(Arc::clone(served));
            if served.info().is_global() {
                mesh = mesh.service(export(&slot, served, &callers, Offer::of(served.info())));
            }
        }
        let mesh = mesh.start().await.map_err(|error| Error::msg(error.to_string()))?;
        if let Some(notice) = notice {
            notice.say(&settings.name);
        }
        let live = Arc::new(Live::new());
        live.refresh(&mesh, &callers);
        let contracts = Contracts::new(services.values().map(|served| served.info()));
        let following = follow(
            live.clone(),
            mesh.clone(),
            callers.clone(),
            slots.clone(),
            #[cfg(feature = "metrics")]
            crate::nodes::measures::Gauges::new(&settings.name),
        );
        let follower = tokio::spawn(following);
        let tags = settings.tags.iter().map(|tag| tag.as_str().into()).collect();
        let name: Box<str> = settings.name.into();
        let caller = Arc::new(Caller { id: mesh.id(), name: name.clone(), tags });
        let node = Node::of(Shared {
            mesh,
            live,
            retries: RetryBudget::new(RETRY_PERMILLE, RETRY_RESERVE),
            choices: Choices::new(settings.random_seed),
            known: Known::default(),
            usual: Mutex::default(),
            name,
            tags: own_tags,
            follower: follower.abort_handle(),
            caller,
            contracts,
            slots,
            services: Services::default(),
            changes: watch::Sender::new(()),
            events: Arc::default(),
            callers,
            told: Told::new(settings.topology),
            default_timeout: settings.default_timeout,
            interceptors: settings.interceptors.clone(),
            policy: settings.policy,
            max_extensions: settings.max_extensions,
            background: Background::default(),
            grace: settings.grace,
            generic,
            registry: Registry::default(),
            stopped: AtomicBool::new(false),
        });
        node.callers().of(&node);
        if let Err(error) = begin(services.into_values().collect(), living, &node).await {
            let _ = node.shutdown().await;
            return Err(error.into());
        }
        Ok(node)
    }
}

impl fmt::Debug for NodeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeBuilder")
            .field("settings", &self.settings)
            .field("services", &self.services)
            .finish()
    }
}
