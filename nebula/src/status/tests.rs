use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;

use super::table::ROWS;
use super::*;
use crate::call::tests::attempt;
use crate::call::{CallError, Executed, Log, NoTarget, Outcome, Why};

/// ST-1, ST-2: the rows of the specification.
#[test]
fn st_01_02_builtin_rows() {
    let rows: [(&str, u16, &str); 23] = [
        ("ok", 200, "Success"),
        ("created", 201, "Created"),
        ("deleted", 200, "Deleted"),
        ("bad_request", 400, "Bad request"),
        ("unauthorized", 401, "Unauthorized"),
        ("forbidden", 403, "Forbidden"),
        ("not_found", 404, "Not found"),
        ("timeout", 408, "Timeout"),
        ("conflict", 409, "Conflict"),
        ("too_large", 413, "Too large"),
        ("too_many_requests", 429, "Too many requests"),
        ("cancelled", 499, "Cancelled"),
        ("internal_error", 500, "Internal error"),
        ("not_implemented", 501, "Not implemented"),
        ("service_not_available", 503, "Service not available"),
        ("field_invalid", 400, "A field is invalid"),
        ("field_missing", 400, "A field is missing"),
        ("field_unknown", 400, "A field is unknown"),
        ("parameter_invalid", 400, "A parameter is invalid"),
        ("parameter_missing", 400, "A parameter is missing"),
        ("resource_invalid", 400, "The resource is invalid"),
        ("method_not_allowed", 405, "Method not allowed"),
        ("service_not_found", 409, "Service not found"),
    ];
    assert_eq!(ROWS, rows);
    for (code, http, text) in rows {
        let status = Status::builtin(code).unwrap();
        assert_eq!((status.code(), status.http(), status.message()), (code, http, text));
        assert_eq!(status.data().len(), 0);
        assert_eq!(status.is_public(), code != "internal_error", "{code}");
    }
    assert_eq!(Status::builtin("no_such_code"), None);
}

/// ST-1: every plain row is a function, whose empty message is the usual one.
#[test]
fn st_01_plain_constructors() {
    let made = [
        Status::ok(),
        Status::created(),
        Status::deleted(),
        Status::bad_request(""),
        Status::unauthorized(""),
        Status::forbidden(""),
        Status::not_found(""),
        Status::timeout(""),
        Status::conflict(""),
        Status::too_large(""),
        Status::too_many_requests(""),
        Status::cancelled(""),
        Status::internal_error(""),
        Status::not_implemented(""),
        Status::service_not_available(""),
    ];
    for (status, (code, ..)) in made.into_iter().zip(ROWS) {
        assert_eq!(Some(status), Status::builtin(code));
    }
    assert_eq!(Status::conflict("In use").message(), "In use");
}

/// ST-2: what is meant is in the message and in the data.
#[test]
fn st_02_named_constructors() {
    let name = "e-mail".to_owned();
    for (status, code, http, key, message) in [
        (Status::field_invalid(&name), "field_invalid", 400, "field", "Field `e-mail` is invalid"),
        (Status::field_missing(&name), "field_missing", 400, "field", "Field `e-mail` is missing"),
        (Status::field_unknown(&name), "field_unknown", 400, "field", "Field `e-mail` is unknown"),
        (
            Status::parameter_invalid(&name),
            "parameter_invalid",
            400,
            "parameter",
            "Parameter `e-mail` is invalid",
        ),
        (
            Status::parameter_missing(&name),
            "parameter_missing",
            400,
            "parameter",
            "Parameter `e-mail` is missing",
        ),
        (
            Status::resource_invalid(&name),
            "resource_invalid",
            400,
            "resource",
            "Resource `e-mail` is invalid",
        ),
        (
            Status::method_not_allowed(&name),
            "method_not_allowed",
            405,
            "method",
            "Method `e-mail` is not allowed",
        ),
        (
            Status::service_not_found(&name),
            "service_not_found",
            409,
            "service",
            "Service `e-mail` is not found",
        ),
    ] {
        assert_eq!((status.code(), status.http(), status.message()), (code, http, message));
        assert_eq!(status.data().collect::<Vec<_>>(), [(key, "e-mail")]);
    }
}

/// ST-3, ST-8: an unknown code says itself, and anything makes a code.
#[test]
fn st_03_08_codes_of_ones_own() {
    let long = "x".repeat(100);
    for (given, code) in [
        ("out_of_paper", "out_of_paper"),
        ("Out of paper", "out_of_paper"),
        ("v1.2-rc", "v1.2-rc"),
        ("Ünder\n\u{1b}", "_nder__"),
        ("", "unknown"),
        (&long, &long[..64]),
    ] {
        let status = Status::new(given.to_owned(), 500, "");
        assert_eq!((status.code(), status.message()), (code, code), "{given:?}");
    }
    for (given, http) in [(0, 500), (99, 500), (100, 100), (599, 599), (600, 500), (u16::MAX, 500)]
    {
        assert_eq!(Status::new("a", given, "").http(), http);
    }
}

/// ST-4: a text alone is an internal `error`.
#[test]
fn st_04_a_text_is_an_error() {
    let status = "the disk is full".status();
    assert_eq!(status.to_string(), "error (500): the disk is full");
    assert!(!status.is_public());
    assert_eq!("the disk is full".to_owned().status(), status);
    assert_eq!(
        status.public_as(Reference::from_bits(1)),
        Status::withheld(Reference::from_bits(1))
    );
}

/// ST-7: a status is its own status, and what is public passes as it is.
#[test]
fn st_07_a_status_stays_as_it_is() {
    let status = Status::not_found("no user").with("user", 7);
    assert_eq!(status.status(), status);
    assert_eq!(status.public(), status);
    let boxed: Box<dyn IntoStatus> = Box::new(status.clone());
    let borrowed = &boxed;
    assert_eq!((boxed.public(), borrowed.status()), (status.clone(), status));
}

/// ST-13: data are texts.
#[test]
fn st_13_data_are_texts() {
    let status = Status::ok().with("id", 7).with("on", true).with("id", "eight");
    assert_eq!(status.data().collect::<Vec<_>>(), [("id", "eight"), ("on", "true")]);
    assert_eq!((status.get("on"), status.get("off")), (Some("true"), None));
}

/// ST-1, ST-14: one form, in which nothing hides.
#[test]
fn st_14_display() {
    assert_eq!(Status::ok().to_string(), "ok (200): Success");
    let status = Status::new("odd", 400, "a\u{1b}[2J\nb").with("k\n", "v\u{202e}");
    assert_eq!(status.to_string(), "odd (400): a\\u{1b}[2J\\nb");
    assert_eq!(format!("{status:#}"), "odd (400): a\\u{1b}[2J\\nb\n  k\\n: v\\u{202e}");
    let withheld = Status::withheld(Reference::from_bits(0xC0FFEE));
    assert_eq!(
        withheld.to_string(),
        "internal_error (500): Internal error, reference 00000000000000000000000000c0ffee"
    );
}

#[test]
fn what_is_not_public_is_withheld() {
    let reference = Reference::from_bits(7);
    for internal in [
        Status::internal_error("secret"),
        Status::builtin("internal_error").unwrap(),
        Status::new("internal_error", 200, "secret"),
        Status::not_found("secret").internal().with("secret", "secret"),
        Status::withheld(Reference::from_bits(8)).internal(),
    ] {
        assert!(!internal.is_public() && internal.shown().is_none(), "{internal:?}");
        assert_eq!(internal.public_as(reference), Status::withheld(reference));
    }
    let withheld = Status::withheld(reference);
    assert_eq!(withheld.public_as(Reference::from_bits(9)), withheld);
}

#[test]
fn the_log_has_what_is_withheld_under_the_same_reference() {
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    // Of subscribers that come and go, one may miss what another thread asked about first.
    let written = Written::default();
    let writer = written.clone();
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(log.finish());
    tracing::callsite::rebuild_interest_cache();
    let internal = Status::new("disk_full", 507, "disk db-1 is full\n").internal().with("disk", 3);
    let (one, two) = (internal.public(), internal.public());
    assert_ne!(one.reference().unwrap(), two.reference().unwrap());
    Status::not_found("is public").public();
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    for (line, status) in lines.iter().zip([one, two]) {
        assert_eq!((status.code(), status.http(), status.data().len()), ("internal_error", 500, 0));
        let reference = status.reference().unwrap().to_string();
        for part in
            ["WARN", &reference, "disk_full", "507", "disk db-1 is full\\n", "\"disk\": \"3\""]
        {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }
}

mod calls {
    use super::*;

    fn log(outcome: Outcome, executed: Executed) -> Log {
        let mut attempt = attempt("db@h1", executed);
        attempt.outcome = outcome;
        Log::from(attempt)
    }

    fn lost() -> Log {
        Log::from(attempt("db@h1", Executed::Unknown))
    }

    /// Every failure of a call; the names of nodes are for the log only.
    #[test]
    fn call_errors_have_statuses() {
        let key = crate::call::ApiKey::from_bytes([1; 8]);
        let rows: [(CallError<Status>, &str, u16, bool, &str); 11] = [
            (
                CallError::NoProvider(Why::new("Users", "find").node("db@h1", "down")),
                "service_not_available",
                503,
                true,
                "no",
            ),
            (CallError::Disconnected(lost()), "service_not_available", 503, true, "unknown"),
            (CallError::Deadline(lost()), "timeout", 408, true, "unknown"),
            (CallError::Cancelled(lost()), "cancelled", 499, true, "unknown"),
            (
                CallError::Overloaded {
                    retry_after: Duration::from_millis(1200),
                    log: log(Outcome::Overloaded, Executed::No),
                },
                "too_many_requests",
                429,
                true,
                "no",
            ),
            (
                CallError::Denied(log(Outcome::Denied(None), Executed::No)),
                "forbidden",
                403,
                true,
                "no",
            ),
            (
                CallError::TooLarge { limit: 9, log: log(Outcome::RequestTooLarge, Executed::No) },
                "too_large",
                413,
                true,
                "no",
            ),
            (
                CallError::TooLarge { limit: 9, log: log(Outcome::ReplyTooLarge, Executed::Yes) },
                "reply_too_large",
                500,
                false,
                "yes",
            ),
            (
                CallError::Incompatible {
                    ours: key,
                    theirs: key,
                    log: log(Outcome::Incompatible, Executed::No),
                },
                "incompatible",
                500,
                false,
                "no",
            ),
            (
                CallError::Panicked {
                    message: "index out of bounds".into(),
                    log: log(Outcome::Panicked, Executed::Yes),
                },
                "panicked",
                500,
                false,
                "yes",
            ),
            (
                CallError::Protocol(log(Outcome::Malformed("EOF".into()), Executed::Unknown)),
                "protocol",
                500,
                false,
                "unknown",
            ),
        ];
        for (error, code, http, public, executed) in rows {
            let status = error.status();
            assert_eq!((status.code(), status.http(), status.is_public()), (code, http, public));
            assert_eq!(status.message(), error.to_string());
            assert_eq!(status.get("executed"), Some(executed), "{code}");
            let shown = error.public_as(Reference::from_bits(1));
            if public {
                assert_eq!((shown.code(), shown.http()), (code, http));
                assert_eq!(Some(shown.message()), table::text(code));
                assert!(shown.data().eq(status.data()), "{code}");
            } else {
                assert_eq!(shown, Status::withheld(Reference::from_bits(1)));
            }
            assert!(!format!("{shown:#}").contains("db@h1"), "{shown:#}");
            assert_eq!(Status::from(error), status);
        }
    }

    #[test]
    fn waiting_is_in_whole_seconds() {
        for (millis, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (60_000, "60")] {
            let retry_after = Duration::from_millis(millis);
            let error = CallError::<Status>::Overloaded { retry_after, log: Log::default() };
            assert_eq!(error.public().get("retry_after"), Some(seconds), "{millis}");
        }
    }

    #[test]
    fn a_methods_own_error_speaks_for_itself() {
        let error = CallError::App(Status::not_found("no user"));
        assert_eq!(
            (error.status(), error.public()),
            (Status::not_found("no user"), error.public())
        );
        assert_eq!(error.public().to_string(), "not_found (404): no user");
        let error: CallError<String> = CallError::App("secret".into());
        assert_eq!(error.status().message(), "secret");
        assert_eq!(
            error.public_as(Reference::from_bits(1)),
            Status::withheld(Reference::from_bits(1))
        );
        // A method without an error of its own.
        let error: CallError = CallError::Deadline(Log::default());
        assert_eq!(error.public().code(), "timeout");
    }

    #[test]
    fn errors_of_programs_are_internal() {
        let error = crate::Error::msg("no cookie");
        assert_eq!(error.status().to_string(), "internal_error (500): no cookie");
        assert!(error.shown().is_none());
        let nobody = NoTarget(Why::new("Users", "find").node("db@h1", "down"));
        assert!(nobody.status().message().contains("db@h1"));
        assert_eq!(nobody.public(), Status::service_not_available("").with("executed", "no"));
    }

    mod several {
        use super::*;
        use crate::call::{Entry, FirstError, NodeRef, QuorumError, Replies};

        type Said = Result<u8, CallError<Status>>;

        fn replies(said: Vec<Said>) -> Replies<u8, Status> {
            let entries = said.into_iter().map(|result| Entry {
                node: NodeRef {
                    id: macula::identity::NodeId::from_bytes([7; 32]),
                    name: "db@h1".into(),
                },
                result,
                elapsed: Duration::ZERO,
                headers: crate::Headers::new(),
            });
            Replies::new(entries.collect(), None)
        }

        fn conflict(message: &'static str) -> Said {
            Err(CallError::App(Status::conflict(message)))
        }

        fn locked() -> Said {
            Err(CallError::App(Status::new("locked", 423, "")))
        }

        fn cancelled() -> Said {
            Err(CallError::Cancelled(Log::default()))
        }

        #[test]
        fn what_all_say_is_the_answer() {
            for (said, shown, executed) in [
                (vec![conflict("one"), conflict("two")], "conflict (409): one", None),
                (vec![cancelled(), conflict("two")], "conflict (409): two", None),
                (vec![conflict("one"), locked()], "service_not_available", Some("yes")),
                (vec![conflict("one"), Ok(1)], "service_not_available", Some("yes")),
                (vec![Ok(1), cancelled()], "service_not_available", Some("yes")),
                (
                    vec![conflict("one"), Err(CallError::Deadline(Log::default()))],
                    "service_not_available",
                    Some("yes"),
                ),
                (
                    vec![Err(CallError::Disconnected(lost())), cancelled()],
                    "service_not_available",
                    Some("unknown"),
                ),
                (vec![cancelled()], "service_not_available", Some("no")),
            ] {
                let first = FirstError::NoSuccess(replies(said.clone()));
                let quorum = QuorumError::NotReached(replies(said));
                for status in [first.public(), quorum.public()] {
                    let text = status.to_string();
                    assert!(text.starts_with(shown), "{text} is not {shown}");
                    assert_eq!(status.get("executed"), executed, "{text}");
                    assert!(!text.contains("db@h1"));
                }
                for (status, sentence) in
                    [(first.status(), first.to_string()), (quorum.status(), quorum.to_string())]
                {
                    if executed.is_some() {
                        assert_eq!(status.message(), sentence);
                    }
                }
            }
        }

        #[test]
        fn what_was_refused_before_any_call() {
            let why = Why::new("Users", "find").node("db@h1", "down");
            let first = FirstError::<u8, Status>::NoTarget(why.clone());
            let unreachable = QuorumError::<u8, Status>::Unreachable { workers: 1, required: 2 };
            let nobody = QuorumError::<u8, Status>::NoTarget(why);
            let expected = Status::service_not_available("").with("executed", "no");
            for shown in [first.public(), unreachable.public(), nobody.public()] {
                assert_eq!(shown, expected);
            }
            assert_eq!(Status::from(first.clone()).message(), first.to_string());
            assert_eq!(Status::from(nobody.clone()).message(), nobody.to_string());
            let zero = QuorumError::<u8, Status>::Unreachable { workers: 1, required: 0 };
            assert!(zero.shown().is_none() && zero.status().message().contains("quorum of 0"));
            let late = QuorumError::Deadline(replies(vec![conflict("one")]));
            assert_eq!(
                (late.public().code(), late.public().get("executed")),
                ("timeout", Some("yes"))
            );
        }
    }
}

#[test]
fn hostile_bytes_are_refused() {
    let bytes = Status::not_found("no user").with("user", 7).to_bytes();
    assert_eq!(Status::from_bytes(&bytes), Ok(Status::not_found("no user").with("user", 7)));
    for end in 0..bytes.len() {
        assert_eq!(Status::from_bytes(&bytes[..end]), Err(MalformedStatus::Unreadable), "{end}");
    }
    let more = [&bytes[..], &[0]].concat();
    assert_eq!(Status::from_bytes(&more), Err(MalformedStatus::Unreadable));
    assert_eq!(Status::from_bytes(&[0; 5000]), Err(MalformedStatus::TooLong(5000)));
    // Lengths of which nothing follows.
    let lengths = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_eq!(Status::from_bytes(&lengths), Err(MalformedStatus::Unreadable));
    let written = |code: &str, http: u16| {
        let data = std::collections::BTreeMap::<&str, &str>::new();
        postcard::to_stdvec(&(code, http, "m", data, None::<[u8; 16]>, false)).unwrap()
    };
    assert!(Status::from_bytes(&written("a", 404)).is_ok());
    for (code, http) in [("A", 404), ("", 404), ("a", 0), ("a", 600), (&"a".repeat(65), 404)] {
        assert!(Status::from_bytes(&written(code, http)).is_err(), "{code} {http}");
    }
}

#[test]
fn what_is_cut_shows_it() {
    let status = Status::conflict("é".repeat(4000))
        .with("big", "ü".repeat(1000))
        .with("small", "1")
        .with("k".repeat(65), "lost");
    let cut = Status::from_bytes(&status.to_bytes()).unwrap();
    assert_eq!((cut.code(), cut.http()), ("conflict", 409));
    assert!(cut.message().len() <= 1024 && cut.message().len() > 1020);
    assert!(cut.message().ends_with("é…"));
    let data: Vec<_> = cut.data().collect();
    assert_eq!(data.len(), 2, "{data:?}");
    assert!(data[0].1.ends_with("ü…") && data[0].1.len() > 250 && data[0].1.len() <= 256);
    assert_eq!(data[1], ("small", "1"));
    // What fits is not touched, however it is spread.
    let status = Status::conflict("m".repeat(3000)).with("k".repeat(70), "v".repeat(500));
    assert_eq!(Status::from_bytes(&status.to_bytes()), Ok(status));
}

fn any_status() -> impl Strategy<Value = Status> {
    let times = prop_oneof![4 => Just(1_usize), 1 => 1_usize..200];
    let text = ("(?s).{0,20}", times).prop_map(|(text, times)| text.repeat(times));
    let key = prop_oneof!["[a-z]{1,8}", "(?s).{0,40}"];
    let data = proptest::collection::vec((key, text.clone()), 0..20);
    let head = ("(?s).{0,70}", any::<u16>(), text, data);
    (head, any::<bool>(), proptest::option::of(any::<u128>())).prop_map(
        |((code, http, message, data), internal, reference)| {
            let mut status = Status::new(code, http, message);
            for (key, value) in data {
                status = status.with(key, value);
            }
            status.0.reference = reference.map(Reference::from_bits);
            status.0.internal = internal;
            status
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Encoded it fits, and what comes back is the same, or a part of it.
    #[test]
    fn encoding_is_bounded_and_keeps_what_matters(status in any_status()) {
        let bytes = status.to_bytes();
        prop_assert!(bytes.len() <= MAX_BYTES && !bytes.is_empty());
        let again = Status::from_bytes(&bytes).unwrap();
        prop_assert_eq!(again.to_bytes(), bytes);
        let of = |status: &Status| {
            (status.code().to_owned(), status.http(), status.reference(), status.is_public())
        };
        prop_assert_eq!(of(&again), of(&status));
        let part_of = |part: &str, whole: &str| {
            part == whole || part.strip_suffix('…').is_some_and(|part| whole.starts_with(part))
        };
        prop_assert!(part_of(again.message(), status.message()));
        for (key, value) in again.data() {
            prop_assert!(part_of(value, status.get(key).unwrap()));
        }
        if postcard::to_stdvec(&status).unwrap().len() <= MAX_BYTES {
            prop_assert_eq!(again, status);
        }
    }

    /// Whatever comes is a status or an error; a status can be written again.
    #[test]
    fn any_bytes_are_read_without_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        status in any_status(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bent = status.to_bytes();
        let place = at.index(bent.len());
        bent[place] = byte;
        for bytes in [bytes, bent] {
            if let Ok(status) = Status::from_bytes(&bytes) {
                prop_assert!(status.to_bytes().len() <= MAX_BYTES);
                let again = Status::new(status.code().to_owned(), 500, "");
                prop_assert_eq!(again.code(), status.code());
            }
        }
    }

    /// No part of what is withheld is in what a stranger gets.
    #[test]
    fn nothing_leaks(status in any_status(), secret in "[0-9]{40}", bits in any::<u128>()) {
        let status = Status::new(format!("c{secret}"), 500, format!("m {secret}"))
            .with(secret.clone(), "1")
            .with("value", format!("{status:?} {secret}"))
            .internal();
        let reference = Reference::from_bits(bits);
        let error = CallError::App(status.clone());
        for shown in [status.public_as(reference), error.public_as(reference)] {
            prop_assert_eq!(&shown, &Status::withheld(reference));
            let texts = [
                format!("{shown:#}"),
                format!("{shown:?}"),
                String::from_utf8_lossy(&shown.to_bytes()).into_owned(),
            ];
            for text in texts {
                prop_assert!(!text.contains(&secret), "{}", text);
            }
        }
    }
}
