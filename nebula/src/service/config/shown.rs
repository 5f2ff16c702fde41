//! A value in a message.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use macula::text::Safe;
use toml::Value;

use super::node::{Kind, Node};

/// How many characters of a string are shown.
const SHOWN: usize = 64;

/// A value in words: a scalar itself, cut to 64 characters; arrays and tables, and all that may be
/// a secret, by their kind alone.
pub(super) fn shown(node: &Node, secret: bool) -> String {
    let scalar = match &node.kind {
        Kind::Array(nodes) => return format!("an array of length {}", nodes.len()),
        Kind::Table(_) => return "a table".to_owned(),
        Kind::Scalar(scalar) if secret || has_credentials(scalar) => {
            return format!("a hidden {}", scalar.type_str());
        }
        Kind::Scalar(scalar) => scalar,
    };
    match scalar {
        Value::String(text) if text.chars().nth(SHOWN).is_some() => {
            let cut: String = text.chars().take(SHOWN).collect();
            format!("\"{}…\"", Safe(&cut))
        }
        Value::String(text) => format!("\"{}\"", Safe(text)),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Boolean(yes) => yes.to_string(),
        Value::Datetime(time) => time.to_string(),
        Value::Array(_) | Value::Table(_) => scalar.type_str().to_owned(),
    }
}

/// Whether this looks like an address with a password in it: `postgres://user:word@host`.
fn has_credentials(value: &Value) -> bool {
    value.as_str().and_then(|text| text.split_once("://")).is_some_and(|(_, at)| at.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::super::layer::{Layer, Origin};
    use super::*;

    fn of(value: impl Into<Value>, secret: bool) -> String {
        let node = Node::from_value(value.into(), &Origin::whole(Layer::Start));
        shown(&node.unwrap_or_else(|_| panic!("within the bounds")), secret)
    }

    #[test]
    fn scalars_are_shown_and_cut() {
        assert_eq!(of("many", false), r#""many""#);
        assert_eq!(of("x".repeat(64), false), format!("\"{}\"", "x".repeat(64)));
        assert_eq!(of("é".repeat(65), false), format!("\"{}…\"", "é".repeat(64)));
        assert_eq!(of("a\u{1b}[2J", false), r#""a\u{1b}[2J""#);
        assert_eq!(of(3, false), "3");
        assert_eq!(of(1.0, false), "1.0");
        assert_eq!(of(true, false), "true");
        assert_eq!(of(vec![1, 2], false), "an array of length 2");
        assert_eq!(of(toml::Table::new(), false), "a table");
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(of("hunter2", true), "a hidden string");
        assert_eq!(of(1234, true), "a hidden integer");
        assert_eq!(of("postgres://ada:hunter2@db/users", false), "a hidden string");
        assert_eq!(of("postgres://db/users", false), r#""postgres://db/users""#);
    }
}
