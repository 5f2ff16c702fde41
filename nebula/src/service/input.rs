//! One entry for both paths of a call: typed arguments that give a typed future, or bytes that
//! give a future of bytes.
//!
//! The typed path allocates the body's future and nothing else. The path of bytes decodes before
//! anything runs, so that what cannot be read is known not to have run, and contains panics and
//! the inherited deadline itself, since its driver knows neither the method nor its types.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures_util::future::BoxFuture;
pub use macula::rpc::Fault;
use macula::rpc::{Answer, Headers};

use super::codec::Codec;
use super::method::{Method, Service as _};
use super::plugin::run::{Beginning, Ending, Prepared, prepare};
use super::served::Served;
use crate::context::{Context, Scope};

/// The longest panic message that is kept, in bytes.
const PANIC_MESSAGE_MAX: usize = 1024;

/// The arguments of a call, as they come to a dispatcher.
pub struct Input<'s> {
    source: Source<'s>,
    /// The service with its plugins, if it has any that calls pass.
    through: Option<&'s Arc<Served>>,
    /// The form of encoded arguments, and of what becomes of them.
    codec: Codec,
}

enum Source<'s> {
    /// The encoded arguments of a caller elsewhere.
    Wire(Bytes),
    /// A [`Slot`] of the method that is called.
    Slot(&'s mut dyn Any),
}

impl<'s> Input<'s> {
    /// The encoded arguments of a caller elsewhere.
    pub fn wire(args: Bytes) -> Self {
        Self { source: Source::Wire(args), through: None, codec: Codec::default() }
    }

    /// The arguments of a caller in this process.
    pub fn slot<M: Method>(slot: &'s mut Slot<M>) -> Self {
        Self { source: Source::Slot(slot), through: None, codec: Codec::default() }
    }

    /// The same in this form.
    pub(crate) fn coded(self, codec: Codec) -> Self {
        Self { codec, ..self }
    }

    /// The same on their way through the plugins of the service.
    #[inline]
    pub(crate) fn through(self, served: &'s Arc<Served>) -> Self {
        let through = (!served.chain().is_quiet()).then_some(served);
        Self { through, ..self }
    }

    /// Starts `body` with the arguments found here. Nothing of it runs before the future that
    /// [`Started`] carries (or the slot) is polled.
    #[inline(always)]
    pub fn run<M, F, Fut>(self, cx: Context, body: F) -> Started
    where
        M: Method,
        F: FnOnce(Context, M::Args) -> Fut + Send + 'static,
        Fut: Future<Output = M::Reply> + Send + 'static,
    {
        match self.source {
            Source::Slot(slot) => {
                let Some(slot) = slot.downcast_mut::<Slot<M>>() else { return Started::Unknown };
                let Some(args) = slot.args.take() else { return Started::Unknown };
                slot.body = Some(match self.through {
                    None => Ok(Prepared::Plain(Box::pin(body(cx, args)))),
                    Some(served) => {
                        let elsewhere = M::Api::INFO.is_global();
                        prepare::<M, _, _>(served, cx, args, body, elsewhere)
                    }
                });
                Started::Filled
            }
            Source::Wire(bytes) => read::<M, _, _>(&bytes, (self.codec, self.through), cx, body),
        }
    }

    /// The answer for a method number that the service does not have.
    pub fn unknown(self) -> Started {
        Started::Unknown
    }
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Wire(bytes) => write!(f, "Wire({} bytes)", bytes.len()),
            Source::Slot(_) => f.write_str("Slot"),
        }
    }
}

/// Where a caller in this process leaves the arguments and finds the body's future.
pub struct Slot<M: Method> {
    args: Option<M::Args>,
    body: Option<Beginning<M>>,
}

impl<M: Method> Slot<M> {
    /// A slot with arguments in it.
    pub fn new(args: M::Args) -> Self {
        Self { args: Some(args), body: None }
    }

    /// The body of a service without plugins, once [`Started::Filled`] said that it is here.
    pub fn into_body(self) -> Option<BoxFuture<'static, M::Reply>> {
        match self.body {
            Some(Ok(Prepared::Plain(body))) => Some(body),
            _ => None,
        }
    }

    /// The body, or why a plugin refused the call.
    #[inline]
    pub(crate) fn into_prepared(self) -> Option<Beginning<M>> {
        self.body
    }
}

impl<M: Method> fmt::Debug for Slot<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("method", &M::INFO.method_name()).finish_non_exhaustive()
    }
}

/// What became of a call that was handed to a dispatcher.
pub enum Started {
    /// The body is in the slot.
    Filled,
    /// The body, ending with the encoded reply. Dropping it stops the handler.
    Body(BoxFuture<'static, Result<Answer, Fault>>),
    /// The call was refused; nothing ran.
    Refused(Fault),
    /// The service has no such method, or the slot belongs to another one; nothing ran.
    Unknown,
}

impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filled => f.write_str("Filled"),
            Self::Body(_) => f.write_str("Body"),
            Self::Refused(fault) => f.debug_tuple("Refused").field(fault).finish(),
            Self::Unknown => f.write_str("Unknown"),
        }
    }
}

/// Starts `body` with the arguments in these bytes. Apart, lest a call within this process carries it
/// in its frame.
#[inline(never)]
fn read<M, F, Fut>(
    bytes: &Bytes,
    (codec, through): (Codec, Option<&Arc<Served>>),
    cx: Context,
    body: F,
) -> Started
where
    M: Method,
    F: FnOnce(Context, M::Args) -> Fut + Send + 'static,
    Fut: Future<Output = M::Reply> + Send + 'static,
{
    let args = match codec.args::<M>(bytes) {
        Ok(args) => args,
        Err(reason) => return Started::Refused(Fault::Malformed(reason)),
    };
    let scope = cx.scope();
    let Some(served) = through else {
        return Started::Body(Box::pin(encoded::<M>(scope, body(cx, args), codec)));
    };
    match prepare::<M, _, _>(served, cx, args, body, false) {
        Ok(Prepared::Plain(body)) => Started::Body(Box::pin(encoded::<M>(scope, body, codec))),
        Ok(Prepared::Hooked(body)) => {
            Started::Body(Box::pin(encoded_or_stopped::<M>(scope, body, codec)))
        }
        Err(stopped) => Started::Refused(stopped.refusal.into_fault(false)),
    }
}

/// Runs the body inside its scope, contains its panic, and encodes what it returns.
async fn encoded<M: Method>(
    scope: Scope,
    body: impl Future<Output = M::Reply> + Send,
    codec: Codec,
) -> Result<Answer, Fault> {
    let (reply, headers) = run(scope, body).await?;
    codec.answer::<M>(&reply, headers)
}

/// The same for a body that a plugin may end.
async fn encoded_or_stopped<M: Method>(
    scope: Scope,
    body: impl Future<Output = Ending<M>> + Send,
    codec: Codec,
) -> Result<Answer, Fault> {
    let (reply, headers) = run(scope, body).await?;
    let reply = reply.map_err(|stopped| stopped.refusal.into_fault(stopped.executed))?;
    codec.answer::<M>(&reply, headers)
}

/// Runs the body inside its scope, and contains its panic. Gives what goes beside its reply, too.
async fn run<T>(
    mut scope: Scope,
    body: impl Future<Output = T> + Send,
) -> Result<(T, Headers), Fault> {
    let mut body = pin!(body);
    poll_fn(|task| {
        let polled = scope.enter(|| catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(task))));
        match polled {
            Ok(Poll::Ready(reply)) => Poll::Ready(Ok((reply, scope.end()))),
            Ok(Poll::Pending) => Poll::Pending,
            Err(panic) => Poll::Ready(Err(Fault::Panicked(panic_message(panic)))),
        }
    })
    .await
}

/// Reads or writes values of the application, whose `Serialize` and `Deserialize` may panic as
/// well as refuse. The error says why in words.
pub(crate) fn contained<T, E: fmt::Display>(
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(panic) => Err(format!("the code for it panicked: {}", panic_message(panic))),
    }
}

/// The text of a panic, cut to a length that may be sent and logged.
pub(crate) fn panic_message(panic: Box<dyn Any + Send>) -> String {
    let text = if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.as_str()
    } else {
        "a panic without a message"
    };
    let message = text[..text.floor_char_boundary(PANIC_MESSAGE_MAX)].to_owned();
    // The payload is the application's: dropping it may panic again.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
    message
}
