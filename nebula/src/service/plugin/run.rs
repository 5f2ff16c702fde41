//! The one point that every call of a service with plugins passes, local or remote, once its
//! arguments are at hand.

use std::any::Any;
use std::future::ready;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::around::go_on;
use super::chain::{Chain, Seen};
use super::{Ended, Refusal};
use crate::context::{Context, Expendable};
use crate::service::info::MethodInfo;
use crate::service::input::{contained, panic_message};
use crate::service::method::{Method, Value};
use crate::service::served::Served;
use crate::service::shape::ShapeOf;
use crate::service::wire::{Args as _, written};

/// A body, ready to be polled.
pub(crate) enum Prepared<M: Method> {
    /// No plugin has to do with it any more.
    Plain(BoxFuture<'static, M::Reply>),
    /// A plugin may end it in place of the method.
    Hooked(BoxFuture<'static, Ending<M>>),
}

/// A body, unless a plugin ended the call at once.
pub(crate) type Beginning<M> = Result<Prepared<M>, Box<Stopped<<M as Method>::Args>>>;

/// What a body comes to that a plugin may end.
pub(crate) type Ending<M> = Result<<M as Method>::Reply, Box<Stopped<<M as Method>::Args>>>;

/// A call that a plugin ended without a reply. It is boxed, since hardly any call comes to it.
pub(crate) struct Stopped<A> {
    pub(crate) refusal: Refusal,
    /// The arguments, if the method has not taken them.
    pub(crate) args: Option<A>,
    /// Whether the method has begun.
    pub(crate) executed: bool,
}

/// Leads a call through the plugins of its service to `body`. If one of them refuses it and the call
/// may be made `elsewhere`, its arguments are given back as they came.
///
/// # Errors
///
/// A plugin refused it at once, and nothing ran.
pub(crate) fn prepare<M, F, Fut>(
    served: &Arc<Served>,
    cx: Context,
    args: M::Args,
    body: F,
    elsewhere: bool,
) -> Beginning<M>
where
    M: Method,
    F: FnOnce(Context, M::Args) -> Fut + Send + 'static,
    Fut: Future<Output = M::Reply> + Send + 'static,
{
    let chain = served.chain();
    if chain.lasts() {
        return Ok(Prepared::Hooked(Box::pin(lasting::<M, F, Fut>(
            Arc::clone(served),
            cx,
            args,
            body,
            elsewhere,
        ))));
    }
    let (mut cx, mut call) = (cx, Typed::<M, F, Fut>::new(args, None, elsewhere));
    let refusal = match chain.before(served.method(M::INFO), &mut cx, &mut call) {
        Ok(()) => match (call.reply, call.args) {
            (None, Some(args)) => return Ok(Prepared::Plain(Box::pin(body(cx, args)))),
            (Some(reply), _) => return Ok(Prepared::Plain(ready(reply).boxed())),
            (None, None) => {
                let refusal = Refusal::Failed("the arguments are gone".into());
                return Err(Box::new(Stopped { refusal, args: None, executed: false }));
            }
        },
        Err(refusal) => refusal,
    };
    Err(Box::new(Stopped { refusal, args: call.into_args(), executed: false }))
}

/// A call through hooks that outlast its beginning.
async fn lasting<M, F, Fut>(
    served: Arc<Served>,
    cx: Context,
    args: M::Args,
    body: F,
    elsewhere: bool,
) -> Ending<M>
where
    M: Method,
    F: FnOnce(Context, M::Args) -> Fut + Send + 'static,
    Fut: Future<Output = M::Reply> + Send + 'static,
{
    let (chain, method) = (served.chain(), served.method(M::INFO));
    let mut end = End::new(chain, method, cx.twin());
    let mut call = Typed::<M, F, Fut>::new(args, Some((cx, body)), elsewhere);
    let through = AssertUnwindSafe(through(chain, method, &mut end.cx, &mut call)).catch_unwind();
    let refusal = match through.await {
        Ok(Ok(())) => {
            let ended = if call.is_error() { Ended::Failed } else { Ended::Replied };
            end.show(ended, Some(&mut call));
            match call.reply {
                Some(reply) => return Ok(reply),
                None => Refusal::Failed("a plugin took the reply away".into()),
            }
        }
        Ok(Err(refusal)) => {
            end.show(Ended::Refused(&refusal), None);
            refusal
        }
        Err(panic) if !call.ran => {
            let message = panic_message(panic);
            let refusal = Refusal::Failed(format!("a plugin around it panicked: {message}"));
            end.show(Ended::Refused(&refusal), None);
            refusal
        }
        Err(panic) => {
            let message = panic_message(panic);
            end.show(Ended::Panicked(&message), None);
            // Whoever polls this contains it, as it does with a method that has no plugins.
            resume_unwind(Box::new(message))
        }
    };
    let executed = call.ran;
    Err(Box::new(Stopped { refusal, args: call.into_args(), executed }))
}

async fn through<M, F, Fut>(
    chain: &Chain,
    method: &'static MethodInfo,
    cx: &mut Context,
    call: &mut Typed<M, F, Fut>,
) -> Result<(), Refusal>
where
    M: Method,
    F: FnOnce(Context, M::Args) -> Fut + Send + 'static,
    Fut: Future<Output = M::Reply> + Send + 'static,
{
    chain.before(method, cx, call)?;
    if !chain.around().is_empty() {
        return go_on(method, cx, call, chain.around()).await;
    }
    // With nobody in between, the body needs no box of its own.
    match call.reply.is_some() || call.execute(cx).await {
        true => Ok(()),
        false => Err(Refusal::Failed("the arguments are gone".into())),
    }
}

/// Shows the end of a call, once, also if it is dropped.
struct End<'c> {
    chain: &'c Chain,
    method: &'static MethodInfo,
    cx: Context,
    /// When it began, until it has been shown.
    began: Option<Instant>,
}

impl<'c> End<'c> {
    fn new(chain: &'c Chain, method: &'static MethodInfo, cx: Context) -> Self {
        Self { chain, method, cx, began: chain.sees_ends().then(Instant::now) }
    }

    fn show(&mut self, ended: Ended<'_>, values: Option<&mut (dyn Values + 'static)>) {
        if let Some(began) = self.began.take() {
            let Self { chain, method, cx, .. } = &*self;
            chain.after(&mut Seen { method, cx, elapsed: began.elapsed(), ended, values });
        }
    }
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.show(Ended::Cancelled, None);
    }
}

/// The values of a call, whatever their types.
pub(crate) trait Values: Send {
    fn args(&mut self) -> Option<&mut dyn Any>;
    fn encoded_args(&self) -> Option<Bytes>;
    fn reply(&mut self) -> Option<&mut dyn Any>;
    /// What is in the reply's `Ok`, or the reply if it has none.
    fn value(&mut self) -> Option<&mut dyn Any>;
    fn is_error(&mut self) -> bool;
    fn encoded_reply(&self) -> Option<Bytes>;
    /// Takes the `Option<T>` that this is, if `T` is the reply's type or what is in its `Ok`.
    fn answer(&mut self, value: &mut dyn Any);
    fn answer_encoded(&mut self, reply: &[u8]) -> Result<(), String>;
    /// Whether the method has begun.
    fn has_run(&self) -> bool;
    /// Runs the method, which finds what plugins have left in `cx`. False if it cannot, since it has
    /// before.
    fn run<'v>(&'v mut self, cx: &'v Context) -> BoxFuture<'v, bool>;
}

struct Typed<M: Method, F, Fut> {
    args: Option<M::Args>,
    came: Came,
    reply: Option<M::Reply>,
    body: Option<(Context, F)>,
    ran: bool,
    future: PhantomData<fn() -> Fut>,
}

/// The arguments as they came, for the call to be made elsewhere.
enum Came {
    /// Nobody needs them.
    Whatever,
    /// They are as they were.
    Untouched,
    /// A plugin may have changed them. None if they refuse to be written.
    Written(Option<Bytes>),
}

impl<M: Method, F, Fut> Typed<M, F, Fut> {
    fn new(args: M::Args, body: Option<(Context, F)>, elsewhere: bool) -> Self {
        let came = if elsewhere { Came::Untouched } else { Came::Whatever };
        Self { args: Some(args), came, reply: None, body, ran: false, future: PhantomData }
    }

    /// The arguments as they came, unless the method has taken them.
    fn into_args(self) -> Option<M::Args> {
        match self.came {
            Came::Whatever | Came::Untouched => self.args,
            Came::Written(bytes) => {
                let bytes = bytes.filter(|_| self.args.is_some())?;
                contained(|| M::Args::decode(&bytes)).ok()
            }
        }
    }

    /// Runs the method, as [`run`](Values::run).
    async fn execute(&mut self, known: &Context) -> bool
    where
        F: FnOnce(Context, M::Args) -> Fut,
        Fut: Future<Output = M::Reply>,
    {
        let (Some(args), Some((mut cx, body))) = (self.args.take(), self.body.take()) else {
            return false;
        };
        self.ran = true;
        cx.take_over(known);
        let watched = Expendable::new(&mut cx, known);
        self.reply = Some(body(cx, args).await);
        watched.returned();
        true
    }
}

impl<M, F, Fut> Values for Typed<M, F, Fut>
where
    M: Method,
    F: FnOnce(Context, M::Args) -> Fut + Send + 'static,
    Fut: Future<Output = M::Reply> + Send + 'static,
{
    fn args(&mut self) -> Option<&mut dyn Any> {
        if let Came::Untouched = self.came {
            self.came = Came::Written(self.encoded_args());
        }
        self.args.as_mut().map(|args| args as _)
    }

    fn encoded_args(&self) -> Option<Bytes> {
        let args = self.args.as_ref()?;
        written(|out| contained(|| args.encode(out))).ok()
    }

    fn reply(&mut self) -> Option<&mut dyn Any> {
        self.reply.as_mut().map(|reply| reply as _)
    }

    fn value(&mut self) -> Option<&mut dyn Any> {
        M::Shape::value(self.reply.as_mut()?).map(|value| value as _)
    }

    fn is_error(&mut self) -> bool {
        self.reply.as_mut().is_some_and(|reply| M::Shape::value(reply).is_none())
    }

    fn encoded_reply(&self) -> Option<Bytes> {
        let reply = self.reply.as_ref()?;
        written(|out| contained(|| M::Shape::encode(reply, out))).ok()
    }

    fn answer(&mut self, value: &mut dyn Any) {
        if let Some(reply) = value.downcast_mut::<Option<M::Reply>>() {
            self.reply = reply.take().or(self.reply.take());
        } else if let Some(value) = value.downcast_mut::<Option<Value<M>>>() {
            self.reply = value.take().map(M::Shape::whole).or(self.reply.take());
        }
    }

    fn answer_encoded(&mut self, reply: &[u8]) -> Result<(), String> {
        self.reply = Some(contained(|| M::Shape::decode(reply))?);
        Ok(())
    }

    fn has_run(&self) -> bool {
        self.ran
    }

    fn run<'v>(&'v mut self, cx: &'v Context) -> BoxFuture<'v, bool> {
        self.execute(cx).boxed()
    }
}
