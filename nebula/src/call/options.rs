//! What a call may be told, and what a client tells all of its calls.

use std::time::Duration;

use macula::rpc::{MAX_EXTENSIONS, Term};
use tokio::time::Instant;

use super::written::Written;
use crate::nodes::{IntoSelector, Policy, Selector, VersionRequirement};
use crate::service::info::Stragglers;
use crate::service::plugin::Refusal;
use crate::trace::TraceContext;

/// The longest time limit of a call; longer ones are cut to it.
pub(crate) const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The time limit of a call when nothing else sets one.
pub(crate) const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// How often a call may be extended when nothing else says it.
pub(crate) const EXTENSIONS_DEFAULT: u32 = 10;

/// The defaults of a client's calls: `users.with(|o| o.timeout(..).on(..))`.
///
/// What is written on a call wins over its client, the client over the method's and the service's
/// attributes, and those over the node.
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until they are returned to the client"]
pub struct Options {
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_extensions: Option<u32>,
    /// What few calls say themselves: a call that does not is small.
    more: Option<Box<More>>,
}

#[derive(Clone, Debug, Default)]
struct More {
    version: Option<VersionRequirement>,
    on: Option<Selector>,
    policy: Option<Policy>,
    stragglers: Option<Stragglers>,
    written: Written,
    /// Why an interceptor does not let the call out.
    refused: Option<Refusal>,
}

impl Options {
    /// Sets how long calls may take from their first poll, 24 hours at most (more is cut to
    /// that). With zero each call fails at once with `Deadline`, and nothing is sent.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout.min(TIMEOUT_MAX));
        self
    }

    /// Sets how often a handler may [extend](crate::Context::extend) its call: 0 is never, 1000 is
    /// the most (more is cut to that). A call takes no longer in all than its timeout times one
    /// more than this.
    pub fn max_extensions(mut self, extensions: u32) -> Self {
        self.max_extensions = Some(extensions.min(MAX_EXTENSIONS));
        self
    }

    /// Sets what becomes of the calls that are under way when a `first` or a `quorum` is decided.
    pub fn stragglers(mut self, stragglers: Stragglers) -> Self {
        self.more().stragglers = Some(stragglers);
        self
    }

    /// Sends this text along with each call, for plugins and handlers to read
    /// ([`Context::header`](crate::Context::header)); another value for a key replaces the one
    /// before. A key is a lower-case token of at most 64 bytes, a value any text of at most 1024;
    /// 32 of them and 4 KiB in all. With any other a call fails before anything is sent.
    pub fn header(mut self, key: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.write(key.as_ref(), value.as_ref());
        self
    }

    /// Sets which nodes calls are for.
    pub fn on(mut self, selector: impl IntoSelector) -> Self {
        self.more().on = Some(selector.into_selector());
        self
    }

    /// Asks only services of such a version, as their nodes say it; also the one on the own node. A
    /// service that says none, or one without three numbers, is not asked. The shape of the method
    /// must be the caller's all the same. A majority counts the nodes of other versions, too, as it
    /// counts those that are down.
    pub fn version(mut self, requirement: VersionRequirement) -> Self {
        self.more().version = Some(requirement);
        self
    }

    /// Sets which of those nodes a call to one node asks first. Calls to several ask all of them.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.more().policy = Some(policy);
        self
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Whether they have [neither selector, nor policy, nor anything written](More).
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.more.is_none()
    }

    #[inline]
    pub(crate) fn selector(&self) -> Option<&Selector> {
        self.more.as_ref()?.on.as_ref()
    }

    pub(crate) fn take_selector(&mut self) -> Option<Selector> {
        self.more.as_mut()?.on.take()
    }

    #[inline]
    pub(crate) fn requirement(&self) -> Option<&VersionRequirement> {
        self.more.as_ref()?.version.as_ref()
    }

    #[inline]
    pub(crate) fn chosen_by(&self) -> Option<Policy> {
        self.more.as_ref()?.policy
    }

    pub(crate) fn left_behind(&self) -> Option<Stragglers> {
        self.more.as_ref()?.stragglers
    }

    #[inline]
    pub(crate) fn written(&self) -> Option<&Written> {
        self.more.as_deref().map(|more| &more.written)
    }

    pub(crate) fn write(&mut self, key: &str, value: &str) {
        self.more().written.insert(key, value);
    }

    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        self.more().refused = Some(refusal);
    }

    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        self.more.as_ref()?.refused.as_ref()
    }

    /// The call has this span, which its headers say unless they say another one.
    pub(crate) fn set_span(&mut self, span: TraceContext) {
        self.more().written.set_span(span);
    }
}

/// How long calls may take, as all but the call itself say it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    timeout: Duration,
    extensions: u32,
    /// What all extensions together may add.
    room: Duration,
}

impl Limits {
    /// What holds where nobody says anything.
    pub(crate) const USUAL: Self = Self {
        timeout: TIMEOUT_DEFAULT,
        extensions: EXTENSIONS_DEFAULT,
        room: TIMEOUT_DEFAULT.saturating_mul(EXTENSIONS_DEFAULT),
    };

    pub(crate) fn new(timeout: Duration, extensions: u32) -> Self {
        let timeout = timeout.min(TIMEOUT_MAX);
        let extensions = extensions.min(MAX_EXTENSIONS);
        let room = timeout.saturating_mul(extensions).min(TIMEOUT_MAX - timeout);
        Self { timeout, extensions, room }
    }

    /// What holds instead for a call with these options, if they say anything.
    #[inline]
    pub(crate) fn unless(&self, said: &Options) -> Option<Self> {
        match (said.timeout, said.max_extensions) {
            (None, None) => None,
            (timeout, extensions) => Some(Self::new(
                timeout.unwrap_or(self.timeout),
                extensions.unwrap_or(self.extensions),
            )),
        }
    }

    /// The term of a call that starts now, inside one that must end at `outer`.
    #[inline]
    pub(crate) fn term(&self, started: Instant, outer: Option<Instant>) -> Term {
        let Self { timeout, extensions, room } = *self;
        let deadline = started + timeout;
        match outer.filter(|_| !cfg!(mutant = "deadline_not_inherited")) {
            None => Term::new(deadline, room, extensions),
            Some(outer) => {
                let latest = outer.min(deadline + room);
                let deadline = outer.min(deadline);
                Term::new(deadline, latest.saturating_duration_since(deadline), extensions)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_call_has_its_timeout_once_more_for_each_extension() {
        let now = Instant::now();
        let term =
            |now, timeout, extensions, outer| Limits::new(timeout, extensions).term(now, outer);
        let latest = |timeout, extensions, outer| {
            let term = term(now, timeout, extensions, outer);
            (term.deadline() - now, term.deadline() + term.room() - now)
        };
        assert_eq!(latest(SECOND, 10, None), (SECOND, 11 * SECOND));
        assert_eq!(latest(SECOND, 0, None), (SECOND, SECOND));
        // Nothing outlives the call around it, or a day.
        assert_eq!(latest(SECOND, 10, Some(now + 3 * SECOND)), (SECOND, 3 * SECOND));
        assert_eq!(latest(4 * SECOND, 10, Some(now + 3 * SECOND)), (3 * SECOND, 3 * SECOND));
        let hours = |hours: u32| hours * 3600 * SECOND;
        assert_eq!(latest(hours(10), u32::MAX, None), (hours(10), hours(24)));
        assert_eq!(latest(Duration::MAX, 1, None), (hours(24), hours(24)));
        assert_eq!(term(now, SECOND, u32::MAX, None).extensions(), MAX_EXTENSIONS);
    }

    proptest! {
        #[test]
        fn a_term_ends_where_all_its_bounds_do(
            timeout in 0..200_000_000_000_u64,
            extensions in 0..1100_u32,
            outer in prop::option::of(0..200_000_000_000_u64),
        ) {
            let (now, timeout) = (Instant::now(), Duration::from_micros(timeout));
            let outer = outer.map(|outer| now + Duration::from_micros(outer));
            let term = Limits::new(timeout, extensions).term(now, outer);
            let cut = timeout.min(TIMEOUT_MAX);
            let bound = |time: Duration| {
                let end = now + time.min(TIMEOUT_MAX);
                outer.map_or(end, |outer| outer.min(end))
            };
            let steps = extensions.min(MAX_EXTENSIONS) + 1;
            prop_assert_eq!(term.deadline(), bound(cut));
            prop_assert_eq!(term.deadline() + term.room(), bound(cut * steps));
        }
    }
}
