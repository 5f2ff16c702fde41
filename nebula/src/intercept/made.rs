use std::time::Duration;

use crate::call::heard::Heard;

/// A call that has ended, as the one who made it sees it.
#[derive(Clone, Copy, Debug)]
pub struct Made<'c> {
    pub(crate) names: (&'c str, &'c str),
    pub(crate) kind: &'c str,
    pub(crate) outcome: &'c str,
    pub(crate) elapsed: Duration,
    pub(crate) heard: Option<&'c Heard>,
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
    /// asked and too few succeeded, and `dropped` if nobody waited for its end. Of `all` it is `ok` if
    /// every node succeeded, `partial` if some did, and `failed` if none did.
    pub fn outcome(&self) -> &str {
        self.outcome
    }

    /// What went back under this key, which is written in lower case, beside what the method returned,
    /// also beside its own error: see [`Context::reply_header`](crate::Context::reply_header). It is
    /// what the node that answered says. Of calls to one node, `one` or `raw`; those to several have an
    /// answer for each node and say nothing here, and a `cast` has none.
    pub fn header(&self, key: &str) -> Option<&str> {
        self.heard?.get(key)
    }

    /// From its first poll to its end.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }
}
