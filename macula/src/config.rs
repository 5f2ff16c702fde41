use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::Limits;
use crate::StartError;
use crate::identity::{Cookie, SecretKey};
use crate::io::Io;
use crate::join::resolve::{Resolve, System};
use crate::mesh::Mesh;
use crate::rpc::Service;
use crate::transport::MemoryNetwork;

/// Says what a node is before it starts.
#[derive(Debug)]
pub struct MeshBuilder {
    pub(crate) name: String,
    pub(crate) tags: Vec<String>,
    pub(crate) realm: String,
    pub(crate) cookie: Option<Cookie>,
    pub(crate) config_dir: Option<PathBuf>,
    pub(crate) identity: Identity,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) advertise: Option<SocketAddr>,
    pub(crate) memory: Option<MemoryNetwork>,
    pub(crate) seeds: Vec<String>,
    pub(crate) seed_files: Vec<PathBuf>,
    pub(crate) seeds_from_env: bool,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) local_discovery: bool,
    pub(crate) runtime_dir: Option<PathBuf>,
    pub(crate) join_timeout: Duration,
    pub(crate) services: Vec<Service>,
    pub(crate) topology: Option<[u8; 8]>,
    pub(crate) limits: Limits,
    pub(crate) io: Io,
}

/// Where a node's key comes from.
#[derive(Debug)]
pub(crate) enum Identity {
    Ephemeral,
    File(PathBuf),
    /// With the generation, if it was told.
    Key(Box<SecretKey>, Option<u64>),
}

impl MeshBuilder {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            tags: Vec::new(),
            realm: "default".into(),
            cookie: None,
            config_dir: None,
            identity: Identity::Ephemeral,
            listen: None,
            advertise: None,
            memory: None,
            seeds: Vec::new(),
            seed_files: Vec::new(),
            seeds_from_env: true,
            resolver: Arc::new(System::default()),
            local_discovery: true,
            runtime_dir: None,
            join_timeout: Duration::from_secs(5),
            services: Vec::new(),
            topology: None,
            limits: Limits::default(),
            io: Io::default(),
        }
    }

    /// Adds a tag by which the node can be chosen.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// The realm: nodes of different realms never meet. `default` unless said otherwise.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = realm.into();
        self
    }

    /// The secret that the nodes of the realm share. Without it the environment variable
    /// `MACULA_COOKIE` is taken, else the file `<realm>.cookie` in the configuration directory,
    /// which is made with a random cookie if it does not exist.
    pub fn cookie(mut self, cookie: Cookie) -> Self {
        self.cookie = Some(cookie);
        self
    }

    /// The directory of cookie files, instead of the user's.
    pub fn config_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.config_dir = Some(dir.into());
        self
    }

    /// Keeps the node's key in this file, made on the first start with mode 0600, so that the
    /// node is the same after a restart. Without it each start makes a new node.
    pub fn identity_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.identity = Identity::File(path.into());
        self
    }

    /// Uses this key. The generation of the node is the time of day, in milliseconds: it must have
    /// passed on since the last start with this key.
    pub fn identity(mut self, key: SecretKey) -> Self {
        self.identity = Identity::Key(key.into(), None);
        self
    }

    /// Uses this key, and this generation instead of the time of day. It must be higher than that
    /// of every life before, by far: a node that learns that it was declared dead counts on by
    /// itself.
    pub fn identity_in_life(mut self, key: SecretKey, generation: u64) -> Self {
        self.identity = Identity::Key(key.into(), Some(generation));
        self
    }

    /// The address to listen on; port 0 takes any free one. Without it the node listens on
    /// `127.0.0.1:0` (on `[::1]:0`, if all its seeds are addresses of IPv6 on this machine), or on
    /// all addresses if a seed is on another machine or there are seed files, which may come to name
    /// one. `[::]` is all addresses of both families, and
    /// `0.0.0.0` those of IPv4, from which no node is reached that has one of IPv6 alone.
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.listen = Some(addr);
        self
    }

    /// The address that others dial, if it is not the one that this node listens on.
    pub fn advertise(mut self, addr: SocketAddr) -> Self {
        self.advertise = Some(addr);
        self
    }

    /// Uses a network in memory instead of UDP. Seeds must be addresses of that network, and the
    /// runtime directory and `MACULA_SEEDS` are left alone.
    pub fn memory(mut self, network: MemoryNetwork, addr: SocketAddr) -> Self {
        self.memory = Some(network);
        self.listen = Some(addr);
        self.local_discovery = false;
        self
    }

    /// A place to join through:
    ///
    /// | form | what is dialled |
    /// |---|---|
    /// | `10.0.0.1:9443`, `[::1]:9443` | that address; without a port, at [`DEFAULT_PORT`] |
    /// | `host:port` | the addresses of the host, of both families |
    /// | `host` | the hosts and ports of the DNS records `_macula._udp.host` (SRV); if there are none, the host at [`DEFAULT_PORT`] |
    /// | `name@host` | the same by the records `_name._udp.host` |
    ///
    /// Names are looked up anew each time that they are asked, and asked for as long as the node
    /// lives wherever no member is. SRV records need the feature `dns`, without which there are none.
    ///
    /// [`DEFAULT_PORT`]: crate::DEFAULT_PORT
    pub fn seed(mut self, seed: impl Into<String>) -> Self {
        self.seeds.push(seed.into());
        self
    }

    /// Adds the seeds that this file names, one a line in the forms of [`seed`](Self::seed); what
    /// follows a `#` is a comment. It has 256 KiB at most, and a node 1024 seeds in all.
    ///
    /// The file is read at the start, which fails if it cannot be read or a line is no seed, and
    /// every five seconds from then on: it may change while the node runs. While it is at fault then,
    /// it counts as it was, with a warning. Unless it is said where the node [listens](Self::listen),
    /// it listens on all addresses, whatever the file names at the start.
    pub fn seed_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.seed_files.push(path.into());
        self
    }

    /// Whether the seeds in the environment variable `MACULA_SEEDS`, between commas or white space,
    /// are added to the others at the start. True unless said otherwise.
    pub fn seeds_from_env(mut self, on: bool) -> Self {
        self.seeds_from_env = on;
        self
    }

    /// Whether nodes of the realm on this machine, of the same user, find each other with no
    /// configuration. True unless said otherwise.
    pub fn local_discovery(mut self, on: bool) -> Self {
        self.local_discovery = on;
        self
    }

    /// The directory through which nodes of this machine meet, instead of the user's.
    pub fn runtime_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.runtime_dir = Some(dir.into());
        self
    }

    /// How long `start` waits for the first peer before it returns and goes on trying: 5 s
    /// unless said otherwise.
    pub fn join_timeout(mut self, timeout: Duration) -> Self {
        self.join_timeout = timeout;
        self
    }

    /// Offers a service to the cluster.
    pub fn service(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// The hash of the topology that this node counts quorums by.
    pub fn topology(mut self, hash: [u8; 8]) -> Self {
        self.topology = Some(hash);
        self
    }

    /// Other limits than the defaults.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where the I/O of the node runs: on the runtime on which it is started unless said otherwise.
    pub fn io(mut self, io: Io) -> Self {
        self.io = io;
        self
    }

    /// Binds, and joins the cluster if there is one.
    ///
    /// Resolves as soon as the node has met a peer or knows that there is none on this machine,
    /// and at the latest after [`join_timeout`](Self::join_timeout), still trying its seeds.
    ///
    /// # Errors
    ///
    /// See [`StartError`]. Seeds that do not answer are not an error.
    pub async fn start(self) -> Result<Mesh, StartError> {
        Mesh::start(self).await
    }
}
