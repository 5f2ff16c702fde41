//! A configuration that knows where each of its values was given.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::{Table, Value};

use super::key::Key;
use super::layer::Origin;

/// How deep tables and arrays may be nested.
pub(super) const MAX_DEPTH: usize = 32;

/// How many values one layer may have, the elements of arrays and the tables counted too.
pub(super) const MAX_VALUES: usize = 10_000;

/// A value with its origin, and so each value in it.
#[derive(Clone)]
pub(crate) struct Node {
    pub(super) kind: Kind,
    pub(super) origin: Origin,
    /// The text of the variable, for a value that was not written as a string: who wants a string
    /// gets that (`007`, not `7`).
    pub(super) raw: Option<Arc<str>>,
    /// A table that came in the place of another value, and replaces what is below instead of
    /// being merged with it. Else it would matter which two of three layers are merged first.
    pub(super) replaces: bool,
}

#[derive(Clone)]
pub(super) enum Kind {
    /// Neither an array nor a table.
    Scalar(Value),
    Array(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

/// A bound that a configuration exceeds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Bound {
    /// The key that is too deep.
    Depth(String),
    Values,
}

impl Node {
    pub(super) fn new(kind: Kind, origin: Origin) -> Self {
        Self { kind, origin, raw: None, replaces: false }
    }

    pub(super) fn empty(origin: Origin) -> Self {
        Self::new(Kind::Table(BTreeMap::new()), origin)
    }

    /// A value all of which comes from one place, within the bounds.
    pub(super) fn from_value(value: Value, origin: &Origin) -> Result<Self, Bound> {
        let mut room = Room::new();
        room.value(value, origin, &Key::Top, 0)
    }

    pub(super) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Scalar(value) => value.clone(),
            Kind::Array(nodes) => Value::Array(nodes.iter().map(Self::to_value).collect()),
            Kind::Table(_) => Value::Table(self.to_table()),
        }
    }

    /// The table, without the origins; empty for what is none.
    pub(super) fn to_table(&self) -> Table {
        match &self.kind {
            Kind::Table(nodes) => nodes.iter().map(|(k, n)| (k.clone(), n.to_value())).collect(),
            _ => Table::new(),
        }
    }

    /// How many values there are, this one included.
    pub(super) fn count(&self) -> usize {
        1 + match &self.kind {
            Kind::Scalar(_) => 0,
            Kind::Array(nodes) => nodes.iter().map(Self::count).sum(),
            Kind::Table(nodes) => nodes.values().map(Self::count).sum(),
        }
    }

    /// What is called so in this table.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Table(nodes) => nodes.get(name),
            _ => None,
        }
    }

    /// What stands at a path as messages write it (`pool.sizes[2]`), if it is there.
    pub(super) fn find(&self, path: &str) -> Option<&Self> {
        path.split('.').filter(|step| !step.is_empty()).try_fold(self, |at, step| {
            let mut parts = step.split('[');
            let named = at.get(parts.next()?)?;
            parts.try_fold(named, |at, index| match &at.kind {
                Kind::Array(nodes) => nodes.get(index.strip_suffix(']')?.parse::<usize>().ok()?),
                _ => None,
            })
        })
    }

    /// Whether nobody who reads both can tell them apart, wherever they come from.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.raw == other.raw && self.same_kind(other)
    }

    fn same_kind(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            // Not a number is not equal to itself, and yet nothing has changed.
            (Kind::Scalar(Value::Float(a)), Kind::Scalar(Value::Float(b))) => {
                a.to_bits() == b.to_bits()
            }
            (Kind::Scalar(a), Kind::Scalar(b)) => a == b,
            (Kind::Array(a), Kind::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Kind::Table(a), Kind::Table(b)) => {
                a.len() == b.len()
                    && a.iter().zip(b).all(|((k, a), (other, b))| k == other && a.same(b))
            }
            _ => false,
        }
    }

    /// Puts a later layer over this one: tables are merged key by key, to any depth; all else, and
    /// arrays with it, is replaced.
    ///
    /// This is associative, so that updates can be merged with each other first.
    pub(super) fn merge(&mut self, over: Self) {
        match (&mut self.kind, over) {
            (
                Kind::Table(nodes),
                Self { kind: Kind::Table(others), origin, replaces: false, .. },
            ) => {
                for (name, other) in others {
                    match nodes.get_mut(&name) {
                        Some(node) => node.merge(other),
                        None => drop(nodes.insert(name, other)),
                    }
                }
                self.origin = origin;
                // The text was that of a part alone.
                self.raw = None;
            }
            (_, over) => *self = Self { replaces: true, ..over },
        }
    }

    /// Finds the origins again of what somebody made of `current` and `update`: what is as in the
    /// update comes from there, what is as it was from where it came, all else from the update.
    pub(super) fn attribute<'a>(&mut self, current: Option<&'a Self>, update: Option<&'a Self>) {
        for known in [update, current].into_iter().flatten() {
            // The origins of a table are those of its values.
            if !matches!(self.kind, Kind::Table(_)) && self.same_kind(known) {
                *self = known.clone();
                return;
            }
        }
        if let Kind::Table(nodes) = &mut self.kind {
            for (name, node) in nodes {
                let of = |known: Option<&'a Self>| known.and_then(|known| known.get(name));
                node.attribute(of(current), of(update));
            }
        }
    }
}

/// How much more a layer may hold.
pub(super) struct Room(usize);

impl Room {
    pub(super) fn new() -> Self {
        Self(MAX_VALUES)
    }

    /// Lets one value in that is so deep.
    pub(super) fn enter(&mut self, key: &Key<'_>, depth: usize) -> Result<(), Bound> {
        if depth > MAX_DEPTH {
            return Err(Bound::Depth(key.to_string()));
        }
        self.0 = self.0.checked_sub(1).ok_or(Bound::Values)?;
        Ok(())
    }

    fn value(
        &mut self,
        value: Value,
        origin: &Origin,
        key: &Key<'_>,
        depth: usize,
    ) -> Result<Node, Bound> {
        self.enter(key, depth)?;
        let kind = match value {
            Value::Array(values) => {
                let nodes = values.into_iter().enumerate();
                let nodes = nodes.map(|(i, v)| self.value(v, origin, &key.index(i), depth + 1));
                Kind::Array(nodes.collect::<Result<_, _>>()?)
            }
            Value::Table(values) => {
                let nodes = values.into_iter().map(|(name, v)| {
                    let node = self.value(v, origin, &key.field(&name), depth + 1)?;
                    Ok((name, node))
                });
                Kind::Table(nodes.collect::<Result<_, _>>()?)
            }
            scalar => Kind::Scalar(scalar),
        };
        Ok(Node::new(kind, origin.clone()))
    }
}
