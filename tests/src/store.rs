use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nebula::Node;
use nebula::prelude::*;

/// How often a body that waits looks for its gate.
const LOOK: Duration = Duration::from_millis(5);

/// Values that are kept on several nodes. Each `put` waits until its [`Gate`] is opened, and then
/// answers twice the number of the call.
#[service(global)]
pub trait Replica {
    /// Stops once nobody waits for it.
    #[api(stragglers = "cancel")]
    async fn put(&self, call: u64) -> u64;

    /// Goes on when the result was decided without it.
    #[api(stragglers = "finish")]
    async fn put_through(&self, call: u64) -> u64;

    /// The names of the nodes that this one knows to be serving, itself too, in order.
    #[api(idempotent)]
    async fn sees(&self) -> Vec<String>;
}

/// What became of a call on a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mark {
    /// The body began.
    Began,
    /// The body came to its end: the value is written.
    Ended,
    /// The body was dropped before its end.
    Dropped,
}

impl Mark {
    fn word(self) -> &'static str {
        match self {
            Self::Began => "began",
            Self::Ended => "ended",
            Self::Dropped => "dropped",
        }
    }
}

/// A replica that writes down what becomes of every call: `mark call`, a line each, in a file of
/// its own.
#[derive(Clone, Debug)]
pub struct Store {
    name: String,
    log: Arc<File>,
    gate: Gate,
    node: Arc<OnceLock<Node>>,
}

impl Store {
    /// Opens the log of this name in the directory to write behind what is there.
    ///
    /// # Errors
    /// The system refuses the directory or the file.
    pub fn open(dir: &Path, name: &str) -> io::Result<Self> {
        let path = log(dir, name);
        fs::create_dir_all(path.parent().unwrap_or(dir))?;
        let log = File::options().create(true).append(true).open(path)?;
        let (name, gate) = (name.to_owned(), Gate::new(dir));
        Ok(Self { name, log: Arc::new(log), gate, node: Arc::default() })
    }

    /// Says on which node it is, so that it can tell what that one sees.
    pub fn on(&self, node: &Node) {
        // A second time it is the same node.
        let _ = self.node.set(node.clone());
    }

    /// How often this became of a call on the node of this name.
    pub fn marks(dir: &Path, name: &str, mark: Mark, call: u64) -> usize {
        // A server that was never started has nothing to say.
        let text = fs::read_to_string(log(dir, name)).unwrap_or_default();
        let line = format!("{} {call}", mark.word());
        text.lines().filter(|other| *other == line).count()
    }

    fn mark(&self, mark: Mark, call: u64) {
        // One write for the whole line: it is there or not, whenever the process is killed.
        let line = format!("{} {call}\n", mark.word());
        (&*self.log).write_all(line.as_bytes()).expect("a writable log");
    }

    async fn write(&self, call: u64) -> u64 {
        self.mark(Mark::Began, call);
        let mut body = Body { store: self, call, mark: Mark::Dropped };
        while !self.gate.is_open(&self.name, call) {
            tokio::time::sleep(LOOK).await;
        }
        body.mark = Mark::Ended;
        call * 2
    }
}

impl Replica for Store {
    async fn put(&self, call: u64) -> u64 {
        self.write(call).await
    }

    async fn put_through(&self, call: u64) -> u64 {
        self.write(call).await
    }

    async fn sees(&self) -> Vec<String> {
        let Some(node) = self.node.get() else { return Vec::new() };
        serving(node)
    }
}

/// The names of the nodes that this one knows to be serving a replica, in order.
pub(crate) fn serving(node: &Node) -> Vec<String> {
    let nodes = node.nodes().iter().filter(|node| !node.draining());
    let serving = nodes.filter(|node| node.services().any(|service| service == "Replica"));
    let mut names: Vec<_> = serving.map(|node| node.name().to_owned()).collect();
    names.sort();
    names
}

/// Leaves the last line of a call, however it ends.
struct Body<'a> {
    store: &'a Store,
    call: u64,
    mark: Mark,
}

impl Drop for Body<'_> {
    fn drop(&mut self) {
        self.store.mark(self.mark, self.call);
    }
}

/// What the bodies of calls wait for, in all processes: a file for each that may go on.
#[derive(Clone, Debug)]
pub struct Gate(PathBuf);

impl Gate {
    /// The gates of the stores in this directory.
    pub fn new(dir: &Path) -> Self {
        Self(dir.join("gates"))
    }

    /// Lets a call go on, on the nodes of these names.
    pub fn open(&self, names: &[&str], call: u64) {
        fs::create_dir_all(&self.0).expect("a directory");
        for name in names {
            fs::write(self.file(name, call), []).expect("a file");
        }
    }

    fn is_open(&self, name: &str, call: u64) -> bool {
        self.file(name, call).exists()
    }

    fn file(&self, name: &str, call: u64) -> PathBuf {
        self.0.join(format!("{call}.{name}"))
    }
}

fn log(dir: &Path, name: &str) -> PathBuf {
    dir.join("stores").join(format!("{name}.log"))
}
