//! Why a configuration is refused.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use macula::text::Safe;

use super::layer::{Layer, Origin};
use super::node::{Bound, MAX_DEPTH, MAX_VALUES};

/// A configuration that is refused. Nothing has changed: what was in force still is.
///
/// `Display` is one sentence with the key, where its value was given, the value, and what was
/// expected instead:
///
/// ```text
/// `rate_limit.per_second` is "many" in the environment (USERS__RATE_LIMIT__PER_SECOND): expected an unsigned integer
/// ```
///
/// A value is cut to 64 characters. It is not shown at all if it may be a secret: when, with `_`
/// and `-` taken out, any key on the way to it ends in `key` or has `auth`, `cookie`, `credential`,
/// `passphrase`, `passwd`, `password`, `secret` or `token` in it, and when it is an address with an
/// `@` behind its `://`. What a `validate` says is shown as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value is of another type, or of another range, than the configuration takes.
    #[error("{} is {value} {origin}: expected {expected}", Named(key))]
    Value {
        /// The path of the key.
        key: String,
        /// Where the value was given.
        origin: Box<Origin>,
        /// The value in words.
        value: String,
        /// What it should be.
        expected: String,
    },
    /// The type of the configuration, or its `validate`, does not take a value.
    #[error("{} is {value} {origin}: {reason}", Named(key))]
    Invalid {
        /// The path of the key.
        key: String,
        /// Where the value was given.
        origin: Box<Origin>,
        /// The value in words.
        value: String,
        /// What the type or `validate` says.
        reason: String,
    },
    /// A value that is needed is in no layer.
    #[error("{} is in no layer{}", Named(key), after(reason))]
    Missing {
        /// The path of the key.
        key: String,
        /// What `validate` says, if it is `validate` that misses it.
        reason: Option<String>,
    },
    /// Values that the start, an update or whoever adds it gives to a plugin that the service does not
    /// have, or that has no configuration. In a file and in the environment, which several services may
    /// share, that is a warning in the log.
    #[error(
        "`{key}` {origin} is for an unknown plugin: the service has none of this name that is \
         configured{}",
        hint(close, "plugins", known)
    )]
    UnknownPlugin {
        /// The path of the section.
        key: String,
        /// Where it was given.
        origin: Box<Origin>,
        /// A plugin that is at most two letters away.
        close: Option<String>,
        /// The plugins that have a configuration.
        known: Vec<String>,
    },
    /// A key that the type of the configuration does not have and does not allow.
    #[error("`{key}` {origin} is not known{}", hint(close, "keys", known))]
    Unknown {
        /// The path of the key.
        key: String,
        /// Where it was given.
        origin: Box<Origin>,
        /// A key that is at most two letters away.
        close: Option<String>,
        /// The keys there are.
        known: Vec<String>,
    },
    /// A key at the top that names the service instead of configuring it, or a field of that name
    /// in the type of the configuration.
    #[error("`{key}` {origin} cannot be configured: {}", reserved(key, origin))]
    Reserved {
        /// The key.
        key: String,
        /// Where it was given.
        origin: Box<Origin>,
    },
    /// A text that is not TOML, or has a key twice.
    #[error("there is no TOML {origin}, column {column}: {reason}")]
    Syntax {
        /// Where it is, with the line.
        origin: Box<Origin>,
        /// Counted from 1, in characters.
        column: usize,
        /// What the parser says.
        reason: String,
    },
    /// A file, text or variable of more than 1 MiB.
    #[error("{} is too long: 1 MiB at most is read", origin.source())]
    TooLong {
        /// Which one it is.
        origin: Box<Origin>,
    },
    /// Tables and arrays in each other, more than 32 of them.
    #[error("`{key}` {origin} is nested too deep: at most {MAX_DEPTH} keys lead to a value")]
    TooDeep {
        /// The path of the key.
        key: String,
        /// Where it was given.
        origin: Box<Origin>,
    },
    /// More than 10 000 values in one layer.
    #[error("there are too many values in {layer}: it may have {MAX_VALUES}")]
    TooMany {
        /// The layer.
        layer: Layer,
    },
    /// The file cannot be read.
    #[error("the file `{}` cannot be read: {source}", Safe(&path.to_string_lossy()))]
    Read {
        /// The file, from the root on.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// The prefix of the variables is none.
    #[error(
        "`{}` is no prefix for variables: it has letters, digits and single `_`, and neither \
         begins nor ends with `_`",
        Safe(prefix)
    )]
    Prefix {
        /// The prefix.
        prefix: String,
    },
    /// The name of a variable is no path of keys, or the variable is not Unicode.
    #[error("the variable `{}` cannot be read: {reason}", Safe(variable))]
    Variable {
        /// The name, with what is not Unicode replaced.
        variable: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two variables give one key.
    #[error("`{key}` is given by two variables, {} and {}", Safe(first), Safe(second))]
    Twice {
        /// The path of the key.
        key: String,
        /// The name of the one, in alphabetical order.
        first: String,
        /// The name of the other.
        second: String,
    },
    /// A value that code has given cannot be written in TOML.
    #[error("{what} cannot be written in TOML: {reason}")]
    Unwritable {
        /// Which value it is.
        what: String,
        /// What the encoder says.
        reason: String,
    },
    /// A plugin's own merge refused an update.
    #[error("{part} does not take what is {origin}: {reason}")]
    Merge {
        /// `the service`, or which plugin.
        part: String,
        /// Where the update was given.
        origin: Box<Origin>,
        /// What the merge says.
        reason: String,
    },
    /// The code that writes, reads, validates or merges a configuration panicked.
    #[error("the code that {task} the configuration of {part} panicked: {message}")]
    Panicked {
        /// `the service`, or which plugin.
        part: String,
        /// What it was to do: `writes`, `reads`, `validates` or `merges`.
        task: &'static str,
        /// The message of the panic.
        message: String,
    },
    /// The configuration has changed since this change was planned; plan it again.
    #[error("the configuration was changed by somebody else in the meantime: try again")]
    Stale,
}

impl ConfigError {
    /// The path of the key that is to blame, as far as it is one.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Value { key, .. }
            | Self::Invalid { key, .. }
            | Self::Missing { key, .. }
            | Self::UnknownPlugin { key, .. }
            | Self::Unknown { key, .. }
            | Self::Reserved { key, .. }
            | Self::TooDeep { key, .. }
            | Self::Twice { key, .. } => Some(key),
            _ => None,
        }
    }

    /// Where the value was given that is to blame, as far as that is one place.
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Value { origin, .. }
            | Self::Invalid { origin, .. }
            | Self::UnknownPlugin { origin, .. }
            | Self::Unknown { origin, .. }
            | Self::Reserved { origin, .. }
            | Self::Syntax { origin, .. }
            | Self::TooLong { origin }
            | Self::TooDeep { origin, .. }
            | Self::Merge { origin, .. } => Some(origin),
            _ => None,
        }
    }

    /// The layer that is to blame, as far as it is one.
    pub fn layer(&self) -> Option<Layer> {
        match self {
            Self::TooMany { layer } => Some(*layer),
            Self::Read { .. } => Some(Layer::File),
            Self::Prefix { .. } | Self::Variable { .. } | Self::Twice { .. } => {
                Some(Layer::Environment)
            }
            Self::Unwritable { .. } => Some(Layer::Code),
            _ => self.origin().map(Origin::layer),
        }
    }

    pub(super) fn of_bound(bound: Bound, origin: Origin) -> Self {
        match bound {
            Bound::Depth(key) => Self::TooDeep { key, origin: Box::new(origin) },
            Bound::Values => Self::TooMany { layer: origin.layer() },
        }
    }
}

/// Who a configuration belongs to.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Part {
    /// The service itself: all keys at the top but `plugins`.
    Service,
    /// The plugin of this name: the table `[plugins.<name>]`.
    Plugin(Arc<str>),
}

impl Part {
    /// The same in the case in which variables of the environment are read, if that is another one.
    pub(super) fn lower_case(&self) -> Option<Self> {
        let Self::Plugin(name) = self else { return None };
        let lower = name.to_lowercase();
        (lower != **name).then(|| Self::Plugin(lower.into()))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service => f.write_str("the service"),
            Self::Plugin(name) => write!(f, "the plugin `{}`", Safe(name)),
        }
    }
}

/// A key, or the whole if the path is empty.
struct Named<'a>(&'a str);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => f.write_str("the configuration"),
            key => write!(f, "`{key}`"),
        }
    }
}

fn after(reason: &Option<String>) -> String {
    match reason {
        None => ", and has no default".to_owned(),
        Some(reason) => format!(": {reason}"),
    }
}

fn hint(close: &Option<String>, what: &str, known: &[String]) -> String {
    /// How many names are listed.
    const LISTED: usize = 20;
    let close = close.as_ref().map(|key| format!(", did you mean `{key}`?")).unwrap_or_default();
    let mut list: Vec<String> = known.iter().take(LISTED).map(|key| format!("`{key}`")).collect();
    if known.len() > LISTED {
        list.push(format!("{} more", known.len() - LISTED));
    }
    match list.is_empty() {
        true => close,
        false => format!("{close} ({what}: {})", list.join(", ")),
    }
}

fn reserved(key: &str, origin: &Origin) -> &'static str {
    match key {
        _ if origin.layer() == Layer::Code => {
            "no layer could give this field, since its key is kept for the service itself; call it \
             otherwise, or give it another key with `#[serde(rename = \"..\")]`"
        }
        "plugins" => "that is the table of the sections of plugins, such as `[plugins.rate_limit]`",
        _ => "that is said in the code, where the service is built",
    }
}
