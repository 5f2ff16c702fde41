//! A body that runs in this process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{self, Poll};

use crate::call::CallError;
use crate::call::unicast::Answer;
use crate::context::Scope;
use crate::service::input::panic_message;
use crate::service::method::Method;
use crate::service::plugin::run::{Prepared, Stopped};
use crate::service::shape::ShapeOf;

/// A body with its place in the gate. The body goes first, also when it is dropped.
pub(super) struct Running<M: Method, Place> {
    pub(super) body: Option<Prepared<M>>,
    pub(super) scope: Scope,
    pub(super) place: Option<Place>,
}

/// How a body ended that gave no reply.
pub(super) enum Broken<M: Method> {
    Panicked(Box<str>),
    Stopped(Box<Stopped<M::Args>>),
}

impl<M: Method, Place> Running<M, Place> {
    /// Polls the body in its scope.
    ///
    /// # Errors
    ///
    /// Why it ended without a reply.
    #[inline]
    pub(super) fn poll(
        &mut self,
        task: &mut task::Context<'_>,
    ) -> Result<Poll<Answer<M>>, Broken<M>> {
        let Some(body) = &mut self.body else { return Ok(Poll::Pending) };
        let poll = || {
            catch_unwind(AssertUnwindSafe(|| match body {
                Prepared::Plain(body) => body.as_mut().poll(task).map(Ok),
                Prepared::Hooked(body) => body.as_mut().poll(task),
            }))
        };
        match self.scope.enter(poll) {
            Ok(Poll::Ready(reply)) => {
                self.body = None;
                let _ = self.scope.end();
                let reply = reply.map_err(Broken::Stopped)?;
                Ok(Poll::Ready(M::Shape::split(reply).map_err(CallError::App)))
            }
            Ok(Poll::Pending) => Ok(Poll::Pending),
            Err(panic) => Err(Broken::Panicked(panic_message(panic).into())),
        }
    }
}

impl<M: Method, Place> Drop for Running<M, Place> {
    /// A body that is still here was given up: whoever watches its context hears of it. What it
    /// owns is the application's, so its destructors may panic; the caller is not to blame.
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            self.scope.cancel();
            let _ = self.scope.enter(|| catch_unwind(AssertUnwindSafe(|| drop(body))));
        }
    }
}
