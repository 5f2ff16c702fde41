//! The task that drives one service: it tells the machine what happens, and does what it says.

mod readiness;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::backoff::jitter;
use super::body::{Body, Cause, NotReady, Reporter, Reports, SERVICE};
use super::cell::StatusCell;
use super::drain::drained;
use super::error::LifecycleError;
use super::event::{Action, Event, Moment, Work};
use super::handle::Settings;
use super::hooks::{Service, contained};
use super::reconcile::Machine;
use super::status::{Admin, Running, ServiceStatus};
use readiness::{News, Readiness};

/// How many callers wait for the same service to get somewhere. Further ones wait their turn.
const WAITERS: usize = 64;

/// Where the answer to a command goes.
type Reply = oneshot::Sender<Result<(), LifecycleError>>;

/// What a handle asks of the driver.
pub(super) enum Command {
    /// To get somewhere, and to answer when it is there.
    Reach(Goal, Reply),
    /// To refuse new calls, and to answer when it does.
    Drain(Reply),
    /// To ask the readiness hooks anew, and to answer when they have. If somebody has not been asked
    /// yet, the service is not ready before that.
    Refresh { unasked: bool, reply: Reply },
}

/// Where somebody wants the service to get.
pub(super) enum Goal {
    /// Wherever it was going, and at first where its settings say.
    Started,
    Admin(Admin, Arc<str>),
    /// Stopped for good.
    Ended(Arc<str>),
    /// To where its readiness hooks have been asked, if they are to be.
    Asked,
}

/// Spawns the driver. Aborted, it leaves everything as it is.
pub(super) fn spawn(
    cell: Arc<StatusCell>,
    service: Service,
    body: Arc<dyn Body>,
    settings: Arc<Settings>,
    commands: mpsc::Receiver<Command>,
) -> AbortHandle {
    let machine = Machine::new(SystemTime::now());
    cell.set(Arc::clone(machine.status()));
    let readiness = Readiness::default();
    let context = Context { cell, service, body, settings };
    let driver = Driver {
        context,
        machine,
        readiness,
        untouched: true,
        work: None,
        reports: None,
        waiters: Vec::new(),
        finished: false,
    };
    tokio::spawn(driver.run(commands)).abort_handle()
}

/// What is the same for as long as the driver lives.
#[derive(Clone)]
struct Context {
    cell: Arc<StatusCell>,
    service: Service,
    body: Arc<dyn Body>,
    settings: Arc<Settings>,
}

struct Driver {
    context: Context,
    machine: Machine,
    readiness: Readiness,
    /// Nobody has asked it to get anywhere.
    untouched: bool,
    /// What is under way, and what the machine is told at its end.
    work: Option<BoxFuture<'static, Event>>,
    /// What gives up of that which was started last.
    reports: Option<Reports>,
    waiters: Vec<(Goal, Reply)>,
    finished: bool,
}

/// What wakes the driver.
enum Input {
    Event(Event),
    Readiness(News),
    Command(Command),
    /// Somebody does not wait any more.
    Left,
}

impl Driver {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while !self.finished {
            let retry = self.machine.retry_at();
            let input = tokio::select! {
                biased;
                event = ended(&mut self.work) => Input::Event(event),
                cause = gave_up(&mut self.reports) => Input::Event(Event::ChildFailed(cause)),
                () = due(retry) => Input::Event(Event::RetryDue),
                news = self.readiness.next() => Input::Readiness(news),
                Some(command) = commands.recv(), if self.waiters.len() < WAITERS => {
                    Input::Command(command)
                }
                () = left(&mut self.waiters), if self.waiters.len() >= WAITERS => Input::Left,
            };
            match input {
                Input::Event(event) => self.on(event).await,
                Input::Readiness(news) => self.asked(news).await,
                Input::Command(command) => self.take(command).await,
                Input::Left => {}
            }
            self.answer();
        }
        commands.close();
        while let Ok(command) = commands.try_recv() {
            match command {
                Command::Reach(goal, reply) => self.waiters.push((goal, reply)),
                Command::Drain(reply) | Command::Refresh { reply, .. } => {
                    let _ = reply.send(Err(LifecycleError::Stopped));
                }
            }
        }
        // When they hear of it, nothing of the service is left here.
        let waiters = std::mem::take(&mut self.waiters);
        drop(self);
        for (goal, reply) in waiters {
            let _ = reply.send(match goal {
                Goal::Ended(_) | Goal::Admin(Admin::Inactive, _) => Ok(()),
                Goal::Started | Goal::Admin(..) | Goal::Asked => Err(LifecycleError::Stopped),
            });
        }
    }

    async fn take(&mut self, command: Command) {
        match command {
            Command::Reach(Goal::Started | Goal::Admin(..), reply) if self.machine.ending() => {
                let _ = reply.send(Err(LifecycleError::Stopped));
            }
            Command::Reach(goal, reply) => {
                let untouched = std::mem::take(&mut self.untouched);
                match &goal {
                    Goal::Started if untouched => {
                        let paused = self.context.settings.paused;
                        let admin = if paused { Admin::Paused } else { Admin::Active };
                        self.on(Event::SetAdmin(admin, "start".into())).await;
                    }
                    Goal::Started | Goal::Asked => {}
                    Goal::Admin(admin, reason) => {
                        self.on(Event::SetAdmin(*admin, Arc::clone(reason))).await;
                    }
                    Goal::Ended(reason) => self.on(Event::Shutdown(Arc::clone(reason))).await,
                }
                self.waiters.push((goal, reply));
            }
            Command::Drain(reply) => {
                self.on(Event::Drain).await;
                let _ = reply.send(Ok(()));
            }
            Command::Refresh { unasked, reply } => {
                self.readiness.stop();
                if unasked {
                    self.step(Event::Ready(false)).await;
                }
                self.observe().await;
                self.waiters.push((Goal::Asked, reply));
            }
        }
    }

    /// Tells the machine, and does what it says.
    async fn on(&mut self, event: Event) {
        self.step(event).await;
        self.observe().await;
    }

    async fn step(&mut self, event: Event) {
        let now = Moment { at: Instant::now(), time: SystemTime::now() };
        let jitter = jitter(&mut rand::rng());
        for action in self.machine.on(event, now, jitter) {
            match action {
                Action::Announce(old, new) => self.context.announce(&old, new).await,
                Action::Publish(status) => self.context.cell.set(status),
                Action::Begin(work) => self.begin(work),
                Action::Cancel => self.work = None,
                Action::Advertise => contained("advertise", || self.context.body.advertise()),
                Action::Withdraw => contained("withdraw", || self.context.body.withdraw()),
                Action::Finish => self.finished = true,
            }
        }
    }

    fn begin(&mut self, work: Work) {
        let context = self.context.clone();
        self.work = Some(match work {
            Work::Start => {
                let (reporter, reports) = Reporter::new();
                self.reports = Some(reports);
                Box::pin(async move { Event::Started(context.start(reporter).await) })
            }
            Work::Stop => {
                self.reports = None;
                Box::pin(async move {
                    context.stop().await;
                    Event::Stopped
                })
            }
            Work::Drain => Box::pin(async move {
                context.drain().await;
                Event::Drained
            }),
        });
    }

    /// Follows the readiness of the service as long as that matters.
    async fn observe(&mut self) {
        if !self.machine.wants_readiness() {
            self.readiness.stop();
        } else if self.readiness.is_stopped() {
            let Context { body, settings, .. } = &self.context;
            if body.watches_readiness() {
                self.readiness.watch(Arc::clone(body), Arc::clone(settings));
            } else {
                self.readiness.rest();
                self.step(Event::Ready(true)).await;
            }
        }
    }

    async fn asked(&mut self, News { waiting, changed }: News) {
        if changed {
            let name = &self.context.settings.name;
            match waiting.as_slice() {
                [] => tracing::info!(service = %name, "ready"),
                who => tracing::warn!(service = %name, "not ready: {}", NotReady::list(who)),
            }
        }
        self.on(Event::Ready(waiting.is_empty())).await;
    }

    /// Answers those whose service has got where they wanted it, or will not.
    fn answer(&mut self) {
        let status = self.machine.status();
        // Until its hooks have said whether it is ready, it has not got to where it runs.
        let asked = !self.readiness.is_unanswered();
        let settled = self.machine.settled() && asked;
        let over = |(goal, reply): &mut (Goal, Reply)| match goal {
            _ if reply.is_closed() => true,
            Goal::Ended(_) => false,
            Goal::Admin(admin, _) => settled || *admin != status.admin,
            Goal::Started => settled,
            Goal::Asked => asked,
        };
        for (goal, reply) in self.waiters.extract_if(.., over) {
            let _ = reply.send(verdict(&goal, status));
        }
    }
}

impl Context {
    async fn announce(&self, old: &ServiceStatus, new: Arc<ServiceStatus>) {
        let name = &self.settings.name;
        self.cell.set(Arc::clone(&new));
        if new.running == Running::Failed {
            tracing::error!(service = %name, "{new}");
        } else {
            tracing::info!(service = %name, "{new}");
        }
        let limit = self.settings.hook_limit;
        let hooks = async { self.body.changed(old, &new, limit).await };
        if let Err(why) = self.service.contain(hooks).await {
            tracing::error!(service = %name, "a status hook did not end: {why}");
        }
    }

    async fn start(&self, reporter: Reporter) -> Result<(), Cause> {
        let hooks = async { self.body.start(reporter).await };
        let started = self.service.contain(hooks).await.unwrap_or_else(|why| {
            Err(Cause::new(SERVICE, format!("a start hook did not end: {why}")))
        });
        if started.is_err() {
            // It was left half-way.
            self.stop().await;
        }
        started
    }

    async fn stop(&self) {
        // What was not reached at the end of a limit would never be stopped: each has its own.
        let hooks = async { self.body.stop(self.settings.stop_limit).await };
        if let Err(why) = self.service.contain(hooks).await {
            let name = &self.settings.name;
            tracing::error!(service = %name, "a stop hook did not end: {why}");
        }
    }

    async fn drain(&self) {
        let grace = self.settings.grace;
        if let Err(left) = drained(&*self.body, self.service, grace).await {
            let name = &self.settings.name;
            tracing::warn!(service = %name, "stopped with work left: {}", NotReady::list(&left));
        }
    }
}

fn verdict(goal: &Goal, status: &ServiceStatus) -> Result<(), LifecycleError> {
    let superseded = match goal {
        Goal::Asked => return Ok(()),
        Goal::Started => status.running == Running::Stopped,
        Goal::Admin(admin, _) => *admin != status.admin,
        Goal::Ended(_) => false,
    };
    match &status.error {
        _ if superseded => Err(LifecycleError::Superseded),
        Some(failure) => Err(LifecycleError::Failed(failure.clone())),
        None => Ok(()),
    }
}

/// The end of the work under way, once.
async fn ended(work: &mut Option<BoxFuture<'static, Event>>) -> Event {
    match work {
        Some(running) => {
            let event = running.await;
            *work = None;
            event
        }
        None => std::future::pending().await,
    }
}

/// Until one of them does not wait any more.
async fn left(waiters: &mut [(Goal, Reply)]) {
    poll_fn(|task| match waiters.iter_mut().any(|(_, reply)| reply.poll_closed(task).is_ready()) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// The first report, once.
async fn gave_up(reports: &mut Option<Reports>) -> Cause {
    if let Some(receiver) = reports {
        let first = receiver.wait_for(Option::is_some).await.ok().and_then(|cause| cause.clone());
        // Told, or nobody is left who could tell.
        *reports = None;
        if let Some(cause) = first {
            return cause;
        }
    }
    std::future::pending().await
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
