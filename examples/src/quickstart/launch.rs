//! The launcher: checks the data, sets the stage, starts the client and answers for its end.

use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::Stage;
use super::lifeline::GRACE;
use crate::zones::{LoadError, ParseError, Table, load};

/// The table that comes with the program.
const BUNDLED: &str = include_str!("../../data/zone1970.tab");

/// Why a run could not be brought to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The data file was refused. Nothing was started.
    #[error(transparent)]
    Data(#[from] LoadError),
    /// The system refused a directory, a process or a signal handler.
    #[error("cannot {what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The user or the system asked the program to stop.
    #[error("stopped before the end")]
    Interrupted,
    /// The client ended otherwise than with a story as promised, which it has told itself.
    #[error("not every step was as promised")]
    Broken,
}

impl LaunchError {
    /// The exit status that says so to a shell.
    pub fn status(&self) -> u8 {
        match self {
            Self::Data(_) => 2,
            Self::System { .. } | Self::Broken => 1,
            Self::Interrupted => 130,
        }
    }
}

/// Runs the whole quickstart on the table in `data`, or on the bundled one.
///
/// # Errors
/// See [`LaunchError`]. Its processes and files are gone then too.
pub async fn run(data: Option<&Path>) -> Result<(), LaunchError> {
    let stage = Stage::set(&checked(data)?).map_err(system("make a temporary directory"))?;
    let mut client = client(&stage).map_err(system("start the client"))?;
    // Taken out of the child, since waiting for a child closes what it still holds.
    let lifeline = client.stdin.take();
    let ended = tokio::select! {
        status = client.wait() => status.map_err(system("wait for the client"))?,
        interrupt = interrupted() => {
            interrupt.map_err(system("listen for signals"))?;
            // The client leaves when its standard input closes, and its servers after it.
            drop(lifeline);
            let _ = timeout(2 * GRACE, client.wait()).await;
            return Err(LaunchError::Interrupted);
        }
    };
    if ended.success() { Ok(()) } else { Err(LaunchError::Broken) }
}

fn checked(data: Option<&Path>) -> Result<String, LoadError> {
    let (text, file) = match data {
        Some(path) => (load::text(path)?, path.display().to_string()),
        None => (BUNDLED.to_owned(), "the bundled table".to_owned()),
    };
    Table::parse_named(&text, &file).map_err(|error: ParseError| LoadError::from(error))?;
    Ok(text)
}

fn client(stage: &Stage) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(stage.role().client_args()).stdin(Stdio::piped()).kill_on_drop(true);
    stage.admit(&mut command);
    command.spawn()
}

#[cfg(unix)]
async fn interrupted() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn interrupted() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> LaunchError {
    move |error| LaunchError::System { what, error }
}
