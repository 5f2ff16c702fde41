//! Runs code of the application for the driver: bounded in time, and its panics contained.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::timeout;

use crate::service::input::panic_message;

tokio::task_local! {
    /// The service whose hook this is.
    static INSIDE: Service;
}

/// Tells one service of this process from another: the place where its status is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Service(pub(crate) usize);

impl Service {
    /// Whether this is called from a hook of the service, which nothing must wait in that waits for
    /// hooks. A task that a hook spawns is not inside it.
    pub(crate) fn within_hook(self) -> bool {
        INSIDE.try_with(|service| *service == self).unwrap_or(false)
    }

    /// Awaits hooks of the service that bound themselves. The error says how they panicked.
    pub(crate) async fn contain<T>(self, hooks: impl Future<Output = T>) -> Result<T, String> {
        let hooks = Dropped(Some(Box::pin(INSIDE.scope(self, hooks))));
        AssertUnwindSafe(hooks).catch_unwind().await.map_err(panicked)
    }

    /// Awaits a hook of the service. The error says in words why there is no result.
    pub(crate) async fn call<T>(
        self,
        limit: Duration,
        hook: impl Future<Output = T>,
    ) -> Result<T, String> {
        match timeout(limit, self.contain(hook)).await {
            Ok(contained) => contained,
            Err(_) => Err(format!("it took longer than {limit:?} and was given up")),
        }
    }
}

/// A future whose drop, wherever it is given up, panics for nobody else.
struct Dropped<F>(Option<Pin<Box<F>>>);

impl<F: Future> Future for Dropped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<F::Output> {
        // It is there until this is dropped.
        self.0.as_mut().map_or(Poll::Pending, |future| future.as_mut().poll(task))
    }
}

impl<F> Drop for Dropped<F> {
    fn drop(&mut self) {
        contained("drop a hook", || drop(self.0.take()));
    }
}

fn panicked(panic: Box<dyn Any + Send>) -> String {
    format!("it panicked: {}", panic_message(panic))
}

/// Calls what must not panic, and may.
pub(crate) fn contained(what: &str, work: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
        tracing::error!("to {what} panicked: {}", panic_message(panic));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_hook_is_contained_and_bounded() {
        let service = Service(1);
        assert_eq!(service.call(SECOND, async { 7 }).await, Ok(7));
        let panicked = service.call(SECOND, async { panic!("oh") }).await;
        assert_eq!(panicked, Err::<(), _>("it panicked: oh".into()));
        let hung = service.call(SECOND, std::future::pending::<()>()).await.unwrap_err();
        assert_eq!(hung, "it took longer than 1s and was given up");
        contained("test this", || panic!("oh"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_hook_that_panics_when_it_is_given_up_is_contained() {
        struct Bad;
        impl Drop for Bad {
            fn drop(&mut self) {
                panic!("oh")
            }
        }
        let bad = async || {
            let _bad = Bad;
            std::future::pending::<()>().await;
        };
        let service = Service(1);
        let hung = service.call(SECOND, bad()).await.unwrap_err();
        assert_eq!(hung, "it took longer than 1s and was given up");
        // Also if nobody waits for its limit.
        assert!(timeout(SECOND, service.call(2 * SECOND, bad())).await.is_err());
        assert!(timeout(SECOND, service.contain(bad())).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_hook_knows_whose_it_is() {
        let inside = Service(1).call(SECOND, async {
            let spawned = tokio::spawn(async { Service(1).within_hook() });
            let other = Service(2).call(SECOND, async { Service(1).within_hook() }).await;
            (Service(1).within_hook(), Service(2).within_hook(), spawned.await.unwrap(), other)
        });
        assert_eq!(inside.await, Ok((true, false, false, Ok(false))));
        assert!(!Service(1).within_hook());
    }
}
