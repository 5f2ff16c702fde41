//! Only what runs and is ready is advertised.

use std::sync::atomic::Ordering::SeqCst;

use super::*;

fn cold() -> Vec<NotReady> {
    vec![NotReady::new("cache", "cold")]
}

#[tokio::test(start_paused = true)]
async fn without_readiness_hooks_nobody_is_asked() {
    let fake = Fake::new();
    let users = service(&fake);
    users.start().await.unwrap();
    tokio::time::sleep(100 * SECOND).await;
    assert_eq!(users.readiness().await, []);
    assert_eq!(fake.asked.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn it_is_advertised_when_it_is_ready() {
    // LC-20, LC-22
    let fake = Fake::new();
    fake.watches.store(true, SeqCst);
    *fake.waiting.lock().unwrap() = cold();
    let users = service(&fake);
    let not_started = users.readiness().await;
    assert_eq!(NotReady::list(&not_started), "service: stopped (not started yet)");
    assert_eq!(fake.asked.load(SeqCst), 0);

    users.start().await.unwrap();
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(fake.log(), "stopped>starting start starting>running");
    assert_eq!(users.readiness().await, cold());
    // At 0, 0.1, 0.3, 0.7, 1.5 s, then every second; and once just now.
    assert_eq!(fake.asked.swap(0, SeqCst), 5 + 8 + 1);

    fake.waiting.lock().unwrap().clear();
    tokio::time::sleep(SECOND).await;
    assert_eq!(fake.log(), "advertise");
    assert_eq!(users.readiness().await, []);
    *fake.waiting.lock().unwrap() = cold();
    tokio::time::sleep(SECOND).await;
    assert_eq!(fake.log(), "withdraw");

    // Paused nobody is asked, whatever they would say.
    users.set_admin(Admin::Paused, "night").await.unwrap();
    fake.log();
    fake.asked.store(0, SeqCst);
    fake.waiting.lock().unwrap().clear();
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(NotReady::list(&users.readiness().await), "service: paused (night)");
    assert_eq!((fake.asked.load(SeqCst), fake.log()), (0, String::new()));
    users.set_admin(Admin::Active, "morning").await.unwrap();
    tokio::time::sleep(MS).await;
    assert_eq!(fake.log(), "paused>starting starting>running advertise");
}

#[tokio::test(start_paused = true)]
async fn other_plugins_are_asked_from_then_on() {
    let fake = Fake::new();
    let users = service(&fake);
    users.start().await.unwrap();
    fake.log();
    fake.watches.store(true, SeqCst);
    *fake.waiting.lock().unwrap() = cold();
    users.refresh(false).await.unwrap();
    assert_eq!(fake.log(), "withdraw", "they have been asked");
    fake.watches.store(false, SeqCst);
    users.refresh(false).await.unwrap();
    assert_eq!(fake.log(), "advertise");
    fake.watches.store(true, SeqCst);
    fake.waiting.lock().unwrap().clear();
    users.refresh(false).await.unwrap();
    assert_eq!(fake.log(), "");
    users.refresh(true).await.unwrap();
    assert_eq!(fake.log(), "withdraw advertise", "not before they have been asked");
    users.set_admin(Admin::Paused, "night").await.unwrap();
    fake.log();
    users.refresh(true).await.unwrap();
    assert_eq!(fake.log(), "", "nobody is to be asked");
}

#[tokio::test(start_paused = true)]
async fn a_draining_service_is_not_ready() {
    let fake = Fake::new();
    let users = service(&fake);
    users.start().await.unwrap();
    users.drain(SECOND).await.unwrap();
    let said = NotReady::list(&users.readiness().await);
    assert_eq!(said, "service: running, draining (start)");
}
