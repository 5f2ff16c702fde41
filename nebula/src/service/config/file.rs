//! The file of a configuration.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, absolute};

use super::error::ConfigError;
use super::given::Given;
use super::text::MAX_TEXT;

/// Reads a file. Blocks.
///
/// # Errors
///
/// What the file system refuses, text that is not UTF-8 among it, and all that
/// [`Given::file`] refuses.
pub(crate) fn read_file(path: &Path) -> Result<Given, ConfigError> {
    let text = || -> io::Result<String> {
        let mut bytes = Vec::new();
        // One byte more than is allowed shows that there is more.
        File::open(path)?.take(MAX_TEXT as u64 + 1).read_to_end(&mut bytes)?;
        String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    };
    match text() {
        Ok(text) => Given::file(path, &text),
        Err(source) => {
            // Where it was looked for depends on where the program was started.
            let path = absolute(path).unwrap_or_else(|_| path.to_owned());
            Err(ConfigError::Read { path, source })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::layer::Layer;
    use super::*;

    #[test]
    fn a_file_is_read_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.toml");
        let told = read_file(&path).err().unwrap();
        assert_eq!(told.layer(), Some(Layer::File));
        assert!(told.to_string().contains("users.toml"), "{told}");
        let told = read_file(Path::new("not/there.toml")).err().unwrap().to_string();
        let place = std::env::current_dir().unwrap().join("not/there.toml");
        assert!(told.starts_with(&format!("the file `{}` cannot", place.display())), "{told}");

        std::fs::write(&path, "decimals = 4").unwrap();
        assert_eq!(read_file(&path).ok().unwrap().parts.len(), 1);
        std::fs::write(&path, "a = 1\ndecimals = ").unwrap();
        let told = read_file(&path).err().unwrap();
        assert_eq!(told.origin().unwrap().file(), Some(path.as_path()));
        assert_eq!(told.origin().unwrap().line(), Some(2));
        std::fs::write(&path, b"a = '\xff'").unwrap();
        assert!(read_file(&path).err().unwrap().to_string().contains("utf-8"));
    }

    #[test]
    fn a_long_file_is_not_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.toml");
        std::fs::write(&path, "#".repeat(MAX_TEXT)).unwrap();
        assert!(read_file(&path).is_ok());
        std::fs::write(&path, "#".repeat(MAX_TEXT + 1)).unwrap();
        let told = read_file(&path).err().unwrap().to_string();
        assert!(told.contains("1 MiB"), "{told}");
    }
}
