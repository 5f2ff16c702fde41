//! One call to one node, and to a second one when the first is slow: the first answer counts, the
//! other call is cancelled. Only for methods that may run twice.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep_until};

use super::leg;
use super::roster::Roster;
use super::unicast::{Arguments, Tried, give_up, nobody, note};
use crate::call::local::Local;
use crate::call::retry::may_retry;
use crate::call::unicast::{Answer, Ask};
use crate::call::{CallError, Executed, Log};
use crate::node::Node;
use crate::service::method::{Error, Method};

/// Asks one of the nodes that the call is for, and after the usual time of such calls another.
pub(crate) async fn run<M: Method>(node: Node, mut ask: Ask<'_, M>) -> Answer<M> {
    let roster = Roster::find(&node, &mut ask).await.map_err(nobody::<M>)?;
    node.retries().deposit();
    let mut rng = SmallRng::from_rng(&mut rand::rng());
    let mut order = roster.order(&node, &mut rng).into_iter();
    let usual = node.usual_time(M::INFO.wire_id());
    let mut arguments = Arguments::new(ask.args.take());
    let mut log = Log::default();
    let mut running = FuturesUnordered::new();
    let mut start = |at: Option<usize>| {
        at.map(|at| begin(&node, &mut ask, &roster, at, &mut arguments)).transpose()
    };
    running.extend(start(order.next())?);
    let second_at = Instant::now() + usual.get();
    let mut hedged = false;
    loop {
        let tried = tokio::select! {
            biased;
            Some((tried, began)) = running.next() => {
                if let Tried::Answered(Ok(_) | Err(CallError::App(_))) = &tried {
                    usual.observe(Instant::now() - began);
                }
                tried
            }
            () = sleep_until(second_at), if !hedged && !order.as_slice().is_empty() => {
                hedged = true;
                if node.retries().withdraw() {
                    running.extend(start(order.next())?);
                }
                continue;
            }
        };
        let again = match &tried {
            Tried::Answered(Err(_)) => {
                // The attempts before belong to the story of the error.
                return give_up(tried, log);
            }
            Tried::Answered(_) => true,
            Tried::Broken(broken) => may_retry(broken.verdict().executed, true),
            Tried::Refused(_) => may_retry(Executed::No, true),
        };
        match tried {
            Tried::Answered(answer) => return answer,
            tried if running.is_empty() && order.as_slice().is_empty() => {
                return give_up(tried, log);
            }
            tried => {
                let next = again && node.retries().withdraw();
                if !next && running.is_empty() {
                    return give_up(tried, log);
                }
                note(tried, &mut log);
                if next {
                    running.extend(start(order.next())?);
                }
            }
        }
    }
}

type Attempt<M> = BoxFuture<'static, (Tried<M>, Instant)>;

fn begin<M: Method>(
    node: &Node,
    ask: &mut Ask<'_, M>,
    roster: &Roster,
    at: usize,
    arguments: &mut Arguments<M>,
) -> Result<Attempt<M>, CallError<Error<M>>> {
    let began = Instant::now();
    let (node, deadline, watch) = (node.clone(), ask.deadline, ask.watch.clone());
    match (&ask.local, roster.targets.get(at)) {
        (Some(served), _) if roster.itself == Some(at) => {
            let args = arguments.take(true)?;
            let times = (ask.started, deadline);
            let local = Local::<M>::new(Arc::clone(served), Some(node), Some(args), times, watch);
            Ok(local.map(move |answer| (Tried::local(answer), began)).boxed())
        }
        (_, Some(target)) => {
            let (body, target) = (arguments.encoded()?, target.clone());
            let call = async move {
                let made = leg::remote::<M>(&node, &target, body, deadline, watch.as_ref()).await;
                (Tried::remote(made), began)
            };
            Ok(call.boxed())
        }
        (_, None) => Err(CallError::Protocol(Log::default())),
    }
}
