//! A service that calls another one, and what is shown meanwhile.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, Once};

use nebula::prelude::*;
use nebula::{Node, TraceContext};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer::{Context as Scope, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Says in which headers a call came: `traceparent` and `tracestate`.
#[service(global)]
pub(crate) trait Inner {
    #[api(idempotent)]
    async fn seen(&self, cx: &Context) -> (Option<String>, Option<String>);
    #[api]
    async fn panics(&self);
    #[api]
    async fn waits(&self);
}

pub(crate) struct Seeing;

impl Inner for Seeing {
    async fn seen(&self, cx: &Context) -> (Option<String>, Option<String>) {
        let text = |key: &str| cx.header(key).map(str::to_owned);
        (text("traceparent"), text("tracestate"))
    }

    async fn panics(&self) {
        panic!("it does")
    }

    async fn waits(&self) {
        std::future::pending().await
    }
}

/// What `Inner` has seen of calls made here, and the trace that this call said it is in.
pub(crate) type Passed = (Vec<(Option<String>, Option<String>)>, Option<String>);

#[service(global)]
pub(crate) trait Outer {
    /// Calls `Inner` by itself, after a wait, from a task `within`, and with a header of its own.
    #[api(idempotent)]
    async fn pass(&self, cx: &Context) -> Passed;
}

pub(crate) struct Passing(pub(crate) InnerClient);

pub(crate) const MINE: &str = "00-11111111111111111111111111111111-2222222222222222-01";

impl Outer for Passing {
    async fn pass(&self, cx: &Context) -> Passed {
        let mut seen = vec![self.0.seen().await.unwrap()];
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        seen.push(self.0.seen().await.unwrap());
        let within = self.0.within(cx);
        seen.push(tokio::spawn(async move { within.seen().await }).await.unwrap().unwrap());
        seen.push(self.0.seen().header("traceparent", MINE).await.unwrap());
        (seen, cx.trace().map(|trace| trace.to_string()))
    }
}

/// Serves `Outer` here, which calls `inner`.
pub(crate) async fn pass_on(node: &Node, inner: InnerClient) {
    node.serve::<OuterClient>(Passing(inner)).await.unwrap();
}

pub(crate) fn read(text: &Option<String>) -> Option<TraceContext> {
    text.as_deref().map(|text| text.parse().unwrap())
}

/// A span that was shown: its name, its fields, and the index of the span around it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    pub(crate) name: &'static str,
    pub(crate) fields: BTreeMap<&'static str, String>,
    pub(crate) around: Option<usize>,
    pub(crate) closed: bool,
}

impl Shown {
    pub(crate) fn get(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }
}

/// What a span says of the trace: its trace, its own id and the one above.
pub(crate) fn ids(span: &Shown) -> [&str; 3] {
    ["trace_id", "span_id", "parent_id"].map(|field| span.get(field))
}

/// All spans of a thread.
#[derive(Clone, Default)]
pub(crate) struct Spans(Arc<Mutex<Known>>);

/// What was shown, and where in it the spans are that are open.
type Known = (Vec<Shown>, BTreeMap<u64, usize>);

thread_local! {
    static HERE: RefCell<Option<Spans>> = const { RefCell::new(None) };
}

/// Ends the listening when it is dropped.
pub(crate) struct Listening;

impl Drop for Listening {
    fn drop(&mut self) {
        HERE.set(None);
    }
}

impl Spans {
    /// Listens on this thread as long as the guard is there. One subscriber serves all tests: of those
    /// that come and go beside each other, one may miss what another has switched off.
    pub(crate) fn listen(&self) -> Listening {
        static ALL: Once = Once::new();
        ALL.call_once(|| tracing_subscriber::registry().with(Everywhere).init());
        HERE.set(Some(self.clone()));
        Listening
    }

    /// What was shown since the last time.
    pub(crate) fn take(&self) -> Vec<Shown> {
        let mut all = self.all();
        all.1.clear();
        std::mem::take(&mut all.0)
    }

    fn all(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap()
    }

    fn change(&self, id: &Id, change: impl FnOnce(&mut Shown)) {
        let mut all = self.all();
        if let Some(at) = all.1.get(&id.into_u64()).copied() {
            change(&mut all.0[at]);
        }
    }
}

/// Gives each thread's spans to whoever listens there.
struct Everywhere;

impl Everywhere {
    fn here<R>(look: impl FnOnce(&Spans) -> R) -> Option<R> {
        HERE.with_borrow(|here| here.as_ref().map(look))
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Everywhere {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Scope<'_, S>) -> bool {
        let wanted = metadata.is_span() && metadata.target().starts_with("nebula::");
        wanted && Self::here(|_| ()).is_some()
    }

    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, scope: Scope<'_, S>) {
        let around = scope.span(id).and_then(|span| span.parent());
        Self::here(|spans| {
            let mut all = spans.all();
            let around = around.and_then(|span| all.1.get(&span.id().into_u64()).copied());
            let mut shown = Shown { name: span.metadata().name(), around, ..Shown::default() };
            span.record(&mut Fields(&mut shown));
            let at = all.0.len();
            all.1.insert(id.into_u64(), at);
            all.0.push(shown);
        });
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, _: Scope<'_, S>) {
        Self::here(|spans| spans.change(id, |shown| record.record(&mut Fields(shown))));
    }

    fn on_close(&self, id: Id, _: Scope<'_, S>) {
        Self::here(|spans| {
            spans.change(&id, |shown| shown.closed = true);
            spans.all().1.remove(&id.into_u64());
        });
    }
}

struct Fields<'s>(&'s mut Shown);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let known = self.0.fields.entry(field.name()).or_default();
        if !known.is_empty() {
            known.push(' ');
        }
        known.push_str(value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
