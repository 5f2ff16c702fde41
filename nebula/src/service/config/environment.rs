//! A configuration in the variables of the environment.
//!
//! Under the prefix `USERS` the variable `USERS__RATE_LIMIT__PER_SECOND` gives the key
//! `rate_limit.per_second`: what follows the prefix is cut at each `__`, and in lower case. So keys
//! with capital letters, with `__`, or with what a variable may not have cannot be given here.
//!
//! A value is a value of TOML if it reads as one (`500`, `true`, `[80, 443]`, `{ burst = 5 }`,
//! `"5"`), and else a string; an empty one is the empty string. Where a string is expected, the
//! text is taken as it is, whatever it looks like; only a string in quotes is without them.
//!
//! Limits: 1 MiB a variable, 32 keys in each other, 10 000 values together.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use toml::Value;

use super::error::ConfigError;
use super::key::Key;
use super::layer::{Layer, Origin};
use super::node::{Kind, MAX_DEPTH, MAX_VALUES, Node};
use super::text::{MAX_TEXT, parse_value};

/// What separates the prefix and each key from the next.
const SEPARATOR: &str = "__";

/// The variables under a prefix as one table.
pub(super) fn parse(
    prefix: &str,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Node, ConfigError> {
    check_prefix(prefix)?;
    let begin = format!("{prefix}{SEPARATOR}");
    // Sorted, so that what is said of two that do not go together is always the same.
    let mut meant = BTreeMap::new();
    for (name, value) in variables {
        if name.to_string_lossy().starts_with(&begin) {
            meant.insert(name, value);
        }
    }
    let mut all = Node::empty(Origin::whole(Layer::Environment));
    for (name, value) in meant {
        let one = variable(&name, &value, &begin)?;
        join(&mut all, one, &Key::Top)?;
    }
    check_bounds(&all)?;
    Ok(all)
}

fn check_prefix(prefix: &str) -> Result<(), ConfigError> {
    let word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric());
    match prefix.split('_').all(word) {
        true => Ok(()),
        false => Err(ConfigError::Prefix { prefix: prefix.to_owned() }),
    }
}

/// The table of one variable.
fn variable(name: &OsStr, value: &OsStr, begin: &str) -> Result<Node, ConfigError> {
    let refuse =
        |reason| ConfigError::Variable { variable: name.to_string_lossy().into_owned(), reason };
    let origin = Origin::in_variable(name);
    let text = name.to_str().ok_or_else(|| refuse("its name is not Unicode"))?;
    let value = value.to_str().ok_or_else(|| refuse("its value is not Unicode"))?;
    if value.len() > MAX_TEXT {
        return Err(ConfigError::TooLong { origin: Box::new(origin) });
    }
    let path = text.strip_prefix(begin).unwrap_or_default();
    let keys: Vec<String> = path.split(SEPARATOR).map(str::to_lowercase).collect();
    if keys.iter().any(String::is_empty) {
        return Err(refuse("a key between two `__`, or after the last, is empty"));
    }
    let deep = |key| ConfigError::TooDeep { key, origin: Box::new(origin.clone()) };
    if keys.len() > MAX_DEPTH {
        return Err(deep(keys.iter().take(MAX_DEPTH).cloned().collect::<Vec<_>>().join(".")));
    }
    let leaf = match parse_value(value, &origin) {
        Ok(Some(node)) => {
            let is_string = matches!(node.kind, Kind::Scalar(Value::String(_)));
            Node { raw: (!is_string).then(|| Arc::from(value)), ..node }
        }
        Ok(None) => Node::new(Kind::Scalar(Value::String(value.to_owned())), origin.clone()),
        Err(bound) => return Err(ConfigError::of_bound(bound, origin)),
    };
    Ok(keys.into_iter().rev().fold(leaf, |inner, key| {
        Node::new(Kind::Table(BTreeMap::from([(key, inner)])), origin.clone())
    }))
}

/// Adds the table of a variable to those before it, none of whose keys it may give again.
fn join(all: &mut Node, one: Node, key: &Key<'_>) -> Result<(), ConfigError> {
    match (&mut all.kind, one.kind) {
        (Kind::Table(nodes), Kind::Table(others)) => {
            // A text can be that of one variable alone.
            all.raw = None;
            for (name, other) in others {
                match nodes.get_mut(&name) {
                    Some(node) => join(node, other, &key.field(&name))?,
                    None => drop(nodes.insert(name, other)),
                }
            }
            Ok(())
        }
        _ => {
            let name = |origin: &Origin| match origin.variable() {
                Some(name) => name.to_string_lossy().into_owned(),
                None => String::new(),
            };
            let (first, second) = (name(&all.origin), name(&one.origin));
            Err(ConfigError::Twice { key: key.to_string(), first, second })
        }
    }
}

/// What all variables together may hold; each alone was within the bounds.
fn check_bounds(node: &Node) -> Result<(), ConfigError> {
    if node.count() > MAX_VALUES {
        return Err(ConfigError::TooMany { layer: Layer::Environment });
    }
    match too_deep(node, &Key::Top, 0) {
        None => Ok(()),
        Some((key, origin)) => Err(ConfigError::TooDeep { key, origin: Box::new(origin) }),
    }
}

fn too_deep(node: &Node, key: &Key<'_>, depth: usize) -> Option<(String, Origin)> {
    if depth > MAX_DEPTH {
        return Some((key.to_string(), node.origin.clone()));
    }
    match &node.kind {
        Kind::Scalar(_) => None,
        Kind::Array(nodes) => nodes
            .iter()
            .enumerate()
            .find_map(|(index, node)| too_deep(node, &key.index(index), depth + 1)),
        Kind::Table(nodes) => {
            nodes.iter().find_map(|(name, node)| too_deep(node, &key.field(name), depth + 1))
        }
    }
}
