#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! What was tried before a call failed.

use std::fmt;

use super::attempt::{Attempt, Executed, Outcome};

/// How many attempts a log keeps: as many as a call may make, and as many hedges. Later ones are
/// counted, and what they say of execution is kept.
pub(crate) const MAX_KEPT: usize = 64;

/// The attempts behind a failed call, oldest first; empty when nothing was sent.
///
/// One pointer wide, no allocation while empty, at most 64 attempts. `Display` writes one line per
/// attempt, each preceded by a line break and an indent.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Log(Option<Box<Kept>>);

#[derive(Clone, Default, Eq, PartialEq)]
struct Kept {
    attempts: Vec<Attempt>,
    /// Attempts over the bound.
    left_out: usize,
    executed: Executed,
}

impl Log {
    /// The attempts kept, oldest first.
    pub fn attempts(&self) -> &[Attempt] {
        self.0.as_ref().map_or(&[], |kept| &kept.attempts)
    }

    /// Whether the method ran in any attempt: `Yes` if it did in one, else `Unknown` if it may
    /// have in one, else `No`, as for an empty log.
    pub fn executed(&self) -> Executed {
        self.0.as_ref().map_or(Executed::No, |kept| kept.executed)
    }

    /// Adds an attempt made after those already here.
    pub(crate) fn push(&mut self, attempt: Attempt) {
        let kept = self.0.get_or_insert_default();
        kept.executed = kept.executed.or(attempt.executed);
        if kept.attempts.len() < MAX_KEPT {
            kept.attempts.push(attempt);
        } else {
            kept.left_out = kept.left_out.saturating_add(1);
        }
    }

    /// Adds attempts made after those already here.
    pub(crate) fn extend(&mut self, attempts: impl Iterator<Item = Attempt>) {
        attempts.for_each(|attempt| self.push(attempt));
    }

    /// Puts the attempts of `earlier` before those already here.
    pub(crate) fn prepend(&mut self, mut earlier: Self) {
        if let Some(later) = self.0.take() {
            let kept = earlier.0.get_or_insert_default();
            kept.executed = kept.executed.or(later.executed);
            kept.left_out = kept.left_out.saturating_add(later.left_out);
            for attempt in later.attempts {
                earlier.push(attempt);
            }
        }
        *self = earlier;
    }

    /// Whether the last attempt ended so.
    pub(crate) fn ends_with(&self, outcome: &Outcome) -> bool {
        self.attempts().last().is_some_and(|attempt| attempt.outcome == *outcome)
    }

    /// The name of the node asked last.
    pub(crate) fn last_name(&self) -> Option<&str> {
        self.attempts().last().map(|attempt| &*attempt.name)
    }
}

impl From<Attempt> for Log {
    fn from(attempt: Attempt) -> Self {
        let mut log = Self::default();
        log.push(attempt);
        log
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(kept) = &self.0 else { return Ok(()) };
        for (index, attempt) in kept.attempts.iter().enumerate() {
            write!(f, "\n  {}. {attempt}", index + 1)?;
        }
        match kept.left_out {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.attempts()).finish()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use macula::identity::NodeId;

    use super::super::attempt::{Outcome, Path, Phase};
    use super::*;

    pub(crate) fn attempt(name: &str, executed: Executed) -> Attempt {
        Attempt {
            node: Some(NodeId::from_bytes([7; 32])),
            name: name.into(),
            path: Path::Direct,
            phase: if executed == Executed::No { Phase::Dial } else { Phase::Run },
            elapsed: Duration::from_millis(12),
            outcome: match executed {
                Executed::No => Outcome::Unreachable("no route to host".into()),
                Executed::Yes => Outcome::Panicked,
                Executed::Unknown => Outcome::TimedOut,
            },
            executed,
        }
    }

    #[test]
    fn is_one_pointer() {
        assert_eq!(size_of::<Log>(), size_of::<usize>());
    }

    #[test]
    fn execution_is_never_forgotten() {
        use Executed::{No, Unknown, Yes};
        let table: [(&[Executed], Executed); 7] = [
            (&[], No),
            (&[No, No], No),
            (&[No, Unknown], Unknown),
            (&[Unknown, No], Unknown),
            (&[Unknown, Yes, No], Yes),
            (&[Yes, Unknown], Yes),
            (&[Unknown, Unknown], Unknown),
        ];
        for (attempts, expected) in table {
            let mut log = Log::default();
            for executed in attempts {
                log.push(attempt("a", *executed));
            }
            assert_eq!(log.executed(), expected, "{attempts:?}");
        }
    }

    #[test]
    fn bounded_and_what_is_left_out_still_counts() {
        let mut log = Log::default();
        for _ in 0..MAX_KEPT {
            log.push(attempt("a", Executed::No));
        }
        log.push(attempt("late", Executed::Unknown));
        assert_eq!(log.attempts().len(), MAX_KEPT);
        assert_eq!(log.executed(), Executed::Unknown);
        assert!(log.to_string().ends_with("\n  and 1 more"), "{log}");

        let mut last = Log::from(attempt("b", Executed::Yes));
        last.prepend(log);
        assert_eq!(last.executed(), Executed::Yes);
        assert!(last.to_string().ends_with("\n  and 2 more"), "{last}");
    }

    #[test]
    fn what_is_left_out_of_the_later_log_still_counts() {
        let mut log = Log::default();
        for _ in 0..MAX_KEPT {
            log.push(attempt("a", Executed::No));
        }
        log.push(attempt("left out", Executed::Yes));
        log.prepend(Log::from(attempt("first", Executed::No)));
        assert_eq!(log.executed(), Executed::Yes);
        assert!(log.to_string().ends_with("\n  and 2 more"), "{log}");
    }

    #[test]
    fn earlier_attempts_come_first() {
        let mut log = Log::from(attempt("second", Executed::No));
        log.prepend(Log::from(attempt("first", Executed::Unknown)));
        assert_eq!(
            log.to_string(),
            "\n  1. first (direct), run phase, after 12.0ms: timed out; may have run\
             \n  2. second (direct), dial phase, after 12.0ms: unreachable: no route to host; \
             did not run"
        );
        let mut empty = Log::default();
        empty.prepend(log.clone());
        assert_eq!(empty, log);
        log.prepend(Log::default());
        assert_eq!(empty, log);
    }
}
