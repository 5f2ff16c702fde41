//! `UsersClient::local`: no node, no network.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures_util::poll;
use nebula::call::{CallError, Executed, Outcome, Phase};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use crate::contract::{PutError, UsersClient};
use crate::store::{BUSY, NEVER, PANICS, Probe, Store, ada};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[tokio::test]
async fn values_and_errors_come_back_as_they_are() {
    let users = UsersClient::local(Store::new());
    assert_eq!(users.find(7).await, Ok(Some(ada(7))));
    assert_eq!(users.find(0).await, Ok(None));
    assert_eq!(users.put(ada(1)).await, Ok(()));
    let refused: Result<(), CallError<PutError>> = users.put(ada(0)).await;
    assert_eq!(refused, Err(CallError::App(PutError::ReadOnly)));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_drops_a_pending_body_at_once() {
    let store = Store::new();
    let users = UsersClient::local(store.clone());
    let start = Instant::now();
    let mut call = users.find(NEVER).timeout(ms(200)).into_future();
    let error = (&mut call).await.unwrap_err();
    assert_eq!(start.elapsed().as_millis() / 10, 20);
    // The future of the call is still here, its body is not.
    assert_eq!(store.0.dropped.load(SeqCst), 1);
    assert_eq!(error.executed(), Executed::Yes);
    let attempt = &error.attempts()[0];
    assert_eq!((&*attempt.name, attempt.phase), ("local", Phase::Run));
    assert_eq!(attempt.outcome, Outcome::TimedOut);
    drop(call);
}

#[tokio::test]
async fn a_busy_body_cannot_outlive_the_deadline() {
    let store = Store::new();
    let users = UsersClient::local(store.clone());
    let error = users.find(BUSY).timeout(ms(20)).await.unwrap_err();
    assert!(matches!(error, CallError::Deadline(_)));
    assert_eq!(store.0.dropped.load(SeqCst), 1);
}

#[tokio::test]
async fn where_there_is_no_node_every_choice_means_the_one_service() {
    let users = UsersClient::local(Store::new());
    let nowhere = nebula::nodes::tag("nowhere");
    assert!(users.find(7).on(nowhere.clone()).await.is_ok());
    assert!(users.find(7).pick(|_| None).await.is_ok());
    assert_eq!(users.find(7).on(nowhere).all().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_nearest_timeout_wins() {
    let users = UsersClient::local(Store::new()).with(|options| options.timeout(ms(300)));
    let elapsed = async |call: nebula::Call<'_, crate::contract::__users::Find>| {
        let start = Instant::now();
        assert!(matches!(call.await, Err(CallError::Deadline(_))));
        start.elapsed().as_millis() / 10 * 10
    };
    assert_eq!(elapsed(users.find(NEVER)).await, 300);
    assert_eq!(elapsed(users.find(NEVER).timeout(ms(900))).await, 900);
    let plain = UsersClient::local(Store::new());
    assert_eq!(elapsed(plain.find(NEVER)).await, 5000);
}

#[tokio::test]
async fn a_timeout_of_zero_runs_nothing() {
    let store = Store::new();
    let users = UsersClient::local(store.clone());
    let error = users.find(7).timeout(Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, CallError::Deadline(_)));
    assert_eq!(error.executed(), Executed::No);
    assert!(error.to_string().contains("before anything was sent"), "{error}");
    assert_eq!(store.0.dropped.load(SeqCst), 0);
}

#[tokio::test]
async fn a_panic_is_the_calls_error_and_not_the_callers() {
    let users = UsersClient::local(Store::new());
    match users.find(PANICS).await.unwrap_err() {
        CallError::Panicked { message, log } => {
            assert_eq!(&*message, "the index is broken");
            assert_eq!(log.executed(), Executed::Yes);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(users.find(7).await, Ok(Some(ada(7))));
}

#[tokio::test(start_paused = true)]
async fn nested_calls_inherit_the_deadline() {
    let inner = UsersClient::local(Store::new());
    let middle = UsersClient::local(Store::of(Probe { next: Some(inner), ..Probe::default() }));
    let outer = UsersClient::local(Store::of(Probe { next: Some(middle), ..Probe::default() }));
    // Each hop asks for 60 seconds while 300 milliseconds are left, and takes 100 of them.
    let left = outer.remaining(2).timeout(ms(300)).await.unwrap();
    assert!(left > ms(190) && left <= ms(200), "{left:?}");
    // The innermost call is over first, and its callers may still say what they make of it.
    let start = Instant::now();
    assert_eq!(outer.remaining(2).timeout(ms(50)).await, Ok(Duration::MAX));
    assert_eq!(start.elapsed().as_millis() / 10, 5);
}

#[tokio::test]
async fn dropping_the_caller_drops_the_body_and_cancels_its_context() {
    let (tokens, mut contexts) = mpsc::unbounded_channel();
    let store = Store::of(Probe { tokens: Some(tokens), ..Probe::default() });
    let users = UsersClient::local(store.clone());
    let mut call = users.remaining(0).into_future();
    assert!(poll!(&mut call).is_pending());
    let cx = contexts.recv().await.unwrap();
    // A call made in a task of its own, on behalf of the handler.
    let (other, helper) = (Store::new(), UsersClient::local(Store::new()));
    let in_task = UsersClient::local(other.clone()).within(&cx);
    let mut nested = in_task.find(NEVER).into_future();
    assert!(poll!(&mut nested).is_pending());
    assert_eq!(store.0.running.load(SeqCst), 1);

    drop(call);
    assert_eq!(store.0.dropped.load(SeqCst), 1);
    cx.cancelled().await;
    let error = nested.await.unwrap_err();
    assert!(matches!(error, CallError::Cancelled(_)), "{error:?}");
    assert_eq!(other.0.dropped.load(SeqCst), 1);
    // A call that would only begin now does not begin.
    let late = helper.within(&cx).find(7).await.unwrap_err();
    assert_eq!(late.executed(), Executed::No);
}

#[tokio::test(start_paused = true)]
async fn a_returned_handler_leaves_its_tasks_their_deadline() {
    let (tokens, mut contexts) = mpsc::unbounded_channel();
    let store = Store::of(Probe { tokens: Some(tokens), ..Probe::default() });
    UsersClient::local(store).remaining(0).timeout(ms(500)).await.unwrap();
    let cx = contexts.recv().await.unwrap();
    assert!(cx.caller().is_none());
    let users = UsersClient::local(Store::new()).within(&cx);
    assert_eq!(users.find(7).await, Ok(Some(ada(7))));
    let start = Instant::now();
    assert!(matches!(users.find(NEVER).await, Err(CallError::Deadline(_))));
    assert_eq!(start.elapsed().as_millis() / 10, 40);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_begins_after_the_deadline_around_it_runs_nothing() {
    let (tokens, mut contexts) = mpsc::unbounded_channel();
    let store = Store::of(Probe { tokens: Some(tokens), ..Probe::default() });
    UsersClient::local(store).remaining(0).timeout(ms(500)).await.unwrap();
    let cx = contexts.recv().await.unwrap();
    tokio::time::sleep(ms(500)).await;
    let store = Store::new();
    let error = UsersClient::local(store.clone()).within(&cx).find(7).await.unwrap_err();
    assert!(matches!(error, CallError::Deadline(_)), "{error:?}");
    assert_eq!((error.executed(), store.0.dropped.load(SeqCst)), (Executed::No, 0));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_waits_first_and_then_returns_is_in_time() {
    let store = Store::of(Probe { turn: Some(Semaphore::new(0)), ..Probe::default() });
    let users = UsersClient::local(store.clone());
    let mut call = users.put(ada(1)).timeout(ms(200)).into_future();
    assert!(poll!(&mut call).is_pending());
    tokio::time::sleep(ms(150)).await;
    assert!(poll!(&mut call).is_pending());
    store.0.turn.as_ref().unwrap().add_permits(1);
    assert_eq!(call.await, Ok(()));
    let start = Instant::now();
    let error = users.put(ada(1)).timeout(ms(200)).await.unwrap_err();
    assert!(matches!(error, CallError::Deadline(_)), "{error:?}");
    assert_eq!(start.elapsed().as_millis() / 10, 20);
}

#[tokio::test(start_paused = true)]
async fn however_a_call_ends_its_place_is_free_again() {
    let store = Store::of(Probe { turn: Some(Semaphore::new(0)), ..Probe::default() });
    let users = UsersClient::local(store.clone());
    let ready = async |id: u64| {
        store.0.turn.as_ref().unwrap().add_permits(1);
        users.put(ada(id)).await
    };
    // More than once round the count of those whose time is taken.
    for _ in 0..300 {
        assert_eq!(ready(1).await, Ok(()));
    }
    assert_eq!(ready(0).await, Err(CallError::App(PutError::ReadOnly)));
    let mut given_up = users.put(ada(1)).into_future();
    assert!(poll!(&mut given_up).is_pending());
    drop(given_up);
    assert!(matches!(users.put(ada(1)).timeout(ms(9)).await, Err(CallError::Deadline(_))));
    assert_eq!(ready(1).await, Ok(()));
    assert_eq!((store.0.most.load(SeqCst), store.0.running.load(SeqCst)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn max_concurrent_and_queue_hold() {
    let store = Store::of(Probe { turn: Some(Semaphore::new(0)), ..Probe::default() });
    let users = UsersClient::local(store.clone());
    let mut first = users.put(ada(1)).into_future();
    let mut second = users.put(ada(2)).into_future();
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    let refused = users.put(ada(3)).await.unwrap_err();
    assert!(matches!(refused, CallError::Overloaded { .. }));
    assert_eq!(refused.executed(), Executed::No);
    // Methods without a bound of their own are not held up.
    assert_eq!(users.find(7).await, Ok(Some(ada(7))));

    // Who waits for a turn until the deadline has not run.
    let gone = second.await.unwrap_err();
    assert!(matches!(gone, CallError::Deadline(_)));
    assert_eq!((gone.executed(), gone.attempts()[0].phase), (Executed::No, Phase::Queue));

    let (store, users) = {
        let store = Store::of(Probe { turn: Some(Semaphore::new(9)), ..Probe::default() });
        (store.clone(), UsersClient::local(store))
    };
    let (one, two) = tokio::join!(users.put(ada(1)), users.put(ada(2)));
    assert_eq!((one, two, store.0.most.load(SeqCst)), (Ok(()), Ok(()), 1));
    drop(first);
}
