//! The three servers of a run.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use tokio::process::Command;

use super::args::Role;
use super::{ProcessError, ServerProcess};

/// The names of the servers.
pub const NAMES: [&str; 3] = ["s1", "s2", "s3"];

/// Servers as children of this process. Dropping them kills them.
#[derive(Debug)]
pub struct Servers {
    program: PathBuf,
    role: Role,
    running: BTreeMap<String, ServerProcess>,
}

impl Servers {
    /// No server yet. They will run this program, with the environment of this process.
    ///
    /// # Errors
    /// The system does not say where this program is.
    pub fn new(role: Role) -> io::Result<Self> {
        Ok(Self { program: std::env::current_exe()?, role, running: BTreeMap::new() })
    }

    /// Starts the servers in [`NAMES`], at the same time, and waits until all are ready.
    ///
    /// # Errors
    /// One of them is not ready; the others are killed.
    pub async fn start_all(&mut self) -> Result<(), ProcessError> {
        let [a, b, c] = NAMES;
        let started = tokio::try_join!(self.launch(a), self.launch(b), self.launch(c))?;
        self.running = NAMES.map(str::to_owned).into_iter().zip(<[_; 3]>::from(started)).collect();
        Ok(())
    }

    /// Starts the server `name` and waits until it is ready.
    ///
    /// # Errors
    /// It is not ready.
    pub async fn start(&mut self, name: &str) -> Result<&ServerProcess, ProcessError> {
        let server = self.launch(name).await?;
        Ok(self.running.entry(name.to_owned()).insert_entry(server).into_mut())
    }

    /// Kills the server `name` with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// It is not running.
    pub async fn kill(&mut self, name: &str) -> Result<ExitStatus, ProcessError> {
        self.take(name)?.kill().await
    }

    /// Lets all running servers leave in order. How each ended.
    ///
    /// # Errors
    /// The system refuses to say how one ended; the rest are killed.
    pub async fn stop_all(&mut self) -> Result<Vec<(String, ExitStatus)>, ProcessError> {
        let mut ended = Vec::new();
        while let Some((name, server)) = self.running.pop_first() {
            ended.push((name, server.stop().await?));
        }
        Ok(ended)
    }

    /// The running servers and their names, in the order of the names.
    pub fn running(&self) -> impl Iterator<Item = (&str, &ServerProcess)> {
        self.running.iter().map(|(name, server)| (name.as_str(), server))
    }

    async fn launch(&self, name: &str) -> Result<ServerProcess, ProcessError> {
        let mut command = Command::new(&self.program);
        command.args(self.role.server_args(name));
        let log = self.role.logs.join(format!("{name}.log"));
        ServerProcess::start(name, command, log).await
    }

    fn take(&mut self, name: &str) -> Result<ServerProcess, ProcessError> {
        self.running.remove(name).ok_or_else(|| ProcessError::NotRunning(name.to_owned()))
    }
}
