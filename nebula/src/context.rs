//! What a handler knows of the call it serves, and what calls made inside it inherit.
//!
//! Inheritance needs no argument: while a handler's body is polled, its deadline and cancellation
//! stand in a thread-local cell, and a call that starts there reads them. The cell does not
//! follow a spawned task; there a client made with `within(cx)` carries them.
//!
//! A call within one process has no token of cancellation until somebody asks for one: dropping
//! the caller drops the body, and that is all most handlers need.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use macula::identity::NodeId;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The call that a handler is serving: who asks, how long they wait, and whether they still do.
///
/// A method takes it as `cx: &Context`, first after `&self`. Clone it to take it into a task.
pub struct Context {
    caller: Option<Arc<Caller>>,
    deadline: Instant,
    cancel: OnceLock<CancellationToken>,
}

impl Context {
    /// A context outside any call, for a handler that is called directly: nobody asks, nobody
    /// cancels, and `timeout` is left.
    pub fn detached(timeout: Duration) -> Self {
        Self::new(None, Instant::now() + timeout.min(crate::call::options::TIMEOUT_MAX), None)
    }

    /// The context of a call that must end at `deadline`. Without a token, the scope in which the
    /// body is polled makes one when it is asked for.
    pub(crate) fn new(
        caller: Option<Arc<Caller>>,
        deadline: Instant,
        cancel: Option<CancellationToken>,
    ) -> Self {
        Self { caller, deadline, cancel: cancel.map_or_else(OnceLock::new, OnceLock::from) }
    }

    /// The node that asks, as it proved itself; `None` when the client has no node.
    pub fn caller(&self) -> Option<&Caller> {
        self.caller.as_deref()
    }

    /// The time left for the call, zero when it is over. Calls made inside the handler inherit it.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The moment at which nobody waits any more.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Resolves when nobody waits any more: the caller has gone or the deadline has passed.
    ///
    /// The body itself is dropped then, at its next await, so this is of use in what outlives it:
    /// a task that holds a clone of the context. A handler that simply returns does not count as
    /// cancelled. Needs the time driver of the runtime.
    pub async fn cancelled(&self) {
        let mut over = pin!(sleep_until(self.deadline));
        let mut gone = pin!(self.token().cancelled());
        poll_fn(|task| {
            if gone.as_mut().poll(task).is_ready() {
                Poll::Ready(())
            } else {
                over.as_mut().poll(task)
            }
        })
        .await;
    }

    /// The token that the end of the call cancels, made on demand.
    pub(crate) fn token(&self) -> &CancellationToken {
        self.cancel.get_or_init(|| {
            with_ambient(|ambient| match ambient {
                Some(ambient) => ambient.cancel.get_or_insert_default().clone(),
                None => CancellationToken::new(),
            })
        })
    }

    /// What calls made inside the handler inherit.
    pub(crate) fn scope(&self) -> Scope {
        Scope::new(self.deadline, self.cancel.get().cloned())
    }
}

impl Clone for Context {
    fn clone(&self) -> Self {
        // The clone may leave this thread, where the token could no longer be made.
        let cancel = OnceLock::from(self.token().clone());
        Self { caller: self.caller.clone(), deadline: self.deadline, cancel }
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
    /// Its name as it announced it. Other nodes may bear the same one.
    pub name: Box<str>,
    /// Its tags as it announced them.
    pub tags: Arc<[Box<str>]>,
}

/// What stands in the thread-local cell while a body is polled.
struct Ambient {
    deadline: Instant,
    cancel: Option<CancellationToken>,
}

thread_local! {
    static AMBIENT: Cell<Option<Ambient>> = const { Cell::new(None) };
}

/// Looks at what the body polled on this thread gives to its calls.
fn with_ambient<R>(look: impl FnOnce(Option<&mut Ambient>) -> R) -> R {
    let mut ambient = AMBIENT.try_with(Cell::take).ok().flatten();
    let found = look(ambient.as_mut());
    let _ = AMBIENT.try_with(|cell| cell.set(ambient));
    found
}

/// What a call that starts on this thread right now inherits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inherited {
    /// The deadline it cannot exceed.
    pub(crate) deadline: Instant,
    /// Whether the outer call was cancelled already.
    pub(crate) cancelled: bool,
}

impl Inherited {
    /// Reads it; `None` outside every handler.
    pub(crate) fn now() -> Option<Self> {
        with_ambient(|ambient| {
            ambient.map(|ambient| Self {
                deadline: ambient.deadline,
                cancelled: ambient.cancel.as_ref().is_some_and(CancellationToken::is_cancelled),
            })
        })
    }
}

/// The inheritance of one body, entered at each of its polls.
pub(crate) struct Scope(Option<Ambient>);

impl Scope {
    /// The scope of a body that must end at `deadline`.
    pub(crate) fn new(deadline: Instant, cancel: Option<CancellationToken>) -> Self {
        Self(Some(Ambient { deadline, cancel }))
    }

    /// Runs `poll` inside the scope, and restores what was there before even if it panics.
    pub(crate) fn enter<R>(&mut self, poll: impl FnOnce() -> R) -> R {
        let outer = AMBIENT.try_with(|cell| cell.replace(self.0.take())).ok().flatten();
        let _restore = Restore { scope: self, outer };
        poll()
    }

    /// Cancels the token that the body asked for, if it did.
    pub(crate) fn cancel(&self) {
        if let Some(Ambient { cancel: Some(token), .. }) = &self.0 {
            token.cancel();
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scope")
    }
}

struct Restore<'s> {
    scope: &'s mut Scope,
    outer: Option<Ambient>,
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        let outer = self.outer.take();
        self.scope.0 = AMBIENT.try_with(|cell| cell.replace(outer)).ok().flatten();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deadline() -> Option<Instant> {
        Inherited::now().map(|inherited| inherited.deadline)
    }

    #[test]
    fn scopes_nest_and_survive_a_panic() {
        let (far, near) =
            (Instant::now() + Duration::from_secs(9), Instant::now() + Duration::from_secs(1));
        assert_eq!(deadline(), None);
        Scope::new(far, None).enter(|| {
            assert_eq!(deadline(), Some(far));
            let panicked = std::panic::catch_unwind(|| {
                Scope::new(near, None).enter(|| {
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
    fn a_token_asked_for_inside_the_scope_is_the_scopes_own() {
        let cx = Context::detached(Duration::from_secs(1));
        let mut scope = Scope::new(cx.deadline(), None);
        let clone = scope.enter(|| cx.clone());
        assert!(!clone.token().is_cancelled());
        scope.cancel();
        assert!(clone.token().is_cancelled() && cx.token().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_the_wait_for_a_cancellation() {
        let cx = Context::detached(Duration::from_secs(3));
        let start = Instant::now();
        cx.cancelled().await;
        assert_eq!(start.elapsed().as_secs(), 3);
        assert_eq!(cx.remaining(), Duration::ZERO);
    }
}
