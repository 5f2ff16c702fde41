//! Who may say what a value is, and who has said it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use macula::text::Safe;

/// One of the five places that give a service its configuration, in their order: what a later one
/// says wins over what an earlier one says.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Layer {
    /// The program: the value that the service, or the plugin, was built with.
    Code,
    /// A file in TOML.
    File,
    /// The environment of the process.
    Environment,
    /// What was given when this instance was started.
    Start,
    /// What was given while it runs.
    Runtime,
}

/// Where a value was given: its layer, and the line or the variable as far as there is one.
///
/// `Display` begins with `in`: "in the file \`users.toml\`, line 3".
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin {
    layer: Layer,
    place: Place,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Place {
    Whole,
    File { path: Arc<Path>, line: usize },
    Line(usize),
    Variable(Arc<OsStr>),
}

impl Origin {
    /// The layer.
    pub fn layer(&self) -> Layer {
        self.layer
    }

    /// The file, for [`Layer::File`].
    pub fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::File { path, .. } => Some(path),
            _ => None,
        }
    }

    /// The line in the file or in a text that was given, counted from 1.
    pub fn line(&self) -> Option<usize> {
        match self.place {
            Place::File { line, .. } | Place::Line(line) => Some(line),
            _ => None,
        }
    }

    /// The name of the variable, for [`Layer::Environment`].
    pub fn variable(&self) -> Option<&OsStr> {
        match &self.place {
            Place::Variable(name) => Some(name),
            _ => None,
        }
    }

    /// The file, the variable or else the layer, in words and without a line.
    pub(super) fn source(&self) -> String {
        match &self.place {
            Place::File { path, .. } => format!("the file `{}`", Safe(&path.to_string_lossy())),
            Place::Variable(name) => format!("the variable `{}`", Safe(&name.to_string_lossy())),
            Place::Whole | Place::Line(_) => self.layer.to_string(),
        }
    }

    /// A layer as a whole.
    pub(super) fn whole(layer: Layer) -> Self {
        Self { layer, place: Place::Whole }
    }

    pub(super) fn in_file(path: &Arc<Path>, line: usize) -> Self {
        Self { layer: Layer::File, place: Place::File { path: path.clone(), line } }
    }

    /// A line of a text that code has given.
    pub(super) fn in_text(layer: Layer, line: usize) -> Self {
        Self { layer, place: Place::Line(line) }
    }

    pub(super) fn in_variable(name: &OsStr) -> Self {
        Self { layer: Layer::Environment, place: Place::Variable(name.into()) }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Code => "the code",
            Self::File => "the file",
            Self::Environment => "the environment",
            Self::Start => "what was given at the start",
            Self::Runtime => "an update at run time",
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Whole => write!(f, "in {}", self.layer),
            Place::File { line, .. } => write!(f, "in {}, line {line}", self.source()),
            Place::Line(line) => write!(f, "in {}, line {line}", self.layer),
            Place::Variable(name) => {
                write!(f, "in {} ({})", self.layer, Safe(&name.to_string_lossy()))
            }
        }
    }
}
