//! What a plugin says of its children.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::driver::{self, RunningChildren};
use super::intensity::Intensity;
use super::supervisor::{End, GaveUp};

/// How many children a plugin may have.
pub(crate) const MOST: usize = 1024;
/// How often they may be started again, unless the plugin says otherwise: as in OTP.
const RESTARTS: u32 = 3;
const WITHIN: Duration = Duration::from_secs(5);
/// How long one that is stopped may take.
const GRACE: Duration = Duration::from_secs(5);

/// Whether a child that has ended is started again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Restart {
    /// No: it runs once. If it fails, that is written to the log.
    Never,
    /// If it returned an error or panicked.
    OnFailure,
    /// However it ended.
    Always,
}

/// Who else is stopped, and started again, when a child is started again.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Strategy {
    /// Nobody.
    #[default]
    OneForOne,
    /// All children. Those with [`Restart::Never`] are stopped only.
    OneForAll,
    /// Those after it, in the order in which they were added. Those with [`Restart::Never`] are
    /// stopped only.
    RestForOne,
}

/// What the future of a child may return: nothing, a result whose error is a failure, or never.
#[diagnostic::on_unimplemented(
    message = "a child cannot return `{Self}`",
    label = "this child returns `{Self}`",
    note = "a child returns nothing, or a `Result<(), E>` whose error can be displayed"
)]
pub trait Outcome {
    /// The error in words.
    #[doc(hidden)]
    fn into_end(self) -> Result<(), String>;
}

impl Outcome for () {
    fn into_end(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: fmt::Display> Outcome for Result<(), E> {
    fn into_end(self) -> Result<(), String> {
        self.map_err(|error| error.to_string())
    }
}

#[allow(private_interfaces, reason = "the type is public, though not by this name")]
impl Outcome for <fn() -> ! as Returns>::Type {
    fn into_end(self) -> Result<(), String> {
        self
    }
}

/// Names what a function returns: the type of a loop without end has no stable name of its own.
trait Returns {
    type Type;
}

impl<T> Returns for fn() -> T {
    type Type = T;
}

/// Makes a run of a child.
type Run = Box<dyn FnMut(CancellationToken) -> BoxFuture<'static, End> + Send>;

/// The tasks that a plugin brings along: started after its start hook, in this order, and stopped
/// after its stop hook, the last one first.
///
/// A child gets a token that is cancelled when it is to stop. It has the grace from then on, 5 s
/// unless set; after that it is aborted at its next await. It may end by itself at any time: see
/// [`Restart`].
///
/// ```
/// use std::time::Duration;
/// use nebula::{Children, Restart, Strategy};
///
/// let children = Children::new()
///     .child("sweeper", Restart::OnFailure, |stop| async move {
///         while stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(60))).await.is_some() {
///             // Sweep.
///         }
///         Ok::<_, std::io::Error>(())
///     })
///     .strategy(Strategy::OneForOne)
///     .intensity(3, Duration::from_secs(5));
/// assert_eq!(children.len(), 1);
/// ```
pub struct Children {
    pub(super) children: Vec<Child>,
    pub(super) strategy: Strategy,
    most: u32,
    within: Duration,
    pub(super) grace: Duration,
}

/// One of them.
pub(super) struct Child {
    pub(super) name: Arc<str>,
    pub(super) restart: Restart,
    pub(super) run: Run,
}

impl Children {
    /// None yet.
    pub fn new() -> Self {
        let (children, strategy) = (Vec::new(), Strategy::default());
        Self { children, strategy, most: RESTARTS, within: WITHIN, grace: GRACE }
    }

    /// One more. `run` is called for each start of it, with the token of that start. The name is for
    /// the log and for errors. A plugin with more than 1024 children does not start.
    #[must_use]
    pub fn child<F>(
        mut self,
        name: impl Into<Arc<str>>,
        restart: Restart,
        mut run: impl FnMut(CancellationToken) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        let run: Run = Box::new(move |stop| run(stop).map(Outcome::into_end).boxed());
        self.children.push(Child { name: name.into(), restart, run });
        self
    }

    /// Who else is started again with a child. [`Strategy::OneForOne`] unless set.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// How many restarts of all children together are tried within that time: 3 within 5 s unless
    /// set, never more than 1000, within 1 ms at least. One more, and the service has failed: it is stopped as a whole,
    /// and started again after a while.
    ///
    /// The first restart is immediate. Others that soon follow wait 0.1 s and then twice as long
    /// each, but never so long that the limit could not be reached.
    #[must_use]
    pub fn intensity(mut self, most: u32, within: Duration) -> Self {
        (self.most, self.within) = (most, within);
        self
    }

    /// How long each child has to end after it was told to: 5 s unless set. They are told one after
    /// the other; once that has taken 60 s, all that are left are told at once, and have one grace
    /// together.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.children.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    /// Starts all of them, for the part of a service of that name: when this returns, they are
    /// tasks. Called in a tokio runtime. `gave_up` is called at most once.
    pub(crate) fn start(
        self,
        owner: impl Into<Arc<str>>,
        gave_up: impl FnOnce(GaveUp) + Send + 'static,
    ) -> Result<RunningChildren, TooMany> {
        if self.len() > MOST {
            return Err(TooMany { count: self.len() });
        }
        let intensity = Intensity::new(self.most, self.within);
        Ok(driver::spawn(self, intensity, owner.into(), Box::new(gave_up)))
    }
}

impl Default for Children {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Children {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.children.iter().map(|child| (&child.name, child.restart));
        f.debug_map().entries(names).finish()
    }
}

/// A plugin has more children than can be watched over. None was started.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{count} children are too many: a plugin may have {MOST}")]
pub(crate) struct TooMany {
    count: usize,
}
