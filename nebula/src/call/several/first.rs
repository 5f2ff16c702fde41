use std::fmt;

use futures_util::future::{BoxFuture, FutureExt};

use super::super::first::FirstMachine;
use super::super::unary::Call;
use super::super::{FirstError, Reply};
use super::{Legs, Predicate, counts};
use crate::service::method::{Error, Method, Value};
use crate::trace::call::{several, success, told};

/// A call to every target of which the first success counts, which has not been made yet.
#[must_use = "a call does nothing until it is awaited"]
pub struct First<'a, M: Method> {
    call: Call<'a, M>,
    success: Option<Predicate<'a, M>>,
}

impl<'a, M: Method> First<'a, M> {
    pub(crate) fn new(call: Call<'a, M>) -> Self {
        Self { call, success: None }
    }

    /// Counts only values of which `success` is true. Failures never count, and neither does a
    /// value on which `success` panics.
    pub fn success(mut self, success: impl Fn(&Value<M>) -> bool + Send + 'a) -> Self {
        self.success = Some(Box::new(success));
        self
    }
}

impl<'a, M: Method> IntoFuture for First<'a, M> {
    type Output = Result<Reply<Value<M>>, FirstError<Value<M>, Error<M>>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(mut self) -> Self::IntoFuture {
        async move {
            let calling = several(&mut self.call, "first");
            told(calling, self.make(), success).await
        }
        .boxed()
    }
}

impl<M: Method> First<'_, M> {
    async fn make(self) -> Result<Reply<Value<M>>, FirstError<Value<M>, Error<M>>> {
        let mut legs = Legs::of(self.call, false).await;
        let targets = legs.targets.clone();
        let mut machine = FirstMachine::new(targets, || legs.why.clone())?;
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

impl<M: Method> fmt::Debug for First<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("First").field(&self.call).finish()
    }
}
