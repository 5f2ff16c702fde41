//! A call whose end nobody waits for.
//!
//! It is found out here whom it may be made to, as for any other call; then a task has it, and says
//! after its first step whether it is on its way.

pub(crate) mod counts;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use self::counts::OneWay;
use super::ask::Ask;
use super::engine::begun::Begun;
use super::engine::roster::{Roster, Wait};
use super::engine::unicast::{go_on, nobody};
use super::handle::Place;
use super::times::Times;
use super::unary::Call;
use super::unicast::{Answer, Unicast, stays_here};
use super::{CallError, Executed, Log};
use crate::node::Node;
use crate::service::info::MethodInfo;
use crate::service::method::{Error, Method};
use crate::service::slot::Found;
use crate::trace::call::{outcome, several};

/// A call of the method `M` whose end nobody waits for: see [`Call::cast`].
#[must_use = "a call does nothing until it is awaited"]
pub struct Cast<'a, M: Method>(Call<'a, M>);

impl<'a, M: Method> Cast<'a, M> {
    pub(crate) fn new(call: Call<'a, M>) -> Self {
        Self(call)
    }
}

impl<'a, M: Method> IntoFuture for Cast<'a, M> {
    type Output = Result<(), CallError>;
    type IntoFuture = BoxFuture<'a, Result<(), CallError>>;

    fn into_future(mut self) -> Self::IntoFuture {
        async move {
            let method = self.0.shared.method(M::INFO);
            let calling = several(&mut self.0, "cast");
            let (call, node) = match calling {
                None => begin(self.0).await?,
                Some(mut calling) => {
                    let begun = calling.enter(begin(self.0)).await;
                    if begun.is_err() {
                        calling.ends(outcome(&begun));
                    }
                    let (call, node) = begun?;
                    // The span goes along with the call.
                    (Unicast::remote(calling.around(call.boxed(), outcome)), node)
                }
            };
            send(call, method, node).await
        }
        .boxed()
    }
}

impl<M: Method> fmt::Debug for Cast<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cast").field(&self.0).finish()
    }
}

/// Finds whom the call may be made to, and the node that makes it if there is one.
async fn begin<M: Method>(
    mut call: Call<'_, M>,
) -> Result<(Unicast<'static, M>, Option<&Node>), CallError> {
    let times = Times::apart(&call);
    let (node, here) = match &call.shared.place {
        Place::Alone(served) => (None, Some(Arc::clone(served))),
        Place::Node { node, local } => (Some(node), local.of::<M::Api>().map(Found::keep)),
    };
    let stays = |node: &Node| {
        here.as_ref().is_some_and(|here| !here.is_closed() && stays_here(&call, node, here))
    };
    let stays = node.is_none_or(stays);
    let mut ask = Ask::of(&mut call, times);
    if let Some(refused) = ask.refused {
        return Err(refused);
    }
    let begins = match (node, here) {
        (Some(node), here) if !stays => {
            ask.local = here;
            let found = Roster::find(node, &mut ask, Wait::Somebody).await;
            let roster = match found {
                Ok(roster) => roster,
                Err(found) => return Err(unsent::<M>(nobody::<M>(found, Log::default()))),
            };
            let begun = Begun::new(node, ask.detached(), roster);
            Unicast::remote(go_on(node.clone(), begun, None).boxed())
        }
        (node, Some(here)) => {
            let version = ask.version.clone();
            Unicast::local(ask.detached().local(here, node.cloned()).requiring(version))
        }
        // A client without a node has its service.
        (_, None) => return Err(CallError::Cancelled(Log::default())),
    };
    Ok((begins, node))
}

/// Has a task make the call, and waits until it is on its way or has turned out not to begin.
async fn send<M: Method>(
    mut call: Unicast<'static, M>,
    method: &'static MethodInfo,
    node: Option<&Node>,
) -> Result<(), CallError> {
    let (tell, told) = oneshot::channel();
    let mut one_way = OneWay::new(node.map(|node| node.background().counts()), method);
    let task = async move {
        let mut tell = Some(tell);
        let answer = poll_fn(|task| {
            let polled = call.poll_unpin(task);
            if polled.is_pending()
                && let Some(tell) = tell.take()
            {
                one_way.begins();
                // Whoever made the call may have gone; it goes on.
                let _ = tell.send(Ok(()));
            }
            polled
        });
        let answer: Answer<M> = answer.await;
        let Some(tell) = tell else { return one_way.ends::<M>(answer) };
        let _ = tell.send(match answer {
            Err(error) if error.executed() == Executed::No => Err(unsent::<M>(error)),
            answer => {
                one_way.begins();
                one_way.ends::<M>(answer);
                Ok(())
            }
        });
    };
    match node {
        Some(node) => node.background().run(task),
        None => drop(tokio::spawn(task)),
    }
    // The node has been shut down meanwhile, and the task with it.
    told.await.unwrap_or(Err(CallError::Cancelled(Log::default())))
}

/// The failure of a call that did not begin, which so has no error of its own.
fn unsent<M: Method>(error: CallError<Error<M>>) -> CallError {
    error.split().err().unwrap_or_else(|| CallError::Cancelled(Log::default()))
}
