//! Why a table, or a change of it, was refused.

use std::io;
use std::path::PathBuf;

/// A line of the table that does not have the form of `zone1970.tab`. Nothing was loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} line {line}: expected {expected} in column {column}, found {found}")]
pub struct ParseError {
    /// The file as the caller named it; `table` for text that came from no file.
    pub file: String,
    /// The line at fault, from 1. For a table without rows: the line after the last one.
    pub line: usize,
    /// The tab-separated column at fault, from 1.
    pub column: usize,
    /// What should have been there.
    pub expected: &'static str,
    /// What was there instead, shortened and with control characters escaped.
    pub found: String,
}

/// Why a data file could not be loaded. Whatever was loaded before is unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file as the caller named it.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The file is longer than a table of time zones can be.
    #[error("{} is longer than {limit} bytes, which no table of time zones is", path.display())]
    TooLong {
        /// The file as the caller named it.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// A line is malformed.
    #[error(transparent)]
    Parse(#[from] ParseError),
}

/// Why a correction was refused. The table is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CorrectionError {
    /// No zone has this name.
    #[error("there is no time zone named `{0}`")]
    UnknownZone(String),
    /// The comment is empty, too long, or holds a control character.
    #[error("a comment is 1 to {limit} characters without tabs or line breaks")]
    BadComment {
        /// The limit in characters.
        limit: usize,
    },
}
