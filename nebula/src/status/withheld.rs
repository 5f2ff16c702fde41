//! Where details are kept from strangers and put into the log.

use super::reference::Reference;
use super::value::Status;

/// What a stranger gets, after the log got the rest.
pub(super) fn withhold(status: &Status) -> Status {
    let reference = Reference::from_bits(rand::random());
    tracing::warn!(
        %reference,
        code = status.code(),
        http = status.http(),
        data = ?status.0.data,
        "withheld from the caller: {status}",
    );
    Status::withheld(reference)
}
