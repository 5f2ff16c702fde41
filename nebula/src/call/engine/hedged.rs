//! One call to one node, and to a second one when the first is slow: the first answer counts, the
//! other call is cancelled. Only for methods that may run twice. Each attempt has a deadline of its
//! own, which its handler may move; the call ends with the latest of them.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep_until};

use super::arguments::Arguments;
use super::leg::{self, Patience};
use super::roster::{Roster, Wait};
use super::unicast::{Tried, give_up, nobody, note};
use crate::call::local::Local;
use crate::call::retry::may_retry;
use crate::call::unicast::{Answer, Ask};
use crate::call::{Attempt, CallError, Executed, Log, Outcome, Path, Phase};
use crate::node::Node;
use crate::service::method::{Error, Method};

/// Asks one of the nodes that the call is for, and after the usual time of such calls another.
pub(crate) async fn run<M: Method>(node: Node, mut ask: Ask<'_, M>) -> Answer<M> {
    let found = Roster::find(&node, &mut ask, Wait::Somebody).await;
    let roster = found.map_err(|found| nobody::<M>(found, Log::default()))?;
    node.retries().deposit();
    let mut rng = SmallRng::from_rng(&mut rand::rng());
    let mut order = roster.order(&node, &mut rng).into_iter();
    let usual = node.usual_time(M::INFO.wire_id());
    let mut arguments = Arguments::new(&node, ask.started, ask.args.take());
    let mut log = Log::default();
    let mut running = FuturesUnordered::new();
    // Where the running attempts are, and since when.
    let mut open: Vec<(usize, Instant)> = Vec::new();
    let second_at = Instant::now() + usual.get();
    let mut hedged = false;
    let mut next = true;
    loop {
        if next && let Some(at) = order.next() {
            match begin(&node, &ask, &roster, at, &mut arguments) {
                Ok(attempt) => {
                    open.push((at, Instant::now()));
                    running.push(attempt);
                }
                Err(unsent) => {
                    log.extend(left_behind(&roster, &open));
                    return give_up::<M>(Tried::Answered(Err(unsent)), log);
                }
            }
        }
        let more = !order.as_slice().is_empty();
        let (at, tried) = tokio::select! {
            biased;
            Some(ended) = running.next() => ended,
            () = sleep_until(second_at), if !hedged && more => {
                hedged = true;
                next = node.retries().withdraw();
                continue;
            }
            else => return Err(CallError::Disconnected(log)),
        };
        if let Some(place) = open.iter().position(|(running, _)| *running == at) {
            let (_, began) = open.swap_remove(place);
            if let Tried::Answered(Ok(_) | Err(CallError::App(_))) = &tried {
                usual.observe(began.elapsed());
                // A call that was overtaken is a slow one too, or only winners would be counted.
                let slow = open.iter().map(|(_, began)| began.elapsed());
                slow.filter(|took| *took > usual.get()).for_each(|took| usual.observe(took));
            }
        }
        let again = match &tried {
            Tried::Answered(Ok(_)) => return give_up(tried, log),
            Tried::Answered(Err(CallError::Deadline(_))) => Some(false),
            Tried::Answered(Err(_)) => None,
            Tried::Broken(broken) if broken.ends_the_call() => None,
            Tried::Broken(broken) => {
                ask.term = broken.term;
                Some(may_retry(broken.verdict().executed, true))
            }
            Tried::Refused(_) => Some(may_retry(Executed::No, true)),
        };
        let in_time = Instant::now() < ask.term.deadline();
        next = again == Some(true) && more && in_time && node.retries().withdraw();
        if again.is_none() || (!next && running.is_empty()) {
            // What still runs is given up, and belongs to the story of the error.
            log.extend(left_behind(&roster, &open));
            return give_up(tried, log);
        }
        note(tried, &mut log);
    }
}

/// Attempts that nobody waits for any more.
fn left_behind(roster: &Roster, open: &[(usize, Instant)]) -> impl Iterator<Item = Attempt> {
    open.iter().filter_map(|(at, began)| {
        let target = roster.targets.get(*at)?;
        Some(Attempt {
            node: Some(target.id),
            name: Arc::clone(&target.name),
            path: if roster.itself == Some(*at) { Path::Local } else { Path::Direct },
            phase: Phase::Run,
            elapsed: began.elapsed(),
            outcome: Outcome::Cancelled,
            executed: Executed::Unknown,
        })
    })
}

type Begun<M> = BoxFuture<'static, (usize, Tried<M>)>;

fn begin<M: Method>(
    node: &Node,
    ask: &Ask<'_, M>,
    roster: &Roster,
    at: usize,
    arguments: &mut Arguments<M>,
) -> Result<Begun<M>, CallError<Error<M>>> {
    let (node, term, watch) = (node.clone(), ask.term, ask.watch.clone());
    match (&ask.local, roster.targets.get(at)) {
        (Some(served), _) if roster.itself == Some(at) => {
            let args = arguments.take(true)?;
            let times = (ask.started, term);
            let local = Local::<M>::new(Arc::clone(served), Some(node), Some(args), times, watch);
            Ok(local.map(move |answer| (at, Tried::local(answer))).boxed())
        }
        (_, Some(target)) => {
            let (body, target) = (arguments.encoded()?, target.clone());
            let patience = Patience { term, moved: None, moves_on: roster.targets.len() > 1 };
            let call = async move {
                let made = leg::remote::<M>(&node, &target, body, patience, watch.as_ref()).await;
                (at, Tried::remote(made))
            };
            Ok(call.boxed())
        }
        (_, None) => Err(CallError::Disconnected(Log::default())),
    }
}
