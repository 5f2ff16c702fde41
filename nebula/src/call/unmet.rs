#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! How a call to several nodes fails as a whole.
//!
//! `Display` is one sentence that names up to three nodes; `{:#}` adds one line for each node and
//! one for each attempt. `Debug` needs nothing of the values, so that `unwrap` works for all.

use std::convert::Infallible;
use std::fmt;

use macula::text::Safe;

use super::attempt::Outcome;
use super::error::CallError;
use super::replies::{Replies, Tally};
use super::reply::{Entry, NodeRef};
use super::several::disagreement;
use super::why::Why;
use crate::nodes::TopologyHash;

/// How many nodes a sentence names.
const MAX_NAMED: usize = 3;

/// Why a quorum was not reached.
#[derive(Clone)]
pub enum QuorumError<T, E = Infallible> {
    /// Fewer nodes are live than the quorum needs, or it needs none (`at_least(0)`): refused
    /// before any call, so nothing ran.
    Unreachable {
        /// How many of the targeted nodes are live.
        workers: usize,
        /// How many successes the quorum needs.
        required: usize,
    },
    /// Nobody can be meant, whoever is there: the selector names what the topology does not, say.
    /// Refused before any call, so nothing ran.
    NoTarget(Why),
    /// A [`majority`](super::majority) among nodes that count by different topologies: refused
    /// before any call, so nothing ran. Two such majorities need not share a node. `Display` names
    /// the hashes.
    ///
    /// While a new topology is being loaded node by node, this is what votes are told until those
    /// who take part have the same one.
    TopologyMismatch {
        /// The topology that this node counts by, if it has one.
        ours: Option<TopologyHash>,
        /// The targets with another one, by name; where this node has none, all that have one.
        theirs: Vec<(NodeRef, TopologyHash)>,
    },
    /// So many nodes failed that the rest could not make up a quorum. Some may have run the
    /// method: see their entries.
    NotReached(Replies<T, E>),
    /// The deadline passed first: with the nodes that were silent until then, there could have
    /// been a quorum. Some may have run the method: see their entries.
    Deadline(Replies<T, E>),
}

impl<T, E: fmt::Display> fmt::Display for QuorumError<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { required: 0, .. } => f.write_str(
                "a quorum of 0 was refused before any call: it would prove nothing, say \
                 `at_least(1)` or more",
            ),
            Self::Unreachable { workers, required } => {
                let is = if *workers == 1 { "is" } else { "are" };
                let needed = if *required == 1 { "is" } else { "are" };
                write!(
                    f,
                    "a quorum of {required} was refused before any call: {workers} of the \
                     targeted nodes {is} live, {required} {needed} required"
                )
            }
            Self::NoTarget(why) => why.fmt(f),
            Self::TopologyMismatch { ours, theirs } => disagreement::write(*ours, theirs, f),
            Self::NotReached(replies) => {
                match replies.tally() {
                    Some(Tally { required, .. }) => {
                        write!(f, "a quorum of {required} was not reached: ")?
                    }
                    None => f.write_str("the quorum was not reached: ")?,
                }
                write_outcome(replies, f)
            }
            Self::Deadline(replies) => {
                match replies.tally() {
                    Some(Tally { required, .. }) => {
                        write!(f, "the deadline passed before a quorum of {required}: ")?
                    }
                    None => f.write_str("the deadline passed before the quorum: ")?,
                }
                write_outcome(replies, f)
            }
        }
    }
}

impl<T, E: fmt::Debug> fmt::Debug for QuorumError<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { workers, required } => f
                .debug_struct("Unreachable")
                .field("workers", workers)
                .field("required", required)
                .finish(),
            Self::NoTarget(why) => f.debug_tuple("NoTarget").field(why).finish(),
            Self::TopologyMismatch { ours, theirs } => f
                .debug_struct("TopologyMismatch")
                .field("ours", ours)
                .field("theirs", theirs)
                .finish(),
            Self::NotReached(replies) => {
                f.debug_tuple("NotReached").field(&Outcomes(replies)).finish()
            }
            Self::Deadline(replies) => f.debug_tuple("Deadline").field(&Outcomes(replies)).finish(),
        }
    }
}

impl<T, E: fmt::Debug + fmt::Display> std::error::Error for QuorumError<T, E> {}

/// Why there is no first success.
#[derive(Clone)]
pub enum FirstError<T, E = Infallible> {
    /// There was nobody to ask: nothing ran.
    NoTarget(Why),
    /// No node gave a success: all failed, or were silent until the deadline. Some may have run
    /// the method: see their entries.
    NoSuccess(Replies<T, E>),
}

impl<T, E: fmt::Display> fmt::Display for FirstError<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTarget(why) => why.fmt(f),
            Self::NoSuccess(replies) => {
                f.write_str("no node gave a success: ")?;
                write_outcome(replies, f)
            }
        }
    }
}

impl<T, E: fmt::Debug> fmt::Debug for FirstError<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTarget(why) => f.debug_tuple("NoTarget").field(why).finish(),
            Self::NoSuccess(replies) => {
                f.debug_tuple("NoSuccess").field(&Outcomes(replies)).finish()
            }
        }
    }
}

impl<T, E: fmt::Debug + fmt::Display> std::error::Error for FirstError<T, E> {}

/// Replies shown without their values.
struct Outcomes<'a, T, E>(&'a Replies<T, E>);

impl<T, E: fmt::Debug> fmt::Debug for Outcomes<'_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for entry in self.0 {
            map.entry(&&*entry.node.name, &entry.result.as_ref().map(|_| ()));
        }
        map.finish()
    }
}

/// `1 of 3 nodes succeeded; db@h2 (overloaded), db@h3 (no answer in time)`, and with `{:#}` the
/// lines below.
fn write_outcome<T, E: fmt::Display>(
    replies: &Replies<T, E>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let answered = || replies.ok().count();
    let succeeded = replies.tally().map_or_else(answered, |tally| tally.successes);
    write!(f, "{succeeded} of {} nodes succeeded", replies.len())?;
    let failed = replies.failures().count();
    for (index, (node, error)) in replies.failures().take(MAX_NAMED).enumerate() {
        let mark = if index == 0 { "; " } else { ", " };
        write!(f, "{mark}{node} ({})", Brief(error))?;
    }
    if let more @ 1.. = failed.saturating_sub(MAX_NAMED) {
        write!(f, " and {more} more")?;
    }
    if let turned_down @ 1.. = answered().saturating_sub(succeeded) {
        write!(f, "; {turned_down} answered, but not with a success")?;
    }
    if f.alternate() { write_lines(replies, f) } else { Ok(()) }
}

fn write_lines<T, E: fmt::Display>(
    replies: &Replies<T, E>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for Entry { node, result, elapsed, .. } in replies {
        match result {
            Ok(_) => write!(f, "\n  {node} after {elapsed:.1?}: answered")?,
            Err(error) => {
                write!(f, "\n  {node} after {elapsed:.1?}: {}", Brief(error))?;
                for attempt in error.attempts() {
                    write!(f, "\n    {attempt}")?;
                }
            }
        }
    }
    Ok(())
}

/// An error in a few words, for a list.
struct Brief<'a, E>(&'a CallError<E>);

impl<E: fmt::Display> fmt::Display for Brief<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            CallError::App(error) => return write!(f, "{error}"),
            CallError::Panicked { message, .. } => {
                return write!(f, "panicked: {}", Safe(message));
            }
            CallError::NoProvider(_) => "nobody to ask",
            CallError::Deadline(_) => "no answer in time",
            CallError::Cancelled(_) => "not waited for",
            CallError::Disconnected(_) => "connection failed",
            CallError::Overloaded { .. } => "overloaded",
            CallError::Incompatible { .. } => "serves another shape of the method",
            CallError::Denied(_) => "denied",
            CallError::TooLarge { .. } => "too large",
            CallError::Protocol(log) => match log.attempts().last().map(|last| &last.outcome) {
                Some(Outcome::Unwritable(_)) => "cannot be sent",
                Some(Outcome::Unreadable(_)) => "could not read the arguments",
                Some(Outcome::Untaken(_)) => "does not take the arguments",
                Some(Outcome::ReplyUnwritable(_)) => "could not write its reply",
                _ => "answer not understood",
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::attempt::Executed;
    use super::super::log::Log;
    use super::super::log::tests::attempt;
    use super::super::reply::tests::node;
    use super::*;

    struct NotDebug;

    fn replies(tally: Option<Tally>) -> Replies<NotDebug, String> {
        let results = [
            Ok(NotDebug),
            Err(CallError::Deadline(Log::from(attempt("n2@h", Executed::Unknown)))),
            Ok(NotDebug),
            Err(CallError::App("read only".to_owned())),
        ];
        let entries = results.into_iter().zip(1..).map(|(result, number)| Entry {
            node: node(number),
            result,
            elapsed: Duration::from_millis(5),
        });
        Replies::new(entries.collect(), tally)
    }

    #[test]
    fn refused_before_any_call() {
        let refused =
            |workers, required| QuorumError::<()>::Unreachable { workers, required }.to_string();
        assert_eq!(
            refused(1, 2),
            "a quorum of 2 was refused before any call: 1 of the targeted nodes is live, 2 are \
             required"
        );
        assert_eq!(
            refused(0, 1),
            "a quorum of 1 was refused before any call: 0 of the targeted nodes are live, 1 is \
             required"
        );
        assert!(refused(3, 0).contains("`at_least(1)`"));
    }

    #[test]
    fn names_those_who_failed_and_lists_all_in_the_long_form() {
        let error = QuorumError::NotReached(replies(Some(Tally { required: 3, successes: 1 })));
        let sentence = "a quorum of 3 was not reached: 1 of 4 nodes succeeded; n2@h (no answer in \
                        time), n4@h (read only); 1 answered, but not with a success";
        assert_eq!(error.to_string(), sentence);
        assert_eq!(
            format!("{error:#}"),
            format!(
                "{sentence}\n  n1@h after 5.0ms: answered\n  n2@h after 5.0ms: no answer in time\
                 \n    n2@h (direct), run phase, after 12.0ms: timed out; may have run\
                 \n  n3@h after 5.0ms: answered\n  n4@h after 5.0ms: read only"
            )
        );
        let late = QuorumError::Deadline(replies(Some(Tally { required: 3, successes: 2 })));
        assert_eq!(
            late.to_string(),
            "the deadline passed before a quorum of 3: 2 of 4 nodes succeeded; n2@h (no answer in \
             time), n4@h (read only)"
        );
    }

    #[test]
    fn no_success() {
        let error = FirstError::NoSuccess(replies(Some(Tally { required: 1, successes: 0 })));
        assert_eq!(
            error.to_string(),
            "no node gave a success: 0 of 4 nodes succeeded; n2@h (no answer in time), n4@h (read \
             only); 2 answered, but not with a success"
        );
        let why = Why::new("Users", "find");
        assert_eq!(FirstError::<NotDebug>::NoTarget(why.clone()).to_string(), why.to_string());
    }

    #[test]
    fn debug_asks_nothing_of_the_values() {
        let error = QuorumError::NotReached(replies(None));
        let text = format!("{error:?}");
        assert!(text.starts_with("NotReached({\"n1@h\": Ok(())"), "{text}");
        assert!(text.contains("read only"), "{text}");
        fn check<T: std::error::Error>(_: &T) {}
        check(&error);
        check(&FirstError::NoSuccess(replies(None)));
    }
}
