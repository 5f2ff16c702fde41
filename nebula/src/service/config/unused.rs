//! Keys that nobody looks at.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::fmt;

use super::key::Key;
use super::layer::Origin;
use super::node::Node;
use crate::nodes::closest;

/// How many of them are remembered of one configuration.
const MOST: usize = 16;

/// A key that a configuration has no use for: most likely it is misspelt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct UnusedKey {
    pub(super) key: String,
    pub(super) origin: Origin,
    close: Option<String>,
}

impl UnusedKey {
    pub(super) fn new<'a>(
        key: &Key<'_>,
        node: &Node,
        known: impl Iterator<Item = &'a str>,
    ) -> Self {
        let close = match key {
            Key::Field(_, name) => closest(name, known),
            _ => None,
        };
        Self { key: key.to_string(), origin: node.origin.clone(), close }
    }
}

impl fmt::Display for UnusedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nobody asks for `{}` {}", self.key, self.origin)?;
        match &self.close {
            Some(close) => write!(f, ", did you mean `{close}`?"),
            None => Ok(()),
        }
    }
}

#[derive(Default)]
pub(super) struct Unused(Vec<UnusedKey>);

impl Unused {
    pub(super) fn note(&mut self, key: &Key<'_>, node: &Node, known: &'static [&'static str]) {
        if self.0.len() < MOST {
            self.0.push(UnusedKey::new(key, node, known.iter().copied()));
        }
    }

    pub(super) fn into_keys(self) -> Vec<UnusedKey> {
        self.0
    }
}
