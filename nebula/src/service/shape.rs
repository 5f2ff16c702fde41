//! The shape of a reply: a plain value, or a `Result` whose error is the application's.
//!
//! Which of the two a method has is asked of the type, not of its text, so that an alias of
//! `Result` counts as one: the inherent constant of `Probe<Result<T, E>>` hides the one that
//! [`ProbeFallback`] gives to every other type.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use std::convert::Infallible;
use std::marker::PhantomData;

use super::wire::{self, Malformed, Unencodable, Wire};

/// Asks of a type whether it is a `Result`: `Probe::<R>::RESULT`, with [`ProbeFallback`] in scope.
#[derive(Debug)]
pub struct Probe<R>(PhantomData<R>);

impl<T, E> Probe<Result<T, E>> {
    /// It is a `Result`.
    pub const RESULT: bool = true;
}

/// The answer for every type that is no `Result`.
pub trait ProbeFallback {
    /// It is no `Result`.
    const RESULT: bool = false;
}

impl<R> ProbeFallback for Probe<R> {}

/// The shape of a reply that is a `Result` (`true`) or a plain value (`false`).
#[derive(Debug)]
pub struct Shape<const RESULT: bool>;

/// How a reply of type `R` becomes bytes, comes back, and is told apart into value and error.
#[diagnostic::on_unimplemented(
    message = "`{R}` cannot be the reply of a service method",
    label = "not a wire type, or not the `Result` that its name says",
    note = "derive `Serialize` and `Deserialize` for the value and for the error, and use owned \
            types"
)]
pub trait ShapeOf<R>: Send + Sync + 'static {
    /// What a successful call gives.
    type Value: Send + 'static;
    /// What the method itself may fail with.
    type Error: Send + 'static;

    /// Appends the reply to `out`.
    fn encode(reply: &R, out: &mut Vec<u8>) -> Result<(), Unencodable>;
    /// Appends the reply as JSON: `{"Ok": value}` or `{"Err": error}`.
    #[cfg(feature = "json")]
    fn encode_json(reply: &R, out: &mut Vec<u8>) -> Result<(), Unencodable>;
    /// Reads a reply that takes up all of `bytes`.
    fn decode(bytes: &[u8]) -> Result<R, Malformed>;
    /// Tells value and error apart.
    fn split(reply: R) -> Result<Self::Value, Self::Error>;
    /// The reply of a successful call.
    fn whole(value: Self::Value) -> R;
    /// What is in the reply of a successful call.
    fn value(reply: &mut R) -> Option<&mut Self::Value>;
}

impl<T: Wire> ShapeOf<T> for Shape<false> {
    type Value = T;
    type Error = Infallible;

    fn encode(reply: &T, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        wire::encode(reply, out)
    }

    #[cfg(feature = "json")]
    fn encode_json(reply: &T, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        wire::encode_json(&Ok::<_, ()>(reply), out)
    }

    fn decode(bytes: &[u8]) -> Result<T, Malformed> {
        wire::decode(bytes)
    }

    fn split(reply: T) -> Result<T, Infallible> {
        Ok(reply)
    }

    fn whole(value: T) -> T {
        value
    }

    fn value(reply: &mut T) -> Option<&mut T> {
        Some(reply)
    }
}

impl<T: Wire, E: Wire> ShapeOf<Result<T, E>> for Shape<true> {
    type Value = T;
    type Error = E;

    fn encode(reply: &Result<T, E>, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        wire::encode_result(reply, out)
    }

    #[cfg(feature = "json")]
    fn encode_json(reply: &Result<T, E>, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        wire::encode_json(reply, out)
    }

    fn decode(bytes: &[u8]) -> Result<Result<T, E>, Malformed> {
        wire::decode_result(bytes)
    }

    fn split(reply: Result<T, E>) -> Result<T, E> {
        reply
    }

    fn whole(value: T) -> Result<T, E> {
        Ok(value)
    }

    fn value(reply: &mut Result<T, E>) -> Option<&mut T> {
        reply.as_mut().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Alias<T> = Result<T, String>;
    type AliasOfAlias = Alias<u8>;

    #[test]
    fn a_result_is_recognised_behind_aliases() {
        const { assert!(Probe::<Result<(), u8>>::RESULT) };
        const { assert!(Probe::<AliasOfAlias>::RESULT) };
        const { assert!(!Probe::<Option<u8>>::RESULT) };
        const { assert!(!Probe::<()>::RESULT) };
    }

    #[test]
    fn replies_round_trip() {
        type Kind = Shape<{ Probe::<AliasOfAlias>::RESULT }>;
        for reply in [Ok(7), Err("no".to_owned())] {
            let mut out = Vec::new();
            <Kind as ShapeOf<AliasOfAlias>>::encode(&reply, &mut out).unwrap();
            assert_eq!(<Kind as ShapeOf<AliasOfAlias>>::decode(&out).unwrap(), reply);
        }
        assert!(<Shape<false> as ShapeOf<u8>>::decode(&[1, 2]).is_err());
    }
}
