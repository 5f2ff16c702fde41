//! How calls end, in the words of spans and metrics.

use crate::plugin::{Ended, Refusal};

/// All words there are for ends.
#[cfg(feature = "metrics")]
pub(super) const OUTCOMES: [&str; 9] = [
    "replied",
    "failed",
    "denied",
    "overloaded",
    "unavailable",
    "expired",
    "broken",
    "panicked",
    "cancelled",
];

/// The word for an end.
pub(super) fn outcome(ended: Ended<'_>) -> &'static str {
    match ended {
        Ended::Replied => "replied",
        Ended::Failed => "failed",
        Ended::Panicked(_) => "panicked",
        Ended::Cancelled => "cancelled",
        Ended::Refused(refusal) => match refusal {
            Refusal::Denied(_) => "denied",
            Refusal::Overloaded { .. } => "overloaded",
            Refusal::Unavailable(_) => "unavailable",
            Refusal::Expired => "expired",
            Refusal::Failed(_) => "broken",
        },
    }
}

/// What there is to say of a refusal: its code where it has one. The sentences are for the caller.
pub(super) fn reason(refusal: &Refusal) -> &str {
    match refusal {
        Refusal::Denied(status) => status.code(),
        Refusal::Unavailable(reason) | Refusal::Failed(reason) => reason,
        Refusal::Overloaded { .. } | Refusal::Expired => outcome(Ended::Refused(refusal)),
    }
}
