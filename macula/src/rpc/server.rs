use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::CatchUnwind;
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

use super::admission::{Entry, Permit};
use super::{Answer, Caller, Fault, Headers, Incoming, Lease, Method, Service, Term};
use crate::limits::{LANE_THRESHOLD, MAX_DENIED_BYTES, MAX_TIME_LEFT, UNSENT_REPLIES};
use crate::mesh::Inner;
use crate::transport::link::{Link, Violation};
use crate::wire::Status;

/// A first poll that takes longer than this blocks everything else that the peer has to say.
const FIRST_POLL: Duration = Duration::from_millis(1);
/// For how many calls a method whose first poll blocked is spawned at once.
const WARY: u32 = 256;
/// What a peer is told that has too many calls here.
const TOO_MANY: Duration = Duration::from_millis(50);

/// A handler at work, whose panic is a fault of its call alone.
type Run = CatchUnwind<AssertUnwindSafe<Body>>;
type Body = Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>>;
type Ran = Result<Result<Answer, Fault>, Box<dyn std::any::Any + Send>>;

/// What a request asks for.
pub(crate) struct Asked {
    pub(crate) method: u64,
    pub(crate) key: [u8; 8],
    pub(crate) remaining: Duration,
    pub(crate) room: Duration,
    pub(crate) extensions: u32,
    pub(crate) headers: Headers,
    pub(crate) body: Bytes,
}

impl Inner {
    pub(crate) fn on_request(
        &self,
        link: &Arc<Link>,
        id: u64,
        asked: Asked,
        now: &mut Instant,
    ) -> Result<(), Violation> {
        let Asked { method, key, remaining, room, extensions, headers, body } = asked;
        let refuse_with = |status, answer: Answer| {
            self.refused.note(status);
            link.answer(&answer.reply(id, self.load(), status))
        };
        let refuse = |status| refuse_with(status, Answer::default());
        if link.take_cancelled(id) {
            return Ok(());
        }
        if let Some(status) = self.begins_none(link) {
            return refuse(status);
        }
        let services = self.services.load();
        let Some((service, position, method)) = services.find(method) else {
            return refuse(Status::UnknownMethod);
        };
        if method.key != key {
            return refuse(Status::Incompatible { theirs: method.key });
        }
        if body.len() > self.limits.max_body {
            let limit = self.limits.max_body as u64;
            return refuse(Status::RequestTooLarge { limit });
        }
        if remaining.is_zero() {
            return refuse(Status::Expired);
        }
        if link.serving.load(Ordering::Relaxed) >= self.limits.max_calls_per_peer {
            return refuse(Status::Overloaded { retry_after: TOO_MANY });
        }
        if let Some(fault) = refusal(service, position) {
            let (status, body) = told(fault);
            return refuse_with(status, body.into());
        }
        let entry = match method.gate.enter_for(|| remaining) {
            Entry::Refused { retry_after } => return refuse(Status::Overloaded { retry_after }),
            entry => entry,
        };
        let Some(node) = self.this() else { return refuse(Status::Draining) };
        // A peer's clock is no concern of ours, and neither is a time beyond all reason.
        let deadline = *now + remaining.min(MAX_TIME_LEFT);
        let lease = Lease::remote(Term::new(deadline, room, extensions), link, id);
        let caller = Caller { node: link.peer.id };
        // A short body shares the memory of all that arrived with it, which must not be kept for as
        // long as a call waits.
        let waits = matches!(entry, Entry::Queued(_)) && body.len() <= LANE_THRESHOLD;
        let body = if waits { Bytes::copy_from_slice(&body) } else { body };
        let incoming = Incoming { method: position, body, headers, caller, lease: lease.clone() };
        let call = Call::new(node, link.clone(), id, lease);
        if let Some(status) = self.begins_none(link) {
            // The node or the link began to drain while this call was not counted yet.
            call.refuse(status);
            return Ok(());
        }
        match entry {
            Entry::Admitted(permit) => call.start(service, method, incoming, permit, now),
            Entry::Queued(turn) => {
                link.begin(id, incoming.lease.cancelled().clone())?;
                let (service, lease) = (service.clone(), incoming.lease.clone());
                self.spawn_handler(async move {
                    tokio::select! {
                        // A turn that comes together with the end of the call comes too late.
                        biased;
                        () = lease.cancelled().cancelled() => call.dismiss(),
                        () = lease.expired() => call.refuse(Status::Expired),
                        permit = turn => call.run_spawned(&service, incoming, permit).await,
                    }
                });
                Ok(())
            }
            Entry::Refused { .. } => Ok(()),
        }
    }

    /// How many calls of others run and wait here, as told with every reply.
    pub(crate) fn load(&self) -> u16 {
        u16::try_from(self.serving.load(Ordering::Relaxed)).unwrap_or(u16::MAX)
    }

    /// Why no more calls begin that come on this link, if they do not.
    fn begins_none(&self, link: &Link) -> Option<Status> {
        match self.is_draining() {
            true => Some(Status::Draining),
            false => link.parts(),
        }
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst) && !cfg!(mutant = "draining_node_begins_calls")
    }
}

/// One call of a peer, from its admission to its reply. Dropped without a reply, it tells the
/// caller that the call was stopped.
struct Call {
    node: Arc<Inner>,
    link: Arc<Link>,
    id: u64,
    lease: Lease,
    answered: bool,
}

impl Call {
    fn new(node: Arc<Inner>, link: Arc<Link>, id: u64, lease: Lease) -> Self {
        node.serving.fetch_add(1, Ordering::SeqCst);
        link.serving.fetch_add(1, Ordering::SeqCst);
        link.note_use();
        Self { node, link, id, lease, answered: false }
    }

    /// Polls the handler once in place, and spawns what is left. It is `now`, and later then.
    fn start(
        self,
        service: &Arc<Service>,
        method: &Method,
        incoming: Incoming,
        permit: Permit,
        now: &mut Instant,
    ) -> Result<(), Violation> {
        let wary = method.wary.load(Ordering::Relaxed);
        if method.spawn || wary > 0 {
            method.wary.store(wary.saturating_sub(1), Ordering::Relaxed);
            self.link.begin(self.id, self.lease.cancelled().clone())?;
            let service = service.clone();
            let node = self.node.clone();
            node.spawn_handler(async move { self.run_spawned(&service, incoming, permit).await });
            return Ok(());
        }
        let began = *now;
        let (run, polled) = self.node.as_handler(|| {
            let mut run = guarded(service, incoming);
            // Whoever is woken by this poll is polled again at once by the task that is spawned.
            let polled = run.poll_unpin(&mut Context::from_waker(Waker::noop()));
            (run, polled)
        });
        *now = Instant::now();
        if now.saturating_duration_since(began) > FIRST_POLL {
            method.wary.store(WARY, Ordering::Relaxed);
        }
        match polled {
            Poll::Ready(ran) => self.finish(ran),
            Poll::Pending => {
                self.link.begin(self.id, self.lease.cancelled().clone())?;
                let node = self.node.clone();
                node.spawn_handler(async move { self.finish_run(run, permit).await });
            }
        }
        Ok(())
    }

    async fn run_spawned(self, service: &Arc<Service>, incoming: Incoming, permit: Permit) {
        let run = guarded(service, incoming);
        self.finish_run(run, permit).await;
    }

    /// Runs on until the handler is done or nobody waits any more.
    async fn finish_run(self, run: Run, permit: Permit) {
        let lease = self.lease.clone();
        tokio::select! {
            biased;
            ran = run => self.finish(ran),
            // A handler that uses up the task's budget at every poll is stopped all the same.
            () = unconstrained(lease.cancelled().cancelled()) => self.dismiss(),
            () = unconstrained(lease.expired()) => {
                lease.cancel();
                self.link.leaves_unanswered(self.lease.deadline());
                self.dismiss();
            }
        }
        drop(permit);
    }

    fn finish(self, ran: Ran) {
        self.lease.end();
        let limit = self.node.limits.max_body;
        let ran = ran.unwrap_or_else(|panic| Err(Fault::Panicked(panic_text(&*panic))));
        match ran {
            Ok(answer) if answer.body.len() > limit => {
                self.reply(Status::ReplyTooLarge { limit: limit as u64 }, Answer::default());
            }
            Ok(answer) => self.reply(Status::Done, answer),
            Err(fault) => {
                if matches!(fault, Fault::Panicked(_)) {
                    self.lease.cancel();
                }
                let (status, body) = told(fault);
                self.node.refused.note(status);
                self.reply(status, body.into());
            }
        }
    }

    /// Ends before it has run.
    fn refuse(self, status: Status) {
        self.node.refused.note(status);
        self.reply(status, Answer::default());
    }

    fn reply(mut self, status: Status, answer: Answer) {
        if answer.body.len() <= LANE_THRESHOLD {
            return self.answer(status, answer);
        }
        self.answered = true;
        // Whoever gives the call up now gives up its reply.
        self.link.keep(self.id, self.lease.cancelled().clone());
        let unsent = self.link.unsent(answer.body.len());
        if unsent.total() > self.node.limits.max_body.saturating_mul(UNSENT_REPLIES) {
            return self.link.close_unread(&*self.node);
        }
        let message = answer.reply(self.id, self.load_left(), status);
        // The call counts until the peer has its reply: a node that leaves waits for that.
        let node = self.node.clone();
        node.spawn_io(async move {
            let sent = async {
                let arrived = match self.link.send_alone(message).await {
                    // If the link has closed, the caller knows.
                    Ok(Some(sent)) => matches!(sent.stopped().await, Ok(None)),
                    Ok(None) => true,
                    Err(error) => {
                        tracing::debug!(peer = %self.link.peer.id, %error, "a reply was not sent");
                        false
                    }
                };
                if !arrived {
                    // The peer has stopped reading it: it may wait on, and it did run.
                    self.link.leaves_unanswered(self.lease.deadline());
                }
            };
            tokio::select! {
                biased;
                () = sent => {}
                () = self.lease.cancelled().cancelled() => {}
                () = self.lease.expired() => self.link.leaves_unanswered(self.lease.deadline()),
            }
            drop((unsent, self));
        });
    }

    /// The load of the node once this call is over: a node that is idle but for it is idle.
    fn load_left(&self) -> u16 {
        self.node.load().saturating_sub(1)
    }

    /// Ends without a reply: nobody waits for one.
    fn dismiss(mut self) {
        self.answered = true;
    }

    fn answer(&mut self, status: Status, answer: Answer) {
        self.answered = true;
        let message = answer.reply(self.id, self.load_left(), status);
        // If the link has closed, the caller knows.
        let _ = self.link.send(message);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.answered {
            self.answer(Status::Aborted, Answer::default());
        }
        self.link.end(self.id);
        self.link.serving.fetch_sub(1, Ordering::SeqCst);
        if self.node.serving.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.node.served.notify_waiters();
        }
    }
}

/// Why the service takes no call of this method now, if it does not. One whose answer to that is a
/// panic takes none.
fn refusal(service: &Service, method: usize) -> Option<Fault> {
    let asked = catch_unwind(AssertUnwindSafe(|| service.handler.refuses(method)));
    let fault = asked.unwrap_or(Some(Fault::Draining));
    fault.filter(|_| !cfg!(mutant = "paused_service_begins_calls"))
}

/// What the caller is told of a fault.
fn told(fault: Fault) -> (Status, Bytes) {
    match fault {
        Fault::Malformed(text) => (Status::Malformed, text.into()),
        Fault::Panicked(text) => (Status::Panicked, text.into()),
        Fault::Unwritable(text) => (Status::ReplyUnwritable, text.into()),
        Fault::Denied(why) if why.len() > MAX_DENIED_BYTES => (Status::Denied, Bytes::new()),
        Fault::Denied(_) if cfg!(mutant = "denial_without_its_reason") => {
            (Status::Denied, Bytes::new())
        }
        Fault::Denied(why) => (Status::Denied, why),
        Fault::Overloaded { retry_after } => (Status::Overloaded { retry_after }, Bytes::new()),
        Fault::Expired => (Status::Expired, Bytes::new()),
        Fault::Draining => (Status::Draining, Bytes::new()),
        Fault::Overran => (Status::Overran, Bytes::new()),
    }
}

/// The handler's future. Making it may panic as well as running it.
fn guarded(service: &Service, incoming: Incoming) -> Run {
    let made = catch_unwind(AssertUnwindSafe(|| service.handler.handle(incoming)));
    let body = made.unwrap_or_else(|panic| {
        let text = panic_text(&*panic);
        Box::pin(std::future::ready(Err(Fault::Panicked(text))))
    });
    AssertUnwindSafe(body).catch_unwind()
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("with something that is not text").chars().take(512).collect()
}
