//! What fails, hangs and panics.

use std::sync::atomic::Ordering::SeqCst;

use futures_util::FutureExt;

use super::body::{Hook, Start};
use super::*;
use crate::service::lifecycle::Failure;

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_says_so_and_is_tried_again_with_backoff() {
    // Gotchas 8 and 21.
    let fake = Fake::starting([Start::Fails, Start::Fails, Start::Fails]);
    let users = service(&fake);
    let began = Instant::now();
    let LifecycleError::Failed(failure) = users.start().await.unwrap_err() else { panic!() };
    assert_eq!((&*failure.who, &*failure.message, failure.attempt), ("db", "no route", 1));
    assert!(failure.retry_at.is_some());
    assert_eq!(fake.log(), "stopped>starting start stop starting>failed");
    assert!(!users.status().is_live());
    reaches(&users, Running::Running).await;
    // 1 + 2 + 4 seconds, ± 10 %.
    let took = began.elapsed();
    assert!(took >= 7 * SECOND * 9 / 10 && took <= 7 * SECOND * 11 / 10 + 10 * MS, "{took:?}");
    assert_eq!(users.start().await, Ok(()));
    assert_eq!(users.status().error, None);
}

#[tokio::test(start_paused = true)]
async fn asked_for_what_it_fails_to_be_it_says_so() {
    let fake = Fake::starting([Start::Fails]);
    let users = service(&fake);
    let failed = users.start().await.unwrap_err();
    // Failed is not paused either; but nothing is tried any more.
    let LifecycleError::Failed(failed) = failed else { panic!() };
    let untried = LifecycleError::Failed(Failure { retry_at: None, ..failed });
    assert_eq!(users.set_admin(Admin::Paused, "later").await, Err(untried));
    fake.log();
    tokio::time::sleep(1000 * SECOND).await;
    assert_eq!(fake.log(), "");
    assert_eq!(users.set_admin(Admin::Active, "now").await, Ok(()));
    assert_eq!(fake.log(), "failed>starting start starting>running advertise");
}

#[tokio::test(start_paused = true)]
async fn activated_what_has_failed_is_started_at_once() {
    let fake = Fake::starting([Start::Fails, Start::Fails, Start::Fails]);
    let users = service(&fake);
    users.start().await.unwrap_err();
    let began = Instant::now();
    for attempts in 1..3 {
        let LifecycleError::Failed(failed) =
            users.set_admin(Admin::Active, "please").await.unwrap_err()
        else {
            panic!()
        };
        assert!(failed.attempt == 1 && failed.retry_at.is_some(), "{attempts}: {failed}");
    }
    assert_eq!(users.set_admin(Admin::Active, "please").await, Ok(()));
    assert_eq!((began.elapsed(), &*users.status().reason), (Duration::ZERO, "please"));
}

#[tokio::test(start_paused = true)]
async fn what_a_start_that_failed_or_panicked_has_left_is_stopped() {
    for (start, who, why) in [
        (Start::Panics, "service", "a start hook did not end: it panicked: oh"),
        (Start::Fails, "db", "no route"),
    ] {
        let fake = Fake::starting([start]);
        let users = service(&fake);
        let LifecycleError::Failed(failure) = users.start().await.unwrap_err() else { panic!() };
        assert_eq!((&*failure.who, &*failure.message), (who, why));
        assert_eq!(fake.log(), "stopped>starting start stop starting>failed");
        reaches(&users, Running::Running).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_gives_up_fails_the_service_which_is_stopped_and_started() {
    let fake = Fake::new();
    let users = service(&fake);
    users.start().await.unwrap();
    fake.log();
    let old = fake.reporter.lock().unwrap().clone().unwrap();
    fake.report("mails", "3 restarts in 5 s");
    let failed = reaches(&users, Running::Failed).await;
    assert_eq!(&*failed.error.as_ref().unwrap().who, "mails");
    reaches(&users, Running::Running).await;
    let said = "withdraw running>failed stop failed>starting start starting>running advertise";
    tokio::time::sleep(MS).await;
    assert_eq!(fake.log(), said);
    // What the past reports is heard by nobody.
    old.failed("mails", "again");
    tokio::time::sleep(1000 * SECOND).await;
    assert_eq!(fake.log(), "");
}

#[tokio::test(start_paused = true)]
async fn what_gives_up_while_others_start_fails_the_start() {
    let fake = Fake::starting([Start::Slow]);
    let users = service(&fake);
    let reported = async {
        tokio::time::sleep(500 * MS).await;
        fake.report("mails", "3 restarts in 5 s");
    };
    let (started, ()) = futures_util::future::join(users.start(), reported).await;
    assert!(matches!(started, Err(LifecycleError::Failed(failure)) if &*failure.who == "mails"));
    assert_eq!(fake.log(), "stopped>starting start starting>failed stop");
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_panics_or_hangs_stops_nobody() {
    for hangs in [true, false] {
        let fake = Fake::new();
        fake.stop_hangs.store(hangs, SeqCst);
        fake.stop_panics.store(!hangs, SeqCst);
        let users = service(&fake);
        users.start().await.unwrap();
        fake.log();
        assert_eq!(users.stop("move").await, Ok(()));
        assert_eq!(fake.log(), "withdraw running>stopping stop stopping>stopped");
    }
}

#[tokio::test(start_paused = true)]
async fn status_hooks_may_do_anything_but_wait_for_their_service() {
    let reads: Hook = |users| {
        async move {
            let _ = (users.status(), users.readiness().await);
        }
        .boxed()
    };
    let waits: Hook = |users| {
        async move {
            let within = Err(LifecycleError::WithinHook);
            assert_eq!(users.set_admin(Admin::Paused, "no").await, within);
            assert_eq!(users.start().await, within);
            assert_eq!(users.stop("no").await, within);
            assert_eq!(users.drain(SECOND).await, within);
        }
        .boxed()
    };
    let panics: Hook = |_| async { panic!("oh") }.boxed();
    let hangs: Hook = |_| std::future::pending().boxed();
    // It cannot be told that it waits for itself, so it is given up like any that hangs.
    let joins: Hook = |users| {
        async move {
            let waiting = tokio::spawn(async move { users.start().await });
            let _ = waiting.await;
        }
        .boxed()
    };
    for (hook, seconds) in [(reads, 0), (waits, 0), (panics, 0), (hangs, 10), (joins, 10)] {
        let fake = Fake::new();
        *fake.hook.lock().unwrap() = Some(hook);
        let users = service(&fake);
        let began = Instant::now();
        assert_eq!(users.start().await, Ok(()));
        assert_eq!(began.elapsed().as_secs(), seconds);
        assert_eq!(fake.log(), "stopped>starting start starting>running advertise");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_may_ask_for_another_status_in_a_task() {
    let fake = Fake::new();
    *fake.hook.lock().unwrap() = Some(|users| {
        if users.status().running == Running::Failed {
            tokio::spawn(async move { users.set_admin(Admin::Inactive, "enough").await });
        }
        async {}.boxed()
    });
    let users = service(&fake);
    users.start().await.unwrap();
    fake.report("mails", "3 restarts in 5 s");
    reaches(&users, Running::Stopped).await;
    assert_eq!(&*users.status().reason, "enough");
}
