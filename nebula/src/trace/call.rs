//! What is told of a call on the side that makes it: its span, and what interceptors hear.

#[cfg(feature = "json")]
use std::any::Any;
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tracing::field::{Empty, display};
use tracing::{Level, Span, debug_span, span_enabled};

use super::{TraceContext, handed, random, wanted};
use crate::call::handle::Place;
use crate::call::heard::Heard;
use crate::call::options::Options;
use crate::call::{Call, CallError};
use crate::context::{Context, Inherited};
use crate::intercept::{Outgoing, Seen, anybody};
#[cfg(feature = "json")]
use crate::node::Node;
use crate::service::method::Method;

const TARGET: &str = "nebula::client";
const NAME: &str = "nebula.call";

/// What is told of one call, from its first poll to its end: its span, and what those are told who
/// intercept it.
pub(crate) struct Calling {
    span: Span,
    seen: Option<Box<Seen>>,
    /// How many attempts have been made.
    attempts: u32,
    outcome: Option<&'static str>,
}

thread_local! {
    /// The attempts of the call that is polled on this thread.
    static ATTEMPTS: Cell<u32> = const { Cell::new(0) };
}

impl Calling {
    /// Shows a call, which goes by this `kind`, to those who intercept it, and begins its span, if
    /// somebody wants either. The call is below the span from then on.
    #[cold]
    #[inline(never)]
    pub(crate) fn new<M: Method, T>(call: &mut Call<'_, M, T>, kind: &'static str) -> Option<Self> {
        let method = call.shared.method(M::INFO);
        let names = (method.service_name(), method.method_name());
        let seen = match &call.shared.place {
            Place::Alone(_) => None,
            Place::Node { node, .. } => node.interceptors().see(
                kind,
                Outgoing {
                    names,
                    kind,
                    options: &mut call.options,
                    usual: Some(&call.shared.options),
                    args: call.args.as_mut().map(|args| args as _),
                },
            ),
        };
        let written = [&call.options, &call.shared.options].into_iter().flat_map(Options::written);
        let said = written.filter_map(|written| written.get(handed::PARENT)).next();
        let (span, own) = Self::begin(kind, names, said, call.shared.within.as_ref());
        if let Some(own) = own {
            call.options.set_span(own);
        }
        Self::of(span, seen)
    }

    /// The same of a call by these names with these options.
    #[cfg(feature = "json")]
    #[inline]
    pub(crate) fn by_name(
        node: &Node,
        options: &mut Options,
        names: (&str, &str),
        args: &mut serde_json::Value,
    ) -> Option<Self> {
        if !noticed() {
            return None;
        }
        let args: Option<&mut dyn Any> = Some(args);
        let call = Outgoing { names, kind: "raw", options: &mut *options, usual: None, args };
        let seen = node.interceptors().see("raw", call);
        let said = options.written().and_then(|written| written.get(handed::PARENT));
        let (span, own) = Self::begin("raw", names, said, None);
        if let Some(own) = own {
            options.set_span(own);
        }
        Self::of(span, seen)
    }

    fn of(span: Span, seen: Option<Box<Seen>>) -> Option<Self> {
        let noticed = !span.is_none() || seen.is_some();
        noticed.then_some(Self { span, seen, attempts: 0, outcome: None })
    }

    /// Begins a span where it was `said` to be, or else, with an identity of its own, below the one
    /// around it. None if nobody wants it.
    fn begin(
        kind: &str,
        names: (&str, &str),
        said: Option<&str>,
        within: Option<&Context>,
    ) -> (Span, Option<TraceContext>) {
        if !span_enabled!(target: TARGET, Level::DEBUG) {
            return (Span::none(), None);
        }
        match said {
            Some(said) => (span(kind, names, said.parse().ok(), None), None),
            None => {
                let outer = match within {
                    Some(within) => within.trace(),
                    None => Inherited::now().and_then(|outer| handed::named(&outer.handed)),
                };
                let own = match &outer {
                    Some(outer) => outer.child(random),
                    None => TraceContext::root(random),
                };
                (span(kind, names, Some(own), outer), Some(own))
            }
        }
    }

    /// Polls the call inside its span.
    pub(crate) fn poll<T>(&mut self, poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
        struct Restore<'a>(&'a mut u32, u32);
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                *self.0 = ATTEMPTS.replace(self.1);
            }
        }
        let _entered = self.span.enter();
        let outer = ATTEMPTS.replace(self.attempts);
        let _restore = Restore(&mut self.attempts, outer);
        poll()
    }

    /// Whether somebody intercepts the call.
    pub(crate) fn is_intercepted(&self) -> bool {
        self.seen.is_some()
    }

    /// What goes back beside the answer will be `heard` there.
    pub(crate) fn hears(&mut self, heard: &Heard) {
        if let Some(seen) = &mut self.seen {
            seen.hears(heard);
        }
    }

    /// The call has ended like this.
    pub(crate) fn ends(&mut self, outcome: &'static str) {
        self.outcome = Some(outcome);
    }

    /// Polls `made` inside the span to its end.
    pub(crate) async fn enter<T>(&mut self, made: impl Future<Output = T>) -> T {
        let mut made = pin!(made);
        poll_fn(|task| self.poll(|| made.as_mut().poll(task))).await
    }

    /// Has `made` polled inside the span, which says its end in that word.
    pub(crate) fn around<'a, T: Send + 'a>(
        self,
        made: BoxFuture<'a, T>,
        outcome: fn(&T) -> &'static str,
    ) -> BoxFuture<'a, T> {
        told(Some(self), made, outcome).boxed()
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        self.span.record("attempts", self.attempts);
        // Nobody waited for its end any more.
        let outcome = self.outcome.unwrap_or("dropped");
        self.span.record("outcome", outcome);
        if let Some(seen) = self.seen.take() {
            seen.ends(outcome);
        }
    }
}

/// Whether there may be somebody who wants to hear of calls.
#[inline]
pub(crate) fn noticed() -> bool {
    wanted() || anybody()
}

/// What is told of a call to several nodes, or one way, if somebody wants to hear of it.
#[inline]
pub(crate) fn several<M: Method>(call: &mut Call<'_, M>, kind: &'static str) -> Option<Calling> {
    if noticed() { Calling::new(call, kind) } else { None }
}

/// Polls `made` to its end, of which `calling` hears in that word, if there is somebody.
pub(crate) async fn told<T>(
    calling: Option<Calling>,
    made: impl Future<Output = T>,
    outcome: fn(&T) -> &'static str,
) -> T {
    let Some(mut calling) = calling else { return made.await };
    let ended = calling.enter(made).await;
    calling.ends(outcome(&ended));
    ended
}

/// The call that is polled now asks a node of this name.
#[inline]
pub(crate) fn asks(node: &str) {
    if wanted() {
        note(node);
    }
}

#[cold]
#[inline(never)]
fn note(node: &str) {
    ATTEMPTS.set(ATTEMPTS.get().saturating_add(1));
    let span = Span::current();
    if span.metadata().is_some_and(|known| known.target() == TARGET && known.name() == NAME) {
        span.record("node", node);
    }
}

/// In one word how a call to several nodes ended.
pub(crate) fn success<T, E>(answer: &Result<T, E>) -> &'static str {
    if answer.is_ok() { "ok" } else { "failed" }
}

/// In one word how a call to one node ended.
pub(crate) fn outcome<T, E>(answer: &Result<T, CallError<E>>) -> &'static str {
    let Err(error) = answer else { return "ok" };
    match error {
        CallError::App(_) => "error",
        CallError::NoProvider(_) => "no_provider",
        CallError::Deadline(_) => "deadline",
        CallError::Cancelled(_) => "cancelled",
        CallError::Disconnected(_) => "disconnected",
        CallError::Overloaded { .. } => "overloaded",
        CallError::Incompatible { .. } => "incompatible",
        CallError::Denied(_) => "denied",
        CallError::TooLarge { .. } => "too_large",
        CallError::Panicked { .. } => "panicked",
        CallError::Protocol(_) => "protocol",
    }
}

fn span(
    kind: &str,
    (service, method): (&str, &str),
    own: Option<TraceContext>,
    parent: Option<TraceContext>,
) -> Span {
    let span = debug_span!(
        target: TARGET,
        NAME,
        otel.kind = "client",
        service,
        method,
        kind,
        trace_id = Empty,
        span_id = Empty,
        parent_id = Empty,
        node = Empty,
        attempts = Empty,
        outcome = Empty,
    );
    if let Some(own) = own {
        span.record("trace_id", display(own.trace_hex()));
        span.record("span_id", display(own.span_hex()));
    }
    if let Some(parent) = parent {
        span.record("parent_id", display(parent.span_hex()));
    }
    span
}
