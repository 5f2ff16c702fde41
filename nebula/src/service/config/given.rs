//! What one layer says, checked as far as that is possible without knowing the types.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use super::environment;
use super::error::{ConfigError, Part};
use super::key::Key;
use super::layer::{Layer, Origin};
use super::node::{Kind, Node};
use super::patch::Patch;
use super::shown::shown;
use super::text;

/// Keys at the top that name a service, and are not its configuration.
pub(super) const RESERVED: [&str; 5] = ["class", "name", "paused", "silent", "version"];

/// The table of the sections of plugins.
pub(super) const PLUGINS: &str = "plugins";

/// What a layer says, cut into the sections it says it of.
#[derive(Clone)]
pub(crate) struct Given {
    pub(super) layer: Layer,
    /// Whether it came with a plugin, and goes with it.
    pub(super) added: bool,
    pub(super) parts: BTreeMap<Part, Node>,
}

impl Given {
    /// The text of a file. The path is for messages alone.
    ///
    /// # Errors
    ///
    /// What is not TOML, exceeds a bound, or is a reserved key.
    pub(crate) fn file(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let path = Arc::from(path);
        let node = text::parse(text, &|line| Origin::in_file(&path, line))?;
        Self::split(Layer::File, node)
    }

    /// The variables under a prefix; see [`environment`].
    ///
    /// # Errors
    ///
    /// A bad prefix, variables that are not Unicode, no path of keys, or at odds with each other,
    /// exceeded bounds and reserved keys.
    pub(crate) fn environment(
        prefix: &str,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        Self::split(Layer::Environment, environment::parse(prefix, variables)?)
    }

    /// What is given at the start.
    ///
    /// # Errors
    ///
    /// As for [`file`](Self::file).
    pub(crate) fn start(patch: Patch) -> Result<Self, ConfigError> {
        Self::split(Layer::Start, patch.into_node(Layer::Start)?)
    }

    /// One update at run time, which is added to those before it.
    ///
    /// # Errors
    ///
    /// As for [`file`](Self::file).
    pub(crate) fn runtime(patch: Patch) -> Result<Self, ConfigError> {
        Self::split(Layer::Runtime, patch.into_node(Layer::Runtime)?)
    }

    /// What is given at the start of one plugin, without the tables around it.
    ///
    /// # Errors
    ///
    /// As for [`file`](Self::file).
    pub(crate) fn plugin(name: &Arc<str>, patch: Patch) -> Result<Self, ConfigError> {
        let layer = Layer::Start;
        let node = patch.into_node(layer)?;
        let parts = BTreeMap::from([(Part::Plugin(name.clone()), node)]);
        Ok(Self { layer, added: true, parts })
    }

    /// The plugins that the program itself means, and where it says so. A file or the environment may
    /// be there for other services, too.
    pub(super) fn for_plugins(&self) -> Vec<(Arc<str>, Origin)> {
        if !matches!(self.layer, Layer::Start | Layer::Runtime) {
            return Vec::new();
        }
        let plugins = self.parts.iter().filter_map(|(part, node)| match part {
            Part::Plugin(name) => Some((Arc::clone(name), node.origin.clone())),
            Part::Service => None,
        });
        plugins.collect()
    }

    fn split(layer: Layer, mut node: Node) -> Result<Self, ConfigError> {
        let mut parts = BTreeMap::new();
        if let Kind::Table(nodes) = &mut node.kind {
            if let Some(key) = RESERVED.into_iter().find(|&key| nodes.contains_key(key)) {
                let origin = nodes.get(key).map_or(&node.origin, |node| &node.origin).clone();
                return Err(ConfigError::Reserved {
                    key: key.to_owned(),
                    origin: Box::new(origin),
                });
            }
            if let Some(plugins) = nodes.remove(PLUGINS) {
                let key = Key::Top.field(PLUGINS);
                let expected = "a table with a section for each plugin, such as \
                                `[plugins.rate_limit]`; which plugins there are is said in the code";
                for (name, section) in table(plugins, &key, expected)? {
                    let section_key = key.field(&name);
                    table(section.clone(), &section_key, "the table of a plugin's section")?;
                    parts.insert(Part::Plugin(name.into()), section);
                }
            }
            if !nodes.is_empty() {
                parts.insert(Part::Service, node);
            }
        }
        Ok(Self { layer, added: false, parts })
    }
}

fn table(node: Node, key: &Key<'_>, expected: &str) -> Result<BTreeMap<String, Node>, ConfigError> {
    let value = shown(&node, false);
    match node.kind {
        Kind::Table(nodes) => Ok(nodes),
        _ => Err(ConfigError::Value {
            key: key.to_string(),
            origin: Box::new(node.origin),
            value,
            expected: expected.to_owned(),
        }),
    }
}
