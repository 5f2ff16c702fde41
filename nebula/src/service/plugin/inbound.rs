//! A call on its way to the method.

use std::any::{Any, type_name};
use std::fmt;

use bytes::Bytes;

use super::Host;
use super::run::Values;
use crate::context::{Caller, Context};
use crate::service::info::MethodInfo;

/// A call on its way to the method, as plugins see and change it.
///
/// Arguments are the tuple of what the method takes after `&self` and `cx`: those of
/// `put(&self, user: User)` are a `(User,)`.
pub struct Inbound<'c> {
    pub(super) method: &'static MethodInfo,
    pub(super) cx: &'c mut Context,
    pub(super) host: &'c Host,
    pub(super) values: &'c mut (dyn Values + 'static),
}

impl Inbound<'_> {
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

    /// Whether running the method twice does no harm.
    pub fn is_idempotent(&self) -> bool {
        self.method.is_idempotent()
    }

    /// The node that asks, as it proved itself; `None` when the client has no node.
    pub fn caller(&self) -> Option<&Caller> {
        self.cx.caller()
    }

    /// What the caller sent along under this key, which is written in lower case. It is what the
    /// caller says, and not verified.
    pub fn header(&self, key: &str) -> Option<&str> {
        self.cx.header(key)
    }

    /// What the method is told of its call.
    pub fn context(&self) -> &Context {
        self.cx
    }

    /// Leaves a value for the plugins below, for the method and for the end of the call, in place of
    /// the one of its type: each finds it with [`Context::extension`]. What is left here is nothing
    /// that a caller can forge, and goes nowhere else with a call that is made on another node.
    pub fn leave<T: Send + Sync + 'static>(&mut self, value: T) {
        self.cx.leave(value);
    }

    /// The service, as the plugin that is asked sees it.
    pub fn host(&self) -> &Host {
        self.host
    }

    /// The arguments, if they are of the type `T` and the method has not taken them yet.
    pub fn args<T: 'static>(&mut self) -> Option<&mut T> {
        self.values.args()?.downcast_mut()
    }

    /// The arguments as they would be sent, for keys and logs of one's own; none once the method
    /// has taken them, or if they refuse to be written.
    pub fn encoded_args(&self) -> Option<Bytes> {
        self.values.encoded_args()
    }

    /// Whether there is a reply by now: of the method, or one that a plugin gave.
    pub fn is_answered(&mut self) -> bool {
        self.values.reply().is_some()
    }

    /// The reply, if there is one of the type `T`: all that the method returns, or what is in its
    /// `Ok`.
    pub fn reply<T: 'static>(&mut self) -> Option<&mut T> {
        reply(self.values)
    }

    /// The reply as it would be sent; none as long as there is none, or if it refuses to be
    /// written.
    pub fn encoded_reply(&self) -> Option<Bytes> {
        self.values.encoded_reply()
    }

    /// Whether the method returned `Err`.
    pub fn is_error(&mut self) -> bool {
        self.values.is_error()
    }

    /// Answers the call with all that the method would return, or with what would be in its `Ok`.
    /// Before the method has run, it does not run any more; after that its reply is replaced.
    ///
    /// # Errors
    ///
    /// Gives the value back if the method returns another type.
    pub fn answer<T: 'static>(&mut self, value: T) -> Result<(), WrongType<T>> {
        let mut value = Some(value);
        self.values.answer(&mut value);
        value.map_or(Ok(()), |value| Err(WrongType(value)))
    }

    /// The same with a reply as it would be sent.
    ///
    /// # Errors
    ///
    /// The bytes are no reply of this method: says why.
    pub fn answer_encoded(&mut self, reply: &[u8]) -> Result<(), WrongType<String>> {
        self.values.answer_encoded(reply).map_err(WrongType)
    }
}

/// The reply, or what is in its `Ok`.
pub(super) fn reply<'v, T: 'static>(values: &'v mut (dyn Values + 'static)) -> Option<&'v mut T> {
    if values.reply()?.is::<T>() {
        return values.reply()?.downcast_mut();
    }
    let value: &mut dyn Any = values.value()?;
    value.downcast_mut()
}

impl fmt::Debug for Inbound<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Arguments are never printed: they are the application's.
        f.debug_struct("Inbound")
            .field("service", &self.service())
            .field("method", &self.method())
            .field("context", &self.cx)
            .finish_non_exhaustive()
    }
}

/// A value that is no reply of the method.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WrongType<T>(pub T);

impl<T> fmt::Display for WrongType<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} is no reply of this method", type_name::<T>())
    }
}

impl<T: fmt::Debug> std::error::Error for WrongType<T> {}
