use std::fmt;
use std::time::Duration;

use super::CallError;
use super::replying::Replying;
use super::unary::Call;
use super::unicast::Unicast;
use crate::service::method::{Error, Method, Value};

/// A call that asks a second node when the first is slow, and has not been made yet: see
/// [`Call::hedge`].
#[must_use = "a call does nothing until it is awaited"]
pub struct Hedged<'a, M: Method>(Call<'a, M>);

impl<'a, M: Method> Hedged<'a, M> {
    pub(crate) fn new(call: Call<'a, M>) -> Self {
        Self(call)
    }

    /// See [`Call::timeout`].
    pub fn timeout(self, timeout: Duration) -> Self {
        Self(self.0.timeout(timeout))
    }

    /// See [`Call::reply`]: who answered, first or second, and what went back beside it.
    pub fn reply(self) -> Replying<'a, M> {
        Replying::new(self.0)
    }
}

impl<'a, M: Method> IntoFuture for Hedged<'a, M> {
    type Output = Result<Value<M>, CallError<Error<M>>>;
    type IntoFuture = Unicast<'a, M>;

    fn into_future(self) -> Unicast<'a, M> {
        Unicast::new(self.0)
    }
}

impl<M: Method> fmt::Debug for Hedged<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hedged").field(&self.0).finish()
    }
}
