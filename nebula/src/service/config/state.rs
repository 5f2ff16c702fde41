//! A configuration that is in force, and the plan of the next one.
//!
//! Promise: a plan is made without changing anything, and is complete: each section was folded,
//! read and validated. What a plan refuses leaves nothing behind.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use toml::Table;

use super::error::{ConfigError, Part};
use super::given::{Given, PLUGINS};
use super::key::Key;
use super::layers::Layers;
use super::node::{Kind, Node};
use super::section::{AnyConfig, Section};
use super::unused::UnusedKey;
use crate::nodes::closest;

/// The sections there are.
pub(crate) type Sections = BTreeMap<Part, Section>;

/// One thing that is to be changed.
pub(crate) enum Change {
    /// A layer speaks: instead of what it said before, or, at run time, in addition.
    Layer(Given),
    /// What was said at run time is forgotten.
    Reset,
    /// Other sections, because there are other plugins. What was said of those that are gone, at run
    /// time or when they were added, is forgotten.
    Sections(Sections),
}

/// All of a configuration at one moment.
pub(super) struct State {
    pub(super) version: u64,
    layers: Layers,
    sections: Sections,
    folded: BTreeMap<Part, Folded>,
    unused: Vec<UnusedKey>,
}

/// A section after all layers.
#[derive(Clone)]
struct Folded {
    node: Node,
    value: AnyConfig,
    unused: Vec<UnusedKey>,
}

/// What [`State::plan`] comes to, beside the state.
pub(super) struct Outcome {
    pub(super) state: State,
    /// The sections that were there before, and say something else now.
    pub(super) changed: Vec<Part>,
    /// Keys without any use that were not there before.
    pub(super) unused: Vec<UnusedKey>,
}

impl State {
    /// Of no sections and no layers.
    pub(super) fn empty() -> Self {
        Self {
            version: 0,
            layers: Layers::default(),
            sections: Sections::new(),
            folded: BTreeMap::new(),
            unused: Vec::new(),
        }
    }

    /// The state after some changes, in their order.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub(super) fn plan(&self, changes: Vec<Change>) -> Result<Outcome, ConfigError> {
        let (mut layers, mut sections) = (self.layers.clone(), self.sections.clone());
        let mut meant = Vec::new();
        for change in changes {
            match change {
                Change::Layer(given) => {
                    meant.extend(given.for_plugins());
                    layers.set(given, &sections)?;
                }
                Change::Reset => layers.reset(),
                Change::Sections(new) => {
                    let gone = sections.keys().filter(|part| !new.contains_key(part));
                    gone.for_each(|part| layers.forget(part));
                    let is_other = |part: &_, section: &Section| {
                        sections.get(part).is_some_and(|old| !old.is_checked_like(section))
                    };
                    let others = new.iter().filter(|(part, section)| is_other(part, section));
                    others.for_each(|(part, _)| layers.move_over(part));
                    sections = new;
                }
            }
        }
        for (name, origin) in meant {
            if !sections.contains_key(&Part::Plugin(Arc::clone(&name))) {
                let names = || plugins(sections.keys());
                return Err(ConfigError::UnknownPlugin {
                    key: Key::Top.field(PLUGINS).field(&name).to_string(),
                    origin: Box::new(origin),
                    close: closest(&name, names()),
                    known: names().map(str::to_owned).collect(),
                });
            }
        }
        let mut folded = BTreeMap::new();
        let mut changed = Vec::new();
        for (part, section) in &sections {
            let (now, differs) = self.refold(part, section, &layers)?;
            if differs {
                changed.push(part.clone());
            }
            folded.insert(part.clone(), now);
        }
        let unused = unused(&layers, &folded);
        let new = unused.iter().filter(|key| !self.unused.contains(key)).cloned().collect();
        let version = self.version + 1;
        let state = Self { version, layers, sections, folded, unused };
        Ok(Outcome { state, changed, unused: new })
    }

    /// A section after a change, and whether it was there before and is another now. The value
    /// stays the very same if it is not.
    fn refold(
        &self,
        part: &Part,
        section: &Section,
        layers: &Layers,
    ) -> Result<(Folded, bool), ConfigError> {
        let node = layers.fold(part, section)?;
        let before = self.folded.get(part).zip(self.sections.get(part));
        let is_same = before.is_some_and(|(folded, _)| folded.node.same(&node));
        match before {
            Some((folded, checked)) if is_same && checked.is_checked_like(section) => {
                Ok((Folded { node, ..folded.clone() }, false))
            }
            _ => {
                let (value, unused) = section.check(part, &node)?;
                Ok((Folded { node, value, unused }, before.is_some() && !is_same))
            }
        }
    }

    /// The same with another version.
    pub(super) fn again(&self, version: u64) -> Self {
        Self {
            version,
            layers: self.layers.clone(),
            sections: self.sections.clone(),
            folded: self.folded.clone(),
            unused: self.unused.clone(),
        }
    }

    pub(super) fn value(&self, part: &Part) -> Option<&AnyConfig> {
        self.folded.get(part).map(|folded| &folded.value)
    }

    pub(super) fn sections(&self) -> &Sections {
        &self.sections
    }

    /// The table of a section after all layers.
    pub(super) fn table(&self, part: &Part) -> Option<Table> {
        self.folded.get(part).map(|folded| folded.node.to_table())
    }
}

/// The keys that no section has a use for, and the sections that nobody has.
fn unused(layers: &Layers, folded: &BTreeMap<Part, Folded>) -> Vec<UnusedKey> {
    let mut all: Vec<UnusedKey> = folded.values().flat_map(|f| f.unused.clone()).collect();
    let nobodys: BTreeSet<&Part> =
        layers.parts().filter(|part| !folded.contains_key(part)).collect();
    for part in nobodys {
        let meant = folded.keys().any(|known| known.lower_case().as_ref() == Some(part));
        for node in layers.said_of(part) {
            if meant && node.origin.variable().is_some() {
                continue;
            }
            match part {
                Part::Plugin(name) => {
                    let key = Key::Top.field(PLUGINS);
                    all.push(UnusedKey::new(&key.field(name), node, plugins(folded.keys())));
                }
                Part::Service => {
                    let Kind::Table(nodes) = &node.kind else { continue };
                    let keys = nodes.iter();
                    all.extend(keys.map(|(name, node)| {
                        UnusedKey::new(&Key::Top.field(name), node, [PLUGINS].into_iter())
                    }));
                }
            }
        }
    }
    all
}

/// The names of the plugins among these.
fn plugins<'p>(parts: impl Iterator<Item = &'p Part>) -> impl Iterator<Item = &'p str> {
    parts.filter_map(|part| match part {
        Part::Plugin(name) => Some(&**name),
        Part::Service => None,
    })
}

/// The value of a section, if it is of that type.
pub(super) fn typed<C: Send + Sync + 'static>(state: &State, part: &Part) -> Option<Arc<C>> {
    state.value(part).and_then(|value| value.clone().downcast().ok())
}
