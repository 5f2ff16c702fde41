//! How a node is prepared: every setting has a default, and nothing happens before `start`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use macula::identity::NodeId;

use crate::Result;
use crate::call::options::TIMEOUT_MAX;
use crate::error::Error;
use crate::node::{Node, Shared};
use crate::nodes::{NodeFacts, Topology};
use crate::service::info::ServiceInfo;
use crate::service::serve::{Dispatch, Serve};
use crate::service::served::Served;

/// How long a node waits for running calls when it shuts down, unless told otherwise.
const GRACE_DEFAULT: Duration = Duration::from_secs(10);
/// How long a node tries to join others before it starts alone, unless told otherwise.
const JOIN_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// The longest name of a node or a tag, in bytes.
const NAME_MAX: usize = 255;

/// A node to be: `Node::builder("server").tag("db").serve(store).start().await?`.
#[must_use = "a node does nothing until it is started: `.start().await`"]
pub struct NodeBuilder {
    settings: Settings,
    services: Vec<Arc<dyn Dispatch>>,
}

/// Everything about a node to be but its services.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) tags: Vec<String>,
    pub(crate) realm: Option<String>,
    pub(crate) cookie: Option<Secret>,
    pub(crate) identity: Option<PathBuf>,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) advertise: Option<SocketAddr>,
    pub(crate) seeds: Vec<String>,
    pub(crate) topology: Option<Topology>,
    pub(crate) default_timeout: Option<Duration>,
    pub(crate) join_timeout: Duration,
    pub(crate) grace: Duration,
}

impl NodeBuilder {
    pub(crate) fn new(name: String) -> Self {
        let settings = Settings {
            name,
            tags: Vec::new(),
            realm: None,
            cookie: None,
            identity: None,
            listen: None,
            advertise: None,
            seeds: Vec::new(),
            topology: None,
            default_timeout: None,
            join_timeout: JOIN_TIMEOUT_DEFAULT,
            grace: GRACE_DEFAULT,
        };
        Self { settings, services: Vec::new() }
    }

    /// Adds a tag, for selectors to choose by.
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

    /// Adds a node to join by: `10.0.0.1:9443`, or a name with a port.
    pub fn seed(mut self, address: impl Into<String>) -> Self {
        self.settings.seeds.push(address.into());
        self
    }

    /// Says which nodes there should be: what a majority counts.
    pub fn topology(mut self, topology: Topology) -> Self {
        self.settings.topology = Some(topology);
        self
    }

    /// Sets the time limit of calls where nothing nearer does; 5 seconds unless set, 24 hours at
    /// most.
    pub fn default_timeout(mut self, timeout: Duration) -> Self {
        self.settings.default_timeout = Some(timeout.min(TIMEOUT_MAX));
        self
    }

    /// Sets how long the start may take to find another node; 10 seconds unless set.
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

    /// Starts the node.
    ///
    /// # Errors
    ///
    /// Two services of one name, two methods of one service with one wire name, a name or a tag
    /// that is empty or longer than 255 bytes, a time limit of zero.
    pub async fn start(self) -> Result<Node> {
        let Self { settings, services } = self;
        check(&settings)?;
        let services = table(services, &settings.name)?;
        let mut facts = NodeFacts::new(NodeId::from_bytes(rand::random()), settings.name);
        facts.tags = settings.tags.into_iter().collect();
        let times = (settings.default_timeout, settings.grace);
        Ok(Node::of(Shared::new(facts, services, settings.topology, times)))
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

/// A text that is never printed.
#[derive(Clone)]
pub(crate) struct Secret(
    #[expect(dead_code, reason = "the mesh that proves it is to come")] pub(crate) String,
);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

fn check(settings: &Settings) -> Result<()> {
    let names = [("the name of a node", &settings.name)];
    for (what, text) in names.into_iter().chain(settings.tags.iter().map(|tag| ("a tag", tag))) {
        if text.is_empty() || text.len() > NAME_MAX {
            return Err(Error::msg(format!(
                "{what} has 1 to {NAME_MAX} bytes, and `{}` has {}",
                text.chars().take(32).collect::<String>(),
                text.len(),
            )));
        }
    }
    if settings.default_timeout == Some(Duration::ZERO) {
        return Err(Error::msg("a default timeout of zero leaves no time for any call"));
    }
    Ok(())
}

/// The services by name.
fn table(
    services: Vec<Arc<dyn Dispatch>>,
    node: &str,
) -> Result<BTreeMap<&'static str, Arc<Served>>> {
    let mut table = BTreeMap::new();
    for service in services {
        let info = service.info();
        check_ids(info)?;
        if table.insert(info.service_name(), Served::new(service)).is_some() {
            return Err(Error::msg(format!(
                "two services named `{}` on one node, `{node}`: serve one of them elsewhere, or \
                 name it apart with `#[service(name = \"…\")]`",
                info.service_name(),
            )));
        }
    }
    Ok(table)
}

/// The wire ids of a service's methods tell them apart.
fn check_ids(info: &'static ServiceInfo) -> Result<()> {
    let mut seen = BTreeMap::new();
    for method in info.methods() {
        if let Some(other) = seen.insert(method.wire_id(), method.method_name()) {
            return Err(Error::msg(format!(
                "the methods `{other}` and `{}` of `{}` have one wire id: name one of them apart \
                 with `#[api(name = \"…\")]`",
                method.method_name(),
                info.service_name(),
            )));
        }
    }
    Ok(())
}
