//! What a type says of the values it does not take, in parts that make a sentence.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::error::ConfigError;
use super::key::Key;
use super::layer::Origin;
use super::node::{Kind, Node};
use super::shown::shown;
use crate::nodes::closest;

/// The longest text of a type's own error that is shown, in bytes.
const MAX_REASON: usize = 256;

/// The error of serde: first what is wrong, then, on the way up, where.
#[derive(Debug)]
pub(super) struct Fault(Box<Inner>);

#[derive(Debug)]
struct Inner {
    what: What,
    place: Option<Place>,
}

#[derive(Debug)]
enum What {
    /// Another type or range; with what serde found, by its kind.
    Expected {
        expected: String,
        found: &'static str,
    },
    Unknown {
        known: &'static [&'static str],
    },
    Missing(&'static str),
    Other(String),
}

#[derive(Debug)]
struct Place {
    key: String,
    origin: Origin,
    shown: String,
    secret: bool,
    is_table: bool,
}

impl Place {
    fn of(key: &Key<'_>, node: &Node) -> Self {
        let secret = key.is_secret();
        Self {
            key: key.to_string(),
            origin: node.origin.clone(),
            shown: shown(node, secret),
            secret,
            is_table: matches!(node.kind, Kind::Table(_)),
        }
    }
}

impl Fault {
    fn new(what: What) -> Self {
        Self(Box::new(Inner { what, place: None }))
    }

    /// Says where it is, unless somebody further down has said so.
    pub(super) fn at(mut self, key: &Key<'_>, node: &Node) -> Self {
        self.0.place.get_or_insert_with(|| Place::of(key, node));
        self
    }

    /// The sentence. Without a place it is about all of `node`.
    pub(super) fn into_error(self, key: &Key<'_>, node: &Node) -> ConfigError {
        let Inner { what, place } = *self.0;
        let Place { key, origin, shown, secret, is_table } =
            place.unwrap_or_else(|| Place::of(key, node));
        let origin = Box::new(origin);
        match what {
            What::Expected { expected, found } if is_table && found != "a table" => {
                // Serde took the table apart before it looked (`flatten`): the key is lost.
                let reason = format!("there is {found} in it where {expected} is expected");
                ConfigError::Invalid { key, origin, value: shown, reason }
            }
            What::Expected { expected, .. } => {
                ConfigError::Value { key, origin, value: shown, expected }
            }
            What::Unknown { known } => {
                let name = key.rsplit('.').next().unwrap_or_default();
                let close = closest(name, known.iter().copied());
                let known = known.iter().map(|&name| name.to_owned()).collect();
                ConfigError::Unknown { key, origin, close, known }
            }
            What::Missing(field) => {
                let key = if key.is_empty() { field.to_owned() } else { format!("{key}.{field}") };
                ConfigError::Missing { key, reason: None }
            }
            What::Other(_) if secret => {
                let expected = "another value".to_owned();
                ConfigError::Value { key, origin, value: shown, expected }
            }
            What::Other(reason) => ConfigError::Invalid { key, origin, value: shown, reason },
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.what {
            What::Expected { expected, .. } => write!(f, "expected {expected}"),
            What::Unknown { .. } => f.write_str("a key is not known"),
            What::Missing(field) => write!(f, "`{field}` is missing"),
            What::Other(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let mut text = message.to_string();
        text.truncate(text.floor_char_boundary(MAX_REASON));
        Self::new(What::Other(text))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(What::Expected { expected: words(&expected.to_string()), found: kind(&found) })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        let expected = words(&expected.to_string());
        Self::new(What::Expected { expected, found: "an array of another length" })
    }

    fn unknown_variant(_: &str, known: &'static [&'static str]) -> Self {
        let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        let expected = match names.as_slice() {
            [] => "nothing, as there is no name to choose from".to_owned(),
            [one] => one.clone(),
            _ => format!("one of {}", names.join(", ")),
        };
        Self::new(What::Expected { expected, found: "another name" })
    }

    fn unknown_field(_: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::Unknown { known })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(What::Missing(field))
    }
}

/// What serde's own types call themselves, for people.
fn words(expected: &str) -> String {
    let plain = match expected {
        "u8" => "an integer from 0 to 255",
        "u16" => "an integer from 0 to 65535",
        "u32" => "an integer from 0 to 4294967295",
        "u64" | "u128" | "usize" => "an unsigned integer",
        "i8" => "an integer from -128 to 127",
        "i16" => "an integer from -32768 to 32767",
        "i32" => "an integer from -2147483648 to 2147483647",
        "i64" | "i128" | "isize" => "an integer",
        "f32" | "f64" => "a number",
        "a sequence" => "an array",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other if other.starts_with("enum ") => "a name, or a table with one",
        other => other,
    };
    plain
        .replace("a tuple of size", "an array of length")
        .replace("a nonzero", "another number than 0, of type")
}

fn kind(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a float",
        Unexpected::Char(_) | Unexpected::Str(_) => "a string",
        Unexpected::Seq => "an array",
        Unexpected::Map => "a table",
        _ => "another value",
    }
}
