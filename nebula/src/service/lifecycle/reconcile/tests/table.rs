//! Each status in which the machine rests, against each event. What is not listed does nothing.

use super::*;

const EVENTS: [&str; 13] = [
    "active", "paused", "inactive", "drain", "ok", "err", "stopped", "drained", "child", "ready",
    "unready", "due", "shutdown",
];

/// The status, how a new machine gets there, and what is done at an event.
type Row = (&'static str, &'static [&'static str], &'static [(&'static str, &'static str)]);

const TABLE: &[Row] = &[
    (
        "inactive stopped",
        &[],
        &[
            // LC-29: a fresh start announces both.
            ("active", "stopped>starting start"),
            // LC-18: started paused, nothing is started.
            ("paused", "stopped>pausing pausing>paused"),
            ("drain", "[inactive draining]"),
            ("shutdown", "[inactive] finish"),
        ],
    ),
    (
        "active starting",
        &["active"],
        &[
            ("paused", "[paused]"),
            ("inactive", "[inactive]"),
            ("drain", "[active draining]"),
            ("ok", "starting>running"),
            ("err", "starting>failed"),
            ("shutdown", "[inactive]"),
        ],
    ),
    // What is asked for while a start is under way is done after it.
    (
        "paused starting",
        &["active", "paused"],
        &[
            ("active", "[active]"),
            ("inactive", "[inactive]"),
            ("drain", "[paused draining]"),
            ("ok", "starting>pausing pausing>paused"),
            ("err", "starting>failed"),
            ("shutdown", "[inactive]"),
        ],
    ),
    (
        "inactive starting",
        &["active", "inactive"],
        &[
            ("active", "[active]"),
            ("paused", "[paused]"),
            ("drain", "[inactive draining]"),
            ("ok", "starting>stopping stop"),
            ("err", "starting>failed failed>stopping stopping>stopped"),
            ("shutdown", "[inactive]"),
        ],
    ),
    (
        "active running",
        &["active", "ok", "ready"],
        &[
            // LC-6, LC-12, LC-14: what was started goes on.
            ("paused", "withdraw running>pausing pausing>paused"),
            ("inactive", "withdraw [inactive draining] drain"),
            // LC-23: a drained service goes on.
            ("drain", "withdraw [active draining]"),
            ("child", "withdraw running>failed stop"),
            ("unready", "withdraw"),
            ("shutdown", "withdraw [inactive draining] drain"),
        ],
    ),
    (
        "active running",
        &["active", "ok"],
        &[
            ("paused", "running>pausing pausing>paused"),
            ("inactive", "[inactive draining] drain"),
            ("drain", "[active draining]"),
            ("child", "running>failed stop"),
            ("ready", "advertise"),
            ("shutdown", "[inactive draining] drain"),
        ],
    ),
    (
        "active running, draining",
        &["active", "ok", "ready", "drain"],
        &[
            ("active", "[active] advertise"),
            ("paused", "running>pausing pausing>paused"),
            ("inactive", "[inactive draining] drain"),
            ("child", "running>failed stop"),
            ("shutdown", "[inactive draining] drain"),
        ],
    ),
    (
        "paused paused",
        &["active", "ok", "ready", "paused"],
        &[
            // LC-8, LC-14: nothing is started twice.
            ("active", "paused>starting starting>running"),
            ("inactive", "[inactive draining] drain"),
            ("drain", "[paused draining]"),
            ("child", "paused>failed stop"),
            ("shutdown", "[inactive draining] drain"),
        ],
    ),
    (
        "paused paused",
        &["paused"],
        &[
            // LC-18
            ("active", "paused>starting start"),
            ("inactive", "paused>stopping stopping>stopped"),
            ("drain", "[paused draining]"),
            ("shutdown", "paused>stopping stopping>stopped finish"),
        ],
    ),
    (
        "inactive running, draining",
        &["active", "ok", "ready", "inactive"],
        &[
            ("active", "cancel [active] advertise"),
            ("paused", "cancel running>pausing pausing>paused"),
            // LC-7, LC-14
            ("drained", "running>stopping stop"),
            ("child", "cancel running>failed failed>stopping stop"),
            ("shutdown", "[inactive draining]"),
        ],
    ),
    (
        "inactive paused, draining",
        &["active", "ok", "ready", "paused", "inactive"],
        &[
            ("active", "cancel paused>starting starting>running"),
            ("paused", "cancel [paused]"),
            ("drained", "paused>stopping stop"),
            ("child", "cancel paused>failed failed>stopping stop"),
            ("shutdown", "[inactive draining]"),
        ],
    ),
    (
        "inactive stopping",
        &["active", "ok", "ready", "inactive", "drained"],
        &[
            ("active", "[active]"),
            ("paused", "[paused]"),
            ("drain", "[inactive draining]"),
            ("stopped", "stopping>stopped"),
            ("shutdown", "[inactive]"),
        ],
    ),
    (
        "active stopping",
        &["active", "ok", "ready", "inactive", "drained", "active"],
        &[
            ("paused", "[paused]"),
            ("inactive", "[inactive]"),
            ("drain", "[active draining]"),
            // LC-9
            ("stopped", "stopping>stopped stopped>starting start"),
            ("shutdown", "[inactive]"),
        ],
    ),
    (
        "paused stopping",
        &["active", "ok", "ready", "inactive", "drained", "paused"],
        &[
            ("active", "[active]"),
            ("inactive", "[inactive]"),
            ("drain", "[paused draining]"),
            ("stopped", "stopping>stopped stopped>pausing pausing>paused"),
            ("shutdown", "[inactive]"),
        ],
    ),
    // Gotcha 8: what was started is stopped, once, before anything is started again.
    (
        "active failed",
        &["active", "ok", "ready", "child"],
        &[
            ("active", "[active]"),
            ("paused", "[paused]"),
            ("inactive", "[inactive]"),
            ("drain", "[active draining]"),
            ("shutdown", "[inactive]"),
        ],
    ),
    (
        "paused failed",
        &["active", "ok", "paused", "child"],
        &[
            ("active", "[active]"),
            ("inactive", "[inactive]"),
            ("drain", "[paused draining]"),
            ("shutdown", "[inactive]"),
        ],
    ),
    (
        "inactive failed",
        &["active", "ok", "child", "inactive"],
        &[
            ("active", "[active]"),
            ("paused", "[paused]"),
            ("drain", "[inactive draining]"),
            ("stopped", "failed>stopping stopping>stopped"),
            ("shutdown", "[inactive]"),
        ],
    ),
    (
        "active failed",
        &["active", "err"],
        &[
            ("active", "failed>starting start"),
            ("paused", "[paused]"),
            ("inactive", "failed>stopping stopping>stopped"),
            ("drain", "[active draining]"),
            ("due", "failed>starting start"),
            ("shutdown", "failed>stopping stopping>stopped finish"),
        ],
    ),
    // Gotcha 8: failed while paused is no dead end.
    (
        "paused failed",
        &["active", "err", "paused"],
        &[
            ("active", "failed>starting start"),
            ("inactive", "failed>stopping stopping>stopped"),
            ("drain", "[paused draining]"),
            ("shutdown", "failed>stopping stopping>stopped finish"),
        ],
    ),
];

#[test]
fn each_status_and_each_event() {
    for (status, script, row) in TABLE {
        assert!(row.iter().all(|(name, _)| EVENTS.contains(name)));
        for name in EVENTS {
            let mut bench = after(script);
            let now = bench.machine.status();
            let draining = if now.draining { ", draining" } else { "" };
            assert_eq!(format!("{} {}{draining}", now.admin, now.running), *status, "{script:?}");
            if name == "due" {
                bench.after(SECOND);
            }
            let listed = row.iter().find(|(event, _)| *event == name);
            let expected = listed.map_or("", |(_, words)| words);
            assert_eq!(bench.said(event(name)), expected, "{status} after {script:?}, {name}");
        }
    }
}

#[test]
fn each_status_it_can_rest_in_has_a_row() {
    // Running is passed on the way to somewhere else only with `active`, and so on.
    let rows = TABLE.iter().map(|(status, ..)| status.split(',').next().unwrap());
    let mut rows: Vec<_> = rows.collect();
    rows.sort_unstable();
    rows.dedup();
    let passed = ["active paused", "active stopped", "paused running", "paused stopped"];
    for admin in Admin::ALL {
        for running in Running::ALL {
            let status = format!("{admin} {running}");
            let passed = passed.contains(&status.as_str()) || running == Running::Pausing;
            assert_ne!(rows.contains(&status.as_str()), passed, "{status}");
        }
    }
}

#[test]
fn what_gives_up_during_a_start_fails_it_when_it_is_done() {
    let mut bench = after(&["active"]);
    assert_eq!(bench.all(&["child", "err"]), "starting>failed");
    let mut bench = after(&["active", "child"]);
    assert_eq!(bench.said(event("ok")), "starting>failed stop");
    // It is not held against the next one.
    bench.said(event("stopped"));
    bench.after(SECOND);
    assert_eq!(bench.all(&["due", "ok"]), "failed>starting start starting>running");
}

#[test]
fn a_failure_tells_who_why_since_when_how_often_and_until_when() {
    let mut bench = after(&["active"]);
    bench.after(SECOND);
    bench.on(event("err"));
    let failure = bench.machine.status().error.clone().unwrap();
    assert_eq!((&*failure.who, &*failure.message, failure.attempt), ("db", "gone", 1));
    assert_eq!(failure.since, SystemTime::UNIX_EPOCH + SECOND);
    assert_eq!(failure.retry_at, Some(SystemTime::UNIX_EPOCH + 2 * SECOND));
    assert_eq!(bench.machine.retry_at(), Some(bench.now.at + SECOND));
    // While it is tried again, that is still known; once it runs, it is over.
    bench.after(SECOND);
    bench.on(event("due"));
    assert_eq!(bench.machine.status().error, Some(failure));
    assert_eq!(bench.machine.retry_at(), None);
    bench.on(event("ok"));
    assert_eq!(bench.machine.status().error, None);
}

#[test]
fn failures_in_a_row_wait_longer_and_a_minute_of_running_forgives_them() {
    let mut bench = after(&["active"]);
    let mut waits = Vec::new();
    for _ in 0..3 {
        bench.on(event("err"));
        waits.push(bench.machine.retry_at().unwrap() - bench.now.at);
        bench.after(*waits.last().unwrap());
        bench.on(event("due"));
    }
    assert_eq!(waits, [SECOND, 2 * SECOND, 4 * SECOND]);
    // To run for a moment is not enough.
    bench.on(event("ok"));
    bench.after(59 * SECOND);
    bench.all(&["child", "stopped"]);
    assert_eq!(bench.machine.status().error.as_ref().unwrap().attempt, 4);
    bench.after(8 * SECOND);
    bench.all(&["due", "ok"]);
    bench.after(60 * SECOND);
    bench.on(event("child"));
    assert_eq!(bench.machine.status().error.as_ref().unwrap().attempt, 1);
}

#[test]
fn the_operator_is_not_kept_waiting_for_a_retry() {
    let mut bench = after(&["active", "err"]);
    bench.on(event("paused"));
    assert_eq!(bench.machine.retry_at(), None);
    assert_eq!(bench.machine.status().error.as_ref().unwrap().retry_at, None);
    assert_eq!(bench.all(&["active", "err"]), "failed>starting start starting>failed");
    assert_eq!(bench.machine.status().error.as_ref().unwrap().attempt, 1);
}

#[test]
fn a_failure_while_paused_is_not_retried_until_it_is_active() {
    let mut bench = after(&["active", "ok", "paused", "child", "stopped"]);
    assert_eq!(bench.machine.retry_at(), None);
    bench.after(3600 * SECOND);
    assert_eq!(bench.all(&["due", "due"]), "");
    assert_eq!(bench.said(event("active")), "failed>starting start");
}

#[test]
fn the_reason_is_kept_and_the_same_request_changes_nothing() {
    // LC-6 to LC-8, LC-10.
    let mut bench = after(&["active", "ok", "ready"]);
    let ask = |bench: &mut Bench, admin, reason: &str| {
        let actions = bench.on(Event::SetAdmin(admin, reason.into()));
        (actions.len(), bench.machine.status().reason.to_string())
    };
    assert_eq!(ask(&mut bench, Admin::Paused, "night"), (3, "night".into()));
    assert_eq!(ask(&mut bench, Admin::Paused, "holiday"), (0, "night".into()));
    bench.after(SECOND);
    assert_eq!(ask(&mut bench, Admin::Active, "morning"), (2, "morning".into()));
    assert_eq!(bench.machine.status().since, SystemTime::UNIX_EPOCH + SECOND);
    bench.after(SECOND);
    bench.on(event("drain"));
    assert_eq!(bench.machine.status().since, SystemTime::UNIX_EPOCH + SECOND);
}

#[test]
fn activated_a_service_takes_calls_whatever_it_was_drained_for() {
    for script in [&["active", "ok", "drain", "paused"][..], &["drain"], &["paused", "drain"]] {
        let mut bench = after(script);
        assert!(bench.machine.status().draining);
        bench.all(&["active", "ok"]);
        assert!(bench.machine.status().accepts_calls(), "{script:?}");
    }
    let stopped = after(&["active", "ok", "drain", "inactive", "drained", "stopped"]);
    assert!(!stopped.machine.status().draining);
}
