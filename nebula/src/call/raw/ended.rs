//! The end of one attempt of a call by name.

use macula::rpc::{Answer, Failure, Headers, Term};
use serde_json::Value;

use crate::call::engine::leg::{self, Broken, End};
use crate::call::{Attempt, Executed, Outcome, Phase};

/// What the method returned, and what went back beside it.
pub(super) type Made<B = Broken> = Result<(Result<Value, Value>, Headers), B>;

/// What an attempt has come to.
pub(super) fn ended(
    result: Result<Answer, Failure>,
    term: Term,
    attempt: impl FnOnce(Phase, Outcome, Executed) -> Attempt,
) -> Made<Box<Broken>> {
    let failure = match result {
        Ok(Answer { body, headers }) => {
            let answer = serde_json::from_slice(&body).map_err(|error| {
                let outcome = Outcome::Malformed(error.to_string().into());
                let attempt = attempt(Phase::Reply, outcome, Executed::Yes);
                Box::new(Broken { attempt, term, end: End::Garbled })
            });
            return Ok((answer?, headers));
        }
        Err(failure) => failure,
    };
    let executed = leg::executed(failure.executed());
    let outcome = match &failure {
        // Of arguments in JSON, which no program wrote that was built with their types.
        Failure::Malformed(why) => Outcome::Untaken(why.as_str().into()),
        failure => leg::outcome(failure),
    };
    let attempt = attempt(leg::phase(&failure), outcome, executed);
    Err(Box::new(Broken { attempt, term, end: End::Failure(failure) }))
}
