//! Which values cross the mesh, and how they become bytes.
//!
//! Values are written with postcard. Reading takes the whole input: a byte left over means that
//! the two sides disagree about the type, so it is refused rather than ignored; and lists of
//! elements without bytes have at most some thousand of them.
//!
//! An argument, value or error that *is* a sequence of bytes (`Vec<u8>`, `Bytes`, `Box<[u8]>`) is
//! copied as one piece. Serde hands over a `Vec<u8>` that is part of something else byte by byte;
//! `Bytes` is copied whole wherever it is, and not at all as one of those if it is most of more than
//! 33 KiB.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use std::any::Any;
use std::cell::Cell;

use bytes::Bytes;
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;
#[cfg(feature = "json")]
use serde::de::IgnoredAny;

use super::whole;

/// A value that can be an argument, a reply or an error of a service method: owned, sendable,
/// and known to serde. Implemented for every such type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot cross the mesh",
    label = "not a wire type",
    note = "derive `Serialize` and `Deserialize`, and use owned types (`String`, not `&str`)"
)]
pub trait Wire: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Wire for T {}

/// Does nothing; generated code calls it so that a type which is not [`Wire`] is reported where
/// it is written.
pub const fn assert_wire<T: Wire>() {}

/// The bytes are not a value of the expected type.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the bytes are not a value of the expected type: {reason}")]
pub struct Malformed {
    reason: String,
}

/// The value refuses to be written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct Unencodable {
    reason: String,
}

/// What is written is copied into memory of its own up to this many bytes, and handed over with
/// the buffer beyond.
const SHORT: usize = 4096;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What `write` appends to the empty buffer that it is given. That is one that the thread keeps, so
/// that short values are allocated once and exactly, however they grow while they are written.
pub(crate) fn written<E>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Bytes, E> {
    // Whatever is written meanwhile by what is written finds another one.
    let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
    buffer.clear();
    let written = write(&mut buffer);
    if buffer.len() > SHORT {
        return written.map(|()| buffer.into());
    }
    let bytes = written.map(|()| Bytes::copy_from_slice(&buffer));
    if buffer.capacity() <= SHORT {
        // A thread that ends keeps nothing.
        let _ = BUFFER.try_with(|kept| kept.set(buffer));
    }
    bytes
}

/// The bytes of a value that is nothing else. Which types those are is known when the caller is
/// compiled, so nothing of this is left of the others.
fn as_bytes<T: 'static>(value: &T) -> Option<&[u8]> {
    let value: &dyn Any = value;
    if let Some(bytes) = value.downcast_ref::<Vec<u8>>() {
        return Some(bytes);
    }
    if let Some(bytes) = value.downcast_ref::<Bytes>() {
        return Some(bytes);
    }
    value.downcast_ref::<Box<[u8]>>().map(|bytes| &**bytes)
}

/// The value that these bytes are, if its type is one of those; they are copied then, unless they are
/// long and stay [where they lie](whole).
fn of_bytes<T: 'static>(bytes: &[u8]) -> Option<T> {
    let mut value: Option<T> = None;
    let place: &mut dyn Any = &mut value;
    if let Some(place) = place.downcast_mut::<Option<Vec<u8>>>() {
        *place = Some(bytes.to_vec());
    } else if let Some(place) = place.downcast_mut::<Option<Bytes>>() {
        *place = Some(whole::part(bytes));
    } else if let Some(place) = place.downcast_mut::<Option<Box<[u8]>>>() {
        *place = Some(bytes.into());
    }
    value
}

/// Whether a type is one of those.
fn is_bytes<T: 'static>() -> bool {
    let none: Option<T> = None;
    let none: &dyn Any = &none;
    none.is::<Option<Vec<u8>>>() || none.is::<Option<Bytes>>() || none.is::<Option<Box<[u8]>>>()
}

/// Appends `value` to `out`. On error `out` is as long as it was before.
pub(crate) fn encode<T: Serialize + 'static>(
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), Unencodable> {
    if let Some(bytes) = as_bytes(value) {
        out.reserve(bytes.len() + MOST_OF_LENGTH);
        put_length(bytes.len(), out);
        out.extend_from_slice(bytes);
        return Ok(());
    }
    let before = out.len();
    postcard::serialize_with_flavor(value, Appender(out)).map_err(|error| {
        out.truncate(before);
        Unencodable { reason: error.to_string() }
    })
}

/// Reads a value that takes up all of `bytes`.
pub(crate) fn decode<T: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<T, Malformed> {
    let (value, rest) = take(bytes)?;
    whole(rest)?;
    Ok(value)
}

/// Reads a value off the front of `bytes`, and gives what is left.
fn take<T: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<(T, &[u8]), Malformed> {
    if is_bytes::<T>() {
        let taken = postcard::take_from_bytes::<&[u8]>(bytes);
        let (bytes, rest) = taken.map_err(|error| Malformed { reason: error.to_string() })?;
        if let Some(value) = of_bytes(bytes) {
            return Ok((value, rest));
        }
    }
    super::bounded::take(bytes).map_err(|error| Malformed { reason: error.to_string() })
}

fn whole(rest: &[u8]) -> Result<(), Malformed> {
    match rest.len() {
        0 => Ok(()),
        left => Err(Malformed { reason: format!("{left} bytes are left over") }),
    }
}

/// How many bytes a length takes at most.
const MOST_OF_LENGTH: usize = 10;

/// A length as postcard writes it: seven bits a byte, the lowest first.
fn put_length(mut length: usize, out: &mut Vec<u8>) {
    while length > 0x7f {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

/// Appends a `Result`, as postcard writes it: which of the two it is, and its content.
pub(crate) fn encode_result<T: Wire, E: Wire>(
    result: &Result<T, E>,
    out: &mut Vec<u8>,
) -> Result<(), Unencodable> {
    let before = out.len();
    let written = match result {
        Ok(value) => {
            out.push(0);
            encode(value, out)
        }
        Err(error) => {
            out.push(1);
            encode(error, out)
        }
    };
    if written.is_err() {
        out.truncate(before);
    }
    written
}

/// Reads a `Result` that takes up all of `bytes`.
pub(crate) fn decode_result<T: Wire, E: Wire>(bytes: &[u8]) -> Result<Result<T, E>, Malformed> {
    match bytes.split_first() {
        Some((0, value)) => decode(value).map(Ok),
        Some((1, error)) => decode(error).map(Err),
        // The error is that of postcard, which is the one to say what is wrong.
        _ => decode(bytes),
    }
}

/// The arguments of a method: a tuple of up to eight [`Wire`] values.
pub trait Args: Sized + Send + 'static {
    /// Appends the arguments to `out`.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Unencodable>;
    /// Reads arguments that take up all of `bytes`.
    fn decode(bytes: &[u8]) -> Result<Self, Malformed>;
    /// Reads arguments that are a JSON array, and all of `bytes`. The error says in words what is
    /// wrong with them.
    #[cfg(feature = "json")]
    fn decode_json(bytes: &[u8]) -> Result<Self, String>;
}

macro_rules! args {
    ($($name:ident)*) => {
        impl<$($name: Wire),*> Args for ($($name,)*) {
            #[allow(non_snake_case)]
            fn encode(&self, out: &mut Vec<u8>) -> Result<(), Unencodable> {
                let before = out.len();
                let ($($name,)*) = self;
                $(if let Err(error) = encode($name, out) {
                    out.truncate(before);
                    return Err(error);
                })*
                let _ = before;
                Ok(())
            }

            #[allow(non_snake_case)]
            fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
                $(let ($name, bytes) = take::<$name>(bytes)?;)*
                whole(bytes)?;
                Ok(($($name,)*))
            }

            #[cfg(feature = "json")]
            fn decode_json(bytes: &[u8]) -> Result<Self, String> {
                let names: &[&str] = &[$(stringify!($name)),*];
                from_json(bytes, names.len())
            }
        }
    };
}

args!();
args!(A);
args!(A B);
args!(A B C);
args!(A B C D);
args!(A B C D E);
args!(A B C D E F);
args!(A B C D E F G);
args!(A B C D E F G H);

/// Reads a tuple off a JSON array. To serde an empty tuple is nothing, and no array.
#[cfg(feature = "json")]
fn from_json<T: DeserializeOwned>(bytes: &[u8], takes: usize) -> Result<T, String> {
    let read = match takes {
        0 => {
            serde_json::from_slice(bytes).and_then(|_none: [(); 0]| serde_json::from_slice(b"null"))
        }
        _ => serde_json::from_slice(bytes),
    };
    read.map_err(|error| match serde_json::from_slice::<Vec<IgnoredAny>>(bytes) {
        Ok(given) if given.len() != takes => {
            let arguments = if takes == 1 { "argument" } else { "arguments" };
            format!("it takes {takes} {arguments} and was given {}", given.len())
        }
        _ => error.to_string(),
    })
}

/// Appends a value as JSON. On error `out` is as long as it was before.
#[cfg(feature = "json")]
pub(crate) fn encode_json<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), Unencodable> {
    let before = out.len();
    serde_json::to_writer(&mut *out, value).map_err(|error| {
        out.truncate(before);
        Unencodable { reason: error.to_string() }
    })
}

/// Writes straight to the end of a buffer that the caller owns and reuses.
struct Appender<'o>(&'o mut Vec<u8>);

impl Flavor for Appender<'_> {
    type Output = ();

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn arguments_round_trip(id: u64, name: String, list: Vec<Option<i32>>) {
            let args = (id, name, list);
            let mut out = vec![9];
            Args::encode(&args, &mut out).unwrap();
            prop_assert_eq!(<(u64, String, Vec<Option<i32>>)>::decode(&out[1..]), Ok(args));
        }

        #[test]
        fn no_bytes_panic_the_reader(bytes: Vec<u8>) {
            let _ = <(u64, String, Vec<Option<Vec<String>>>)>::decode(&bytes);
        }
    }

    proptest! {
        /// What is copied as one piece is what postcard makes of it.
        #[test]
        fn bytes_are_written_as_postcard_has_them(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let args = (bytes.clone(), 7_u32, Bytes::from(bytes.clone()), bytes.clone().into_boxed_slice());
            let mut out = Vec::new();
            Args::encode(&args, &mut out).unwrap();
            let theirs = (bytes.clone(), 7_u32, bytes.clone(), bytes.clone());
            prop_assert_eq!(&out, &postcard::to_allocvec(&theirs).unwrap());
            prop_assert_eq!(<(Vec<u8>, u32, Bytes, Box<[u8]>)>::decode(&out), Ok(args));
            for cut in 0..out.len().min(20) {
                prop_assert!(<(Vec<u8>, u32, Bytes, Box<[u8]>)>::decode(&out[..out.len() - 1 - cut]).is_err());
            }
            for reply in [Ok(bytes.clone()), Err(5_u16)] {
                let mut out = Vec::new();
                encode_result(&reply, &mut out).unwrap();
                prop_assert_eq!(&out, &postcard::to_allocvec(&reply).unwrap());
                prop_assert_eq!(decode_result::<Vec<u8>, u16>(&out), Ok(reply));
            }
        }

        #[test]
        fn no_bytes_panic_the_reader_of_bytes(bytes: Vec<u8>) {
            let _ = <(Vec<u8>, Bytes)>::decode(&bytes);
            let theirs = postcard::take_from_bytes::<Result<Vec<u8>, u16>>(&bytes);
            let theirs = theirs.ok().filter(|(_, rest)| rest.is_empty()).map(|(reply, _)| reply);
            prop_assert_eq!(decode_result::<Vec<u8>, u16>(&bytes).ok(), theirs);
        }
    }

    #[test]
    fn what_is_written_while_something_is_written_is_kept_apart() {
        for size in [0, 1, SHORT, SHORT + 1] {
            let outer: Result<_, ()> = written(|out| {
                out.extend(vec![1; size]);
                let inner = written(|out| {
                    out.extend([2; 3]);
                    Ok::<(), ()>(())
                });
                out.extend(inner?);
                Ok(())
            });
            let outer = outer.unwrap();
            assert_eq!(outer[..size], vec![1; size]);
            assert_eq!(outer[size..], [2; 3]);
        }
        let refused: Result<_, ()> = written(|out| {
            out.push(9);
            Err(())
        });
        assert_eq!(refused, Err(()));
        assert_eq!(written(|_| Ok::<(), ()>(())), Ok(Bytes::new()));
    }

    #[cfg(feature = "json")]
    proptest! {
        #[test]
        fn arguments_are_read_as_json(id: u64, name: String, list: Vec<Option<i32>>) {
            let args = (id, name, list);
            let bytes = serde_json::to_vec(&args).unwrap();
            prop_assert_eq!(<(u64, String, Vec<Option<i32>>)>::decode_json(&bytes), Ok(args));
        }

        #[test]
        fn no_text_panics_the_reader_of_json(text in "[\\[\\]{}\",:0-9a-z -]{0,40}") {
            let _ = <(u64, String, Vec<Option<Vec<String>>>)>::decode_json(text.as_bytes());
            let _ = <()>::decode_json(text.as_bytes());
        }
    }

    #[cfg(feature = "json")]
    #[test]
    fn json_has_as_many_arguments_as_the_method() {
        assert_eq!(<()>::decode_json(b" [ ] "), Ok(()));
        assert_eq!(<(u8,)>::decode_json(b"[7]"), Ok((7,)));
        for wrong in ["", "null", "{}", "[1]", "[] 1"] {
            assert!(<()>::decode_json(wrong.as_bytes()).is_err(), "{wrong}");
        }
        for wrong in ["7", "[]", "[7,8]", "[256]", "[null]", "{\"a\":7}", "[7] x"] {
            assert!(<(u8,)>::decode_json(wrong.as_bytes()).is_err(), "{wrong}");
        }
        let told = |text: &str| <(u8, u8)>::decode_json(text.as_bytes()).unwrap_err();
        assert_eq!(told("[]"), "it takes 2 arguments and was given 0");
        assert_eq!(told("[7,8,[]]"), "it takes 2 arguments and was given 3");
        assert_eq!(told("[7,null]"), "invalid type: null, expected u8 at line 1 column 7");
        assert_eq!(
            <(u8,)>::decode_json(b"[7,8]").unwrap_err(),
            "it takes 1 argument and was given 2"
        );
        assert_eq!(<()>::decode_json(b"[7]").unwrap_err(), "it takes 0 arguments and was given 1");
        let deep = "[".repeat(100_000);
        assert!(<(Vec<u8>,)>::decode_json(deep.as_bytes()).is_err());
        let mut out = vec![1];
        let keys = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert!(encode_json(&keys, &mut out).is_err());
        assert_eq!(out, [1]);
    }

    #[test]
    fn a_byte_left_over_is_refused() {
        assert_eq!(<()>::decode(&[]), Ok(()));
        assert!(<()>::decode(&[0]).is_err());
        assert!(<(u8,)>::decode(&[1, 2]).unwrap_err().to_string().contains("1 bytes"));
    }

    #[test]
    fn nothing_many_times_is_no_argument() {
        let mut bytes = Vec::new();
        encode(&(1_u64 << 32), &mut bytes).unwrap();
        assert!(<(Vec<()>,)>::decode(&bytes).is_err());
        assert_eq!(<(Vec<()>,)>::decode(&[3]), Ok((vec![(); 3],)));
    }

    #[test]
    fn a_value_that_refuses_leaves_no_trace() {
        struct Half;
        impl Serialize for Half {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                use serde::ser::{Error, SerializeTuple};
                to.serialize_tuple(1)?.serialize_element(&7u8)?;
                Err(S::Error::custom("no"))
            }
        }
        let mut out = vec![1, 2];
        assert!(encode(&Half, &mut out).is_err());
        assert_eq!(out, [1, 2]);
    }
}
