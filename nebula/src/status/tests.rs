mod bytes;
mod rows;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::call::tests::attempt;
use crate::call::{CallError, Executed, Log, NoTarget, Outcome, Why};

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
