//! Reading a table from disk.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::row::excerpt;
use super::{LoadError, ParseError, Table};

/// The longest data file that is read, in bytes. The real one has less than 20 000.
pub const MAX_BYTES: u64 = 4 << 20;

impl Table {
    /// Reads the table in the file at `path`. Blocks on the disk.
    ///
    /// # Errors
    /// The file cannot be read, is longer than [`MAX_BYTES`], or a line is malformed; text that is
    /// not UTF-8 counts as malformed at the line of its first bad byte.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        let path = path.as_ref();
        Ok(Self::parse_named(&text(path)?, &path.display().to_string())?)
    }
}

/// The text of the file at `path`, read once, so that pipes serve as well as files. Blocks.
///
/// # Errors
/// As [`Table::load`], save that rows are not looked at.
pub fn text(path: &Path) -> Result<String, LoadError> {
    String::from_utf8(read(path)?).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        not_text(path.display().to_string(), error.as_bytes(), valid).into()
    })
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let failed = |error| LoadError::Read { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    // One byte more than the limit tells "full" from "too long", also for an endless device.
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(LoadError::TooLong { path: path.to_owned(), limit: MAX_BYTES });
    }
    Ok(bytes)
}

fn not_text(file: String, bytes: &[u8], valid: usize) -> ParseError {
    let (good, bad) = bytes.split_at(valid);
    let line_start = good.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
    ParseError {
        file,
        line: 1 + good.iter().filter(|&&b| b == b'\n').count(),
        column: 1 + good[line_start..].iter().filter(|&&b| b == b'\t').count(),
        expected: "UTF-8 text",
        found: excerpt(&format!("byte {:#04x}", bad.first().copied().unwrap_or_default())),
    }
}
