use std::fs;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::patience::{PATIENCE, until};

/// A server that said that it is ready. It dies when this is dropped and when this process dies.
#[derive(Debug)]
pub struct Process {
    name: String,
    addr: SocketAddr,
    id: String,
    pid: u32,
    child: Child,
    /// The child leaves when this closes.
    lifeline: Option<ChildStdin>,
    /// Kept, so that the child can write.
    _lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts `command`, which is to say `ready <address> <node id>` in its first line.
    ///
    /// # Panics
    /// If it does not within [`PATIENCE`].
    pub async fn start(name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("a process");
        let lifeline = child.stdin.take();
        let stdout = child.stdout.take().expect("a pipe");
        let pid = child.id().expect("a process that was not waited for");
        let mut lines = BufReader::new(stdout).lines();
        let line = timeout(PATIENCE, lines.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("{name} is not ready after {PATIENCE:?}"));
        let line =
            line.expect("text").unwrap_or_else(|| panic!("{name} ended before it was ready"));
        let parts: Vec<_> = line.split(' ').collect();
        let [_, addr, id] = parts[..] else { panic!("{name} said {line:?}") };
        let addr = addr.parse().expect("an address");
        let (name, id) = (name.to_owned(), id.to_owned());
        Self { name, addr, id, pid, child, lifeline, _lines: lines }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it can be reached.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The identity of its node, as text.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("a child of ours");
    }

    /// Asks it to leave in order, and returns at once.
    pub fn dismiss(&mut self) {
        self.lifeline = None;
    }

    /// Asks it to leave in order, and waits until it has.
    ///
    /// # Panics
    /// If it does not within [`PATIENCE`].
    pub async fn leave(mut self) -> ExitStatus {
        self.dismiss();
        let left = timeout(PATIENCE, self.child.wait()).await;
        left.unwrap_or_else(|_| panic!("{} does not leave", self.name)).expect("a child of ours")
    }

    /// Stops it with SIGSTOP, in the middle of whatever it is doing, until it is thawed.
    ///
    /// # Panics
    /// If it goes on running.
    pub async fn freeze(&self) -> Frozen {
        // The shell holds it for us, so that it goes on, and sees its lifeline, if we die.
        const HOLD: &str = "kill -STOP $1; read -r line; kill -CONT $1";
        let mut command = Command::new("sh");
        command.args(["-c", HOLD, "sh", &self.pid.to_string()]).stdin(Stdio::piped());
        let mut shell = command.spawn().expect("a shell");
        let grip = shell.stdin.take().expect("a pipe");
        let frozen = Frozen { shell, grip };
        until("the process stops", async || self.threads().iter().all(|state| *state == 'T')).await;
        frozen
    }

    /// The states of its threads, as the system calls them.
    fn threads(&self) -> Vec<char> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid)).expect("a living process");
        // A thread may end while the list is read.
        let stats = tasks.flatten().filter_map(|t| fs::read_to_string(t.path().join("stat")).ok());
        stats.filter_map(|stat| stat.rsplit_once(") ")?.1.chars().next()).collect()
    }
}

/// A process that is stopped. Dropping it lets the process go on.
#[derive(Debug)]
#[must_use = "the process goes on when this is dropped"]
pub struct Frozen {
    shell: Child,
    grip: ChildStdin,
}

impl Frozen {
    /// Lets the process go on with SIGCONT.
    pub async fn thaw(mut self) {
        // An error means that the shell has gone, and has let go.
        let _ = self.grip.write_all(b"\n").await;
        let thawed = timeout(Duration::from_secs(10), self.shell.wait()).await;
        thawed.expect("a shell that ends").expect("a child of ours");
    }
}
