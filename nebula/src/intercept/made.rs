use std::time::Duration;

/// A call that has ended, as the one who made it sees it.
#[derive(Clone, Copy, Debug)]
pub struct Made<'c> {
    pub(crate) names: (&'c str, &'c str),
    pub(crate) kind: &'c str,
    pub(crate) outcome: &'c str,
    pub(crate) elapsed: Duration,
}

impl Made<'_> {
    /// The wire name of the service.
    pub fn service(&self) -> &str {
        self.names.0
    }

    /// The wire name of the method.
    pub fn method(&self) -> &str {
        self.names.1
    }

    /// How it was made, in the word of [`Outgoing::kind`](super::Outgoing::kind).
    pub fn kind(&self) -> &str {
        self.kind
    }

    /// How it ended, in the word that its span has: `ok`, `error` for an error of the method,
    /// `deadline` and so on for those of [`CallError`](crate::CallError), `failed` if several nodes were
    /// asked and too few succeeded, and `dropped` if nobody waited for its end.
    pub fn outcome(&self) -> &str {
        self.outcome
    }

    /// From its first poll to its end.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }
}
