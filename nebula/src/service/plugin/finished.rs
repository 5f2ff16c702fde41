//! A call at its end.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::inbound::reply;
use super::run::Values;
use super::{Host, Refusal};
use crate::context::{Caller, Context};
use crate::service::info::MethodInfo;

/// How a call ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Ended<'c> {
    /// There is a reply, by the method or by a plugin.
    Replied,
    /// There is one, and it is the method's own `Err`.
    Failed,
    /// A plugin refused the call.
    Refused(&'c Refusal),
    /// The method or a plugin panicked, with this message.
    Panicked(&'c str),
    /// Nobody waits for the call any more, or its time is over.
    Cancelled,
}

/// A call at its end, as [`Plugin::after`](super::Plugin::after) sees it.
pub struct Finished<'c> {
    pub(super) method: &'static MethodInfo,
    pub(super) cx: &'c Context,
    pub(super) host: &'c Host,
    pub(super) elapsed: Duration,
    pub(super) ended: Ended<'c>,
    pub(super) values: Option<&'c mut (dyn Values + 'static)>,
}

impl<'c> Finished<'c> {
    /// What is known of the method.
    #[cfg(feature = "metrics")]
    pub(crate) fn info(&self) -> &'static MethodInfo {
        self.method
    }

    /// The wire name of the service.
    pub fn service(&self) -> &'static str {
        self.method.service_name()
    }

    /// The wire name of the method.
    pub fn method(&self) -> &'static str {
        self.method.method_name()
    }

    /// The node that asked, as it proved itself; `None` when the client has no node.
    pub fn caller(&self) -> Option<&Caller> {
        self.cx.caller()
    }

    /// What the method was told of its call.
    pub fn context(&self) -> &Context {
        self.cx
    }

    /// The service, as the plugin that is told sees it.
    pub fn host(&self) -> &Host {
        self.host
    }

    /// How it ended.
    pub fn ended(&self) -> Ended<'c> {
        self.ended
    }

    /// How long it took from the first hook to here.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The reply, if there is one of the type `T`: all that the method returns, or what is in its
    /// `Ok`.
    pub fn reply<T: 'static>(&mut self) -> Option<&mut T> {
        reply(self.values.as_deref_mut()?)
    }

    /// The reply as it would be sent; none if there is none.
    pub fn encoded_reply(&self) -> Option<Bytes> {
        self.values.as_deref()?.encoded_reply()
    }
}

impl fmt::Debug for Finished<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finished")
            .field("service", &self.service())
            .field("method", &self.method())
            .field("ended", &self.ended)
            .field("elapsed", &self.elapsed)
            .finish_non_exhaustive()
    }
}
