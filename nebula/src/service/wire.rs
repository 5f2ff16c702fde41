//! Which values cross the mesh, and how they become bytes.
//!
//! Values are written with postcard. Reading takes the whole input: a byte left over means that
//! the two sides disagree about the type, so it is refused rather than ignored; and lists of
//! elements without bytes have at most some thousand of them.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

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

/// Appends `value` to `out`. On error `out` is as long as it was before.
pub(crate) fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), Unencodable> {
    let before = out.len();
    postcard::serialize_with_flavor(value, Appender(out)).map_err(|error| {
        out.truncate(before);
        Unencodable { reason: error.to_string() }
    })
}

/// Reads a value that takes up all of `bytes`.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    match super::bounded::take(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(Malformed { reason: format!("{} bytes are left over", rest.len()) }),
        Err(error) => Err(Malformed { reason: error.to_string() }),
    }
}

/// The arguments of a method: a tuple of up to eight [`Wire`] values.
pub trait Args: Sized + Send + 'static {
    /// Appends the arguments to `out`.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Unencodable>;
    /// Reads arguments that take up all of `bytes`.
    fn decode(bytes: &[u8]) -> Result<Self, Malformed>;
}

macro_rules! args {
    ($($name:ident)*) => {
        impl<$($name: Wire),*> Args for ($($name,)*) {
            fn encode(&self, out: &mut Vec<u8>) -> Result<(), Unencodable> {
                encode(self, out)
            }

            fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
                decode(bytes)
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
