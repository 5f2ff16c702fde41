//! Where the I/O of a node runs: on the runtime that starts it, or on a thread of its own.
//!
//! On a thread of its own, everything that a node does by itself runs there: its socket, its
//! connections, what reads and writes them, and gossip. Handlers run where the node was started.
//! One that is ready when it is first polled is polled on that thread, within the runtime of the
//! start, so that what it spawns and the timers it makes belong there; one that is not is spawned
//! there.

use std::sync::{Mutex, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

use crate::StartError;
use crate::mesh::{Inner, lock};

/// Where the I/O of a node runs: its socket, its connections and its gossip.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Io {
    /// On the runtime on which the node is started.
    #[default]
    Shared,
    /// On a thread of its own, with a runtime of its own, which ends with the node, and at the latest
    /// with the runtime on which the node was started. Calls and news of the cluster are answered
    /// however busy that runtime is. Handlers still run there, but for their first poll: one that
    /// computes for long before its first await holds up all peers, once; those of a method marked
    /// `spawn` never do.
    ///
    /// Not for a runtime whose clock is paused. On a [`MemoryNetwork`](crate::MemoryNetwork), which
    /// goes by the clock of the caller's runtime, it is the same as [`Shared`](Self::Shared).
    Thread,
}

/// The thread of a node's I/O. It ends with this, or when it is told to.
#[derive(Debug)]
pub(crate) struct IoThread {
    /// Its runtime.
    pub(crate) handle: Handle,
    /// The runtime on which the node was started.
    pub(crate) caller: Handle,
    quit: CancellationToken,
    /// The runtime of the thread is gone.
    ended: CancellationToken,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl IoThread {
    /// Must be called within a runtime.
    ///
    /// # Errors
    /// The system refuses the thread, or what its runtime needs.
    pub(crate) fn start() -> Result<Self, StartError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| StartError::Thread { source })?;
        let handle = runtime.handle().clone();
        let (quit, ended) = (CancellationToken::new(), CancellationToken::new());
        let (quits, ends) = (quit.clone(), ended.clone().drop_guard());
        let thread = std::thread::Builder::new().name("macula-io".into()).spawn(move || {
            runtime.block_on(quits.cancelled());
            drop(runtime);
            drop(ends);
        });
        let thread = thread.map_err(|source| StartError::Thread { source })?;
        let thread = Mutex::new(Some(thread));
        Ok(Self { handle, caller: Handle::current(), quit, ended, thread })
    }

    /// Stops the node when the caller's runtime ends, as it would without this thread.
    pub(crate) fn follow_caller(&self, node: Weak<Inner>, stop: CancellationToken) {
        let end = EndOfRuntime(Some(node));
        self.caller.spawn(async move {
            let mut end = end;
            stop.cancelled().await;
            end.0 = None;
        });
    }

    /// Lets the thread end once `last` is done.
    pub(crate) fn quit_after(&self, last: impl Future<Output = ()> + Send + 'static) {
        let quit = self.quit.clone().drop_guard();
        self.handle.spawn(async move {
            last.await;
            drop(quit);
        });
    }

    /// Ends the thread with all that still runs on it, and waits for that, for `patience` at most.
    pub(crate) async fn end(&self, patience: Duration) {
        self.quit.cancel();
        if tokio::time::timeout(patience, self.ended.cancelled()).await.is_ok()
            && let Some(thread) = lock(&self.thread).take()
        {
            // There is nothing left for it to do; a panic of it would have been a panic of a task.
            let _ = thread.join();
        }
    }
}

impl Drop for IoThread {
    fn drop(&mut self) {
        // Not joined: this may be dropped by its last task.
        self.quit.cancel();
    }
}

/// Dropped by a runtime that ends, with all of its tasks.
struct EndOfRuntime(Option<Weak<Inner>>);

impl Drop for EndOfRuntime {
    fn drop(&mut self) {
        if let Some(node) = self.0.take().and_then(|node| node.upgrade()) {
            node.abort();
        }
    }
}

impl Inner {
    /// Runs a task that belongs to the I/O of this node.
    pub(crate) fn spawn_io(&self, task: impl Future<Output = ()> + Send + 'static) {
        match &self.io {
            Some(thread) => drop(thread.handle.spawn(task)),
            None => drop(tokio::spawn(task)),
        }
    }

    /// Runs a task that runs a handler.
    pub(crate) fn spawn_handler(&self, task: impl Future<Output = ()> + Send + 'static) {
        match &self.io {
            Some(thread) => drop(thread.caller.spawn(task)),
            None => drop(tokio::spawn(task)),
        }
    }

    /// Runs a piece of a handler here and now, as if on the runtime of handlers.
    pub(crate) fn as_handler<T>(&self, piece: impl FnOnce() -> T) -> T {
        let _entered = self.io.as_ref().map(|thread| thread.caller.enter());
        piece()
    }
}
