//! The targets of the fuzzer, its corpus, and mutations of inputs.

use std::fs;
use std::path::{Path, PathBuf};

use nebula::__fuzz::Target;
use proptest::prelude::*;

/// The targets of all crates.
pub fn targets() -> Vec<Target> {
    [macula::__fuzz::TARGETS, nebula::__fuzz::TARGETS].concat()
}

/// Where the corpus is: a folder for each target.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

/// The inputs of a target, in the order of their names.
pub fn corpus(target: &str) -> Vec<Vec<u8>> {
    let Ok(files) = fs::read_dir(folder().join(target)) else { return Vec::new() };
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// One change of an input; places are taken modulo its length.
#[derive(Clone, Debug)]
pub enum Mutation {
    Cut(u16),
    Flip(u16, u8),
    Put(u16, u8),
    Insert(u16, Vec<u8>),
    Remove(u16, u8),
    Number(u16, u64),
    Splice(u16, u16),
}

/// Mutations of all kinds.
pub fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let few = prop::collection::vec(any::<u8>(), 1..20);
    let number = prop_oneof![any::<u64>(), Just(u64::MAX), Just(u64::from(u32::MAX)), 0..300_u64];
    let one = prop_oneof![
        any::<u16>().prop_map(Mutation::Cut),
        any::<(u16, u8)>().prop_map(|(at, bit)| Mutation::Flip(at, bit % 8)),
        any::<(u16, u8)>().prop_map(|(at, byte)| Mutation::Put(at, byte)),
        (any::<u16>(), few).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        any::<(u16, u8)>().prop_map(|(at, count)| Mutation::Remove(at, count)),
        (any::<u16>(), number).prop_map(|(at, number)| Mutation::Number(at, number)),
        any::<(u16, u16)>().prop_map(|(at, from)| Mutation::Splice(at, from)),
    ];
    prop::collection::vec(one, 0..6)
}

/// `one`, changed; splices take their rest from `other`.
pub fn mutate(one: &[u8], other: &[u8], mutations: &[Mutation]) -> Vec<u8> {
    let mut bytes = one.to_vec();
    for mutation in mutations {
        let place = |at: &u16, length: usize| usize::from(*at) % (length + 1);
        match mutation {
            Mutation::Cut(at) => bytes.truncate(place(at, bytes.len())),
            Mutation::Flip(at, bit) => {
                let at = place(at, bytes.len());
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << bit);
            }
            Mutation::Put(at, new) => {
                let at = place(at, bytes.len());
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = *new);
            }
            Mutation::Insert(at, new) => {
                let at = place(at, bytes.len());
                bytes.splice(at..at, new.iter().copied());
            }
            Mutation::Remove(at, count) => {
                let at = place(at, bytes.len());
                let end = (at + usize::from(*count)).min(bytes.len());
                bytes.drain(at..end);
            }
            Mutation::Number(at, number) => {
                // As postcard and the messages write numbers.
                let at = place(at, bytes.len());
                let varint = postcard::to_stdvec(number).unwrap();
                let end = (at + varint.len()).min(bytes.len());
                bytes.splice(at..end, varint);
            }
            Mutation::Splice(at, from) => {
                bytes.truncate(place(at, bytes.len()));
                bytes.extend_from_slice(&other[place(from, other.len())..]);
            }
        }
    }
    bytes
}
