//! Which nodes are configured, and with which tags.
//!
//! Promise: it is the same on every node that was given the same configuration, whoever is up, so
//! a majority can be counted over it; [`Topology::hash`] shows when two nodes were not.
//!
//! Limits: names are 1 to 255 bytes and tags 1 to 64, of what a selector takes without quotes (a
//! full name has one `@` besides); a node has 64 tags at most, a file 1 MiB. The names and tags of
//! running nodes have the same limits, so that each node can be declared.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod hash;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use macula::directory::{MAX_NODE_NAME_BYTES, MAX_TAG_BYTES, MAX_TAGS};
use macula::text::{Safe, is_hidden};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use self::hash::Hasher;
pub use self::hash::TopologyHash;
use super::selector::{Selector, is_bare, short_name};
use super::unknown::{UnknownInSelector, closest};

/// The largest file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The configured nodes and their tags, from code or from TOML.
///
/// ```
/// # use nebula::nodes::{Topology, TopologyError, tag};
/// # fn main() -> Result<(), TopologyError> {
/// let topology = Topology::new().node("db-1@h1", ["db"])?.node("web@h2", ["web", "edge"])?;
/// let written = "
///     [nodes]
///     'web@h2' = ['web', 'edge']
///     'db-1@h1' = 'db'
/// ";
/// assert_eq!(topology.hash(), Topology::from_toml(written)?.hash());
/// assert_eq!(topology.configured(&tag("db")), ["db-1@h1"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Topology {
    nodes: BTreeMap<String, BTreeSet<String>>,
}

impl Topology {
    /// No nodes at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node by its full name (`db-1@host`, or a name without any `@`).
    ///
    /// # Errors
    ///
    /// [`Duplicate`](TopologyError::Duplicate) if it is there already,
    /// [`Name`](TopologyError::Name), [`Tag`](TopologyError::Tag) and
    /// [`TooManyTags`](TopologyError::TooManyTags) for what no node may have: names over 255 bytes,
    /// tags over 64, more than 64 tags, and words that a selector would have to quote.
    pub fn node<T: Into<String>>(
        mut self,
        name: impl Into<String>,
        tags: impl IntoIterator<Item = T>,
    ) -> Result<Self, TopologyError> {
        self.declare(name.into(), tags.into_iter().map(Into::into))?;
        Ok(self)
    }

    /// Reads a table `[nodes]` that has a line for each node: its full name, then its tag or the
    /// list of its tags.
    ///
    /// ```toml
    /// [nodes]
    /// "db-1@h1" = ["db"]
    /// "web@h2" = ["web", "edge"]
    /// ```
    ///
    /// # Errors
    ///
    /// Everything [`node`](Self::node) refuses, values that are neither a string nor a list of
    /// strings, any other key, and text that is not TOML, all with their line.
    pub fn from_toml(text: &str) -> Result<Self, TopologyError> {
        if text.len() as u64 > MAX_FILE {
            return Err(TopologyError::TooLarge);
        }
        let at = |offset, error| TopologyError::at_line(text, offset, error);
        let document = DeTable::parse(text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            let place = text.get(span.clone()).unwrap_or_default().trim();
            let reason = match place.is_empty() {
                true => error.message().to_owned(),
                false => format!("{} at `{:.80}`", error.message(), place),
            };
            at(span.start, TopologyError::Syntax { reason })
        })?;
        let mut topology = Self::new();
        for (key, value) in document.get_ref() {
            if key.get_ref() != "nodes" {
                let key_text = key.get_ref().to_string();
                return Err(at(key.span().start, TopologyError::UnknownKey { key: key_text }));
            }
            let DeValue::Table(nodes) = value.get_ref() else {
                return Err(at(value.span().start, TopologyError::NotATable));
            };
            for (name, tags) in nodes {
                let name_text = name.get_ref().as_ref();
                read_tags(name_text, tags)
                    .and_then(|tags| topology.declare(name_text.to_owned(), tags.into_iter()))
                    .map_err(|error| at(name.span().start, error))?;
            }
        }
        Ok(topology)
    }

    /// Reads a file in the form of [`from_toml`](Self::from_toml). Blocks: it is meant for the
    /// start of a program.
    ///
    /// # Errors
    ///
    /// Everything `from_toml` refuses, with the path, and what the file system refuses.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, TopologyError> {
        let path = path.as_ref();
        let read = || -> io::Result<String> {
            let mut text = String::new();
            // One byte more than is allowed shows that there is more.
            File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
            Ok(text)
        };
        let text = read().map_err(|source| TopologyError::Read { path: path.into(), source })?;
        Self::from_toml(&text)
            .map_err(|error| TopologyError::InFile { path: path.into(), error: Box::new(error) })
    }

    /// A fingerprint of all nodes and their tags.
    pub fn hash(&self) -> TopologyHash {
        let mut hash = Hasher::new();
        for (name, tags) in &self.nodes {
            hash.text(name);
            hash.length(tags.len());
            tags.iter().for_each(|tag| hash.text(tag));
        }
        hash.finish()
    }

    /// The full names of the nodes that a selector means, sorted: what a majority is counted over.
    pub fn configured(&self, selector: &Selector) -> Vec<&str> {
        let meant = self.nodes.iter().filter(|(name, tags)| selector.matches(name, tags));
        meant.map(|(name, _)| name.as_str()).collect()
    }

    /// Whether a selector makes sense here: each tag is carried by some node, each name is that
    /// of some node, and together they mean one node at least.
    ///
    /// # Errors
    ///
    /// The first tag or name that is not configured, with the one that may have been meant, or
    /// [`NoMatch`](UnknownInSelector::NoMatch).
    pub fn check(&self, selector: &Selector) -> Result<(), UnknownInSelector> {
        let tags: BTreeSet<&str> = self.nodes.values().flatten().map(String::as_str).collect();
        if let Some(tag) = selector.tags().find(|tag| !tags.contains(tag)) {
            let close = closest(tag, tags.iter().copied());
            let known = tags.into_iter().map(str::to_owned).collect();
            return Err(UnknownInSelector::Tag { tag: tag.to_owned(), close, known });
        }
        let spellings = || self.names().chain(self.names().map(short_name));
        if let Some(name) = selector.names().find(|name| spellings().all(|known| known != *name)) {
            let close = closest(name, spellings());
            let known = self.names().map(str::to_owned).collect();
            return Err(UnknownInSelector::Node { name: name.to_owned(), close, known });
        }
        if self.configured(selector).is_empty() {
            return Err(UnknownInSelector::NoMatch { selector: selector.to_string() });
        }
        Ok(())
    }

    /// Whether a node of this full name is configured.
    pub fn contains(&self, name: &str) -> bool {
        self.nodes.contains_key(name)
    }

    /// The tags of the node of this full name, if it is configured.
    pub fn tags_of(&self, name: &str) -> Option<&BTreeSet<String>> {
        self.nodes.get(name)
    }

    /// The full names of all nodes, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }

    /// How many nodes are configured.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether no node is configured.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    fn declare(
        &mut self,
        name: String,
        tags: impl Iterator<Item = String>,
    ) -> Result<(), TopologyError> {
        if let Some(why) = name_fault(&name) {
            return Err(TopologyError::Name { name, why });
        }
        if self.contains(&name) {
            return Err(TopologyError::Duplicate { name });
        }
        let mut all = BTreeSet::new();
        for tag in tags {
            if let Some(why) = tag_fault(&tag) {
                return Err(TopologyError::Tag { node: name, tag, why });
            }
            all.insert(tag);
        }
        if all.len() > MAX_TAGS {
            return Err(TopologyError::TooManyTags { node: name, count: all.len() });
        }
        self.nodes.insert(name, all);
        Ok(())
    }
}

/// Nodes cannot be configured like this. Nothing was taken over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// A name is there twice.
    #[error("the node `{name}` is declared twice")]
    Duplicate {
        /// The full name.
        name: String,
    },
    /// No node can be called that.
    #[error("a node cannot be called `{}`: {why}", Safe(name))]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No tag can be called that.
    #[error("the node `{node}` cannot have the tag `{}`: {why}", Safe(tag))]
    Tag {
        /// The full name of the node.
        node: String,
        /// The tag.
        tag: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No node can have so many tags.
    #[error("the node `{node}` has {count} tags, and a node has at most {MAX_TAGS}")]
    TooManyTags {
        /// The full name of the node.
        node: String,
        /// How many it has.
        count: usize,
    },
    /// The tags are of another type.
    #[error("the tags of `{node}` must be a string or a list of strings, not {found}")]
    Tags {
        /// The full name of the node.
        node: String,
        /// What was found instead, such as `integer`.
        found: &'static str,
    },
    /// A key other than `nodes`.
    #[error("the key `{key}` is not known: the nodes are in the table `[nodes]`")]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// `nodes` is there, but no table.
    #[error("`nodes` must be a table with a line for each node, such as `\"db-1@h1\" = [\"db\"]`")]
    NotATable,
    /// The text is not TOML, or has a key twice.
    #[error("{reason}")]
    Syntax {
        /// What the TOML parser says.
        reason: String,
    },
    /// More than 1 MiB.
    #[error("the configuration of the nodes may be 1 MiB at most")]
    TooLarge,
    /// The file cannot be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// Where in a text the error is.
    #[error("line {line}: {error}")]
    AtLine {
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        error: Box<TopologyError>,
    },
    /// In which file the error is.
    #[error("`{}`, {error}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<TopologyError>,
    },
}

impl TopologyError {
    fn at_line(text: &str, offset: usize, error: Self) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        Self::AtLine { line: before.matches('\n').count() + 1, error: Box::new(error) }
    }
}

fn read_tags(node: &str, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, TopologyError> {
    let refuse =
        |found: &DeValue<'_>| TopologyError::Tags { node: node.into(), found: found.type_str() };
    match value.get_ref() {
        DeValue::String(tag) => Ok(vec![tag.to_string()]),
        DeValue::Array(tags) => tags
            .iter()
            .map(|tag| match tag.get_ref() {
                DeValue::String(tag) => Ok(tag.to_string()),
                other => Err(refuse(other)),
            })
            .collect(),
        other => Err(refuse(other)),
    }
}

/// Why no node can be called so.
pub(crate) fn name_fault(name: &str) -> Option<&'static str> {
    if name.len() > MAX_NODE_NAME_BYTES {
        return Some("it is longer than 255 bytes");
    }
    match name.split_once('@') {
        None => word_fault(name),
        Some((_, host)) if host.contains('@') => Some("it has more than one `@`"),
        Some((short, host)) => word_fault(short).or_else(|| word_fault(host)),
    }
}

/// Why no node can have this tag.
pub(crate) fn tag_fault(tag: &str) -> Option<&'static str> {
    if tag.len() > MAX_TAG_BYTES {
        return Some("it is longer than 64 bytes");
    }
    word_fault(tag)
}

/// Why a selector could not read the word back without quotes.
fn word_fault(word: &str) -> Option<&'static str> {
    if word.is_empty() {
        return Some("a part of it is empty");
    }
    if !word.chars().all(|c| is_bare(c) && !is_hidden(c)) {
        return Some("white space, quotes, hidden characters and any of `&|!@(),;` are kept out");
    }
    None
}

#[cfg(test)]
mod tests;
