use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Headers that may be sent.
pub(crate) fn headers() -> impl Strategy<Value = Headers> {
    prop::collection::btree_map("[a-z0-9._-]{1,20}", ".{0,40}", 0..8).prop_map(|pairs| {
        let mut headers = Headers::new();
        pairs.iter().for_each(|(key, value)| headers.insert(key, value).unwrap());
        headers
    })
}

#[derive(Clone, Debug)]
enum Step {
    Insert(String, String),
    Remove(String),
}

fn step() -> impl Strategy<Value = Step> {
    // Some values are so long that they do not all fit.
    prop_oneof![
        ("[a-c]{1,2}", "(.{0,3}|[x-z]{900,1030})").prop_map(|(k, v)| Step::Insert(k, v)),
        "[a-c]{0,2}|[A-C]".prop_map(|key| Step::Insert(key, String::new())),
        "[a-c]{1,2}".prop_map(Step::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn they_are_a_map_within_its_limits(steps in prop::collection::vec(step(), 0..40)) {
        let (mut headers, mut known) = (Headers::new(), BTreeMap::new());
        for step in steps {
            let before = headers.clone();
            match step {
                Step::Insert(key, value) => match headers.insert(&key, &value) {
                    Ok(()) => drop(known.insert(key, value)),
                    Err(_) => prop_assert_eq!(&headers, &before),
                },
                Step::Remove(key) => {
                    prop_assert_eq!(headers.remove(&key), known.remove(&key).is_some());
                }
            }
            let expected: Vec<_> = known.iter().map(|(k, v)| (&**k, &**v)).collect();
            prop_assert_eq!(headers.iter().collect::<Vec<_>>(), expected);
            prop_assert_eq!((headers.len(), headers.is_empty()), (known.len(), known.is_empty()));
            for (key, value) in &known {
                prop_assert_eq!(headers.get(key), Some(&**value));
            }
            let block = headers.block();
            prop_assert!(block.len() <= MAX_HEADERS_BYTES);
            if !known.is_empty() {
                prop_assert_eq!(Headers::read(block.as_bytes()), Some(headers.clone()));
            }
        }
    }

    #[test]
    fn what_is_read_is_written_the_same(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Some(headers) = Headers::read(&bytes) {
            prop_assert_eq!(headers.block().as_bytes(), &bytes);
        }
    }

    #[test]
    fn a_damaged_block_is_refused_or_is_another(
        headers in headers(), at: prop::sample::Index, byte: u8,
    ) {
        prop_assume!(!headers.is_empty());
        let mut block = headers.block().as_bytes().to_vec();
        let at = at.index(block.len());
        prop_assume!(block[at] != byte);
        block[at] = byte;
        if let Some(other) = Headers::read(&block) {
            prop_assert_eq!(other.block().as_bytes(), &block);
            prop_assert!(other.iter().all(|(key, value)| check(key, value).is_ok()));
        }
    }
}

#[test]
fn each_limit_holds_here_and_for_a_peer() {
    let block = |pairs: &[(&str, &str)]| {
        let mut block = String::new();
        pairs.iter().for_each(|(key, value)| put(&mut block, key, value));
        block.into_bytes()
    };
    let mut headers = Headers::new();
    for key in ["", "A", "a b", "ä", "a\0", &"k".repeat(65)] {
        assert_eq!(headers.insert(key, ""), Err(HeaderError::Key), "{key}");
        assert_eq!(Headers::read(&block(&[(key, "")])), None, "{key}");
    }
    let value = "v".repeat(1025);
    assert_eq!(headers.insert("a", &value), Err(HeaderError::Value { bytes: 1025 }));
    assert_eq!(Headers::read(&block(&[("a", &value)])), None);
    assert!(headers.is_empty());
    headers.insert(&"k".repeat(64), &value[1..]).unwrap();
    assert!(Headers::read(headers.block().as_bytes()).is_some());

    let keys: Vec<_> = (10..43).map(|n| n.to_string()).collect();
    let mut headers = Headers::new();
    keys[..32].iter().for_each(|key| headers.insert(key, "").unwrap());
    assert_eq!(headers.insert(&keys[32], ""), Err(HeaderError::TooMany));
    headers.insert(&keys[0], "another value").unwrap();
    let pairs: Vec<_> = keys.iter().map(|key| (&**key, "")).collect();
    assert!(Headers::read(&block(&pairs[..32])).is_some());
    assert_eq!(Headers::read(&block(&pairs)), None);

    let mut headers = Headers::new();
    for (key, room) in [("a", 1020), ("b", 1020), ("c", 1020), ("d", 1019)] {
        headers.insert(key, &value[..room]).unwrap();
    }
    assert_eq!(headers.block().len(), MAX_HEADERS_BYTES - 1);
    assert_eq!(headers.insert("d", &value[..1021]), Err(HeaderError::TooLarge { bytes: 4097 }));
    headers.insert("d", &value[..1020]).unwrap();
    assert!(Headers::read(headers.block().as_bytes()).is_some());
    let over = ["a", "b", "c", "d"].map(|key| (key, &value[..1021]));
    assert_eq!(Headers::read(&block(&over)), None);
}

#[test]
fn a_peer_says_each_key_once_and_in_order_and_nothing_more() {
    let block = |pairs: &[(&str, &str)]| {
        let mut block = String::new();
        pairs.iter().for_each(|(key, value)| put(&mut block, key, value));
        block.into_bytes()
    };
    assert!(Headers::read(&block(&[("a", "1"), ("b", "2")])).is_some());
    for wrong in [&[("b", "1"), ("a", "2")], &[("a", "1"), ("a", "1")]] {
        assert_eq!(Headers::read(&block(wrong)), None);
    }
    let whole = block(&[("a", "1"), ("b", "ä")]);
    for length in 0..whole.len() {
        let read = Headers::read(&whole[..length]);
        assert_eq!(read.is_some(), length == 5, "{length} bytes");
    }
    assert_eq!(Headers::read(&[whole, vec![0]].concat()), None);
    // A length that ends within a character.
    assert_eq!(Headers::read(&[&[1, 1, 0, b'a'], "ä".as_bytes()].concat()), None);
    assert_eq!(size_of::<Headers>(), size_of::<usize>());
}
