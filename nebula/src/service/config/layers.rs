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
//! Limits: 10 000 values a layer. Updates of a section with its own merge are all kept, and count.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use super::error::{ConfigError, Part};
use super::given::Given;
use super::layer::Layer;
use super::node::{MAX_VALUES, Node};
use super::section::Section;

/// The layers above the code.
#[derive(Clone, Default)]
pub(crate) struct Layers {
    /// By layer: what it says of each section, as one update or, at run time, more of them.
    given: BTreeMap<Layer, BTreeMap<Part, Vec<Node>>>,
}

impl Layers {
    /// Takes what a layer says; `keeps_apart` tells the sections with a merge of their own.
    ///
    /// # Errors
    ///
    /// [`TooMany`](ConfigError::TooMany) at run time, if all updates together have too many values.
    /// The layers are of no use then.
    pub(super) fn set(
        &mut self,
        given: Given,
        keeps_apart: impl Fn(&Part) -> bool,
    ) -> Result<(), ConfigError> {
        let Given { layer, parts } = given;
        if layer != Layer::Runtime {
            let parts = parts.into_iter().map(|(part, node)| (part, vec![node]));
            self.given.insert(layer, parts.collect());
            return Ok(());
        }
        let said = self.given.entry(layer).or_default();
        for (part, node) in parts {
            let apart = keeps_apart(&part);
            let updates = said.entry(part).or_default();
            match updates.last_mut() {
                Some(last) if !apart => last.merge(node),
                _ => updates.push(node),
            }
        }
        match said.values().flatten().map(Node::count).sum::<usize>() {
            0..=MAX_VALUES => Ok(()),
            _ => Err(ConfigError::TooMany { layer }),
        }
    }

    /// Forgets all updates at run time.
    pub(super) fn reset(&mut self) {
        self.given.remove(&Layer::Runtime);
    }

    /// Forgets the updates at run time of one section.
    pub(super) fn forget(&mut self, part: &Part) {
        if let Some(said) = self.given.get_mut(&Layer::Runtime) {
            said.remove(part);
        }
    }

    /// What all layers together say of a section.
    ///
    /// # Errors
    ///
    /// What the section's own merge refuses, or exceeds a bound.
    pub(super) fn fold(&self, part: &Part, section: &Section) -> Result<Node, ConfigError> {
        section.fold(part, self.said_of(part))
    }

    /// The sections of which something is said.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.given.values().flat_map(BTreeMap::keys)
    }

    /// What is said of a section, from the first layer to the last.
    pub(super) fn said_of(&self, part: &Part) -> impl Iterator<Item = &Node> {
        self.given.values().filter_map(move |said| said.get(part)).flatten()
    }
}
