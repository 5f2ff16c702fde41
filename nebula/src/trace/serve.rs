//! The span of a call on the side that serves it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use futures_util::future::BoxFuture;
use macula::rpc::{Fault, Headers};
use tracing::field::{Empty, display};
use tracing::{Level, Span, debug_span, span_enabled};

use super::{TraceContext, handed, random, wanted};
use crate::context::{Context, exchange_handed};
use crate::service::info::MethodInfo;
use crate::service::input::{Input, Started};
use crate::service::served::Served;

const TARGET: &str = "nebula::server";
const NAME: &str = "nebula.serve";

/// Starts a call whose arguments came as bytes, in its span if somebody wants one.
pub(crate) fn started(
    served: &Arc<Served>,
    index: u16,
    mut cx: Context,
    input: Input<'_>,
) -> Started {
    let method = if wanted() { served.info().at(index) } else { None };
    let Some(serving) = method.and_then(|method| Serving::new(&mut cx, method)) else {
        return served.dispatch().dispatch(index, cx, input);
    };
    match serving.enter(|| served.dispatch().dispatch(index, cx, input)) {
        Started::Body(body) => Started::Body(serving.around(body, |answer| match answer {
            Ok(_) => "replied",
            Err(Fault::Panicked(_)) => "panicked",
            Err(_) => "refused",
        })),
        started => {
            serving.ends("refused");
            started
        }
    }
}

/// The span in which a node serves one call.
pub(crate) struct Serving {
    span: Span,
    /// What calls made inside take over.
    handed: Headers,
    /// How the call ends, as far as is known.
    outcome: &'static str,
}

impl Serving {
    /// Begins the span of a call, if somebody wants it: below the one of the caller.
    #[cold]
    #[inline(never)]
    pub(crate) fn new(cx: &mut Context, method: &MethodInfo) -> Option<Self> {
        if !span_enabled!(target: TARGET, Level::DEBUG) {
            return None;
        }
        let parent = handed::named(cx.headers());
        let own = match &parent {
            Some(parent) => parent.child(random),
            None => TraceContext::root(random),
        };
        let span = debug_span!(
            target: TARGET,
            NAME,
            otel.kind = "server",
            service = method.service_name(),
            method = method.method_name(),
            caller = cx.caller().map(|caller| &*caller.name),
            trace_id = %own.trace_hex(),
            span_id = %own.span_hex(),
            parent_id = Empty,
            outcome = Empty,
        );
        if let Some(parent) = parent {
            span.record("parent_id", display(parent.span_hex()));
        }
        cx.set_span(own);
        Some(Self { span, handed: cx.handed(), outcome: "cancelled" })
    }

    /// Does something inside the span.
    pub(crate) fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        self.span.in_scope(work)
    }

    /// The call has ended like this.
    pub(crate) fn ends(mut self, outcome: &'static str) {
        self.outcome = outcome;
    }

    /// The body, polled inside the span.
    pub(crate) fn around<T: 'static>(
        self,
        body: BoxFuture<'static, T>,
        outcome: fn(&T) -> &'static str,
    ) -> BoxFuture<'static, T> {
        Box::pin(Spanned { serving: self, body, outcome })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.span.record("outcome", self.outcome);
    }
}

struct Spanned<T> {
    // It is dropped first, as what it shows belongs to the span.
    body: BoxFuture<'static, T>,
    serving: Serving,
    outcome: fn(&T) -> &'static str,
}

impl<T> Future for Spanned<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<T> {
        let Self { serving, body, outcome } = &mut *self;
        let Serving { span, handed, outcome: ended } = serving;
        // Unless it comes back, it has panicked.
        *ended = "panicked";
        let polled = {
            let _entered = span.enter();
            let _handing = Handing::new(handed);
            body.as_mut().poll(task)
        };
        *ended = match &polled {
            Poll::Ready(value) => outcome(value),
            Poll::Pending => "cancelled",
        };
        polled
    }
}

/// Hands the span down to calls as long as it is here.
struct Handing<'h>(&'h mut Headers);

impl<'h> Handing<'h> {
    fn new(handed: &'h mut Headers) -> Self {
        exchange_handed(handed);
        Self(handed)
    }
}

impl Drop for Handing<'_> {
    fn drop(&mut self) {
        exchange_handed(self.0);
    }
}
