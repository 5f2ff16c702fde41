//! Spans.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use nebula::plugins::{Authorize, Timeout, Tracing};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::both::Both;

/// Keeps the spans and events of calls, with their fields.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Fields>>>);

#[derive(Clone, Default)]
struct Fields {
    level: Option<Level>,
    values: BTreeMap<&'static str, String>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.values.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.values.insert(field.name(), value.to_owned());
    }
}

thread_local! {
    static HERE: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

/// Ends the listening when it is dropped.
struct Listening;

impl Drop for Listening {
    fn drop(&mut self) {
        HERE.set(None);
    }
}

impl Kept {
    /// Listens on this thread. One subscriber serves all tests: of those that come and go beside each
    /// other, one may miss what another has switched off.
    fn listen(&self) -> Listening {
        static ALL: Once = Once::new();
        ALL.call_once(|| tracing::subscriber::set_global_default(Everywhere).unwrap());
        HERE.set(Some(self.clone()));
        Listening
    }

    fn take(&self) -> Vec<Fields> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Gives each thread's spans and events to whoever listens there.
struct Everywhere;

impl Everywhere {
    fn here<R>(look: impl FnOnce(&mut Vec<Fields>) -> R) -> Option<R> {
        HERE.with_borrow(|here| here.as_ref().map(|kept| look(&mut kept.0.lock().unwrap())))
    }
}

impl Subscriber for Everywhere {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "nebula::call" && Self::here(|_| ()).is_some()
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields { level: Some(*span.metadata().level()), ..Fields::default() };
        span.record(&mut fields);
        let at = Self::here(|kept| {
            kept.push(fields);
            kept.len() as u64
        });
        Id::from_u64(at.unwrap_or(u64::MAX))
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        Self::here(|kept| {
            if let Some(fields) = kept.get_mut(span.into_u64() as usize - 1) {
                values.record(fields);
            }
        });
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields { level: Some(*event.metadata().level()), ..Fields::default() };
        event.record(&mut fields);
        Self::here(|kept| kept.push(fields));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Fields {
    fn get(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_a_span_with_its_end() {
    let kept = Kept::default();
    let _guard = kept.listen();
    let timeout = Timeout::new(Duration::from_secs(2));
    let both = Both::of(|service| service.plugin(Tracing::new()).plugin(timeout)).await;
    for (client, node) in both.each().into_iter().zip(&both.nodes) {
        kept.take();
        let mut ends = Vec::new();
        client.add(1.0, 2.0).await.unwrap();
        ends.extend(kept.take());
        client.divide(1.0, 0.0).await.unwrap_err();
        ends.extend(kept.take());
        client.fail().await.unwrap_err();
        ends.extend(kept.take());
        client.wait().timeout(Duration::from_secs(9)).await.unwrap_err();
        ends.extend(kept.take());
        client.wait().timeout(Duration::from_millis(500)).await.unwrap_err();
        tokio::time::sleep(Duration::from_secs(1)).await;
        ends.extend(kept.take());
        let told: Vec<_> = ends
            .iter()
            .map(|end| (end.get("method"), end.get("outcome"), end.get("error")))
            .collect();
        assert_eq!(
            told,
            [
                ("add", "replied", ""),
                ("divide", "failed", ""),
                ("fail", "panicked", ""),
                ("wait", "expired", "expired"),
                // The event of the refusal, and the next span.
                ("wait", "expired", "expired"),
                ("wait", "cancelled", ""),
            ]
        );
        for end in &ends {
            assert_eq!((end.get("service"), end.level), ("Sums", Some(Level::INFO)));
            assert_eq!(end.get("caller"), node.name());
        }
        assert_eq!(ends[0].get("caller_id"), format!("{:?}", node.id()));
        assert_eq!(ends[3].get("elapsed_us"), "2000000");
        assert!(ends.iter().all(|end| end.values.len() <= 7), "nothing else is told");
    }
}

#[tokio::test(start_paused = true)]
async fn a_span_says_the_trace_of_its_call() {
    let kept = Kept::default();
    let _guard = kept.listen();
    let both = Both::of(|service| service.plugin(Tracing::new())).await;
    let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    for client in both.each() {
        kept.take();
        client.add(1.0, 2.0).header("traceparent", format!("00-{trace}-{span}-01")).await.unwrap();
        client.add(1.0, 2.0).await.unwrap();
        let [with, without] = &kept.take()[..] else { panic!("two spans") };
        assert_eq!((with.get("trace_id"), with.get("span_id")), (trace, span));
        assert_eq!((without.get("trace_id"), without.get("span_id")), ("", ""));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_an_event_and_the_level_changes() {
    let kept = Kept::default();
    let _guard = kept.listen();
    let authorize = Authorize::new().deny_name("caller");
    let both = Both::of(|service| service.plugin(Tracing::new()).plugin(authorize)).await;
    both.far.add(1.0, 2.0).await.unwrap_err();
    let [event] = &kept.take()[..] else { panic!("one event") };
    assert_eq!((event.get("outcome"), event.get("error")), ("denied", "forbidden"));
    assert!(event.get("caller").starts_with("caller"), "{}", event.get("caller"));
    both.service.reconfigure("plugins.tracing.level = 'debug'").await.unwrap();
    both.near.add(1.0, 2.0).await.unwrap();
    assert_eq!(kept.take()[0].level, Some(Level::DEBUG));
    both.service.reconfigure("plugins.tracing.level = 'off'").await.unwrap();
    both.near.add(1.0, 2.0).await.unwrap();
    both.far.add(1.0, 2.0).await.unwrap_err();
    assert!(kept.take().is_empty());
    let refused = both.service.reconfigure("plugins.tracing.level = 'loud'").await.unwrap_err();
    assert!(refused.to_string().contains("off"), "{refused}");
}
