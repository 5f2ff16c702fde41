//! The ids of nebula's spans, in what is exported.
//!
//! nebula draws the ids of its spans by itself, as those of a call go to the node that serves it.
//! They stand in the fields `trace_id`, `span_id` and `parent_id`, and an exporter that drew its own
//! would send spans that no other node knows of. So what is exported has the ids of the fields.

use std::cell::Cell;

use nebula::TraceContext;
use opentelemetry::trace::{
    Link, SpanBuilder, SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId,
    TraceState, Tracer,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracer, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// A tracer that takes the ids of a span from its fields, if it has them. Its provider must draw ids
/// with [`Ids`].
#[derive(Clone, Debug)]
pub struct NebulaTracer(pub SdkTracer);

/// Gives a span of nebula the ids that it has, and others new ones.
#[derive(Debug, Default)]
pub struct Ids(RandomIdGenerator);

/// What the fields of a span say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Known {
    trace: TraceId,
    span: SpanId,
    parent: Option<SpanId>,
}

thread_local! {
    /// The span that is begun on this thread just now.
    static KNOWN: Cell<Option<Known>> = const { Cell::new(None) };
}

/// The header `traceparent` for a call that belongs into the current span, which is none of
/// nebula's: those are continued without it. None if the current span is not exported.
pub fn traceparent() -> Option<String> {
    let context = tracing::Span::current().context();
    let (span, ids) = (context.span(), RandomIdGenerator::default());
    let span = span.span_context();
    let around = TraceContext::from_ids(
        span.trace_id().to_bytes(),
        span.span_id().to_bytes(),
        span.is_sampled(),
    )?;
    // The span of the call has the id that is written here, so it must be one of its own.
    Some(around.child(|| u64::from_be_bytes(ids.new_span_id().to_bytes())).to_string())
}

impl Tracer for NebulaTracer {
    type Span = Span;

    fn build_with_context(&self, mut builder: SpanBuilder, around: &Context) -> Span {
        let Some(known) = Known::take(&mut builder) else {
            return self.0.build_with_context(builder, around);
        };
        let above = known.above(&mut builder, around);
        KNOWN.set(Some(known));
        let span = self.0.build_with_context(builder, &above);
        KNOWN.set(None);
        span
    }
}

impl Known {
    /// Takes the ids out of the attributes: they are told as what they are.
    fn take(builder: &mut SpanBuilder) -> Option<Self> {
        let attributes = builder.attributes.as_mut()?;
        let mut take = |field| take(attributes, field);
        let (trace, span, parent) = (take("trace_id"), take("span_id"), take("parent_id"));
        Some(Self {
            trace: TraceId::from_hex(&trace?).ok()?,
            span: SpanId::from_hex(&span?).ok()?,
            parent: parent.and_then(|parent| SpanId::from_hex(&parent).ok()),
        })
    }

    /// What the span is below.
    fn above(&self, builder: &mut SpanBuilder, around: &Context) -> Context {
        let (serves, near) = (builder.span_kind == Some(SpanKind::Server), around.span());
        let near = near.span_context();
        // A call may stand in spans of its handler, which nebula knows nothing of.
        if !serves && near.is_valid() && near.trace_id() == self.trace {
            return around.clone();
        }
        // The other side only knows the ids of nebula: a span of another trace is no parent.
        if near.is_valid() && near.trace_id() != self.trace {
            builder.links.get_or_insert_default().push(Link::with_context(near.clone()));
        }
        let Some(parent) = self.parent else { return Context::new() };
        // The fields do not say whether the trace is recorded by others. Here it is.
        let (flags, state) = (TraceFlags::SAMPLED, TraceState::NONE);
        let parent = SpanContext::new(self.trace, parent, flags, serves, state);
        Context::new().with_remote_span_context(parent)
    }
}

fn take(attributes: &mut Vec<KeyValue>, field: &str) -> Option<String> {
    let at = attributes.iter().position(|attribute| attribute.key.as_str() == field)?;
    Some(attributes.swap_remove(at).value.to_string())
}

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        KNOWN.get().map_or_else(|| self.0.new_trace_id(), |known| known.trace)
    }

    fn new_span_id(&self) -> SpanId {
        KNOWN.get().map_or_else(|| self.0.new_span_id(), |known| known.span)
    }
}
