//! Calls that were refused before they ran, by what their callers were told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::Mesh;
use crate::wire::Status;

/// All that [`reason`] says.
const REASONS: [&str; 8] = [
    "overloaded",
    "draining",
    "not_served",
    "incompatible",
    "denied",
    "too_large",
    "expired",
    "malformed",
];

/// Counts them.
#[derive(Debug)]
pub(crate) struct Refused(BTreeMap<&'static str, AtomicU64>);

impl Mesh {
    /// How many calls of other nodes this one has refused so far, and why in one word: `overloaded`,
    /// `draining`, `not_served`, `incompatible`, `denied`, `too_large`, `expired` or `malformed`.
    /// None of them has run. Among them are those of this node that it was
    /// [told of](Self::note_overloaded).
    pub fn refused_calls(&self) -> BTreeMap<&'static str, u64> {
        self.0.refused.read()
    }

    /// Counts a call within this process that was refused as overloaded, by a gate that calls of other
    /// nodes pass as well.
    pub fn note_overloaded(&self) {
        self.0.refused.note(Status::Overloaded { retry_after: Duration::ZERO });
    }
}

impl Refused {
    /// Counts one that is told this, if that means it has not run.
    pub(crate) fn note(&self, told: Status) {
        if let Some(count) = reason(told).and_then(|reason| self.0.get(reason)) {
            count.fetch_add(1, Relaxed);
        }
    }

    fn read(&self) -> BTreeMap<&'static str, u64> {
        self.0.iter().map(|(reason, count)| (*reason, count.load(Relaxed))).collect()
    }
}

impl Default for Refused {
    fn default() -> Self {
        Self(REASONS.into_iter().map(|reason| (reason, AtomicU64::new(0))).collect())
    }
}

/// Why a call has not run, in a word.
fn reason(told: Status) -> Option<&'static str> {
    Some(match told {
        Status::Overloaded { .. } => "overloaded",
        Status::Draining | Status::Replaced | Status::HeldForDead => "draining",
        Status::UnknownMethod => "not_served",
        Status::Incompatible { .. } => "incompatible",
        Status::Denied => "denied",
        Status::RequestTooLarge { .. } => "too_large",
        Status::Expired => "expired",
        Status::Malformed => "malformed",
        Status::Done
        | Status::ReplyTooLarge { .. }
        | Status::Panicked
        | Status::Aborted
        | Status::ReplyUnwritable
        | Status::Overran => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_run_is_counted_by_its_reason() {
        let refused = Refused::default();
        let statuses = [
            Status::Overloaded { retry_after: Duration::ZERO },
            Status::Draining,
            Status::Replaced,
            Status::HeldForDead,
            Status::UnknownMethod,
            Status::Incompatible { theirs: [0; 8] },
            Status::Denied,
            Status::RequestTooLarge { limit: 1 },
            Status::Expired,
            Status::Malformed,
            Status::Done,
            Status::Panicked,
            Status::Overran,
        ];
        statuses.into_iter().for_each(|status| refused.note(status));
        let counts = REASONS.map(|reason| (reason, if reason == "draining" { 3 } else { 1 }));
        assert_eq!(refused.read(), counts.into());
    }
}
