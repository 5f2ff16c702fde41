#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;
use std::time::Duration;

use macula::text::Safe;

/// Services that nobody served in time: see
/// [`Node::wait_for_services`](crate::Node::wait_for_services).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct MissingServices {
    /// Their names, as they were asked for, in the order of their names and each once.
    pub missing: Vec<String>,
    /// How long they were waited for.
    pub waited: Duration,
    /// Whether this node has been shut down, so that there was nothing more to wait for.
    pub stopped: bool,
}

/// How many of them the sentence names.
const MAX_NAMED: usize = 3;

impl fmt::Display for MissingServices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no node serves ")?;
        for (index, name) in self.missing.iter().take(MAX_NAMED).enumerate() {
            write!(f, "{}`{}`", if index == 0 { "" } else { ", " }, Safe(name))?;
        }
        if let more @ 1.. = self.missing.len().saturating_sub(MAX_NAMED) {
            write!(f, " and {more} more")?;
        }
        write!(f, " after {:?}: ", self.waited)?;
        f.write_str(match self.stopped {
            false => "check that their nodes run and have joined this cluster, or wait longer",
            true => "this node has been shut down",
        })
    }
}

impl std::error::Error for MissingServices {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_of_many_are_named() {
        let missing = ["a", "b\n", "c", "d", "e"].map(str::to_owned).to_vec();
        let waited = Duration::from_secs(2);
        let mut error = MissingServices { missing, waited, stopped: false };
        assert_eq!(
            error.to_string(),
            "no node serves `a`, `b\\n`, `c` and 2 more after 2s: check that their nodes run and \
             have joined this cluster, or wait longer"
        );
        error.missing.truncate(1);
        error.stopped = true;
        let text = "no node serves `a` after 2s: this node has been shut down";
        assert_eq!(error.to_string(), text);
    }
}
