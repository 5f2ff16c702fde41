#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::record::MAX_METADATA;

/// What an operator says of a service, in pairs of texts, by key: `zone`, `eu-1`.
///
/// All texts are in one piece of memory: a peer's record of some bytes must not take many times as
/// much here, as a tree of many small texts would.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Metadata {
    /// Key, value, key, value and so on, in the order of the keys.
    text: Box<str>,
    /// Where each of them ends.
    ends: Box<[u32]>,
}

impl Metadata {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// All keys and values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let (pairs, _) = self.ends.as_chunks::<2>();
        let mut from = 0;
        pairs.iter().filter_map(move |[middle, end]| {
            let (middle, end) = (*middle as usize, *end as usize);
            let pair = self.text.get(from..middle).zip(self.text.get(middle..end));
            from = end;
            pair
        })
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.ends.len() / 2
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// What has been put together so far.
#[derive(Default)]
struct Making {
    text: String,
    ends: Vec<u32>,
}

impl Making {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
    }

    fn done(self) -> Metadata {
        Metadata { text: self.text.into(), ends: self.ends.into() }
    }
}

/// Of pairs with one key the last counts.
impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let pairs: Vec<(K, V)> = pairs.into_iter().collect();
        let by_key: BTreeMap<&str, &str> =
            pairs.iter().map(|(key, value)| (key.as_ref(), value.as_ref())).collect();
        let mut making = Making::default();
        for (key, value) in by_key {
            making.push(key);
            making.push(value);
        }
        making.done()
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        // Some formats need to know the length first.
        let mut map = to.serialize_map(Some(self.len()))?;
        self.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Pairs)
    }
}

struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Metadata;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX_METADATA} pairs, in the order of their keys, each once")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Metadata, A::Error> {
        let announced = from.size_hint().unwrap_or(0);
        if announced > MAX_METADATA {
            return Err(A::Error::invalid_length(announced, &self));
        }
        let mut making = Making { ends: Vec::with_capacity(2 * announced), ..Making::default() };
        let mut last: Option<String> = None;
        while let Some((key, value)) = from.next_entry::<String, String>()? {
            if making.ends.len() == 2 * MAX_METADATA || last.is_some_and(|last| last >= key) {
                return Err(A::Error::custom(
                    "pairs that are too many, or not in the order of their keys",
                ));
            }
            making.push(&key);
            making.push(&value);
            last = Some(key);
        }
        Ok(making.done())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs() -> impl Strategy<Value = BTreeMap<String, String>> {
        prop::collection::btree_map(".{0,5}", ".{0,9}", 0..MAX_METADATA)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn it_is_the_map_that_it_was_made_of(pairs in pairs(), other in ".{0,5}") {
            let metadata: Metadata = pairs.iter().collect();
            let expected: Vec<_> = pairs.iter().map(|(k, v)| (&**k, &**v)).collect();
            prop_assert_eq!(metadata.iter().collect::<Vec<_>>(), expected);
            prop_assert_eq!((metadata.len(), metadata.is_empty()), (pairs.len(), pairs.is_empty()));
            for key in pairs.keys().chain([&other]) {
                prop_assert_eq!(metadata.get(key), pairs.get(key).map(String::as_str));
            }
            let bytes = postcard::to_stdvec(&metadata).unwrap();
            prop_assert_eq!(&bytes, &postcard::to_stdvec(&pairs).unwrap());
            prop_assert_eq!(postcard::from_bytes(&bytes), Ok(metadata));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(metadata) = postcard::from_bytes::<Metadata>(&bytes) {
                prop_assert!(metadata.len() <= MAX_METADATA);
                prop_assert!(metadata.iter().count() == metadata.len());
            }
        }
    }

    #[test]
    fn the_last_of_two_counts_here_and_a_peer_may_not_say_both() {
        let metadata: Metadata = [("b", "1"), ("a", "2"), ("b", "3")].into_iter().collect();
        assert_eq!(metadata.iter().collect::<Vec<_>>(), [("a", "2"), ("b", "3")]);
        let decode = |pairs: &[(&str, &str)]| {
            postcard::from_bytes::<Metadata>(&postcard::to_stdvec(pairs).unwrap())
        };
        assert_eq!(decode(&[("a", "2"), ("b", "3")]), Ok(metadata));
        assert!(decode(&[("b", "1"), ("b", "3")]).is_err());
        assert!(decode(&[("b", "1"), ("a", "3")]).is_err());
        let keys: Vec<_> = (10..27).map(|n| n.to_string()).collect();
        let pairs: Vec<_> = keys.iter().map(|key| (key.as_str(), "")).collect();
        assert!(decode(&pairs[..16]).is_ok());
        assert!(decode(&pairs).is_err());
    }
}
