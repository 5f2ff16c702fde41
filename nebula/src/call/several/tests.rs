use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use futures_util::Stream;
use macula::rpc::{Moved, Term};

use super::super::reply::tests::node;
use super::*;
use crate::service::info::{MethodInfo, ServiceInfo};
use crate::service::method::Service;
use crate::service::shape::Shape;

struct Api;
struct Cancelled;
struct Finished;

impl Service for Api {
    const INFO: &'static ServiceInfo = &ServiceInfo::new("Api", &[Cancelled::INFO, Finished::INFO]);
}

impl Method for Cancelled {
    type Api = Api;
    type Args = ();
    type Reply = u8;
    type Shape = Shape<false>;
    const INFO: &'static MethodInfo =
        &MethodInfo::new("Api", "cancelled", "()->u8").stragglers_cancel();
}

impl Method for Finished {
    type Api = Api;
    type Args = ();
    type Reply = u8;
    type Shape = Shape<false>;
    const INFO: &'static MethodInfo =
        &MethodInfo::new("Api", "finished", "()->u8").index(1).stragglers_finish();
}

fn until<const N: usize>(deadlines: [Instant; N]) -> Clocks {
    let clock = |deadline| Clock::there(Term::fixed(deadline), Moved::default());
    deadlines.into_iter().map(clock).collect()
}

/// One leg answers at once, the other after `slow`; says whether the latter came to its end, ten
/// seconds after the first answer decided the call.
async fn straggler_ends<M: Method<Reply = u8, Shape = Shape<false>>>(slow: Duration) -> bool {
    let ended = Arc::new(AtomicBool::new(false));
    let straggler = {
        let ended = Arc::clone(&ended);
        async move {
            tokio::time::sleep(slow).await;
            ended.store(true, SeqCst);
            (1, Ok(1), Headers::new())
        }
    };
    let quick = stream::once(async { (0, Ok(0), Headers::new()) });
    let results = stream::select(quick, stream::once(straggler)).boxed();
    let deadline = Instant::now() + Duration::from_secs(5);
    let none = Legs::none(Why::new("Api", "slow"), until([deadline, deadline]), deadline);
    let stragglers = M::INFO.stragglers().unwrap();
    let mut legs = Legs::<M> { results, stragglers, ..none };
    assert!(matches!(legs.next().await.unwrap()[..], [(0, Ok(0), _)]));
    legs.decided();
    tokio::time::sleep(Duration::from_secs(10)).await;
    ended.load(SeqCst)
}

#[tokio::test(start_paused = true)]
async fn stragglers_end_as_the_method_says_and_never_after_the_deadline() {
    let second = Duration::from_secs(1);
    assert!(!straggler_ends::<Cancelled>(second).await);
    assert!(straggler_ends::<Finished>(second).await);
    assert!(!straggler_ends::<Finished>(6 * second).await);
}

/// Legs to two nodes with these results.
fn legs(
    deadlines: [Instant; 2],
    results: impl Stream<Item = Told<Finished>> + Send + 'static,
) -> Legs<Finished> {
    let none = Legs::none(Why::new("A", "b"), until(deadlines), deadlines[1]);
    Legs { targets: vec![node(1), node(2)], results: results.boxed(), ..none }
}

/// The indexes of those that are late.
fn late(came: &[Came<Finished>]) -> Vec<usize> {
    let late = came.iter().filter(|came| matches!(came.1, Err(CallError::Deadline(_))));
    late.map(|came| came.0).collect()
}

#[tokio::test(start_paused = true)]
async fn each_deadline_ends_the_legs_that_it_is_of() {
    let (start, second) = (Instant::now(), Duration::from_secs(1));
    let mut legs = legs([start + 3 * second, start + 2 * second], stream::pending());
    assert_eq!(late(&legs.next().await.unwrap()), [1]);
    assert_eq!(start.elapsed(), 2 * second);
    assert_eq!(late(&legs.next().await.unwrap()), [0]);
    assert_eq!(start.elapsed(), 3 * second);
}

/// Whether the leg's own timer fires first or the clock of all: what it ends ends together.
#[tokio::test(start_paused = true)]
async fn legs_of_one_deadline_end_together() {
    let deadline = Instant::now() + Duration::from_secs(2);
    for own_timer in [false, true] {
        let late_leg = async move {
            if own_timer {
                tokio::time::sleep_until(deadline).await;
            } else {
                std::future::pending::<()>().await;
            }
            (1, Err(CallError::Deadline(Log::default())), Headers::new())
        };
        let mut legs = legs([deadline; 2], stream::once(late_leg));
        let mut ended = late(&legs.next().await.unwrap());
        ended.sort_unstable();
        assert_eq!(ended, [0, 1], "{own_timer}");
    }
}
