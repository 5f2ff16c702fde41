use super::super::log::tests::attempt;
use super::*;

const ZERO: ApiKey = ApiKey::from_bytes([0; 8]);

fn every(log: &Log) -> Vec<CallError<String>> {
    let log = || log.clone();
    vec![
        CallError::App("read only".to_owned()),
        CallError::NoProvider(Why::new("Users", "find")),
        CallError::Deadline(log()),
        CallError::Cancelled(log()),
        CallError::Disconnected(log()),
        CallError::Overloaded { retry_after: Duration::from_millis(50), log: log() },
        CallError::Incompatible { ours: ZERO, theirs: ZERO, log: log() },
        CallError::Denied(log()),
        CallError::TooLarge { limit: 1024, log: log() },
        CallError::Panicked { message: "index out of bounds".into(), log: log() },
        CallError::Protocol(log()),
    ]
}

fn log(attempts: &[Executed]) -> Log {
    attempts.iter().fold(Log::default(), |mut log, executed| {
        log.push(attempt("db@h1", *executed));
        log
    })
}

#[test]
fn stays_small() {
    assert_eq!(size_of::<CallError>(), 32);
    assert!(size_of::<CallError<String>>() <= 32);
    assert!(size_of::<CallError<[u64; 3]>>() <= 64);
}

#[test]
fn executed_is_never_a_guess() {
    use Executed::{No, Unknown, Yes};
    let table: [(&[Executed], Executed); 5] = [
        (&[], No),
        (&[No, No], No),
        (&[Unknown, No], Unknown),
        (&[No, Unknown], Unknown),
        (&[Yes, No], Yes),
    ];
    for (attempts, from_log) in table {
        for error in every(&log(attempts)) {
            let expected = match error {
                CallError::App(_) | CallError::Panicked { .. } => Yes,
                CallError::NoProvider(_) => No,
                _ => from_log,
            };
            assert_eq!(error.executed(), expected, "{error:?} after {attempts:?}");
        }
    }
}

#[test]
fn refusals_alone_prove_that_nothing_ran() {
    for error in every(&log(&[Executed::No])) {
        if matches!(
            error,
            CallError::Overloaded { .. } | CallError::Incompatible { .. } | CallError::Denied(_)
        ) {
            assert_eq!(error.executed(), Executed::No, "{error}");
        }
    }
}

#[test]
fn attempts_and_log_agree() {
    for mut error in every(&log(&[Executed::No, Executed::Unknown])) {
        let bare = matches!(error, CallError::App(_) | CallError::NoProvider(_));
        assert_eq!(error.attempts().len(), if bare { 0 } else { 2 }, "{error}");
        assert_eq!(error.log().cloned(), error.log_mut().cloned());
    }
}

#[test]
fn conversions_lose_nothing() {
    for error in every(&log(&[Executed::No])) {
        let text = format!("{error:#}");
        assert_eq!(format!("{:#}", error.clone().map_app(|app| app)), text);
        match error.split() {
            Ok(app) => assert_eq!(app, "read only"),
            Err(rest) => assert_eq!(format!("{:#}", rest.widen::<String>()), text),
        }
    }
}

#[test]
fn into_app_keeps_the_methods_own_error() {
    #[derive(Debug, PartialEq)]
    enum Put {
        ReadOnly,
        Call(CallError),
    }
    impl From<CallError> for Put {
        fn from(error: CallError) -> Self {
            Self::Call(error)
        }
    }
    assert_eq!(CallError::App(Put::ReadOnly).into_app(), Put::ReadOnly);
    let lost: CallError<Put> = CallError::Disconnected(Log::default());
    assert_eq!(lost.into_app(), Put::Call(CallError::Disconnected(Log::default())));
    let none: CallError<Put> = NoTarget(Why::new("S", "m")).into();
    assert_eq!(none.into_app(), Put::Call(CallError::NoProvider(Why::new("S", "m"))));
}

#[test]
fn one_sentence_then_the_attempts() {
    for error in every(&log(&[Executed::Unknown])) {
        let (short, long) = (error.to_string(), format!("{error:#}"));
        assert!(!short.contains('\n') && !short.is_empty(), "{short}");
        assert!(long.starts_with(&short), "{long}");
        assert_eq!(long.lines().count(), 1 + error.attempts().len(), "{long}");
    }
}

#[test]
fn sentences() {
    let table = [
        (
            CallError::Deadline(log(&[Executed::Unknown])),
            "no answer from db@h1 before the deadline, and the method may have run: give it more \
             time with `.timeout(..)`; calling again is safe only if running twice is harmless",
        ),
        (
            CallError::Deadline(Log::default()),
            "the deadline passed before anything was sent, so the method did not run: give it \
             more time with `.timeout(..)`",
        ),
        (
            CallError::Disconnected(log(&[Executed::No])),
            "the connection to db@h1 failed, and the method did not run; calling again is safe",
        ),
        (
            CallError::TooLarge { limit: 1024, log: log(&[Executed::Yes]) },
            "the reply is more than 1024 bytes, and the method ran: split the data, or raise the \
             limit on both sides",
        ),
        (
            CallError::TooLarge { limit: 1024, log: log(&[Executed::No]) },
            "the arguments are more than 1024 bytes, and the method did not run: split the data, \
             or raise the limit on both sides",
        ),
    ];
    for (error, sentence) in table {
        let error: CallError = error;
        assert_eq!(error.to_string(), sentence);
    }
}

/// An earlier attempt that may have run must not blur which side was too large.
#[test]
fn too_large_names_the_side_that_the_last_attempt_saw() {
    let sentence = |earlier, outcome, executed| {
        let mut log = log(&[earlier]);
        log.push(Attempt { outcome, executed, ..attempt("db@h1", executed) });
        CallError::<String>::TooLarge { limit: 9, log }.to_string()
    };
    let reply = sentence(Executed::No, Outcome::ReplyTooLarge, Executed::Unknown);
    assert!(reply.starts_with("the reply is more than 9 bytes, and the method may"), "{reply}");
    let request = sentence(Executed::Yes, Outcome::RequestTooLarge, Executed::No);
    assert!(request.starts_with("the arguments are more than 9 bytes"), "{request}");
}

#[test]
fn converts_into_a_boxed_error() {
    fn method() -> Result<(), CallError<String>> {
        Err(CallError::App("read only".to_owned()))
    }
    fn caller() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(method()?)
    }
    assert_eq!(caller().unwrap_err().to_string(), "read only");
}

#[test]
fn texts_of_other_nodes_cannot_steer_a_terminal() {
    let evil = "\u{1b}[2Jdb\r\nroot\u{202e}";
    let failed = |outcome: Outcome| {
        let mut attempt = attempt(evil, Executed::Unknown);
        attempt.outcome = outcome;
        Log::from(attempt)
    };
    let log = || failed(Outcome::Reset(evil.into()));
    let mut all = every(&log());
    all.extend([
        CallError::Panicked { message: evil.into(), log: log() },
        CallError::NoProvider(Why::new("Users", "find").node(evil, evil).joining(evil, evil)),
        CallError::NoProvider(Why::new("Users", "find").asked(&log())),
        CallError::Disconnected(failed(Outcome::Unreachable(evil.into()))),
        CallError::Protocol(failed(Outcome::Unreadable(evil.into()))),
        CallError::Protocol(failed(Outcome::Unwritable(evil.into()))),
        CallError::Protocol(failed(Outcome::Untaken(evil.into()))),
        CallError::Protocol(failed(Outcome::ReplyUnwritable(evil.into()))),
        CallError::Protocol(failed(Outcome::Malformed(evil.into()))),
    ]);
    for error in all {
        for shown in [format!("{error}"), format!("{error:#}")] {
            let hidden = |c| c != '\n' && macula::text::is_hidden(c);
            assert!(!shown.contains(hidden) && !shown.contains("\nroot"), "{shown:?}");
        }
        assert!(!format!("{error}").contains('\n'), "{error}");
    }
}
