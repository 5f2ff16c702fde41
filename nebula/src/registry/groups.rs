#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Keys that any number of values share.

use std::collections::BTreeMap;

use super::held::Held;

/// The values of each key, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    keys: BTreeMap<Box<str>, BTreeMap<u64, Held>>,
    /// What the next value is known by.
    next: u64,
}

impl Groups {
    /// Adds a value after the others of its key. It is taken away by the number.
    pub(crate) fn add(&mut self, key: &str, value: Held) -> u64 {
        let number = self.next;
        self.next += 1;
        match self.keys.get_mut(key) {
            Some(values) => values.insert(number, value),
            None => self.keys.entry(key.into()).or_default().insert(number, value),
        };
        number
    }

    pub(crate) fn values(&self, key: &str) -> impl Iterator<Item = &Held> {
        self.keys.get(key).into_iter().flat_map(BTreeMap::values)
    }

    pub(crate) fn count(&self, key: &str) -> usize {
        self.keys.get(key).map_or(0, BTreeMap::len)
    }

    /// Takes a value away. What it returns is to be dropped where nothing is locked.
    pub(crate) fn remove(&mut self, key: &str, number: u64) -> Option<Held> {
        let values = self.keys.get_mut(key)?;
        let gone = values.remove(&number);
        if values.is_empty() {
            self.keys.remove(key);
        }
        gone
    }
}
