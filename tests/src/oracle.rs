use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use nebula::CallError;
use nebula::call::Executed;

/// What a caller was told of a call.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The number of the call.
    pub call: u64,
    /// Whether its method may run twice.
    pub idempotent: bool,
    /// From the call to its end.
    pub elapsed: Duration,
    /// What it returned.
    pub result: Result<u64, CallError>,
}

/// The lines of all books in a directory: how often each call ran.
///
/// # Panics
/// If a book cannot be read, or has a line that is none.
pub fn executions(dir: &Path) -> BTreeMap<u64, usize> {
    let mut ran = BTreeMap::new();
    for file in fs::read_dir(dir).expect("the directory of the books") {
        let text = fs::read_to_string(file.expect("a book").path()).expect("a readable book");
        for line in text.lines() {
            let (_, call) = line.split_once(' ').expect("a whole line");
            *ran.entry(call.parse().expect("a number")).or_default() += 1;
        }
    }
    ran
}

/// Compares what callers were told with what the books of a directory say. All who write in them
/// must have stopped: a line that comes later is not seen.
///
/// # Panics
/// If a caller was told something that is not so, or a call that must not run twice did.
pub fn judge(dir: &Path, outcomes: &[Outcome]) {
    let ran = executions(dir);
    for outcome in outcomes {
        let times = ran.get(&outcome.call).copied().unwrap_or_default();
        let executed = match &outcome.result {
            Ok(answer) => {
                assert_eq!(*answer, outcome.call * 2, "the reply to another call: {outcome:?}");
                Executed::Yes
            }
            Err(error) => error.executed(),
        };
        assert!(outcome.idempotent || times <= 1, "ran {times} times: {outcome:?}");
        match executed {
            Executed::No => assert_eq!(times, 0, "told that it did not run: {outcome:?}"),
            Executed::Yes => assert!(times > 0, "told that it ran: {outcome:?}"),
            Executed::Unknown => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use nebula::nodes::tag;

    use super::*;
    use crate::{Book, Ledger};

    fn outcome(call: u64, idempotent: bool, result: Result<u64, CallError>) -> Outcome {
        Outcome { call, idempotent, elapsed: Duration::ZERO, result }
    }

    async fn not_run() -> CallError {
        let alone = nebula::Node::builder("alone").cookie("oracle").local_discovery(false);
        let node = alone.start().await.unwrap();
        crate::LedgerClient::new(&node).find(0).on(tag("none")).await.unwrap_err()
    }

    #[tokio::test]
    async fn the_truth_is_accepted_and_each_lie_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let books = ["a", "b"].map(|name| Book::open(dir.path(), name).unwrap());
        for book in &books {
            book.find(1).await;
        }
        books[0].add(2).await;
        let no = not_run().await;
        judge(dir.path(), &[outcome(1, true, Ok(2)), outcome(2, false, Ok(4))]);
        judge(dir.path(), &[outcome(3, false, Err(no.clone()))]);
        for lie in [
            outcome(1, false, Ok(2)),
            outcome(2, false, Ok(5)),
            outcome(3, true, Ok(6)),
            outcome(2, true, Err(no)),
        ] {
            let path = dir.path();
            let judged = std::panic::catch_unwind(|| judge(path, std::slice::from_ref(&lie)));
            assert!(judged.is_err(), "{lie:?}");
        }
    }
}
