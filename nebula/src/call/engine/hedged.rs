//! One call to one node, and to a second one when the first is slow: the first answer counts, the
//! other call is cancelled. Only for methods that may run twice. Each attempt has a deadline of its
//! own, which its handler may move; the call ends with the latest of them.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until};

use super::arguments::Arguments;
use super::leg::{self, Patience};
use super::roster::{Roster, Wait};
use super::unicast::{self, Tried, give_up, look_again, nobody, note};
use crate::call::ask::Ask;
use crate::call::local::Local;
use crate::call::retry::{FailoverMachine, Step};
use crate::call::unicast::Answer;
use crate::call::{Attempt, CallError, Executed, Log, Outcome, Path, Phase};
use crate::node::Node;
use crate::nodes::measures;
use crate::service::method::{Error, Method};

/// Asks one of the nodes that the call is for, and after the usual time of such calls another.
pub(crate) async fn run<M: Method>(node: Node, mut ask: Ask<'_, M>) -> Answer<M> {
    let found = Roster::find(&node, &mut ask, Wait::Somebody).await;
    let mut roster = found.map_err(|found| nobody::<M>(found, Log::default()))?;
    if roster.itself.is_some() && roster.targets.len() == 1 {
        return unicast::run(node, ask, None).await;
    }
    if Instant::now() >= ask.term.deadline() {
        // Finding the nodes took all the time there was.
        return Err(CallError::Deadline(Log::default()));
    }
    node.retries().deposit();
    let mut draw = roster.draw(&node, &ask);
    let mut order = roster.order(&node, &ask, &mut draw);
    let mut failover = FailoverMachine::new(order.len(), true);
    let usual = node.usual_time(ask.method.wire_id());
    let mut arguments = Arguments::new(&node, ask.started, ask.args.take());
    let mut log = Log::default();
    let mut running = FuturesUnordered::new();
    // Where the running attempts are, and since when.
    let mut open: Vec<(usize, Instant)> = Vec::new();
    let mut second_at = Instant::now() + usual.get();
    let mut hedged = false;
    let mut next = true;
    loop {
        if std::mem::take(&mut next)
            && let Some(at) = order.next()
        {
            match begin(&node, &ask, &roster, at, &mut arguments) {
                Ok(attempt) => {
                    open.push((at, Instant::now()));
                    running.push(attempt);
                }
                // What cannot be sent to a second node does not end the attempt on the first.
                Err(_) if !running.is_empty() => {}
                Err(unsent) => {
                    log.extend(left_behind(&roster, &open));
                    return give_up::<M>(ask.method, Tried::Answered(Err(unsent)), log);
                }
            }
        }
        let (at, tried) = tokio::select! {
            biased;
            Some(ended) = running.next() => ended,
            () = sleep_until(second_at), if !hedged && failover.has_next() => {
                hedged = true;
                next = failover.hedge(node.retries());
                if next {
                    measures::hedged(node.name());
                }
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
        if let Tried::Answered(Ok(_)) = &tried {
            return give_up(ask.method, tried, log);
        }
        if let (Tried::Answered(Err(CallError::Deadline(late))), false) =
            (&tried, running.is_empty())
        {
            // The other attempt was given more time.
            log.extend(late.attempts().iter().cloned());
            continue;
        }
        if let Tried::Broken(broken) = &tried
            && broken.term.deadline() > ask.term.deadline()
        {
            ask.term = broken.term;
        }
        let Some(failed) = tried.failed() else {
            // What still runs is given up, and belongs to the story of the error.
            log.extend(left_behind(&roster, &open));
            return give_up(ask.method, tried, log);
        };
        if !running.is_empty() && !failover.has_next() {
            // Another attempt may still bring the answer.
            failover.note(failed);
            note(tried, &mut log);
            continue;
        }
        let remaining = ask.term.deadline().saturating_duration_since(Instant::now());
        let step = failover.on_failure(failed, remaining, node.retries(), &mut draw.rng);
        if !matches!(step, Step::GiveUp) {
            measures::retried(node.name());
        }
        match step {
            Step::GiveUp if running.is_empty() => return give_up(ask.method, tried, log),
            Step::GiveUp => note(tried, &mut log),
            Step::TryNext => {
                note(tried, &mut log);
                next = true;
            }
            Step::StartOver { after } => {
                note(tried, &mut log);
                roster = match look_again(&node, &mut ask, after).await {
                    Ok(found) => found,
                    Err(found) => return Err(nobody::<M>(found, log)),
                };
                order = roster.order(&node, &ask, &mut draw);
                failover.recount(order.len());
                second_at = Instant::now() + usual.get();
                (hedged, next) = (false, true);
            }
        }
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
    let heard = ask.heard.clone();
    match (&ask.local, roster.targets.get(at)) {
        (Some(served), _) if roster.itself == Some(at) => {
            let args = arguments.take(true)?;
            let times = (ask.started, term);
            let local = Local::<M>::new(Arc::clone(served), Some(node), Some(args), times, watch);
            let local = local.with(ask.headers.clone()).heard(heard);
            Ok(local.map(move |answer| (at, Tried::local(answer))).boxed())
        }
        (_, Some(target)) => {
            let (body, target) = (arguments.encoded()?, target.clone());
            let (moves_on, headers) = (roster.targets.len() > 1, ask.headers.clone());
            let patience = Patience { term, moved: None, moves_on, headers };
            let method = ask.method;
            let call = async move {
                let watch = watch.as_ref();
                let made = leg::remote::<M>(&node, method, &target, body, patience, watch).await;
                (at, Tried::remote(made, &target, heard.as_ref()))
            };
            Ok(call.boxed())
        }
        (_, None) => Err(CallError::Disconnected(Log::default())),
    }
}
