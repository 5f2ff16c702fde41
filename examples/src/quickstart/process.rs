//! One server as a child process.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, timeout, timeout_at};

use super::lifeline::GRACE;

/// How long a server may take from its start to its word that it is ready.
pub const READY_WITHIN: Duration = Duration::from_secs(20);

/// The longest first line a server may write, in bytes.
const LONGEST_LINE: u64 = 256;

/// A server that said that it is ready. Dropping it kills it with SIGKILL.
#[derive(Debug)]
pub struct ServerProcess {
    name: String,
    pid: u32,
    addr: SocketAddr,
    child: Child,
    /// The child's lifeline: it leaves when this closes.
    lifeline: ChildStdin,
}

/// What went wrong with a server process.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// It could not be started, killed or waited for.
    #[error("{name}: the process could not be {what}: {error}")]
    System {
        /// The name of the server.
        name: String,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// It ended before it was ready.
    #[error("{name} ended before it was ready ({status}); its log: {log}")]
    Ended {
        /// The name of the server.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// It said nothing in time. It was killed.
    #[error("{name} was not ready after {} s; its log: {log}", READY_WITHIN.as_secs())]
    Late {
        /// The name of the server.
        name: String,
        /// The end of its log.
        log: String,
    },
    /// Its first line was not `ready <address>`. It was killed.
    #[error("{name} should say `ready <address>` and said {line:?}")]
    Unclear {
        /// The name of the server.
        name: String,
        /// What it said.
        line: String,
    },
    /// There is no running server of this name.
    #[error("no server named {0} is running")]
    NotRunning(String),
}

impl ServerProcess {
    /// Starts `command` and waits until it is ready. Its standard error is appended to `log`.
    ///
    /// # Errors
    /// It cannot be started, ends, stays silent for [`READY_WITHIN`] or says something else. No
    /// process is left behind.
    pub async fn start(
        name: &str,
        mut command: Command,
        log: PathBuf,
    ) -> Result<Self, ProcessError> {
        let deadline = Instant::now() + READY_WITHIN;
        let system = |error| system(name, "started", error);
        let errors = File::options().create(true).append(true).open(&log).map_err(system)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).kill_on_drop(true);
        let mut child = command.spawn().map_err(system)?;
        let gone = || system(io::Error::other("its pipes or its id are missing"));
        let lifeline = child.stdin.take().ok_or_else(gone)?;
        let stdout = child.stdout.take().ok_or_else(gone)?;
        let pid = child.id().ok_or_else(gone)?;

        let line = match timeout_at(deadline, first_line(stdout)).await {
            Ok(line) => line.map_err(system)?,
            Err(_) => return Err(ProcessError::Late { name: name.to_owned(), log: tail(&log) }),
        };
        if let Some(addr) = line.strip_prefix("ready ").and_then(|addr| addr.trim().parse().ok()) {
            return Ok(Self { name: name.to_owned(), pid, addr, child, lifeline });
        }
        if line.is_empty()
            && let Ok(status) = timeout_at(deadline, child.wait()).await
        {
            let status = status.map_err(system)?;
            return Err(ProcessError::Ended { name: name.to_owned(), status, log: tail(&log) });
        }
        Err(ProcessError::Unclear { name: name.to_owned(), line })
    }

    /// The address it is ready at.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Kills it with SIGKILL (what else the system has for that) and waits until it is gone.
    ///
    /// # Errors
    /// The system refuses, which it does not for a child of ours.
    pub async fn kill(mut self) -> Result<ExitStatus, ProcessError> {
        self.child.start_kill().map_err(|error| system(&self.name, "killed", error))?;
        self.wait().await
    }

    /// Lets it leave in order. If it has not after twice [`GRACE`] it is killed.
    ///
    /// # Errors
    /// The system refuses, which it does not for a child of ours.
    pub async fn stop(self) -> Result<ExitStatus, ProcessError> {
        let Self { name, mut child, lifeline, .. } = self;
        drop(lifeline);
        if let Ok(status) = timeout(2 * GRACE, child.wait()).await {
            return status.map_err(|error| system(&name, "waited for", error));
        }
        child.start_kill().map_err(|error| system(&name, "killed", error))?;
        child.wait().await.map_err(|error| system(&name, "waited for", error))
    }

    async fn wait(&mut self) -> Result<ExitStatus, ProcessError> {
        self.child.wait().await.map_err(|error| system(&self.name, "waited for", error))
    }
}

/// The first line, or nothing at the end of the stream. What follows is read and dropped, so that
/// the child never waits for a reader.
async fn first_line(stdout: ChildStdout) -> io::Result<String> {
    let mut limited = BufReader::new(stdout.take(LONGEST_LINE));
    let mut line = String::new();
    limited.read_line(&mut line).await?;
    let mut rest = limited.into_inner().into_inner();
    tokio::spawn(async move { tokio::io::copy(&mut rest, &mut tokio::io::sink()).await });
    Ok(line.trim_end().to_owned())
}

/// The last lines of a log, on one line.
fn tail(log: &Path) -> String {
    const LINES: usize = 8;
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    match lines.get(lines.len().saturating_sub(LINES)..) {
        Some(last) if !last.is_empty() => last.join(" | "),
        _ => "empty".to_owned(),
    }
}

fn system(name: &str, what: &'static str, error: io::Error) -> ProcessError {
    ProcessError::System { name: name.to_owned(), what, error }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    async fn start(script: &str) -> Result<ServerProcess, ProcessError> {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        ServerProcess::start("s1", command, dir.path().join("s1.log")).await
    }

    const OBEDIENT: &str = "echo ready 127.0.0.1:9; cat >/dev/null; exit 7";

    #[tokio::test]
    async fn a_server_leaves_when_its_lifeline_closes() {
        let server = start(OBEDIENT).await.unwrap();
        assert_eq!(server.addr(), "127.0.0.1:9".parse().unwrap());
        assert_eq!(server.stop().await.unwrap().code(), Some(7));
    }

    #[tokio::test]
    async fn a_killed_server_had_no_chance_to_object() {
        let server = start("trap '' TERM INT HUP; echo ready 127.0.0.1:9; exec cat").await.unwrap();
        assert_eq!(server.kill().await.unwrap().signal(), Some(9));
    }

    #[tokio::test]
    async fn a_talkative_server_is_not_held_up() {
        let script = "echo ready 127.0.0.1:9; head -c 1000000 /dev/zero; exit 0";
        assert_eq!(start(script).await.unwrap().stop().await.unwrap().code(), Some(0));
    }

    #[tokio::test]
    async fn a_server_that_ends_is_quoted() {
        let Err(error) = start("echo no such table >&2; exit 2").await else { panic!() };
        let message = error.to_string();
        assert!(message.contains("exit status: 2"), "{message}");
        assert!(message.ends_with("its log: no such table"), "{message}");
    }

    #[tokio::test]
    async fn a_server_must_say_where_it_is() {
        for line in ["ready", "ready here", "hello", &"x".repeat(10_000)] {
            let Err(error) = start(&format!("echo {line}; cat >/dev/null")).await else { panic!() };
            assert!(matches!(error, ProcessError::Unclear { .. }), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_given_up() {
        let Err(error) = start("exec cat").await else { panic!() };
        assert!(matches!(error, ProcessError::Late { .. }), "{error}");
    }
}
