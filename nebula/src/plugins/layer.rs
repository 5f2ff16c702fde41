//! Layers of the crate `tower` as plugins.
//!
//! A layer wraps owned requests of the static life time, and the call is neither: it stays where it
//! is. The innermost service is an errand. It asks the plugin, which waits for that beside the
//! layer's own future, to go on with the call, and waits to hear what became of it. Whether the layer
//! keeps its futures, drops them, or gives them to a task, the method is polled in its own place, and
//! dropped there when nobody waits for it any more.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::{self, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tower_layer::Layer;
use tower_service::Service;

use crate::NodeId;
use crate::plugin::{Around, Plugin, Refusal};

/// What services of `tower` may fail with.
type BoxError = Box<dyn Error + Send + Sync>;

/// A [`Layer`] of the crate `tower` around the calls of a service. Needs the feature `tower`.
///
/// The layer is laid once; what it makes is cloned for each call, as elsewhere with `tower`, so that
/// what it counts must be shared by its clones. It sees a [`TowerCall`] and gets a [`TowerReply`]:
/// the call itself stays where it is, its arguments in their types, and nothing is encoded for a layer
/// that does not ask for it. The method runs at most once; a layer that retries is told that it has
/// run. One that drops its inner future stops the method.
///
/// A layer that fails refuses the call: with the [`Refusal`] that came from below or that it made,
/// else as [`Refusal::Failed`], unless [`refuse_with`](Self::refuse_with) says more.
///
/// A call takes a channel there and back besides: where a plugin of one's own does as well, that is
/// cheaper.
///
/// ```
/// use nebula::plugins::TowerPlugin;
///
/// let plugin = TowerPlugin::new("as_it_is", tower_layer::Identity::new());
/// # drop(plugin);
/// ```
pub struct TowerPlugin<S> {
    name: Cow<'static, str>,
    /// A mutex, since services need not be shareable.
    service: Mutex<S>,
    refusal: fn(BoxError) -> Refusal,
    encodes: bool,
}

/// A call, as a layer sees it. A clone is the same call.
#[derive(Clone, Debug)]
pub struct TowerCall {
    service: &'static str,
    method: &'static str,
    idempotent: bool,
    caller: Option<NodeId>,
    args: Option<Bytes>,
    turns: mpsc::Sender<Turn>,
}

/// Whom the innermost service of a call tells what became of it.
type Turn = oneshot::Sender<Result<TowerReply, Refusal>>;

/// What a layer gets, and what it gives.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TowerReply {
    /// The reply that came from below, in its own type and place.
    FromBelow {
        /// Whether it is the method's own `Err`.
        is_error: bool,
    },
    /// Another reply, in the form of the wire.
    Encoded(Bytes),
}

/// The innermost service, which goes on with the call.
#[derive(Clone, Copy, Debug, Default)]
pub struct TowerNext;

impl<S> TowerPlugin<S>
where
    S: Service<TowerCall, Response = TowerReply> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
{
    /// A plugin of this name, which lays the layer around all calls.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        layer: impl Layer<TowerNext, Service = S>,
    ) -> Self {
        let service = Mutex::new(layer.layer(TowerNext));
        Self { name: name.into(), service, refusal: into_refusal, encodes: false }
    }

    /// Gives the layer the [encoded arguments](TowerCall::args) too. That costs their encoding for
    /// each call.
    #[must_use]
    pub fn with_args(mut self) -> Self {
        self.encodes = true;
        self
    }

    /// Makes of the layer's own errors what the caller shall be told.
    #[must_use]
    pub fn refuse_with(mut self, refusal: fn(BoxError) -> Refusal) -> Self {
        self.refusal = refusal;
        self
    }
}

impl TowerCall {
    /// The wire name of the service.
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// The wire name of the method.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// Whether running the method twice does no harm.
    pub fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// The node that asks, as it proved itself; `None` when the client has no node.
    pub fn caller(&self) -> Option<NodeId> {
        self.caller
    }

    /// The arguments in the form of the wire, after [`TowerPlugin::with_args`].
    pub fn args(&self) -> Option<&Bytes> {
        self.args.as_ref()
    }
}

impl Service<TowerCall> for TowerNext {
    type Response = TowerReply;
    type Error = Refusal;
    type Future = BoxFuture<'static, Result<TowerReply, Refusal>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Refusal>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: TowerCall) -> Self::Future {
        async move {
            let over = || Refusal::Failed("the call is over".into());
            let (turn, ended) = oneshot::channel();
            call.turns.send(turn).await.map_err(|_| over())?;
            ended.await.unwrap_or_else(|_| Err(over()))
        }
        .boxed()
    }
}

/// The refusal that an error is, if it is one.
fn into_refusal(error: BoxError) -> Refusal {
    match error.downcast() {
        Ok(refusal) => *refusal,
        Err(error) => Refusal::Failed(error.to_string()),
    }
}

#[crate::plugin(crate = "crate")]
impl<S> Plugin for TowerPlugin<S>
where
    S: Service<TowerCall, Response = TowerReply> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
{
    fn name(&self) -> Cow<'static, str> {
        self.name.clone()
    }

    async fn around(&self, mut call: Around<'_>) -> Result<(), Refusal> {
        let (turns, mut asked) = mpsc::channel(1);
        let request = TowerCall {
            service: call.service(),
            method: call.method(),
            idempotent: call.is_idempotent(),
            caller: call.caller().map(|caller| caller.id),
            args: self.encodes.then(|| call.encoded_args()).flatten(),
            turns,
        };
        let mut service = self.service.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut through = pin!(async move {
            poll_fn(|task| service.poll_ready(task)).await?;
            service.call(request).await
        });
        let ended = loop {
            let mut turn: Turn = tokio::select! {
                biased;
                ended = &mut through => break ended,
                Some(turn) = asked.recv() => turn,
            };
            let below = tokio::select! {
                biased;
                ended = &mut through => break ended,
                // The layer waits for it no more: what is below is dropped.
                () = turn.closed() => continue,
                below = call.next() => below,
            };
            let below = below.map(|()| TowerReply::FromBelow { is_error: call.is_error() });
            // If nobody hears it, the layer says what becomes of the call.
            let _ = turn.send(below);
        };
        match ended.map_err(|error| (self.refusal)(error.into()))? {
            TowerReply::FromBelow { .. } => Ok(()),
            TowerReply::Encoded(reply) => {
                call.answer_encoded(&reply).map_err(|wrong| Refusal::Failed(wrong.0))
            }
        }
    }
}

impl<S> fmt::Debug for TowerPlugin<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerPlugin").field("name", &self.name).finish_non_exhaustive()
    }
}
