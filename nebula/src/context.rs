//! What a handler knows of the call it serves, and what calls made inside it inherit.
//!
//! Inheritance needs no argument: while a handler's body is polled, its deadline and cancellation
//! stand in a thread-local cell, and a call that starts there reads them. The cell does not
//! follow a spawned task; there a client made with `within(cx)` carries them.
//!
//! A call within one process has no lease, which holds a deadline that moves and a token of
//! cancellation, until somebody asks for one: dropping the caller drops the body, and that is all
//! most handlers need.

mod rare;
mod replies;

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use macula::identity::NodeId;
use macula::rpc::{Headers, Lease, Term};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::call::options::{EXTENSIONS_DEFAULT, Limits};
use crate::exhausted::Exhausted;
use crate::trace::{TraceContext, handed};
use rare::Rare;
pub(crate) use replies::Expendable;

/// The call that a handler is serving: who asks, how long they wait, and whether they still do.
///
/// A method takes it as `cx: &Context`, first after `&self`. Clone it to take it into a task.
pub struct Context {
    caller: Option<Arc<Caller>>,
    /// As it was when the call began.
    term: Term,
    lease: OnceLock<Lease>,
    /// A clone of a context that was lent to a thread which does not run the body: its lease is its
    /// own, and the call knows nothing of it.
    lent: bool,
    /// The context of a body that may be given up while its call goes on.
    expendable: bool,
    headers: Headers,
    rare: Option<Box<Rare>>,
}

impl Context {
    /// A context outside any call, for a handler that is called directly: nobody asks, nobody
    /// cancels, and `timeout` is left (24 hours at most). It is extended by the rule of a call
    /// that says nothing: ten times, to eleven times the timeout at most. Nobody hears of it, and
    /// nothing drops the body at the deadline.
    pub fn detached(timeout: Duration) -> Self {
        let term = Limits::new(timeout, EXTENSIONS_DEFAULT).term(Instant::now(), None);
        // No scope is its own, so that nothing may be left to one.
        Self::new(None, term, Some(Lease::new(term)), Headers::new())
    }

    /// The context of a call with what came beside its arguments. Without a lease, the scope in
    /// which the body is polled makes one when it is asked for.
    #[inline]
    pub(crate) fn new(
        caller: Option<Arc<Caller>>,
        term: Term,
        lease: Option<Lease>,
        headers: Headers,
    ) -> Self {
        let lease = lease.map_or_else(OnceLock::new, OnceLock::from);
        Self { caller, term, lease, lent: false, expendable: false, headers, rare: None }
    }

    /// What the caller sent along under this key ([`Call::header`](crate::Call::header)), which is
    /// written in lower case. It is what the caller says, and not verified.
    pub fn header(&self, key: &str) -> Option<&str> {
        self.headers.get(key)
    }

    /// All that the caller sent along.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The span that calls made inside the handler, or by a client `within` this context, are
    /// below: that in which this node serves the call, if spans
    /// are shown, else the one that the caller sent along as `traceparent`.
    pub fn trace(&self) -> Option<TraceContext> {
        self.span().copied().or_else(|| handed::named(&self.headers))
    }

    /// The same in a span of its own.
    pub(crate) fn set_span(&mut self, span: TraceContext) {
        self.rare.get_or_insert_default().span = Some(span);
    }

    fn span(&self) -> Option<&TraceContext> {
        self.rare.as_ref()?.span.as_ref()
    }

    /// What a plugin that the call has passed has [left](crate::plugin::Inbound::leave) of this
    /// type: who asks, as it found out, or when the call came. None of it came from the caller.
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.rare.as_ref()?.left()
    }

    /// Leaves a value, in place of the one of its type.
    pub(crate) fn leave<T: Send + Sync + 'static>(&mut self, value: T) {
        self.rare.get_or_insert_default().leave(value);
    }

    /// Takes over what was left in another context of the same call.
    pub(crate) fn take_over(&mut self, twin: &Self) {
        if twin.rare.as_ref().is_some_and(|rare| rare.has_left()) {
            self.rare.clone_from(&twin.rare);
        }
    }

    /// What calls made inside the handler take over of its trace.
    #[inline]
    pub(crate) fn handed(&self) -> Headers {
        match self.span() {
            None => self.headers.clone(),
            Some(span) => handed::below(&self.headers, span),
        }
    }

    /// The node that asks, as it proved itself; `None` when the client has no node.
    pub fn caller(&self) -> Option<&Caller> {
        self.caller.as_deref()
    }

    /// The time left for the call, zero when it is over. Calls made inside the handler inherit it.
    pub fn remaining(&self) -> Duration {
        self.deadline().saturating_duration_since(Instant::now())
    }

    /// The moment at which nobody waits any more, wherever it has been [moved](Self::extend) by
    /// now.
    pub fn deadline(&self) -> Instant {
        self.lease.get().map_or(self.term.deadline(), Lease::deadline)
    }

    /// Asks the caller for more time: moves the deadline later by `more`, or by as much of it as
    /// there is room for, and says by how much, in whole microseconds and never zero.
    ///
    /// A call may be extended so many times as its `max_extensions` says (10 unless set), and
    /// takes no longer in all than its timeout times one more than that, 24 hours, and the time
    /// that a handler around it had left when the call was made. Calls made inside the handler
    /// from then on inherit the later deadline; those under way keep theirs.
    ///
    /// Granted means granted *here*, at once and without asking anybody: the caller allowed it
    /// beforehand and is told. If the caller's own clock ran out while the word was under way,
    /// the body is cancelled as ever.
    ///
    /// # Errors
    ///
    /// [`Exhausted`] says why there is no more time; then nothing was spent.
    pub fn extend(&self, more: Duration) -> Result<Duration, Exhausted> {
        match self.shared_lease() {
            Some(lease) if !self.lent => Ok(lease.extend(more)?),
            _ => Err(Exhausted::Elsewhere),
        }
    }

    /// Resolves when nobody waits any more: the caller has gone or the deadline has passed.
    ///
    /// The body itself is dropped then, at its next await, so this is of use in what outlives it:
    /// a task that holds a clone of the context. A handler that simply returns does not count as
    /// cancelled. Needs the time driver of the runtime.
    pub async fn cancelled(&self) {
        let lease = self.lease();
        tokio::select! {
            biased;
            () = lease.cancelled().cancelled() => {}
            () = lease.expired() => {}
        }
    }

    /// The token that the end of the call cancels, made on demand.
    pub(crate) fn token(&self) -> CancellationToken {
        self.lease().cancelled().clone()
    }

    /// The lease of the call, or where that cannot be had one that knows its deadline alone.
    fn lease(&self) -> Lease {
        match self.shared_lease() {
            Some(lease) => lease.clone(),
            None => Lease::new(Term::fixed(self.term.deadline())),
        }
    }

    /// The lease that the driver of the body knows too; none on a thread that does not run it, as
    /// long as nobody asked for one before.
    fn shared_lease(&self) -> Option<&Lease> {
        if self.lease.get().is_none() {
            let lease = with_ambient(|ambient| ambient.lease().clone())?;
            // Where another thread was faster, its lease is the one.
            let _ = self.lease.set(lease);
        }
        self.lease.get()
    }

    /// Another context of the same call, for hooks that are polled where its body is. It costs no
    /// lease: both get the one of the scope when they are asked.
    pub(crate) fn twin(&self) -> Self {
        let &Self { term, lent, expendable, .. } = self;
        let (caller, lease) = (self.caller.clone(), self.lease.clone());
        let (headers, rare) = (self.headers.clone(), self.rare.clone());
        Self { caller, term, lease, lent, expendable, headers, rare }
    }

    /// What calls made inside the handler inherit.
    pub(crate) fn scope(&self) -> Scope {
        Scope::new(self.term, self.lease.get().cloned(), self.handed())
    }
}

impl Clone for Context {
    /// A context of the same call, which may go anywhere.
    ///
    /// Make it where the handler runs. A clone that is made on a thread which the context was only
    /// lent to, as by `std::thread::scope`, before there was any other, knows the deadline as it
    /// was at first, does not hear that the caller has gone, and extends nothing.
    fn clone(&self) -> Self {
        // The clone may leave this thread, where the lease could no longer be made.
        let lent = self.lent || self.shared_lease().is_none();
        let lease = OnceLock::from(self.lease());
        let &Self { term, expendable, .. } = self;
        let (headers, rare) = (self.headers.clone(), self.rare.clone());
        Self { caller: self.caller.clone(), term, lease, lent, expendable, headers, rare }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("caller", &self.caller)
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}

/// The node that made a call, as the mesh verified it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller {
    /// Its public key: the caller proved that it holds the secret half.
    pub id: NodeId,
    /// Its name as it announced it. Other nodes may bear the same one. Empty as long as it is not
    /// known yet: the announcement of a node that has just come may be slower than its calls.
    pub name: Box<str>,
    /// Its tags as it announced them; none as long as they are not known yet.
    pub tags: Arc<[Box<str>]>,
}

/// What stands in the thread-local cell while a body is polled.
struct Ambient {
    term: Term,
    lease: Option<Lease>,
    /// It was given up while it had no lease: one that is made now, by destructors or hooks, begins
    /// cancelled.
    given_up: bool,
    /// The headers in which calls find the trace around them.
    handed: Headers,
}

impl Ambient {
    fn lease(&mut self) -> &Lease {
        self.lease.get_or_insert_with(|| {
            let lease = Lease::new(self.term);
            if self.given_up {
                lease.cancel();
            }
            lease
        })
    }

    fn deadline(&self) -> Instant {
        self.lease.as_ref().map_or(self.term.deadline(), Lease::deadline)
    }
}

thread_local! {
    static AMBIENT: RefCell<Option<Ambient>> = const { RefCell::new(None) };
}

/// Looks at what the body polled on this thread gives to its calls; none outside every body.
#[inline]
fn with_ambient<R>(look: impl FnOnce(&mut Ambient) -> R) -> Option<R> {
    AMBIENT.try_with(|cell| cell.borrow_mut().as_mut().map(look)).ok().flatten()
}

/// What a call that starts on this thread right now inherits.
#[derive(Clone, Debug)]
pub(crate) struct Inherited {
    /// The deadline it cannot exceed.
    pub(crate) deadline: Instant,
    /// Whether the outer call was cancelled already.
    pub(crate) cancelled: bool,
    /// The headers in which the outer call's trace stands, if it has one.
    pub(crate) handed: Headers,
}

impl Inherited {
    /// Reads it; `None` outside every handler.
    #[inline]
    pub(crate) fn now() -> Option<Self> {
        with_ambient(|ambient| Self {
            deadline: ambient.deadline(),
            cancelled: ambient.given_up || ambient.lease.as_ref().is_some_and(Lease::is_cancelled),
            handed: ambient.handed.clone(),
        })
    }
}

/// Exchanges what the body polled on this thread hands down of its trace.
pub(crate) fn exchange_handed(handed: &mut Headers) {
    with_ambient(|ambient| std::mem::swap(&mut ambient.handed, handed));
}

/// The inheritance of one body, entered at each of its polls.
pub(crate) struct Scope(Option<Ambient>);

impl Scope {
    /// The scope of the body of a call, in which calls find their trace in these headers.
    #[inline]
    pub(crate) fn new(term: Term, lease: Option<Lease>, handed: Headers) -> Self {
        Self(Some(Ambient { term, lease, given_up: false, handed }))
    }

    /// What is left when the scope goes elsewhere.
    pub(crate) fn empty() -> Self {
        Self(None)
    }

    /// When the body must end, wherever it has moved that by now.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.0.as_ref().map(Ambient::deadline)
    }

    /// Whether the body's time is over; if so, it gets no more.
    pub(crate) fn expire(&self) -> bool {
        match &self.0 {
            Some(Ambient { lease: Some(lease), .. }) => lease.expire(),
            Some(Ambient { term, lease: None, .. }) => Instant::now() >= term.deadline(),
            None => false,
        }
    }

    /// The body has returned: nothing extends its call any more, and this is what goes beside its
    /// reply.
    #[inline]
    pub(crate) fn end(&self) -> Headers {
        self.lease().map_or_else(Headers::new, Lease::end)
    }

    fn lease(&self) -> Option<&Lease> {
        self.0.as_ref()?.lease.as_ref()
    }

    /// Runs `poll` inside the scope, and restores what was there before even if it panics.
    #[inline]
    pub(crate) fn enter<R>(&mut self, poll: impl FnOnce() -> R) -> R {
        self.exchange();
        let _restore = Restore(self);
        poll()
    }

    /// Puts what is kept here on this thread, and keeps what was there. Doing it twice does
    /// nothing, as does doing it while the thread ends.
    #[inline]
    fn exchange(&mut self) {
        let _ = AMBIENT.try_with(|cell| std::mem::swap(&mut *cell.borrow_mut(), &mut self.0));
    }

    /// The body was given up: cancels the token that it asked for, or the one that somebody asks for
    /// while it is dropped.
    pub(crate) fn cancel(&mut self) {
        match &mut self.0 {
            Some(Ambient { lease: Some(lease), .. }) => lease.cancel(),
            Some(ambient) => ambient.given_up = true,
            None => {}
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scope")
    }
}

struct Restore<'s>(&'s mut Scope);

impl Drop for Restore<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.exchange();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn deadline() -> Option<Instant> {
        Inherited::now().map(|inherited| inherited.deadline)
    }

    #[test]
    fn scopes_nest_and_survive_a_panic() {
        let (far, near) = (Instant::now() + 9 * SECOND, Instant::now() + SECOND);
        assert_eq!(deadline(), None);
        Scope::new(Term::fixed(far), None, Headers::new()).enter(|| {
            assert_eq!(deadline(), Some(far));
            let panicked = std::panic::catch_unwind(|| {
                Scope::new(Term::fixed(near), None, Headers::new()).enter(|| {
                    assert_eq!(deadline(), Some(near));
                    std::panic::resume_unwind(Box::new(()));
                })
            });
            assert!(panicked.is_err());
            assert_eq!(deadline(), Some(far));
        });
        assert_eq!(deadline(), None);
    }

    #[test]
    fn a_lease_asked_for_inside_the_scope_is_the_scopes_own() {
        let first = Instant::now() + SECOND;
        let cx = Context::new(None, Term::new(first, 9 * SECOND, 3), None, Headers::new());
        let mut scope = cx.scope();
        let clone = scope.enter(|| cx.clone());
        assert_eq!(clone.extend(SECOND), Ok(SECOND));
        assert_eq!(scope.deadline(), Some(first + SECOND));
        assert_eq!((cx.deadline(), clone.deadline()), (first + SECOND, first + SECOND));
        scope.enter(|| assert_eq!(deadline(), Some(first + SECOND)));
        assert!(!clone.token().is_cancelled());
        scope.cancel();
        assert!(clone.token().is_cancelled() && cx.token().is_cancelled());
        assert_eq!(cx.extend(SECOND), Err(Exhausted::Over));
    }

    #[test]
    fn a_lease_asked_for_after_the_call_was_given_up_begins_cancelled() {
        let term = Term::new(Instant::now() + SECOND, 9 * SECOND, 3);
        let cx = Context::new(None, term, None, Headers::new());
        let mut scope = cx.scope();
        scope.cancel();
        assert!(scope.enter(|| Inherited::now().is_some_and(|outer| outer.cancelled)));
        let clone = scope.enter(|| cx.clone());
        assert!(clone.token().is_cancelled() && cx.token().is_cancelled());
        assert_eq!(clone.extend(SECOND), Err(Exhausted::Over));
    }

    #[test]
    fn a_thread_that_does_not_run_the_body_needs_a_clone() {
        let cx =
            Context::new(None, Term::new(Instant::now() + SECOND, SECOND, 3), None, Headers::new());
        let elsewhere = |cx: &Context| {
            std::thread::scope(|scope| scope.spawn(|| cx.extend(SECOND)).join().unwrap())
        };
        assert_eq!(elsewhere(&cx), Err(Exhausted::Elsewhere));
        let mut scope = cx.scope();
        assert_eq!(elsewhere(&scope.enter(|| cx.clone())), Ok(SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_the_wait_for_a_cancellation() {
        let cx = Context::detached(3 * SECOND);
        let start = Instant::now();
        cx.cancelled().await;
        assert_eq!(start.elapsed().as_secs(), 3);
        assert_eq!(cx.remaining(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_detached_context_is_extended_by_the_usual_rule() {
        let start = Instant::now();
        let cx = Context::detached(SECOND);
        let clone = cx.clone();
        let waiting = tokio::spawn(async move { clone.cancelled().await });
        // Nor does it touch the call in which it was made.
        let mut outer = Scope::new(Term::new(start + SECOND, 9 * SECOND, 9), None, Headers::new());
        assert_eq!(outer.enter(|| Context::detached(SECOND).extend(SECOND)), Ok(SECOND));
        assert_eq!(outer.deadline(), Some(start + SECOND));
        for _ in 0..9 {
            assert_eq!(cx.extend(SECOND / 2), Ok(SECOND / 2));
        }
        assert_eq!(cx.extend(Duration::ZERO), Err(Exhausted::Nothing));
        assert_eq!(cx.extend(9 * SECOND), Ok(11 * SECOND / 2), "what room there is");
        assert_eq!(cx.extend(SECOND), Err(Exhausted::Spent));
        waiting.await.unwrap();
        assert_eq!(start.elapsed(), 11 * SECOND);
        assert_eq!(cx.extend(SECOND), Err(Exhausted::Over));
    }
}
