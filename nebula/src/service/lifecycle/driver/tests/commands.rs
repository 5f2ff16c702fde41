//! What the operator asks for, and when it is answered.

use std::pin::pin;

use futures_util::FutureExt;
use futures_util::future::{join, join_all, join3};
use tokio::time::timeout;

use super::body::Start;
use super::*;

#[tokio::test(start_paused = true)]
async fn start_ends_when_it_runs() {
    // LC-29, LC-31, gotcha 21.
    let fake = Fake::starting([Start::Slow]);
    let users = service(&fake);
    assert_eq!(users.status().running, Running::Stopped);
    let began = Instant::now();
    assert_eq!(users.start().await, Ok(()));
    assert_eq!(began.elapsed(), SECOND);
    assert!(users.status().accepts_calls());
    assert_eq!(fake.log(), "stopped>starting start starting>running advertise");
    // A second one only waits.
    assert_eq!(users.start().await, Ok(()));
    assert_eq!(fake.log(), "");
}

#[tokio::test(start_paused = true)]
async fn started_paused_it_starts_nothing() {
    // LC-18
    let fake = Fake::new();
    let users = with(&fake, |settings| settings.paused = true);
    assert_eq!(users.start().await, Ok(()));
    assert_eq!((users.status().admin, users.status().running), (Admin::Paused, Running::Paused));
    assert_eq!(fake.log(), "stopped>pausing pausing>paused");
    assert_eq!(users.set_admin(Admin::Active, "go").await, Ok(()));
    assert_eq!(fake.log(), "paused>starting start starting>running advertise");
}

#[tokio::test(start_paused = true)]
async fn there_and_back() {
    // LC-6 to LC-10, LC-12, LC-14.
    let fake = Fake::new();
    let users = service(&fake);
    users.start().await.unwrap();
    fake.log();
    for (admin, running, done) in [
        (Admin::Paused, Running::Paused, "withdraw running>pausing pausing>paused"),
        (Admin::Paused, Running::Paused, ""),
        (Admin::Active, Running::Running, "paused>starting starting>running advertise"),
        (Admin::Inactive, Running::Stopped, "withdraw running>stopping stop stopping>stopped"),
        (Admin::Inactive, Running::Stopped, ""),
        (Admin::Active, Running::Running, "stopped>starting start starting>running advertise"),
    ] {
        let reason = format!("to be {admin}");
        assert_eq!(users.set_admin(admin, reason.as_str()).await, Ok(()));
        let status = users.status();
        assert_eq!((status.admin, status.running), (admin, running));
        assert_eq!(*status.reason, *reason);
        assert_eq!(fake.log(), done);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_during_a_start_is_carried_out_after_it() {
    let fake = Fake::starting([Start::Slow]);
    let users = service(&fake);
    let (started, paused) = join(users.start(), users.set_admin(Admin::Paused, "wait")).await;
    assert_eq!((started, paused), (Ok(()), Ok(())));
    let said = "stopped>starting start starting>pausing pausing>paused";
    assert_eq!(fake.log(), said);

    let fake = Fake::starting([Start::Slow]);
    let users = service(&fake);
    let (activated, stopped) =
        join(users.set_admin(Admin::Active, "go"), users.set_admin(Admin::Inactive, "no, do not"))
            .await;
    assert_eq!((activated, stopped), (Err(LifecycleError::Superseded), Ok(())));
    assert_eq!(fake.log(), "stopped>starting start starting>stopping stop stopping>stopped");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_changes_nothing() {
    let fake = Fake::starting([Start::Slow]);
    let users = service(&fake);
    {
        let start = pin!(users.start());
        assert_eq!(start.now_or_never(), None);
    }
    reaches(&users, Running::Running).await;
    // Nor does the last handle.
    let mut watch = users.watch();
    *fake.lifecycle.lock().unwrap() = None;
    drop(users);
    tokio::time::sleep(SECOND).await;
    assert!(watch.borrow_and_update().accepts_calls());
    fake.log();
    fake.report("db", "gone");
    watch.wait_for(|status| status.running == Running::Failed).await.unwrap();
    watch.wait_for(|status| status.accepts_calls()).await.unwrap();
}

/// Those who have given up take no place of those who wait.
#[tokio::test(start_paused = true)]
async fn callers_that_go_away_leave_their_places() {
    let fake = Fake::starting([Start::Slow]);
    let users = service(&fake);
    let gone = timeout(SECOND / 2, join_all((0..2 * WAITERS).map(|_| users.start()))).await;
    assert!(gone.is_err());
    let drained = timeout(SECOND / 4, users.drain(SECOND)).await.expect("it is heard");
    assert_eq!(drained, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn stop_drains_stops_and_ends() {
    let fake = Fake::new();
    let users = service(&fake);
    users.start().await.unwrap();
    fake.log();
    let call = fake.calls.acquire().await.unwrap();
    let began = Instant::now();
    let (stopped, again, ()) = join3(users.stop("move"), users.stop("move"), async {
        tokio::time::sleep(SECOND).await;
        // The call goes on, new ones are refused.
        assert_eq!(fake.log(), "withdraw");
        assert!(!users.status().accepts_calls() && users.status().draining);
        drop(call);
    })
    .await;
    assert_eq!((stopped, again), (Ok(()), Ok(())));
    assert_eq!(began.elapsed(), SECOND);
    assert_eq!(fake.log(), "running>stopping stop stopping>stopped");
    let status = users.status();
    assert_eq!((status.admin, status.running), (Admin::Inactive, Running::Stopped));
    assert_eq!(&*status.reason, "move");
    // Nothing holds the service any more, and nothing can be asked of it.
    assert_eq!(Arc::strong_count(&fake), 1);
    assert_eq!(users.set_admin(Admin::Active, "go").await, Err(LifecycleError::Stopped));
    assert_eq!(users.start().await, Err(LifecycleError::Stopped));
    assert_eq!(users.stop("again").await, Err(LifecycleError::Stopped));
    assert_eq!(users.drain(SECOND).await, Err(LifecycleError::Stopped));
    assert_eq!(users.readiness().await.len(), 1);
    assert_eq!(fake.log(), "");
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_calls_no_longer_than_the_grace() {
    let fake = Fake::new();
    let users = service(&fake);
    users.start().await.unwrap();
    fake.log();
    let _call = fake.calls.acquire().await.unwrap();
    let began = Instant::now();
    let (stopped, other, ()) = join3(
        users.stop("move"),
        async {
            tokio::time::sleep(SECOND).await;
            users.set_admin(Admin::Active, "no").await
        },
        async {
            tokio::time::sleep(9 * SECOND).await;
            assert_eq!(fake.log(), "withdraw");
        },
    )
    .await;
    assert_eq!((stopped, other), (Ok(()), Err(LifecycleError::Stopped)));
    assert_eq!(began.elapsed(), 10 * SECOND);
    assert_eq!(fake.log(), "running>stopping stop stopping>stopped");
}

#[tokio::test(start_paused = true)]
async fn deactivating_can_be_taken_back_while_calls_end() {
    let fake = Fake::new();
    let users = service(&fake);
    users.start().await.unwrap();
    fake.log();
    let _call = fake.calls.acquire().await.unwrap();
    let (gone, back) = join(users.set_admin(Admin::Inactive, "move"), async {
        tokio::time::sleep(SECOND).await;
        users.set_admin(Admin::Active, "no").await
    })
    .await;
    assert_eq!((gone, back), (Err(LifecycleError::Superseded), Ok(())));
    assert_eq!(fake.log(), "withdraw advertise");
    assert!(users.status().accepts_calls());
}

#[tokio::test(start_paused = true)]
async fn drain_is_retryable_and_says_who_is_not_done() {
    // LC-23
    let fake = Fake::new();
    let users = service(&fake);
    users.start().await.unwrap();
    fake.log();
    let call = fake.calls.acquire().await.unwrap();
    let calls = NotReady::new("calls", "1 still runs");
    assert_eq!(users.drain(SECOND).await, Err(LifecycleError::NotDrained(vec![calls])));
    drop(call);
    let mails = NotReady::new("mails", "3 to send");
    *fake.busy.lock().unwrap() = vec![mails.clone()];
    let error = users.drain(SECOND).await.unwrap_err();
    assert_eq!(error, LifecycleError::NotDrained(vec![mails]));
    assert_eq!(error.to_string(), "the service is not drained: mails: 3 to send");
    let (drained, ()) = join(users.drain(5 * SECOND), async {
        tokio::time::sleep(SECOND).await;
        fake.busy.lock().unwrap().clear();
    })
    .await;
    assert_eq!(drained, Ok(()));
    // It goes on, takes no calls, and activated it does again.
    let status = users.status();
    assert!(status.running == Running::Running && status.draining);
    assert_eq!(fake.log(), "withdraw");
    assert_eq!(users.drain(Duration::ZERO).await, Ok(()));
    assert_eq!(users.set_admin(Admin::Active, "back").await, Ok(()));
    assert!(users.status().accepts_calls());
    assert_eq!(fake.log(), "advertise");
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_when_the_service_takes_calls_again() {
    let fake = Fake::new();
    let users = service(&fake);
    users.start().await.unwrap();
    let _call = fake.calls.acquire().await.unwrap();
    let (drained, back) = join(users.drain(Duration::MAX), async {
        tokio::time::sleep(SECOND).await;
        users.set_admin(Admin::Active, "back").await
    })
    .await;
    assert_eq!((drained, back), (Err(LifecycleError::Superseded), Ok(())));
}

#[tokio::test(start_paused = true)]
async fn more_callers_than_places_are_all_answered() {
    let fake = Fake::starting([Start::Slow]);
    let users = service(&fake);
    let all = (0..3 * WAITERS).map(|_| users.start());
    let all = join_all(all).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(fake.log(), "stopped>starting start starting>running advertise");
}
