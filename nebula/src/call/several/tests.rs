use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

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

/// One leg answers at once, the other after `slow`; says whether the latter came to its end, ten
/// seconds after the first answer decided the call.
async fn straggler_ends<M: Method<Reply = u8, Shape = Shape<false>>>(slow: Duration) -> bool {
    let ended = Arc::new(AtomicBool::new(false));
    let straggler = {
        let ended = Arc::clone(&ended);
        async move {
            tokio::time::sleep(slow).await;
            ended.store(true, SeqCst);
            (1, Ok(1))
        }
    };
    let quick = stream::once(async { (0, Ok(0)) });
    let results = stream::select(quick, stream::once(straggler)).boxed();
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut legs = Legs::<M> { results, ..Legs::none(Why::new("Api", "slow"), deadline) };
    assert!(matches!(legs.next().await, Some((0, Ok(0), _))));
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

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_the_waiting() {
    let deadline = Instant::now() + Duration::from_secs(2);
    let silent = stream::pending().boxed();
    let mut legs = Legs::<Finished> { results: silent, ..Legs::none(Why::new("A", "b"), deadline) };
    assert!(legs.next().await.is_none());
    assert_eq!(Instant::now(), deadline);
}
