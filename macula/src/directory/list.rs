//! Lists of small entries as they cross the wire: a count, then the entries. A peer's list is
//! measured against the bytes that are really there before any room is made for it.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a list was not encoded or not decoded. Nothing has changed then.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ListError {
    /// The list has more entries than its kind allows.
    #[error("the list has {count} entries, more than {most}: split it")]
    TooMany { count: usize, most: usize },
    /// The bytes are not a list of this kind and nothing else.
    #[error("the bytes are not one list: check that all nodes run compatible versions")]
    Malformed,
}

/// Encodes at most `most` entries.
pub(crate) fn encode_list<T: Serialize>(list: &[T], most: usize) -> Result<Vec<u8>, ListError> {
    if list.len() > most {
        return Err(ListError::TooMany { count: list.len(), most });
    }
    postcard::to_stdvec(list).map_err(|_| ListError::Malformed)
}

/// Decodes at most `most` entries that take at least `least_bytes` each.
pub(crate) fn decode_list<T: DeserializeOwned>(
    bytes: &[u8],
    least_bytes: usize,
    most: usize,
) -> Result<Vec<T>, ListError> {
    let (count, mut rest) =
        postcard::take_from_bytes::<usize>(bytes).map_err(|_| ListError::Malformed)?;
    if count > most {
        return Err(ListError::TooMany { count, most });
    }
    if count.saturating_mul(least_bytes) > rest.len() {
        return Err(ListError::Malformed);
    }
    let mut list = Vec::with_capacity(count);
    for _ in 0..count {
        let (entry, left) = postcard::take_from_bytes(rest).map_err(|_| ListError::Malformed)?;
        list.push(entry);
        rest = left;
    }
    if rest.is_empty() { Ok(list) } else { Err(ListError::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_round_trip_within_their_limit() {
        let list = vec![1_u32, 300, 70_000];
        let bytes = encode_list(&list, 3).unwrap();
        assert_eq!(decode_list(&bytes, 1, 3), Ok(list.clone()));
        assert_eq!(encode_list(&list, 2), Err(ListError::TooMany { count: 3, most: 2 }));
        let refused: Result<Vec<u32>, _> = decode_list(&bytes, 1, 2);
        assert_eq!(refused, Err(ListError::TooMany { count: 3, most: 2 }));
    }

    #[test]
    fn counts_that_lie_and_trailing_bytes_are_refused() {
        for bytes in [&[][..], &[2, 1], &[1, 1, 1], &[0xff; 12], &[1, 0x80]] {
            let refused: Result<Vec<u32>, _> = decode_list(bytes, 1, 100);
            assert_eq!(refused, Err(ListError::Malformed), "{bytes:?}");
        }
    }
}
