use std::fmt;

use futures_util::future::{BoxFuture, FutureExt};

use super::super::quorum::QuorumMachine;
use super::super::unary::Call;
use super::super::{QuorumError, Votes};
use super::{Legs, Predicate, counts};
use crate::service::method::{Error, Method, Value};

/// How many successes are needed, of the configured and of the live targets.
type Required = Box<dyn FnOnce(usize, usize) -> usize + Send>;

/// A call to every target of which enough must succeed, which has not been made yet.
#[must_use = "a call does nothing until it is awaited"]
pub struct Quorum<'a, M: Method> {
    call: Call<'a, M>,
    required: Required,
    success: Option<Predicate<'a, M>>,
}

impl<'a, M: Method> Quorum<'a, M> {
    pub(crate) fn new(
        call: Call<'a, M>,
        required: impl FnOnce(usize, usize) -> usize + Send + 'static,
    ) -> Self {
        Self { call, required: Box::new(required), success: None }
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

    fn into_future(self) -> Self::IntoFuture {
        async move {
            let mut legs = Legs::of(self.call).await;
            let targets = std::mem::take(&mut legs.targets);
            let required = (self.required)(legs.configured, targets.len());
            let mut machine = QuorumMachine::new(targets, required)?;
            loop {
                let Some((index, answer, elapsed)) = legs.next().await else {
                    machine.on_deadline();
                    break;
                };
                let success = counts::<M>(self.success.as_ref(), &answer);
                if machine.on_reply(index, answer, elapsed, success).is_some() {
                    break;
                }
            }
            let result = machine.finish(legs.started.elapsed(), &mut legs.log);
            legs.decided();
            result
        }
        .boxed()
    }
}

impl<M: Method> fmt::Debug for Quorum<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Quorum").field(&self.call).finish()
    }
}
