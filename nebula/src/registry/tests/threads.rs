//! What several threads do at once.

use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::Duration;

use super::super::{Domain, Registry, ValueError};

const THREADS: i64 = 4;
const TIMES: i64 = 100;

/// Runs what must not wait for ever, in a thread of its own.
pub(super) fn in_time(work: impl FnOnce() + Send + 'static) {
    let (done, result) = mpsc::channel();
    thread::spawn(move || {
        work();
        done.send(()).unwrap();
    });
    // A minute is no figure: it is for whoever waits for a deadlock.
    match result.recv_timeout(Duration::from_secs(60)) {
        Ok(()) => {}
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("a deadlock"),
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("the work panicked"),
    }
}

/// KV.2: of many who want a name at once one has it.
#[test]
fn one_of_many_has_the_name() {
    in_time(|| {
        for _ in 0..20 {
            let (registry, start) = (Registry::default(), Barrier::new(THREADS as usize));
            let guards: Vec<_> = thread::scope(|scope| {
                let threads: Vec<_> = (0..THREADS)
                    .map(|number| {
                        let (registry, start) = (&registry, &start);
                        scope.spawn(move || {
                            start.wait();
                            registry.register("name", number)
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let has: Vec<_> = guards.iter().flatten().collect();
            assert_eq!(has.len(), 1);
            assert_eq!(registry.get::<i64>("name").as_deref(), Some(&***has[0]));
        }
    });
}

/// KV.4: nothing that many change at once is lost.
#[test]
fn changes_are_one_after_the_other() {
    in_time(|| {
        let domain = Registry::default().domain("domain");
        domain.put("sum", 0_i64);
        thread::scope(|scope| {
            for number in 0..THREADS {
                let domain = &domain;
                scope.spawn(move || {
                    for time in 0..TIMES {
                        domain.increment("sum", 1).unwrap();
                        domain
                            .update("sum", |sum: &mut i64| {
                                thread::yield_now();
                                *sum += 1;
                            })
                            .unwrap();
                        // Half of these are there already.
                        domain.insert_unique("list", (number / 2) * TIMES + time).unwrap();
                    }
                });
            }
        });
        assert_eq!(domain.get::<i64>("sum").as_deref(), Some(&(2 * THREADS * TIMES)));
        let mut list = Vec::clone(&domain.get::<Vec<i64>>("list").unwrap());
        list.sort_unstable();
        assert_eq!(list, (0..THREADS / 2 * TIMES).collect::<Vec<_>>());
    });
}

/// KV.4: what would write waits for an update of the same value, and begins with what that made;
/// what reads, and other values, do not wait.
#[test]
fn writers_wait_for_an_update_and_readers_do_not() {
    type Writer = fn(&Domain) -> i64;
    let writers: [(Writer, i64); 4] = [
        (|domain| *domain.put("sum", 2_i64).unwrap(), 10),
        (|domain| domain.remove("sum").into(), 1),
        (|domain| domain.increment("sum", 5).unwrap(), 15),
        (|domain| domain.update("sum", |sum: &mut i64| *sum).unwrap(), 10),
    ];
    for (writer, seen) in writers {
        in_time(move || {
            let domain = Registry::default().domain("domain");
            domain.put("sum", 1_i64);
            domain.put("other", 1_i64);
            let ((begun, has_begun), (go, may_go)) = (mpsc::channel(), mpsc::channel::<()>());
            let (written, is_written) = mpsc::channel();
            thread::scope(|scope| {
                let domain = &domain;
                let update = scope.spawn(move || {
                    domain.update("sum", |sum: &mut i64| {
                        begun.send(()).unwrap();
                        may_go.recv().unwrap();
                        *sum *= 10;
                    })
                });
                has_begun.recv().unwrap();
                scope.spawn(move || written.send(writer(domain)).unwrap());

                assert_eq!(domain.get::<i64>("sum").as_deref(), Some(&1));
                assert!(!domain.put_new("sum", 3_i64));
                assert_eq!(domain.increment("other", 1), Ok(2));
                assert_eq!(domain.update("other", |other: &mut i64| *other), Ok(2));
                // However late it comes: it is not before the update.
                assert!(is_written.recv_timeout(Duration::from_millis(20)).is_err());
                go.send(()).unwrap();
                assert_eq!(update.join().unwrap(), Ok(()));
                assert_eq!(is_written.recv(), Ok(seen));
            });
        });
    }
}

/// A list that goes while somebody waits to add to it is made anew.
#[test]
fn a_list_that_is_removed_begins_again() {
    in_time(|| {
        let domain = Registry::default().domain("domain");
        domain.put("list", vec![1_u8]);
        let ((begun, has_begun), (go, may_go)) = (mpsc::channel(), mpsc::channel::<()>());
        let (inserted, is_inserted) = mpsc::channel();
        thread::scope(|scope| {
            let domain = &domain;
            scope.spawn(move || {
                let removed = domain.update("list", |_: &mut Vec<u8>| {
                    begun.send(()).unwrap();
                    may_go.recv().unwrap();
                    domain.remove("list")
                });
                assert!(matches!(removed, Err(ValueError::Overtaken { .. })), "{removed:?}");
            });
            has_begun.recv().unwrap();
            scope.spawn(move || inserted.send(domain.insert_unique("list", 1_u8)).unwrap());
            assert!(is_inserted.recv_timeout(Duration::from_millis(20)).is_err());
            go.send(()).unwrap();
            assert_eq!(is_inserted.recv(), Ok(Ok(true)));
        });
        assert_eq!(*domain.get_or("list", Vec::<u8>::new()), [1]);
    });
}

/// Two that update in opposite orders: neither waits for the other inside its update.
#[test]
fn opposite_orders_are_no_deadlock() {
    in_time(|| {
        let domain = Registry::default().domain("domain");
        domain.put("a", 0_i64);
        domain.put("b", 0_i64);
        let both_are_in = Barrier::new(2);
        let cross = |mine: &str, theirs: &str| {
            domain.update(mine, |value: &mut i64| {
                *value += 1;
                both_are_in.wait();
                domain.increment(theirs, 1)
            })
        };
        let results = thread::scope(|scope| {
            let other = scope.spawn(|| cross("b", "a"));
            [cross("a", "b"), other.join().unwrap()]
        });
        for result in results {
            assert!(matches!(result, Ok(Err(ValueError::Nested { .. }))), "{result:?}");
        }
        assert_eq!((*domain.get_or("a", 9_i64), *domain.get_or("b", 9_i64)), (1, 1));
    });
}

/// An update that is overtaken from inside that of another value, which does not wait.
#[test]
fn a_put_inside_an_update_waits_for_nobody() {
    in_time(|| {
        let domain = Registry::default().domain("domain");
        domain.put("a", 0_i64);
        domain.put("b", 0_i64);
        let ((begun, has_begun), (go, may_go)) = (mpsc::channel(), mpsc::channel::<()>());
        let overtaken = thread::scope(|scope| {
            let (domain, begun) = (&domain, &begun);
            let update = scope.spawn(move || {
                domain.update("a", |a: &mut i64| {
                    begun.send(()).unwrap();
                    may_go.recv().unwrap();
                    *a = 1;
                })
            });
            has_begun.recv().unwrap();
            domain.update("b", |_: &mut i64| drop(domain.put("a", 7_i64))).unwrap();
            // Nobody changes it any more, so nobody waits.
            assert_eq!(domain.increment("a", 1), Ok(8));
            go.send(()).unwrap();
            update.join().unwrap()
        });
        assert!(matches!(overtaken, Err(ValueError::Overtaken { .. })), "{overtaken:?}");
        assert_eq!(*domain.get_or("a", 9_i64), 8);
    });
}
