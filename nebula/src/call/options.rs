//! What a call may be told, and what a client tells all of its calls.

use std::time::Duration;

use crate::nodes::{Policy, Selector};

/// The longest time limit of a call; longer ones are cut to it.
pub(crate) const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The time limit of a call when nothing else sets one.
pub(crate) const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// The defaults of a client's calls: `users.with(|o| o.timeout(..).on(..))`.
///
/// What is written on a call wins over its client, the client over the method's and the service's
/// attributes, and those over the node.
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until they are returned to the client"]
pub struct Options {
    pub(crate) timeout: Option<Duration>,
    pub(crate) on: Option<Selector>,
    pub(crate) policy: Option<Policy>,
}

impl Options {
    /// Sets how long calls may take from their first poll, 24 hours at most (more is cut to
    /// that). With zero each call fails at once with `Deadline`, and nothing is sent.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout.min(TIMEOUT_MAX));
        self
    }

    /// Sets which nodes calls are for.
    pub fn on(mut self, selector: impl Into<Selector>) -> Self {
        self.on = Some(selector.into());
        self
    }

    /// Sets which of those nodes a call to one node asks first. Calls to several ask all of them.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }
}
