//! Which hooks a plugin has: what it does not have is not called.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;
use std::ops::BitOr;

/// A set of hooks, in a constant: `Hooks::BEFORE | Hooks::START` is
/// `Hooks::BEFORE.and(Hooks::START)`.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Hooks(u16);

/// Each hook and its name.
const NAMES: [(Hooks, &str); 9] = [
    (Hooks::BEFORE, "before"),
    (Hooks::AROUND, "around"),
    (Hooks::AFTER, "after"),
    (Hooks::START, "start"),
    (Hooks::STOP, "stop"),
    (Hooks::READY, "ready"),
    (Hooks::DRAINED, "drained"),
    (Hooks::STATUS, "status_changed"),
    (Hooks::UPDATED, "updated"),
];

impl Hooks {
    /// No hook at all.
    pub const NONE: Self = Self(0);
    /// [`Plugin::before`](super::Plugin::before)
    pub const BEFORE: Self = Self(1);
    /// [`Plugin::around`](super::Plugin::around)
    pub const AROUND: Self = Self(1 << 1);
    /// [`Plugin::after`](super::Plugin::after)
    pub const AFTER: Self = Self(1 << 2);
    /// [`Plugin::start`](super::Plugin::start)
    pub const START: Self = Self(1 << 3);
    /// [`Plugin::stop`](super::Plugin::stop)
    pub const STOP: Self = Self(1 << 4);
    /// [`Plugin::ready`](super::Plugin::ready)
    pub const READY: Self = Self(1 << 5);
    /// [`Plugin::drained`](super::Plugin::drained)
    pub const DRAINED: Self = Self(1 << 6);
    /// [`Plugin::status_changed`](super::Plugin::status_changed)
    pub const STATUS: Self = Self(1 << 7);
    /// [`Plugin::updated`](super::Plugin::updated)
    pub const UPDATED: Self = Self(1 << 8);
    /// All hooks: what is taken for granted of a plugin that says nothing.
    pub const ALL: Self = Self((1 << 9) - 1);

    /// The hooks of both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all hooks of `other` are here.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Hooks {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = NAMES.iter().filter(|(hook, _)| self.has(*hook)).map(|(_, name)| name);
        f.debug_set().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_hooks_are_named_once() {
        let named = NAMES.iter().fold(Hooks::NONE, |all, (hook, _)| {
            assert!(!all.has(*hook), "{hook:?} is there already");
            all | *hook
        });
        assert_eq!(named, Hooks::ALL);
        assert_eq!(format!("{:?}", Hooks::AFTER | Hooks::BEFORE), r#"{"before", "after"}"#);
    }
}
