//! Requests, waits and clusters for tests of several files.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use macula::identity::Cookie;
use macula::rpc::{Headers, Request, Term};
use macula::{Mesh, MeshBuilder};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

/// The shape of all methods.
pub(crate) const KEY: [u8; 8] = *b"a shape!";
/// How long a test waits for what must come; only a failure takes that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// One cluster's own runtime directory, realm and cookie.
pub(crate) struct Site {
    dir: TempDir,
    cookie: Cookie,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), cookie: Cookie::generate() }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn cookie(&self) -> Cookie {
        self.cookie.clone()
    }

    /// A node of the cluster, on this machine.
    pub(crate) fn builder(&self, name: &str) -> MeshBuilder {
        Mesh::builder(name)
            .realm("test")
            .cookie(self.cookie())
            .runtime_dir(self.dir())
            .join_timeout(PATIENCE)
    }
}

pub(crate) fn request(method: u64, body: impl Into<Bytes>) -> Request {
    Request {
        method,
        key: KEY,
        body: body.into(),
        term: Term::fixed(Instant::now() + PATIENCE),
        headers: Headers::new(),
        moved: None,
        sent: None,
        leave_if_silent: false,
    }
}

/// Waits for a view for which this holds.
pub(crate) async fn until(
    mesh: &Mesh,
    patience: Duration,
    what: &str,
    holds: impl Fn(&Mesh) -> bool,
) {
    let mut changed = mesh.watch_view();
    let wait = async {
        while !holds(mesh) {
            changed.changed().await.unwrap();
        }
    };
    timeout(patience, wait).await.unwrap_or_else(|_| panic!("{what}: not in time"));
}
