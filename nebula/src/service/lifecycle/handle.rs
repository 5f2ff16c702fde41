//! What others hold of a lifecycle.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use super::body::{Body, NotReady, SERVICE};
use super::cell::StatusCell;
use super::drain::drained;
use super::driver::{self, Command, Goal};
use super::error::LifecycleError;
use super::hooks::Service;
use super::status::{Admin, Running, ServiceStatus};

/// How many commands wait for a driver that is calling hooks. Further callers wait their turn.
const WAITING: usize = 16;

/// How a service is driven. No limit may be zero.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// What the service is called in the log.
    pub(crate) name: Arc<str>,
    /// Whether [`Lifecycle::start`] leaves it paused, with nothing started.
    pub(crate) paused: bool,
    /// How long calls and drain hooks are waited for before a stop.
    pub(crate) grace: Duration,
    /// How long each stop hook may take, and all children of a plugin before they are hurried.
    pub(crate) stop_limit: Duration,
    /// How long each status hook may take for one change.
    pub(crate) hook_limit: Duration,
    /// How long each readiness hook may take.
    pub(crate) ready_limit: Duration,
    /// How often they are asked while the service runs and is ready.
    pub(crate) ready_period: Duration,
}

impl Settings {
    /// The usual ones.
    pub(crate) fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            paused: false,
            grace: Duration::from_secs(10),
            stop_limit: Duration::from_secs(60),
            hook_limit: Duration::from_secs(5),
            ready_limit: Duration::from_secs(1),
            ready_period: Duration::from_secs(1),
        }
    }
}

/// The lifecycle of one service: reads its status, and asks for another one.
///
/// A command that the driver has taken is carried out whether or not somebody waits for it: a
/// caller that drops its future changes nothing. Dropping all handles does not stop the service.
/// In a hook of the same service, what would wait for hooks gives
/// [`LifecycleError::WithinHook`] instead; the status can be read anywhere.
#[derive(Clone)]
pub(crate) struct Lifecycle {
    commands: mpsc::Sender<Command>,
    cell: Arc<StatusCell>,
    /// The driver holds it, so that a body may hold its lifecycle.
    body: Weak<dyn Body>,
    settings: Arc<Settings>,
    driver: AbortHandle,
}

impl Lifecycle {
    /// Makes the driver of a service. Nothing is started yet. The status is kept in `cell` from now
    /// on. This is called in a tokio runtime.
    pub(crate) fn new(cell: Arc<StatusCell>, body: Arc<dyn Body>, settings: Settings) -> Self {
        let (commands, taken) = mpsc::channel(WAITING);
        let (settings, weak) = (Arc::new(settings), Arc::downgrade(&body));
        let own = (Arc::clone(&settings), Arc::clone(&cell));
        let driver = driver::spawn(own.1, service_of(&cell), body, own.0, taken);
        Self { commands, body: weak, settings, cell, driver }
    }

    /// Asks for what [`start`](Self::start) asks for, before anybody else can ask for anything, and
    /// does not wait.
    pub(crate) fn begin(&self) {
        let (reply, _) = oneshot::channel();
        // There is room for the first command.
        let _ = self.commands.try_send(Command::Reach(Goal::Started, reply));
    }

    /// Ends its driver at once, wherever it is. No hook is called any more; what is started is left
    /// to whoever holds it.
    pub(crate) fn abandon(&self, reason: impl Into<Arc<str>>) {
        self.driver.abort();
        let last = ServiceStatus {
            admin: Admin::Inactive,
            running: Running::Stopped,
            reason: reason.into(),
            ..ServiceStatus::fresh(SystemTime::now())
        };
        self.cell.set(Arc::new(last));
    }

    /// Starts the service, or pauses it at once if the settings say so; if it has been asked for
    /// anything before, this only waits. Ends when the service runs or is paused, or with the
    /// failure when it has failed; it is then tried again, unless it is stopped. That it runs, its
    /// readiness hooks have been asked by then, and it takes calls unless they said no.
    pub(crate) async fn start(&self) -> Result<(), LifecycleError> {
        self.ask(|reply| Command::Reach(Goal::Started, reply)).await
    }

    /// Asks for another status, and waits until it is reached: running or failed, paused, stopped.
    /// What it is asked for already, a service has reached, or is about to: nothing changes, but
    /// that a service that was drained takes calls again when it is activated, and that one that has
    /// failed is started at once.
    ///
    /// A failed service that is asked to be paused stays failed until it is stopped or activated.
    pub(crate) async fn set_admin(
        &self,
        admin: Admin,
        reason: impl Into<Arc<str>>,
    ) -> Result<(), LifecycleError> {
        let goal = Goal::Admin(admin, reason.into());
        self.ask(|reply| Command::Reach(goal, reply)).await
    }

    /// Withdraws the service and refuses new calls, then waits until those that run have ended and
    /// no drain hook has work left. After `within` the error says who still has, and the service
    /// goes on draining: this can be called again. [`set_admin`](Self::set_admin) to active ends it.
    /// Zero asks whether the service is drained already. Status hooks that are running when this is
    /// called are waited for in addition.
    pub(crate) async fn drain(&self, within: Duration) -> Result<(), LifecycleError> {
        let mut changes = self.cell.watch();
        self.ask(Command::Drain).await?;
        // The driver may end while this waits: it has drained the service itself then.
        let Some(body) = self.body.upgrade() else { return Ok(()) };
        tokio::select! {
            biased;
            outcome = drained(&*body, self.service(), within) => {
                outcome.map_err(LifecycleError::NotDrained)
            }
            _ = changes.wait_for(|status| status.accepts_calls()) => {
                Err(LifecycleError::Superseded)
            }
        }
    }

    /// Drains the service for the grace of the settings, stops it, and ends its driver. This cannot
    /// be taken back.
    pub(crate) async fn stop(&self, reason: impl Into<Arc<str>>) -> Result<(), LifecycleError> {
        let goal = Goal::Ended(reason.into());
        self.ask(|reply| Command::Reach(goal, reply)).await
    }

    /// Has the readiness hooks asked anew, since there are others now, and waits until they have been
    /// if the service runs. With `unasked` ones among them it is not ready before that.
    pub(crate) async fn refresh(&self, unasked: bool) -> Result<(), LifecycleError> {
        self.ask(|reply| Command::Refresh { unasked, reply }).await
    }

    /// Who is not ready to take calls, and why; nobody means ready. The hooks are asked only while
    /// the service runs.
    pub(crate) async fn readiness(&self) -> Vec<NotReady> {
        let not = |reason: String| vec![NotReady::new(SERVICE, reason)];
        let status = self.status();
        if status.running != Running::Running || status.draining {
            return not(status.to_string());
        }
        let Some(body) = self.body.upgrade() else { return not(Running::Stopped.to_string()) };
        if !body.watches_readiness() {
            return Vec::new();
        }
        if self.service().within_hook() {
            return not("asked in one of its own hooks, which cannot wait for others".into());
        }
        body.ready(self.settings.ready_limit).await
    }

    /// The status. This takes no lock.
    pub(crate) fn status(&self) -> Arc<ServiceStatus> {
        self.cell.status()
    }

    /// Follows the status. One who is slow sees the last one, not each.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<ServiceStatus>> {
        self.cell.watch()
    }

    fn service(&self) -> Service {
        service_of(&self.cell)
    }

    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), LifecycleError>>) -> Command,
    ) -> Result<(), LifecycleError> {
        if self.service().within_hook() {
            return Err(LifecycleError::WithinHook);
        }
        let (reply, answer) = oneshot::channel();
        let sent = self.commands.send(command(reply)).await;
        sent.map_err(|_| LifecycleError::Stopped)?;
        answer.await.unwrap_or(Err(LifecycleError::Stopped))
    }
}

fn service_of(cell: &Arc<StatusCell>) -> Service {
    Service(Arc::as_ptr(cell).addr())
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Lifecycle");
        debug.field("name", &self.settings.name).field("status", &self.status());
        debug.finish_non_exhaustive()
    }
}
