//! What a node shall be, beside its services.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use macula::identity::{Cookie, SecretKey};
use macula::{Io, Limits, MemoryNetwork, Mesh, MeshBuilder};

use crate::Result;
use crate::boot::Roles;
use crate::error::Error;
use crate::intercept::Interceptors;
use crate::nodes::{Policy, Topology};

/// How long a node waits for running calls when it shuts down, unless told otherwise.
const GRACE: Duration = Duration::from_secs(10);
/// How long a node tries to join others before it starts alone, unless told otherwise.
const JOIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Everything about a node to be but its services.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) tags: Vec<String>,
    pub(crate) realm: Option<String>,
    pub(crate) cookie: Option<Secret>,
    pub(crate) identity: Option<PathBuf>,
    /// Instead of a file: the key, and the number of this life of the node.
    pub(crate) key: Option<(SecretKey, u64)>,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) advertise: Option<SocketAddr>,
    pub(crate) seeds: Vec<String>,
    pub(crate) seed_files: Vec<PathBuf>,
    pub(crate) seeds_from_env: bool,
    pub(crate) local_discovery: bool,
    pub(crate) runtime_dir: Option<PathBuf>,
    pub(crate) memory: Option<(MemoryNetwork, SocketAddr)>,
    pub(crate) limits: Option<Limits>,
    pub(crate) io: Io,
    pub(crate) topology: Option<Topology>,
    pub(crate) default_timeout: Option<Duration>,
    pub(crate) interceptors: Interceptors,
    pub(crate) policy: Option<Policy>,
    pub(crate) random_seed: Option<u64>,
    pub(crate) max_extensions: Option<u32>,
    pub(crate) join_timeout: Duration,
    pub(crate) grace: Duration,
    pub(crate) roles: Option<Roles>,
    pub(crate) generic_on_mismatch: bool,
}

impl Settings {
    /// The usual ones.
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            tags: Vec::new(),
            realm: None,
            cookie: None,
            identity: None,
            key: None,
            listen: None,
            advertise: None,
            seeds: Vec::new(),
            seed_files: Vec::new(),
            seeds_from_env: true,
            local_discovery: true,
            runtime_dir: None,
            memory: None,
            limits: None,
            io: Io::default(),
            topology: None,
            default_timeout: None,
            interceptors: Interceptors::default(),
            policy: None,
            random_seed: None,
            max_extensions: None,
            join_timeout: JOIN_TIMEOUT,
            grace: GRACE,
            roles: None,
            generic_on_mismatch: false,
        }
    }

    /// What the settings mean for the mesh underneath.
    pub(super) fn mesh(&self) -> Result<MeshBuilder> {
        let mut mesh = Mesh::builder(&self.name).join_timeout(self.join_timeout).io(self.io);
        mesh = self.tags.iter().fold(mesh, MeshBuilder::tag);
        mesh = self.seeds.iter().fold(mesh, MeshBuilder::seed);
        mesh = self.seed_files.iter().fold(mesh, MeshBuilder::seed_file);
        mesh = mesh.seeds_from_env(self.seeds_from_env);
        if let Some(realm) = &self.realm {
            mesh = mesh.realm(realm);
        }
        if let Some(Secret(cookie)) = &self.cookie {
            let cookie =
                Cookie::new(cookie.as_bytes()).map_err(|error| Error::msg(error.to_string()));
            mesh = mesh.cookie(cookie?);
        }
        if let Some(path) = &self.identity {
            mesh = mesh.identity_file(path);
        }
        if let Some((key, life)) = &self.key {
            mesh = mesh.identity_in_life(key.clone(), *life);
        }
        if let Some(listen) = self.listen {
            mesh = mesh.listen(listen);
        }
        if let Some(advertise) = self.advertise {
            mesh = mesh.advertise(advertise);
        }
        if let Some(dir) = &self.runtime_dir {
            mesh = mesh.runtime_dir(dir);
        }
        if let Some((network, addr)) = &self.memory {
            mesh = mesh.memory(network.clone(), *addr);
        }
        if let Some(topology) = &self.topology {
            mesh = mesh.topology(topology.hash().to_bytes());
        }
        if let Some(limits) = &self.limits {
            mesh = mesh.limits(limits.clone());
        }
        Ok(mesh.local_discovery(self.local_discovery && self.memory.is_none()))
    }
}

/// A text that is never printed.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
