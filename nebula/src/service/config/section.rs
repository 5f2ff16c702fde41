//! The configuration of a service, or of one plugin: its type, its defaults and its own rules.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::Table;

use super::error::{ConfigError, Part};
use super::given::{PLUGINS, RESERVED};
use super::invalid::Invalid;
use super::key::{Key, is_secret_path};
use super::layer::{Layer, Origin};
use super::node::Node;
use super::reader::read;
use super::shown::shown;
use super::unused::UnusedKey;
use crate::service::input::panic_message;

/// A value of the type that a section has.
pub(crate) type AnyConfig = Arc<dyn Any + Send + Sync>;

/// A section's own way to merge: what is there, what a later layer says, and what becomes of the
/// two; `None` for the usual way. What it returns is final.
pub(crate) type Merge = Arc<dyn Fn(&Table, &Table) -> Result<Option<Table>, String> + Send + Sync>;

/// What a value of the right type must satisfy besides.
pub(crate) type Validate<C> = Box<dyn Fn(&C) -> Result<(), Invalid> + Send + Sync>;

/// A value with the keys its type had no use for.
type Checked = (AnyConfig, Vec<UnusedKey>);

type Check = dyn Fn(&Node, &Key<'_>, &Part) -> Result<Checked, ConfigError> + Send + Sync;

/// What is known of a section before any layer but the code has spoken.
#[derive(Clone)]
pub(crate) struct Section {
    code: Node,
    check: Arc<Check>,
    merge: Option<Merge>,
}

impl Section {
    /// A section of a type that is read by serde, and validated by `validate` if it can be read.
    ///
    /// # Errors
    ///
    /// What TOML has no form for (see [`Patch::of`](super::Patch::of)), exceeded bounds, and in the
    /// configuration of a service a key that no layer may give: `plugins`, or a reserved one.
    pub(crate) fn new<C>(
        part: &Part,
        value: &C,
        validate: Option<Validate<C>>,
    ) -> Result<Self, ConfigError>
    where
        C: DeserializeOwned + Serialize + Send + Sync + 'static,
    {
        let unwritable = |reason: String| ConfigError::Unwritable {
            what: format!("the configuration of {part} in the code"),
            reason,
        };
        let table = guarded(part, "writes", || Table::try_from(value))?;
        let table = table.map_err(|error| unwritable(error.to_string()))?;
        let origin = Origin::whole(Layer::Code);
        let mut reserved = RESERVED.into_iter().chain([PLUGINS]);
        if *part == Part::Service
            && let Some(key) = reserved.find(|&key| table.contains_key(key))
        {
            let key = key.to_owned();
            return Err(ConfigError::Reserved { key, origin: Box::new(origin) });
        }
        let code = Node::from_value(table.into(), &origin)
            .map_err(|bound| ConfigError::of_bound(bound, origin))?;
        let check = move |node: &Node, key: &Key<'_>, part: &Part| {
            let (value, unused) = guarded(part, "reads", || read::<C>(node, key))??;
            if let Some(validate) = &validate {
                guarded(part, "validates", || validate(&value))?
                    .map_err(|invalid| refusal(invalid, node, key))?;
            }
            let value: AnyConfig = Arc::new(value);
            Ok((value, unused))
        };
        Ok(Self { code, check: Arc::new(check), merge: None })
    }

    /// With a merge of its own.
    pub(crate) fn merging(mut self, merge: Merge) -> Self {
        self.merge = Some(merge);
        self
    }

    /// Whether updates must be kept apart, as nobody knows what becomes of two in a row.
    pub(super) fn has_merge(&self) -> bool {
        self.merge.is_some()
    }

    /// Whether what one checks the other does.
    pub(super) fn is_checked_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.check, &other.check)
    }

    /// What updates come to, from the first to the last, over a base or over what the code says.
    pub(super) fn fold<'a>(
        &self,
        part: &Part,
        base: Option<&Node>,
        mut updates: impl Iterator<Item = &'a Node>,
    ) -> Result<Node, ConfigError> {
        updates.try_fold(base.unwrap_or(&self.code).clone(), |mut current, update| {
            match self.merged(part, &current, update)? {
                Some(merged) => Ok(merged),
                None => {
                    current.merge(update.clone());
                    Ok(current)
                }
            }
        })
    }

    /// What the section's own merge makes of an update.
    fn merged(
        &self,
        part: &Part,
        current: &Node,
        update: &Node,
    ) -> Result<Option<Node>, ConfigError> {
        let Some(merge) = &self.merge else { return Ok(None) };
        let refused = |reason| ConfigError::Merge {
            part: part.to_string(),
            origin: Box::new(update.origin.clone()),
            reason,
        };
        let (old, new) = (current.to_table(), update.to_table());
        let merged = guarded(part, "merges", || merge(&old, &new))?.map_err(refused)?;
        let Some(merged) = merged else { return Ok(None) };
        let mut node = Node::from_value(merged.into(), &update.origin)
            .map_err(|bound| ConfigError::of_bound(bound, update.origin.clone()))?;
        node.attribute(Some(current), Some(update));
        Ok(Some(node))
    }

    /// The value of a table that was folded, if it is one of the type and valid.
    pub(super) fn check(&self, part: &Part, node: &Node) -> Result<Checked, ConfigError> {
        let plugins = Key::Top.field(PLUGINS);
        match part {
            Part::Service => (self.check)(node, &Key::Top, part),
            Part::Plugin(name) => (self.check)(node, &plugins.field(name), part),
        }
    }
}

/// The sentence for what `validate` does not take.
fn refusal(invalid: Invalid, node: &Node, key: &Key<'_>) -> ConfigError {
    let Invalid { key: path, message: reason } = invalid;
    let key = match (key.to_string(), path.as_str()) {
        (section, "") => section,
        (section, path) if section.is_empty() => path.to_owned(),
        (section, path) => format!("{section}.{path}"),
    };
    match node.find(&path) {
        None => ConfigError::Missing { key, reason: Some(reason) },
        Some(node) => ConfigError::Invalid {
            value: shown(node, is_secret_path(&key)),
            key,
            origin: Box::new(node.origin.clone()),
            reason,
        },
    }
}

/// Runs code of the application, which may panic.
fn guarded<T>(part: &Part, task: &'static str, run: impl FnOnce() -> T) -> Result<T, ConfigError> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| ConfigError::Panicked {
        part: part.to_string(),
        task,
        message: panic_message(panic),
    })
}
