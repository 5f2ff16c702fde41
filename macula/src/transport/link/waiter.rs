use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::rpc::{Failure, Headers, Moved, NotExtended, Response, Term};

/// What is known here of a request whose reply is waited for.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) leaves_if_silent: bool,
    pub(crate) term: Term,
    /// Where the caller reads by how much the deadline has moved, if it does.
    pub(crate) moved: Option<Moved>,
}

impl Waiter {
    /// How its request ended, for its caller.
    pub(crate) fn end(self, result: Result<Bytes, Failure>, load: Option<u16>) -> Response {
        Response { result, headers: Headers::new(), load, term: self.term }
    }

    /// The peer says that it has moved the deadline. It moves here only as far as this side's own
    /// reckoning goes.
    pub(crate) fn extend(&mut self, by: Duration, now: Instant) -> Result<(), NotExtended> {
        let granted = self.term.extend(by, now)?;
        if let Some(moved) = &self.moved {
            moved.add(granted);
        }
        Ok(())
    }
}
