//! A configuration in TOML, with the line of each value.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};

use super::error::ConfigError;
use super::key::Key;
use super::layer::Origin;
use super::node::{Bound, Kind, Node, Room};

/// The longest text of a file, an update or a variable, in bytes.
pub(super) const MAX_TEXT: usize = 1 << 20;

/// Reads a text; `origin` is told the line of a value, counted from 1.
pub(super) fn parse(text: &str, origin: &dyn Fn(usize) -> Origin) -> Result<Node, ConfigError> {
    if text.len() > MAX_TEXT {
        return Err(ConfigError::TooLong { origin: Box::new(origin(1)) });
    }
    let lines = Lines::of(text);
    let syntax = |offset, reason: &str| {
        let (line, column) = lines.place(offset);
        ConfigError::Syntax { origin: Box::new(origin(line)), column, reason: reason.to_owned() }
    };
    let document = DeTable::parse(text)
        .map_err(|error| syntax(error.span().unwrap_or_default().start, error.message()))?;
    let origin_of = |offset| origin(lines.place(offset).0);
    let mut walk = Walk { origin_of: &origin_of, room: Room::new() };
    walk.table(document.get_ref(), 0, &Key::Top, 0).map_err(|(offset, trouble)| match trouble {
        Trouble::Bound(bound) => ConfigError::of_bound(bound, origin_of(offset)),
        Trouble::Number => syntax(offset, "the number is too large"),
    })
}

/// Reads one value, as a variable has it. `None` for what is not TOML, and for too large a number.
pub(super) fn parse_value(text: &str, origin: &Origin) -> Result<Option<Node>, Bound> {
    let Ok(value) = DeValue::parse(text) else { return Ok(None) };
    let mut walk = Walk { origin_of: &|_| origin.clone(), room: Room::new() };
    match walk.value(&value, &Key::Top, 0) {
        Ok(node) => Ok(Some(node)),
        Err((_, Trouble::Number)) => Ok(None),
        Err((_, Trouble::Bound(bound))) => Err(bound),
    }
}

enum Trouble {
    Bound(Bound),
    Number,
}

/// A failure and the byte at which it is.
type Failed = (usize, Trouble);

struct Walk<'a> {
    origin_of: &'a dyn Fn(usize) -> Origin,
    room: Room,
}

impl Walk<'_> {
    fn value(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        key: &Key<'_>,
        depth: usize,
    ) -> Result<Node, Failed> {
        let start = value.span().start;
        let number = |()| (start, Trouble::Number);
        let scalar = match value.get_ref() {
            DeValue::Table(table) => return self.table(table, start, key, depth),
            DeValue::Array(values) => {
                self.enter(start, key, depth)?;
                let nodes = values.iter().enumerate();
                let nodes = nodes.map(|(i, v)| self.value(v, &key.index(i), depth + 1));
                let kind = Kind::Array(nodes.collect::<Result<_, _>>()?);
                return Ok(Node::new(kind, (self.origin_of)(start)));
            }
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(integer) => {
                let parsed = i64::from_str_radix(integer.as_str(), integer.radix());
                Value::Integer(parsed.map_err(|_| number(()))?)
            }
            DeValue::Float(float) => Value::Float(float.as_str().parse().map_err(|_| number(()))?),
            DeValue::Boolean(yes) => Value::Boolean(*yes),
            DeValue::Datetime(time) => Value::Datetime(*time),
        };
        self.enter(start, key, depth)?;
        Ok(Node::new(Kind::Scalar(scalar), (self.origin_of)(start)))
    }

    fn table(
        &mut self,
        table: &DeTable<'_>,
        start: usize,
        key: &Key<'_>,
        depth: usize,
    ) -> Result<Node, Failed> {
        self.enter(start, key, depth)?;
        let nodes = table.iter().map(|(name, value)| {
            let name = name.get_ref().to_string();
            let node = self.value(value, &key.field(&name), depth + 1)?;
            Ok((name, node))
        });
        let kind = Kind::Table(nodes.collect::<Result<_, _>>()?);
        Ok(Node::new(kind, (self.origin_of)(start)))
    }

    fn enter(&mut self, start: usize, key: &Key<'_>, depth: usize) -> Result<(), Failed> {
        self.room.enter(key, depth).map_err(|bound| (start, Trouble::Bound(bound)))
    }
}

/// Where the lines of a text begin.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let after = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after).collect() }
    }

    /// The line and the column, in characters, both counted from 1.
    fn place(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let before = self.text.get(start..offset).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::layer::Layer;
    use super::*;

    fn read(text: &str) -> Result<Node, String> {
        let origin = |line| Origin::in_text(Layer::Runtime, line);
        parse(text, &origin).map_err(|error| error.to_string())
    }

    fn line(node: &Node, path: &str) -> Option<usize> {
        node.find(path).and_then(|node| node.origin.line())
    }

    #[test]
    fn each_value_has_its_line() {
        let text = "a = 1\n[pool]\nsizes = [\n  0x10,\n  2.5,\n]\n[[rules]]\nname = 'x'\n";
        let node = read(text).unwrap_or_else(|error| panic!("{error}"));
        let lines = [("a", 1), ("pool.sizes", 3), ("pool.sizes[0]", 4), ("rules[0].name", 8)];
        for (path, expected) in lines {
            assert_eq!(line(&node, path), Some(expected), "{path}");
        }
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(node.to_table(), table);
    }

    #[test]
    fn what_is_wrong_has_its_line_and_column() {
        let told = read("a = 1\n'bé' = [1, many]").err().unwrap();
        assert!(told.contains("line 2, column 12"), "{told}");
        let told = read("a = 1\nb = 99999999999999999999").err().unwrap();
        assert!(told.contains("line 2, column 5") && told.contains("too large"), "{told}");
        assert!(read("a = 1\na = 2").err().unwrap().contains("line 2"));
    }

    #[test]
    fn text_depth_and_number_are_bounded() {
        assert!(read(&format!("a = \"{}\"", "x".repeat(MAX_TEXT))).err().unwrap().contains("MiB"));
        assert!(read(&format!("a = {}{}", "[".repeat(32), "]".repeat(32))).is_ok());
        let deep = read(&format!("a = {}{}", "[".repeat(33), "]".repeat(33))).err().unwrap();
        assert!(deep.contains("`a[0]") && deep.contains("32"), "{deep}");
        for dots in [100, 100_000] {
            let told = read(&format!("{}a = 1", "a.".repeat(dots))).err().unwrap();
            assert!(told.contains("recursion limit"), "{told}");
        }
        let many = read(&format!("a = [{}]", "1,".repeat(10_000))).err().unwrap();
        assert!(many.contains("10000"), "{many}");
        assert!(read(&format!("a = [{}]", "1,".repeat(9_998))).is_ok());
    }
}
