use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nebula::{Node, NodeBuilder};
use tokio::process::Command;

use crate::home::home;
use crate::oracle::{self, Outcome};
use crate::patience::until;
use crate::{LedgerClient, Process, heap_file};

/// One cluster's own place: its directory, realm and cookie, which no other cluster has.
#[derive(Clone, Debug)]
pub struct Site {
    program: PathBuf,
    dir: PathBuf,
    secret: String,
    calls: Arc<AtomicU64>,
}

impl Site {
    /// A cluster in this empty directory, the servers of which run this program.
    pub fn new(dir: &Path, program: impl Into<PathBuf>) -> Self {
        let place = dir.file_name().unwrap_or_default().to_string_lossy();
        let secret = format!("{}{place}", std::process::id());
        Self { program: program.into(), dir: dir.to_owned(), secret, calls: Arc::default() }
    }

    /// The number of a call that was not used before.
    pub fn call(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A node of this cluster in this process.
    pub fn node(&self, name: &str) -> NodeBuilder {
        Node::builder(name).realm("test").cookie(&self.secret).runtime_dir(self.dir.join("run"))
    }

    /// Starts a server at an address of its own, where it can come back to.
    pub async fn serve(&self, name: &str) -> Process {
        self.serve_at(name, home()).await
    }

    /// Starts a server on this port. Of one name it is the same node each time.
    pub async fn serve_at(&self, name: &str, addr: SocketAddr) -> Process {
        self.serve_among(&[], name, addr, None).await
    }

    /// Starts a server on this port that tells others another address, if one is given, and counts
    /// by a topology of these names, if there are any.
    pub async fn serve_among(
        &self,
        names: &[&str],
        name: &str,
        addr: SocketAddr,
        told: Option<SocketAddr>,
    ) -> Process {
        let mut command = self.command(name, addr);
        if !names.is_empty() {
            command.env("NODE_TOPOLOGY", names.join(" "));
        }
        if let Some(told) = told {
            command.env("NODE_ADVERTISE", told.to_string());
        }
        Process::start(name, command).await
    }

    /// Starts a server on this port whose ledger has this version, and is managed by its
    /// [`Ops`](crate::Ops).
    pub async fn serve_version(&self, version: &str, name: &str, addr: SocketAddr) -> Process {
        let mut command = self.command(name, addr);
        command.env("NODE_VERSION", version);
        Process::start(name, command).await
    }

    fn command(&self, name: &str, addr: SocketAddr) -> Command {
        let errors = self.dir.join(format!("{name}.err"));
        let errors = fs::File::options().create(true).append(true).open(errors).expect("a file");
        let mut command = Command::new(&self.program);
        command.args([name, &addr.to_string()]).arg(&self.dir).stderr(errors);
        command.env("MACULA_COOKIE", &self.secret);
        command
    }

    /// Starts servers of these names at the same time.
    pub async fn serve_all<const N: usize>(&self, names: [&str; N]) -> [Process; N] {
        let start = |name: &str| {
            let (site, name) = (self.clone(), name.to_owned());
            tokio::spawn(async move { site.serve(&name).await })
        };
        let mut servers = Vec::new();
        for server in names.map(start) {
            servers.push(server.await.expect("a server"));
        }
        servers.try_into().expect("as many servers as names")
    }

    /// Waits until a node of this process knows that exactly these serve.
    pub async fn sees(&self, node: &Node, names: &[&str]) {
        let expected: BTreeSet<String> = names.iter().map(|name| name.to_string()).collect();
        until(&format!("{} sees {names:?}", node.name()), async || {
            let nodes = node.nodes().iter().filter(|node| !node.draining());
            let serving = nodes.filter(|node| node.services().any(|service| service == "Ledger"));
            serving.map(|node| node.name().to_owned()).collect::<BTreeSet<_>>() == expected
        })
        .await;
    }

    /// Waits until a node of this process reaches this very process.
    pub async fn reaches(&self, node: &Node, server: &Process) {
        let ledger = LedgerClient::new(node);
        until(&format!("{} answers {}", server.name(), node.name()), async || {
            let Some(info) = node.nodes().by_name(server.name()) else { return false };
            let who = ledger.whoami().to(info.id()).timeout(Duration::from_secs(1)).await;
            who.is_ok_and(|who| who.pid == server.pid())
        })
        .await;
    }

    /// The directory of everything.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the books are.
    pub fn books(&self) -> PathBuf {
        self.dir.join("books")
    }

    /// Where it is written down whom each server took for alive and for dead.
    pub fn members(&self) -> PathBuf {
        self.dir.join("members")
    }

    /// What of the heap of a server was in use lately, in KiB; nothing if it has not said so yet.
    pub fn heap_kib(&self, name: &str) -> Option<f64> {
        fs::read_to_string(heap_file(&self.dir, name)).ok()?.parse().ok()
    }

    /// How many times a server has executed a method.
    pub fn executions(&self, name: &str, method: &str) -> usize {
        let book = self.books().join(format!("{name}.log"));
        // A server that was never started has executed nothing.
        let text = fs::read_to_string(book).unwrap_or_default();
        text.lines().filter(|line| line.split(' ').next() == Some(method)).count()
    }

    /// Compares what callers were told with what really ran. All servers must have stopped.
    ///
    /// # Panics
    /// If a caller was told something that is not so, or a call that must not run twice did.
    pub fn judge(&self, outcomes: &[Outcome]) {
        oracle::judge(&self.books(), outcomes);
    }
}
