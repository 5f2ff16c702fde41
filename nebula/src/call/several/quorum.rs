use std::fmt;

use futures_util::future::{BoxFuture, FutureExt};

use super::super::quorum::QuorumMachine;
use super::super::threshold::sealed::Required;
use super::super::unary::Call;
use super::super::{QuorumError, Votes};
use super::{Legs, Predicate, counts};
use crate::service::method::{Error, Method, Value};
use crate::trace::call::{several, success, told};

/// A call to every target of which enough must succeed, which has not been made yet.
#[must_use = "a call does nothing until it is awaited"]
pub struct Quorum<'a, M: Method> {
    call: Call<'a, M>,
    threshold: Box<dyn Required + Send>,
    success: Option<Predicate<'a, M>>,
}

impl<'a, M: Method> Quorum<'a, M> {
    pub(crate) fn new(call: Call<'a, M>, threshold: impl Required + Send + 'static) -> Self {
        Self { call, threshold: Box::new(threshold), success: None }
    }

    /// Counts only values of which `success` is true. Failures never count, and neither does a
    /// value on which `success` panics.
    pub fn success(mut self, success: impl Fn(&Value<M>) -> bool + Send + 'a) -> Self {
        self.success = Some(Box::new(success));
        self
    }
}

impl<'a, M: Method> IntoFuture for Quorum<'a, M> {
    type Output = Result<Votes<Value<M>, Error<M>>, QuorumError<Value<M>, Error<M>>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(mut self) -> Self::IntoFuture {
        async move {
            let calling = several(&mut self.call, "quorum");
            told(calling, self.make(), success).await
        }
        .boxed()
    }
}

impl<M: Method> Quorum<'_, M> {
    async fn make(self) -> Result<Votes<Value<M>, Error<M>>, QuorumError<Value<M>, Error<M>>> {
        let method = self.call.shared.method(M::INFO);
        let (service, method) = (method.service_name(), method.method_name());
        let mut legs = Legs::of(self.call, true).await;
        if legs.why.is_final() {
            return Err(QuorumError::NoTarget(legs.why));
        }
        if self.threshold.counts_configured()
            && let Some(disagreement) = legs.disagreement.take()
        {
            tracing::info!(service, method, "{disagreement}");
            return Err(disagreement.into());
        }
        let mut targets = legs.targets.clone();
        let required = self.threshold.required(legs.configured, targets.len());
        if self.threshold.counts_configured() && !legs.certain {
            tracing::warn!(
                service,
                method,
                "no majority can be counted: without a topology this node must have joined \
                 its cluster and know what each living node serves"
            );
            targets.clear();
        }
        if targets.len() < required {
            let live = targets.len();
            // Without reasons of its own it would speak of no node at all.
            let why = (legs.why.nodes().len() > 0 || live == 0).then(|| legs.why.to_string());
            tracing::info!(live, required, why, "a quorum was refused before any call");
        }
        let mut machine = QuorumMachine::new(targets, required)?;
        loop {
            let Some(came) = legs.next().await else {
                machine.on_deadline();
                break;
            };
            let came = came.into_iter().map(|(index, answer, beside)| {
                let success = counts::<M>(self.success.as_ref(), &answer);
                (index, answer, beside, success)
            });
            if machine.on_replies(came).is_some() {
                break;
            }
        }
        let elapsed = legs.started.elapsed();
        let result = machine.finish(elapsed, |index, node| legs.open_leg(index, node));
        legs.decided();
        result
    }
}

impl<M: Method> fmt::Debug for Quorum<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Quorum").field(&self.call).finish()
    }
}
