//! Layers of `tower`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use nebula::Executed;
use nebula::plugin::Refusal;
use nebula::plugins::{TowerCall, TowerNext, TowerPlugin, TowerReply};
use nebula::prelude::*;
use tokio::time::Instant;
use tower_layer::{Layer, layer_fn};
use tower_service::Service;

use crate::both::Both;

const SECOND: Duration = Duration::from_secs(1);

/// What a layer may fail with, as those of `tower` do.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A layer that counts the calls that run, and treats those of some methods in its own way.
#[derive(Clone)]
struct Odd<S> {
    inner: S,
    count: Arc<AtomicU32>,
}

impl<S> Service<TowerCall> for Odd<S>
where
    S: Service<TowerCall, Response = TowerReply, Error = Refusal> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = TowerReply;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<TowerReply, BoxError>>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(task).map_err(Into::into)
    }

    fn call(&mut self, call: TowerCall) -> Self::Future {
        assert_eq!(call.service(), "Sums");
        assert!(call.caller().is_some());
        let (mut inner, count) = (self.inner.clone(), Arc::clone(&self.count));
        async move {
            // Two numbers of eight bytes each.
            let left = call.args().and_then(|args| args.first_chunk()).copied();
            match (call.method(), left.map(f64::from_le_bytes)) {
                ("add", Some(7.0)) => return Err("no sevens".into()),
                ("add", Some(8.0)) => {
                    return Err(Refusal::Overloaded { retry_after: SECOND }.into());
                }
                ("add", Some(9.0)) => {
                    return Ok(TowerReply::Encoded(99.0_f64.to_le_bytes().to_vec().into()));
                }
                ("add", Some(10.0)) => {
                    // In a task of its own, and twice.
                    let again = call.clone();
                    let once = inner.call(call);
                    assert_eq!(
                        tokio::spawn(once).await??,
                        TowerReply::FromBelow { is_error: false }
                    );
                    return Ok(inner.call(again).await?);
                }
                ("wait", _) => {
                    return match tokio::time::timeout(2 * SECOND, inner.call(call)).await {
                        Ok(ended) => Ok(ended?),
                        Err(late) => Err(late.into()),
                    };
                }
                _ => {}
            }
            count.fetch_add(1, SeqCst);
            let reply = inner.call(call).await;
            count.fetch_sub(1, SeqCst);
            if let Ok(TowerReply::FromBelow { is_error: true }) = reply {
                count.store(1000, SeqCst);
            }
            Ok(reply?)
        }
        .boxed()
    }
}

fn layer(count: Arc<AtomicU32>) -> impl Layer<TowerNext, Service = Odd<TowerNext>> {
    layer_fn(move |inner| Odd { inner, count: Arc::clone(&count) })
}

#[tokio::test(start_paused = true)]
async fn a_layer_is_around_calls() {
    let count = Arc::new(AtomicU32::new(0));
    let plugin = TowerPlugin::new("odd", layer(Arc::clone(&count))).with_args();
    let both = Both::of(|service| service.plugin(plugin)).await;
    for client in both.each() {
        count.store(0, SeqCst);
        both.notes.take();
        assert_eq!(client.add(1.0, 2.0).await.unwrap(), 3.0);
        assert_eq!(count.load(SeqCst), 0);
        assert_eq!(client.divide(1.0, 0.0).await.unwrap_err().to_string(), "by zero");
        assert_eq!(count.load(SeqCst), 1000, "it was told of the error");
        both.notes.take();

        let refused = client.add(7.0, 0.0).await.unwrap_err();
        assert_eq!(refused.executed(), Executed::No);
        assert!(format!("{refused:#}").contains("no sevens"), "{refused:#}");
        let busy = client.add(8.0, 0.0).await.unwrap_err();
        assert!(matches!(busy, CallError::Overloaded { .. }), "{busy:?}");
        assert_eq!(client.add(9.0, 0.0).await.unwrap(), 99.0);
        assert!(both.notes.take().is_empty(), "nothing ran");

        let twice = client.add(10.0, 0.0).await.unwrap_err();
        assert!(format!("{twice:#}").contains("went on with a call twice"), "{twice:#}");
        assert_eq!(both.notes.take(), ["add"]);

        let began = Instant::now();
        let late = client.wait().timeout(10 * SECOND).await.unwrap_err();
        assert_eq!((began.elapsed().as_secs(), late.executed()), (2, Executed::Yes), "{late:?}");
        assert!(matches!(client.fail().await, Err(CallError::Panicked { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn its_errors_are_what_the_plugin_makes_of_them() {
    let plugin = TowerPlugin::new("odd", layer(Arc::default()))
        .with_args()
        .refuse_with(|error| Refusal::denied(error.to_string()));
    let both = Both::of(|service| service.plugin(plugin)).await;
    for client in both.each() {
        let refused = client.add(7.0, 0.0).await.unwrap_err();
        assert_eq!(refused.denial().unwrap().message(), "no sevens");
    }
}
