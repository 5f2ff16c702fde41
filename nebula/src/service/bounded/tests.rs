use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
enum Kind {
    Unit,
    New(Box<Kind>),
    Tuple(u8, Vec<Kind>),
    Struct { name: String, more: Option<BTreeMap<i32, Vec<(char, f32)>>> },
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Wrapped(u128);

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Nothing;

/// Says everything without a byte, and takes some.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Forgetful {
    #[serde(skip)]
    _cache: [u64; 4],
}

type All = (Kind, [Wrapped; 2], Vec<Option<(bool, i64)>>, (), Nothing, Vec<Vec<u8>>);

fn kind() -> impl Strategy<Value = Kind> {
    let leaf = prop_oneof![
        Just(Kind::Unit),
        (any::<String>(), any::<Option<BTreeMap<i32, Vec<(char, u8)>>>>()).prop_map(
            |(name, more)| {
                let list = |list: Vec<(char, u8)>| {
                    list.into_iter().map(|(c, n)| (c, f32::from(n))).collect()
                };
                let more = more.map(|map| map.into_iter().map(|(k, v)| (k, list(v))).collect());
                Kind::Struct { name, more }
            }
        ),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|kind| Kind::New(Box::new(kind))),
            (any::<u8>(), prop::collection::vec(inner, 0..4)).prop_map(|(n, v)| Kind::Tuple(n, v)),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_written_is_read(
        kind in kind(),
        wrapped: [u128; 2],
        list: Vec<Option<(bool, i64)>>,
        bytes: Vec<Vec<u8>>,
    ) {
        let all: All = (kind, wrapped.map(Wrapped), list, (), Nothing, bytes);
        let mut written = postcard::to_stdvec(&all).unwrap();
        written.push(9);
        prop_assert_eq!(take::<All>(&written), Ok((all, &[9][..])));
    }

    #[test]
    fn other_bytes_fare_as_with_postcard(bytes: Vec<u8>) {
        let theirs = postcard::take_from_bytes::<All>(&bytes).ok();
        prop_assert_eq!(take::<All>(&bytes).ok(), theirs);
    }
}

/// The number of elements, and no element.
fn announced(elements: u64) -> Vec<u8> {
    postcard::to_stdvec(&elements).unwrap()
}

#[test]
fn what_takes_no_bytes_is_not_counted_out() {
    for elements in [1_u64 << 32, 1 << 40, u64::MAX] {
        let bytes = announced(elements);
        assert!(take::<Vec<()>>(&bytes).is_err());
        assert!(take::<(Vec<Nothing>,)>(&bytes).is_err());
        assert!(take::<Vec<Forgetful>>(&bytes).is_err());
        assert!(take::<BTreeMap<(), ()>>(&bytes).is_err());
        assert!(take::<Option<Vec<((), [(); 3])>>>(&[&[1][..], &bytes].concat()).is_err());
        assert!(take::<Vec<u8>>(&bytes).is_err());
    }
}

#[test]
fn many_short_lists_of_nothing_have_one_bound() {
    // Each of these lists alone is no longer than what follows it.
    let list = announced(4000);
    let lists = 20_000;
    let bytes = [announced(lists), list.repeat(lists as usize)].concat();
    assert!(take::<Vec<Vec<()>>>(&bytes).is_err());
    let inner = [announced(lists), list.repeat(lists as usize)].concat();
    assert!(take::<Vec<BTreeMap<(), ()>>>(&inner).is_err());
}

#[test]
fn a_few_of_nothing_are_fine() {
    for elements in [0, 1, 4096] {
        let bytes = announced(elements);
        assert_eq!(take::<Vec<()>>(&bytes).map(|(list, _)| list.len() as u64), Ok(elements));
    }
    assert!(take::<Vec<()>>(&announced(4099)).is_err());
}
