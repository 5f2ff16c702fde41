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

/// A tracer that takes the ids of nebula's spans from their fields. Its provider must draw ids
/// with [`Ids`].
#[derive(Clone, Debug)]
pub struct NebulaTracer(pub SdkTracer);

/// Gives a span of nebula the ids that it has, and others new ones.
#[derive(Debug, Default)]
pub struct Ids(RandomIdGenerator);

/// The spans of nebula that have ids, on the side that calls and on the one that serves.
const NAMES: [&str; 2] = ["nebula.call", "nebula.serve"];

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
        // Spans of others may have fields of these names.
        if !NAMES.contains(&&*builder.name) {
            return None;
        }
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

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};

    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const OTHER: &str = "11111111111111111111111111111111";

    fn tracer() -> NebulaTracer {
        let provider = SdkTracerProvider::builder().with_id_generator(Ids::default()).build();
        NebulaTracer(provider.tracer("test"))
    }

    fn built(
        kind: SpanKind,
        fields: &[(&'static str, &'static str)],
        around: &Context,
    ) -> SpanData {
        let fields = fields.iter().map(|(field, value)| KeyValue::new(*field, *value));
        let name = match kind {
            SpanKind::Client => "nebula.call",
            SpanKind::Server => "nebula.serve",
            _ => "visit",
        };
        let builder = SpanBuilder::from_name(name).with_kind(kind).with_attributes(fields);
        tracer().build_with_context(builder, around).exported_data().unwrap()
    }

    /// A span of this trace, whose id is 7.
    fn around(trace: &str) -> Context {
        let (trace, span) = (TraceId::from_hex(trace).unwrap(), SpanId::from(7));
        let span = SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE);
        Context::new().with_remote_span_context(span)
    }

    fn ids(data: &SpanData) -> (String, u64, u64) {
        let number = |id: SpanId| u64::from_be_bytes(id.to_bytes());
        let (context, parent) = (&data.span_context, number(data.parent_span_id));
        (context.trace_id().to_string(), number(context.span_id()), parent)
    }

    #[test]
    fn ids_are_those_of_the_fields() {
        let fields = [
            ("method", "left"),
            ("trace_id", TRACE),
            ("span_id", "00000000000000ab"),
            ("parent_id", "00000000000000cd"),
        ];
        let data = built(SpanKind::Server, &fields, &Context::new());
        assert_eq!(ids(&data), (TRACE.to_owned(), 0xab, 0xcd));
        assert!(data.parent_span_is_remote && data.span_context.is_sampled());
        assert_eq!(data.attributes, [KeyValue::new("method", "left")]);
        // What serves is below its call, also where that is around it.
        assert_eq!(ids(&built(SpanKind::Server, &fields, &around(TRACE))).2, 0xcd);
        let data = built(SpanKind::Client, &fields, &around(TRACE));
        assert_eq!(ids(&data), (TRACE.to_owned(), 0xab, 7));
        assert!(data.links.is_empty());
    }

    #[test]
    fn a_span_of_another_trace_is_linked() {
        let fields = [("trace_id", TRACE), ("span_id", "00000000000000ab")];
        let data = built(SpanKind::Client, &fields, &around(OTHER));
        assert_eq!(ids(&data), (TRACE.to_owned(), 0xab, 0));
        let links: Vec<_> = data.links.iter().map(|link| link.span_context.trace_id()).collect();
        assert_eq!(links, [TraceId::from_hex(OTHER).unwrap()]);
    }

    #[test]
    fn other_spans_get_new_ids() {
        let whole = [("trace_id", TRACE), ("span_id", "00000000000000ab")];
        let wrong = [("trace_id", TRACE), ("span_id", "none")];
        for (kind, fields) in [
            (SpanKind::Internal, &whole[..]),
            (SpanKind::Internal, &[]),
            (SpanKind::Client, &[]),
            (SpanKind::Client, &wrong),
        ] {
            let is_own = kind == SpanKind::Internal;
            let data = built(kind.clone(), fields, &around(OTHER));
            let (trace, span, parent) = ids(&data);
            assert_eq!((trace.as_str(), parent), (OTHER, 7));
            assert!(span != 0xab && span != 7);
            assert!(!is_own || data.attributes.len() == fields.len());
            let (trace, _, parent) = ids(&built(kind, fields, &Context::new()));
            assert!(trace != OTHER && trace != TRACE && parent == 0);
        }
    }
}
