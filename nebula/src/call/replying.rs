use std::fmt;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::heard::Heard;
use super::unary::Call;
use super::unicast::Unicast;
use super::{CallError, FullReply};
use crate::service::method::{Error, Method, Value};

/// A call to one node whose answer says who gave it and what went back beside it, which has not been
/// made yet: see [`Call::reply`].
#[must_use = "a call does nothing until it is awaited"]
pub struct Replying<'a, M: Method>(Call<'a, M>);

impl<'a, M: Method> Replying<'a, M> {
    pub(crate) fn new(call: Call<'a, M>) -> Self {
        Self(call)
    }
}

impl<'a, M: Method> IntoFuture for Replying<'a, M> {
    type Output = Result<FullReply<Value<M>>, CallError<Error<M>>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        async move {
            let (heard, began) = (Heard::default(), Instant::now());
            let value = Unicast::heeded(self.0, heard.clone()).await?;
            Ok(heard.reply(value, began.elapsed()))
        }
        .boxed()
    }
}

impl<M: Method> fmt::Debug for Replying<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Replying").field(&self.0).finish()
    }
}
