use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::sync::oneshot;
use tokio::time::sleep;

use super::*;
use crate::service::children::{Restart, Strategy};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// What happened, in order.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn read(&self) -> String {
        std::mem::take(&mut *self.0.lock().unwrap()).join(" ")
    }
}

/// Notes that its owner is gone.
struct Gone(Journal, &'static str);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.note(format!("{} gone", self.1));
    }
}

/// Tells which of the children a test lets fail.
type Fails = Arc<Mutex<Vec<&'static str>>>;

/// Children that run until they are stopped or fail, looked at every 10 ms.
fn with(
    mut children: Children,
    journal: &Journal,
    names: &[(&'static str, Restart)],
    fails: &Fails,
) -> Children {
    for &(name, restart) in names {
        let (journal, fails) = (journal.clone(), Arc::clone(fails));
        children = children.child(name, restart, move |stop| {
            journal.note(format!("{name}+"));
            let (journal, fails) = (journal.clone(), Arc::clone(&fails));
            async move {
                while stop.run_until_cancelled(sleep(10 * MS)).await.is_some() {
                    let mut fails = fails.lock().unwrap();
                    if let Some(found) = fails.iter().position(|one| *one == name) {
                        fails.remove(found);
                        return Err("oh");
                    }
                }
                journal.note(format!("{name}-"));
                Ok(())
            }
        });
    }
    children
}

fn start(children: Children) -> RunningChildren {
    children.start("mails", |why| panic!("{why}")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn they_run_when_started_and_are_stopped_in_reverse() {
    // LC-4
    let (journal, fails) = (Journal::default(), Fails::default());
    let names = [("a", Restart::Always), ("b", Restart::OnFailure), ("c", Restart::Never)];
    let running = start(with(Children::new(), &journal, &names, &fails));
    assert_eq!(journal.read(), "a+ b+ c+");
    sleep(SECOND).await;
    running.stop(60 * SECOND).await;
    assert_eq!(journal.read(), "c- b- a-");
    sleep(SECOND).await;
    assert_eq!(journal.read(), "");
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_is_started_again_with_those_its_strategy_names() {
    let names = [
        ("a", Restart::Always),
        ("b", Restart::OnFailure),
        ("c", Restart::Never),
        ("d", Restart::Always),
    ];
    for (strategy, said) in [
        (Strategy::OneForOne, "b+"),
        (Strategy::OneForAll, "d- c- a- a+ b+ d+"),
        (Strategy::RestForOne, "d- c- b+ d+"),
    ] {
        let (journal, fails) = (Journal::default(), Fails::default());
        let children = Children::new().strategy(strategy);
        let running = start(with(children, &journal, &names, &fails));
        journal.read();
        fails.lock().unwrap().push("b");
        sleep(SECOND).await;
        assert_eq!(journal.read(), said, "{strategy:?}");
        running.stop(60 * SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_and_a_panic_are_failures_and_an_end_is_none() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = |ends: fn(usize) -> Result<(), String>| {
        let runs = Arc::clone(&runs);
        Children::new().child("a", Restart::OnFailure, move |_| {
            let run = runs.fetch_add(1, SeqCst);
            async move { ends(run) }
        })
    };
    for (ends, expected) in [
        ((|_| Ok(())) as fn(usize) -> _, 1),
        (|run| if run < 2 { Err("oh".into()) } else { Ok(()) }, 3),
        (|run| if run < 2 { panic!("oh") } else { Ok(()) }, 3),
    ] {
        runs.store(0, SeqCst);
        let running = start(counted(ends));
        sleep(SECOND).await;
        assert_eq!(runs.load(SeqCst), expected);
        running.stop(60 * SECOND).await;
    }
    // Also where the future is made.
    let (failed, told) = oneshot::channel();
    let children = Children::new().child("a", Restart::OnFailure, |_| {
        if true {
            panic!("oh");
        }
        async {}
    });
    let running = children.start("mails", |why| failed.send(why).unwrap()).unwrap();
    assert_eq!(told.await.unwrap().message, "it panicked: oh");
    running.stop(60 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn too_many_failures_are_told_once_and_the_others_go_on_until_stopped() {
    let (journal, fails) = (Journal::default(), Fails::default());
    let children = with(Children::new(), &journal, &[("a", Restart::Always)], &fails);
    let runs = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&runs);
    let children = children.child("b", Restart::Always, move |_| {
        counter.fetch_add(1, SeqCst);
        async { Err("no route") }
    });
    let (failed, told) = oneshot::channel();
    let began = Instant::now();
    let running = children.start("mails", |why| failed.send(why).unwrap()).unwrap();
    let said = "child `b` ended: no route; more than 3 restarts within 5s";
    assert_eq!(told.await.unwrap().to_string(), said);
    // It does not spin: the second restart waits 0.1 s, the third 0.2 s.
    assert_eq!((began.elapsed().as_millis() / 10, runs.load(SeqCst)), (30, 4));
    sleep(60 * SECOND).await;
    assert_eq!((journal.read().as_str(), runs.load(SeqCst)), ("a+", 4));
    running.stop(60 * SECOND).await;
    assert_eq!(journal.read(), "a-");
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_end_is_aborted_after_its_grace() {
    let journal = Journal::default();
    let (deaf, polite) = (journal.clone(), journal.clone());
    let children = Children::new()
        .child("polite", Restart::Always, move |stop| {
            let journal = polite.clone();
            async move {
                stop.cancelled().await;
                sleep(SECOND).await;
                journal.note("polite-");
            }
        })
        .child("deaf", Restart::Always, move |_| {
            let gone = Gone(deaf.clone(), "deaf");
            async move {
                let _gone = gone;
                std::future::pending::<Result<(), Infallible>>().await
            }
        });
    let running = start(children.grace(2 * SECOND));
    let began = Instant::now();
    running.stop(60 * SECOND).await;
    // Each has its own grace.
    assert_eq!(began.elapsed().as_secs(), 3);
    assert_eq!(journal.read(), "deaf gone polite-");
}

#[tokio::test(start_paused = true)]
async fn dropped_they_are_aborted() {
    let journal = Journal::default();
    let noted = journal.clone();
    let children = Children::new().child("a", Restart::Always, move |_| {
        let gone = Gone(noted.clone(), "a");
        async move {
            let _gone = gone;
            loop {
                sleep(SECOND).await;
            }
        }
    });
    let running = start(children);
    sleep(10 * SECOND).await;
    drop(running);
    sleep(MS).await;
    assert_eq!(journal.read(), "a gone");
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_nobody_waits_for_aborts() {
    let journal = Journal::default();
    let noted = journal.clone();
    let children = Children::new().child("a", Restart::Always, move |_| {
        let gone = Gone(noted.clone(), "a");
        async move {
            let _gone = gone;
            std::future::pending::<()>().await
        }
    });
    let running = start(children);
    assert!(timeout(SECOND, running.stop(60 * SECOND)).await.is_err());
    sleep(MS).await;
    assert_eq!(journal.read(), "a gone");
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_restarts() {
    let (journal, fails) = (Journal::default(), Fails::default());
    let children = Children::new().intensity(3, 3600 * SECOND);
    let running = start(with(children, &journal, &[("a", Restart::Always)], &fails));
    *fails.lock().unwrap() = vec!["a", "a"];
    // The second restart waits a tenth of a second.
    sleep(60 * MS).await;
    assert_eq!(journal.read(), "a+ a+");
    running.stop(60 * SECOND).await;
    sleep(SECOND).await;
    assert_eq!(journal.read(), "");
}

/// Those that are stopped since another one has failed have one grace for all too, once they are told
/// to hurry.
#[tokio::test(start_paused = true)]
async fn a_stop_in_a_restart_of_all_does_not_wait_for_each() {
    let (journal, fails) = (Journal::default(), Fails::default());
    let children = Children::new().strategy(Strategy::OneForAll).grace(10 * SECOND);
    let mut children = with(children, &journal, &[("a", Restart::Always)], &fails);
    for name in ["b", "c", "d", "e"] {
        children = children.child(name, Restart::Always, |_| std::future::pending::<()>());
    }
    let running = start(children);
    fails.lock().unwrap().push("a");
    sleep(SECOND).await;
    let began = Instant::now();
    running.stop(SECOND).await;
    // The grace of the one that is being stopped, of which a second is over, and that of all.
    assert!(began.elapsed() <= 20 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn how_many_there_may_be() {
    let many = |count| {
        (0..count).fold(Children::new(), |all, _| all.child("a", Restart::Never, |_| async {}))
    };
    let error = many(1025).start("mails", |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "1025 children are too many: a plugin may have 1024");
    let running = many(1024).start("mails", |_| {}).unwrap();
    sleep(MS).await;
    running.stop(60 * SECOND).await;
    start(Children::new()).stop(60 * SECOND).await;
}
