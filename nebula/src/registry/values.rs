#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Values by domain and key, and which of them somebody is about to change.
//!
//! A change that runs code of the application has a *turn*: a number that the value carries from
//! its begin to its end. Whatever else writes the value meanwhile takes the number off, and the
//! change comes to nothing.

use std::collections::BTreeMap;
use std::mem;

use super::held::Held;

/// The values of a node. What its functions return is to be dropped where nothing is locked.
#[derive(Debug, Default)]
pub(crate) struct Values {
    domains: Domains,
    /// The number of the latest turn.
    latest: u64,
}

/// Slots by domain, then by key. No domain is empty.
pub(crate) type Domains = BTreeMap<Box<str>, BTreeMap<Box<str>, Slot>>;

#[derive(Debug)]
pub(crate) struct Slot {
    value: Held,
    turn: Option<u64>,
}

impl Values {
    pub(crate) fn get(&self, domain: &str, key: &str) -> Option<&Held> {
        Some(&self.domains.get(domain)?.get(key)?.value)
    }

    /// Whether somebody's turn has not ended.
    pub(crate) fn is_changing(&self, domain: &str, key: &str) -> bool {
        self.domains
            .get(domain)
            .and_then(|keys| keys.get(key))
            .is_some_and(|slot| slot.turn.is_some())
    }

    /// Puts a value in place of the one that was there.
    pub(crate) fn put(&mut self, domain: &str, key: &str, value: Held) -> Option<Held> {
        if let Some(slot) = self.slot(domain, key) {
            slot.turn = None;
            return Some(mem::replace(&mut slot.value, value));
        }
        let slot = Slot { value, turn: None };
        match self.domains.get_mut(domain) {
            Some(keys) => keys.insert(key.into(), slot),
            None => self.domains.entry(domain.into()).or_default().insert(key.into(), slot),
        };
        None
    }

    pub(crate) fn remove(&mut self, domain: &str, key: &str) -> Option<Held> {
        let keys = self.domains.get_mut(domain)?;
        let gone = keys.remove(key)?;
        if keys.is_empty() {
            self.domains.remove(domain);
        }
        Some(gone.value)
    }

    /// Begins a turn with a value.
    pub(crate) fn begin(&mut self, domain: &str, key: &str) -> Option<(Held, u64)> {
        let turn = self.latest + 1;
        let slot = self.slot(domain, key)?;
        slot.turn = Some(turn);
        let value = slot.value.clone();
        self.latest = turn;
        Some((value, turn))
    }

    /// What came of a turn: the value from before, or the new one if the turn was overtaken.
    pub(crate) fn commit(
        &mut self,
        domain: &str,
        key: &str,
        turn: u64,
        value: Held,
    ) -> Result<Held, Held> {
        match self.slot(domain, key).filter(|slot| slot.turn == Some(turn)) {
            Some(slot) => Ok(mem::replace(&mut slot.value, value)),
            None => Err(value),
        }
    }

    /// Ends a turn, whatever came of it.
    pub(crate) fn end(&mut self, domain: &str, key: &str, turn: u64) {
        if let Some(slot) = self.slot(domain, key).filter(|slot| slot.turn == Some(turn)) {
            slot.turn = None;
        }
    }

    /// Takes all away.
    pub(crate) fn clear(&mut self) -> Domains {
        mem::take(&mut self.domains)
    }

    fn slot(&mut self, domain: &str, key: &str) -> Option<&mut Slot> {
        self.domains.get_mut(domain)?.get_mut(key)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// A turn that was overtaken has no say in the next one.
    #[test]
    fn an_overtaken_turn_is_over() {
        let held = |number: i64| Held::new(Arc::new(number));
        let mut values = Values::default();
        assert!(values.begin("d", "k").is_none());
        values.put("d", "k", held(1));
        let (_, first) = values.begin("d", "k").unwrap();
        values.put("d", "k", held(2));
        assert!(!values.is_changing("d", "k"));

        let (value, second) = values.begin("d", "k").unwrap();
        assert_eq!(value.get().as_deref(), Some(&2_i64));
        values.end("d", "k", first);
        assert!(values.is_changing("d", "k") && !values.is_changing("d", "other"));
        assert!(values.commit("d", "k", first, held(3)).is_err());
        assert!(values.commit("d", "k", second, held(4)).is_ok());
        assert!(values.is_changing("d", "k"));
        values.end("d", "k", second);
        assert!(!values.is_changing("d", "k"));
        assert_eq!(values.get("d", "k").and_then(Held::get).as_deref(), Some(&4_i64));
    }
}
