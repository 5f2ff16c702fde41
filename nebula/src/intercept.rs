//! What looks at the calls that a node makes, before they leave and when they have ended.
//!
//! The other direction, calls that come to a service, is that of its [plugins](mod@crate::plugin). An
//! interceptor is for what all calls of a node have in common: a header that each must carry, a call
//! that must not be made, a count of what was asked of others.
//!
//! ```
//! use nebula::intercept::{Interceptor, Made, Outgoing};
//! use nebula::plugin::Refusal;
//! use nebula::prelude::*;
//!
//! /// Says with each call from which region it comes, and asks nobody for reports.
//! struct Region(&'static str);
//!
//! impl Interceptor for Region {
//!     fn before(&self, call: &mut Outgoing<'_>) -> Result<(), Refusal> {
//!         if call.service() == "Reports" {
//!             return Err(Refusal::denied("reports are not for this node"));
//!         }
//!         call.set_header("region", self.0);
//!         Ok(())
//!     }
//!
//!     fn after(&self, call: &Made<'_>) {
//!         println!("{}.{}: {}", call.service(), call.method(), call.outcome());
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> nebula::Result<()> {
//! let node = Node::builder("web").intercept(Region("eu")).start().await?;
//! # node.shutdown().await
//! # }
//! ```

#[cfg(feature = "metrics")]
mod client_metrics;
mod made;
mod outgoing;

#[cfg(feature = "metrics")]
pub use client_metrics::ClientMetrics;
pub use made::Made;
pub use outgoing::Outgoing;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::time::Instant;

use crate::call::heard::Heard;
use crate::service::input::panic_message;
use crate::service::plugin::Refusal;

/// Looks at the calls that its node makes: [`NodeBuilder::intercept`](crate::NodeBuilder::intercept).
///
/// Each call of a client of the node passes once, whatever it is: to one node or to several, one-way,
/// or by name; also one that the node answers itself. Not those of a client without a node. Hooks run
/// where the call is polled, so they do not block. A call pays for a load if nobody in the process
/// intercepts.
pub trait Interceptor: Send + Sync + 'static {
    /// Sees a call before anybody is asked, and may change what goes with it. The interceptors of a
    /// node are asked in the order in which they were given to it.
    ///
    /// # Errors
    ///
    /// The call is not made. The caller gets what the refusal says of itself, not executed; those who
    /// ask several nodes get it for each of them. Interceptors that come later do not see it. A panic
    /// refuses it as well.
    fn before(&self, call: &mut Outgoing<'_>) -> Result<(), Refusal> {
        let _ = call;
        Ok(())
    }

    /// Sees how a call ended that it has let through, also if it was refused after that or dropped.
    /// A panic is logged.
    fn after(&self, call: &Made<'_>) {
        let _ = call;
    }
}

/// Whether any node of this process was ever given an interceptor.
static ANYBODY: AtomicBool = AtomicBool::new(false);

/// Whether a call may have to do with an interceptor: one load, as long as nobody has one.
#[inline]
pub(crate) fn anybody() -> bool {
    ANYBODY.load(Relaxed)
}

/// The interceptors of a node, in their order.
#[derive(Clone, Default)]
pub(crate) struct Interceptors(Arc<[Arc<dyn Interceptor>]>);

impl Interceptors {
    /// The same with one more.
    pub(crate) fn with(&self, interceptor: impl Interceptor) -> Self {
        ANYBODY.store(true, Relaxed);
        let more: Arc<dyn Interceptor> = Arc::new(interceptor);
        Self(self.0.iter().cloned().chain([more]).collect())
    }

    /// Shows a call to all of them, if there are any. One that is refused says so from then on.
    pub(crate) fn see(&self, kind: &'static str, mut call: Outgoing<'_>) -> Option<Box<Seen>> {
        if self.0.is_empty() {
            return None;
        }
        let began = Instant::now();
        let (passed, refused) = self.before(&mut call);
        if let Some(refused) = refused {
            call.options.refuse(refused);
        }
        let names = (call.names.0.into(), call.names.1.into());
        Some(Box::new(Seen { interceptors: self.clone(), passed, names, kind, began, heard: None }))
    }

    /// How many let a call through, and why the next did not.
    fn before(&self, call: &mut Outgoing<'_>) -> (usize, Option<Refusal>) {
        for (passed, interceptor) in self.0.iter().enumerate() {
            let seen = catch_unwind(AssertUnwindSafe(|| interceptor.before(call)));
            let refused = match seen {
                Ok(Ok(())) => continue,
                Ok(Err(refused)) => refused,
                Err(panic) => {
                    Refusal::Failed(format!("an interceptor panicked: {}", panic_message(panic)))
                }
            };
            return (passed, Some(refused));
        }
        (self.0.len(), None)
    }
}

impl fmt::Debug for Interceptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} interceptors", self.0.len())
    }
}

/// A call that interceptors have seen, until it ends.
pub(crate) struct Seen {
    interceptors: Interceptors,
    /// How many have let it through.
    passed: usize,
    names: (Box<str>, Box<str>),
    kind: &'static str,
    began: Instant,
    /// Where it says what goes back beside its answer, if it goes to one node.
    heard: Option<Heard>,
}

impl Seen {
    /// What goes back beside the answer will be `heard` there.
    pub(crate) fn hears(&mut self, heard: &Heard) {
        self.heard = Some(heard.clone());
    }

    /// Shows the end to those that have let it through, the last one first.
    pub(crate) fn ends(&self, outcome: &str) {
        let Self { names, kind, heard, .. } = self;
        let (names, elapsed) = ((&*names.0, &*names.1), self.began.elapsed());
        let made = Made { names, kind, outcome, elapsed, heard: heard.as_ref() };
        for interceptor in self.interceptors.0.iter().take(self.passed).rev() {
            let shown = catch_unwind(AssertUnwindSafe(|| interceptor.after(&made)));
            if let Err(panic) = shown {
                let message = panic_message(panic);
                tracing::error!(%message, "an interceptor panicked after a call");
            }
        }
    }
}
