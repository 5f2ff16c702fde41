//! Lists of a record as they are decoded: none may announce more than its kind allows.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::record::MAX_TAGS;

/// Decodes a list that announces at most `MAX` entries. The announced room is reserved at once:
/// a list that then falls short ends the decoding, so that only one list of each kind (256
/// services and 256 methods: 44 KiB) is ever reserved in vain.
pub(super) fn at_most<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MAX: usize>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    from.deserialize_seq(AtMost::<T, MAX>(PhantomData))
}

pub(super) fn tags<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<String>, D::Error> {
    Ok(at_most::<D, String, MAX_TAGS>(from)?.into_iter().collect())
}

struct AtMost<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for AtMost<T, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX} entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Vec<T>, A::Error> {
        let announced = from.size_hint().unwrap_or(0);
        if announced > MAX {
            return Err(A::Error::invalid_length(announced, &self));
        }
        let mut list = Vec::with_capacity(announced);
        while let Some(entry) = from.next_element()? {
            if list.len() == MAX {
                return Err(A::Error::invalid_length(MAX + 1, &self));
            }
            list.push(entry);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_announces_too_much_is_refused_before_room_is_made() {
        let decode = |bytes: &[u8]| {
            let mut from = postcard::Deserializer::from_bytes(bytes);
            at_most::<_, u64, 3>(&mut from)
        };
        assert_eq!(decode(&[3, 1, 2, 3]), Ok(vec![1, 2, 3]));
        assert!(decode(&[4, 1, 2, 3, 4]).is_err());
        assert!(decode(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]).is_err());
        assert!(decode(&[3, 1]).is_err());

        struct Undecoded;
        impl<'de> Deserialize<'de> for Undecoded {
            fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                panic!("an entry of a list that is too long was decoded")
            }
        }
        let mut from = postcard::Deserializer::from_bytes(&[4, 1, 2, 3, 4]);
        assert!(at_most::<_, Undecoded, 3>(&mut from).is_err());
    }
}
