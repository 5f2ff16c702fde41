//! A body that runs in a task of its own though its caller is in this process: it may block its
//! thread, and its caller must not wait for that beyond the deadline.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::Poll;

use futures_util::future::BoxFuture;
use macula::rpc::admission::Permit;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::context::Scope;

/// What the body returned, or what it panicked with.
type Ended<T> = Result<T, Box<dyn Any + Send>>;

/// Spawns the body at once, and waits for it: a panic there is one here. The place in the gate is the
/// task's, and so held until the body has really ended. Dropped, it stops the body at its next await.
pub(crate) fn spawned<T: Send + 'static>(
    runtime: &Handle,
    mut body: BoxFuture<'static, T>,
    mut scope: Scope,
    place: Permit,
) -> impl Future<Output = T> + Send + use<T> {
    let task = runtime.spawn(async move {
        let ended = poll_fn(|task| {
            let poll = || catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(task)));
            match scope.enter(poll) {
                Ok(Poll::Ready(reply)) => Poll::Ready(Ok(reply)),
                Ok(Poll::Pending) => Poll::Pending,
                Err(panic) => Poll::Ready(Err(panic)),
            }
        })
        .await;
        // The body goes before its place does.
        drop(body);
        drop(place);
        ended
    });
    wait(Stopped(task))
}

async fn wait<T>(mut task: Stopped<T>) -> T {
    match (&mut task.0).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(panic)) => resume_unwind(panic),
        Err(ended) if ended.is_panic() => resume_unwind(ended.into_panic()),
        // The runtime is going down, and this call with it.
        Err(_) => std::future::pending().await,
    }
}

/// A task that is stopped when nobody waits for it.
struct Stopped<T>(JoinHandle<Ended<T>>);

impl<T> Drop for Stopped<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
