//! What each layer says, and what all of them together do.
//!
//! Promise: later layers win; tables are merged key by key, to any depth, all else is replaced; a
//! section that merges in its own way has the last word. The layers stay apart and are folded anew
//! after each change, so that an update at run time is not lost when the file is read again.
//!
//! Protocol: [`set`](Layers::set) takes what a layer says. It replaces what that layer said before,
//! but at run time, where each update is put over those before it. [`fold`](Layers::fold) begins
//! with the code and goes through the layers. A section's own merge is asked once for each layer,
//! and at run time once for each update, in their order.
//!
//! Limits: 10 000 values a layer. Of a section with its own merge up to 64 updates are kept apart;
//! more are kept as what they came to, with all that is below them: what a lower layer says anew
//! after that counts no more.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use super::error::{ConfigError, Part};
use super::given::Given;
use super::layer::Layer;
use super::node::{MAX_VALUES, Node};
use super::section::Section;
use super::state::Sections;

/// How many updates of a section with its own merge are kept.
const KEPT: usize = 64;

/// The layers above the code.
#[derive(Clone, Default)]
pub(crate) struct Layers {
    /// By layer below run time: what it says of each section.
    given: BTreeMap<Layer, BTreeMap<Part, Node>>,
    /// What came with plugins that were added at run time: over the start, under the updates.
    added: BTreeMap<Part, Node>,
    updates: BTreeMap<Part, Updates>,
}

/// What was said of a section at run time.
#[derive(Clone, Default)]
struct Updates {
    /// What it was after those that are not kept: all that is below them is in it.
    base: Option<Node>,
    kept: Vec<Node>,
    /// What it was added with came after some of them, and is among them.
    with_added: bool,
}

impl Updates {
    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.base.iter().chain(&self.kept)
    }
}

impl Layers {
    /// Takes what a layer says.
    ///
    /// # Errors
    ///
    /// [`TooMany`](ConfigError::TooMany) at run time, if all updates together have too many values,
    /// and what a section's own merge refuses. The layers are of no use then.
    pub(super) fn set(&mut self, given: Given, sections: &Sections) -> Result<(), ConfigError> {
        let Given { layer, added, parts } = given;
        if layer != Layer::Runtime && !added {
            self.given.insert(layer, parts);
            return Ok(());
        }
        for (part, node) in parts {
            if added {
                self.added.insert(part.clone(), node.clone());
                // The last word counts.
                let Some(updates) = self.updates.get_mut(&part) else { continue };
                updates.with_added = true;
            }
            // Nobody knows what becomes of two in a row.
            let apart = sections.get(&part).is_some_and(Section::has_merge);
            let kept = &mut self.updates.entry(part).or_default().kept;
            match kept.last_mut() {
                Some(last) if !apart => last.merge(node),
                _ => kept.push(node),
            }
        }
        let crowded = self.count() > MAX_VALUES;
        for (part, section) in sections.iter().filter(|(_, section)| section.has_merge()) {
            let kept = self.updates.get(part).map_or(0, |updates| updates.kept.len());
            if kept > KEPT || crowded && kept > 0 {
                let base = Some(self.fold(part, section)?);
                let folded = Updates { base, ..Updates::default() };
                self.updates.insert(part.clone(), folded);
            }
        }
        match self.count() {
            0..=MAX_VALUES => Ok(()),
            _ => Err(ConfigError::TooMany { layer: Layer::Runtime }),
        }
    }

    /// How many values all updates have.
    fn count(&self) -> usize {
        self.updates.values().flat_map(Updates::nodes).map(Node::count).sum()
    }

    /// Forgets all updates at run time.
    pub(super) fn reset(&mut self) {
        self.updates.clear();
    }

    /// Forgets the updates at run time of one section, and what it was added with.
    pub(super) fn forget(&mut self, part: &Part) {
        self.added.remove(part);
        self.updates.remove(part);
    }

    /// Puts what was said of a section at run time over another section in its place.
    pub(super) fn move_over(&mut self, part: &Part) {
        if let Some(updates) = self.updates.get_mut(part) {
            updates.with_added |= updates.base.is_some();
            updates.kept.splice(..0, updates.base.take());
        }
    }

    /// What all layers together say of a section.
    ///
    /// # Errors
    ///
    /// What the section's own merge refuses, or exceeds a bound.
    pub(super) fn fold(&self, part: &Part, section: &Section) -> Result<Node, ConfigError> {
        match self.updates.get(part) {
            Some(Updates { base: Some(base), kept, .. }) => {
                section.fold(part, Some(base), kept.iter())
            }
            _ => section.fold(part, None, self.said_of(part)),
        }
    }

    /// The sections of which something is said.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Part> {
        let given = self.given.values().flat_map(BTreeMap::keys);
        given.chain(self.added.keys()).chain(self.updates.keys())
    }

    /// What is said of a section, from the first layer to the last.
    pub(super) fn said_of(&self, part: &Part) -> impl Iterator<Item = &Node> {
        let lower = part.lower_case();
        let given = self.given.iter().filter_map(move |(layer, said)| {
            // Variables say nothing of the case of a name.
            let lower = lower.as_ref().filter(|_| *layer == Layer::Environment);
            said.get(part).or_else(|| said.get(lower?))
        });
        let updates = self.updates.get(part);
        let is_among = updates.is_some_and(|updates| updates.with_added);
        let added = self.added.get(part).filter(|_| !is_among);
        given.chain(added).chain(updates.into_iter().flat_map(Updates::nodes))
    }
}
