use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// A small file for its owner alone: made with mode 0600 in a directory made with mode 0700,
/// and seen by others whole or not at all.
///
/// On systems without Unix permissions the modes are neither set nor checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PrivateFile<'a> {
    path: &'a Path,
}

/// A file that holds a secret, or the generation beside it, could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system refused. The file is as it was before.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Access {
        /// The file or directory concerned.
        path: PathBuf,
        /// What was attempted, as a verb.
        action: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// Others may read the secret, so it may be known to them. Nothing was changed.
    #[error(
        "`{}` is a secret that others may read (mode {mode:03o}): run `chmod 600 '{}'`",
        path.display(), path.display()
    )]
    Exposed {
        /// The file concerned.
        path: PathBuf,
        /// Its nine permission bits.
        mode: u32,
    },
    /// The file is too long to be what it should be. Nothing was changed.
    #[error("`{}` is longer than {limit} bytes, so it is not the file it should be", path.display())]
    TooLarge {
        /// The file concerned.
        path: PathBuf,
        /// The most bytes such a file may have.
        limit: usize,
    },
}

impl<'a> PrivateFile<'a> {
    pub(crate) fn new(path: &'a Path) -> Self {
        Self { path }
    }

    /// What the file holds, `None` when there is none. Refuses a file that others may read.
    pub(crate) fn read(self, limit: usize) -> Result<Option<Zeroizing<Vec<u8>>>, FileError> {
        let file = match File::open(self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open", self.path, error)),
        };
        // Asked of the open file, so that the answer is about the bytes read below.
        let meta = file.metadata().map_err(|error| failed("inspect", self.path, error))?;
        if let Some(mode) = mode_for_others(&meta) {
            return Err(FileError::Exposed { path: self.path.to_owned(), mode });
        }
        // Room for everything at once: a vector that grows leaves copies of the secret behind.
        let mut content = Zeroizing::new(Vec::with_capacity(limit + 1));
        file.take(limit as u64 + 1)
            .read_to_end(&mut content)
            .map_err(|error| failed("read", self.path, error))?;
        if content.len() > limit {
            return Err(FileError::TooLarge { path: self.path.to_owned(), limit });
        }
        Ok(Some(content))
    }

    /// What the file holds; where there is none, what `make` gives is put there first.
    ///
    /// Of several processes that find no file at the same time one wins, and all get its bytes.
    pub(crate) fn read_or_create(
        self,
        limit: usize,
        make: impl FnOnce() -> Zeroizing<Vec<u8>>,
    ) -> Result<Zeroizing<Vec<u8>>, FileError> {
        if let Some(content) = self.read(limit)? {
            return Ok(content);
        }
        create_private_dir(self.directory())?;
        let content = make();
        let temporary = self.write_temporary(&content)?;
        let linked = fs::hard_link(&temporary, self.path);
        let _ = fs::remove_file(&temporary);
        match linked {
            Ok(()) => {
                self.sync_directory()?;
                Ok(content)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let vanished = || failed("read", self.path, io::ErrorKind::NotFound.into());
                self.read(limit)?.ok_or_else(vanished)
            }
            Err(error) => Err(failed("create", self.path, error)),
        }
    }

    /// Puts `content` in the place of what is there. After a crash either is there, whole.
    pub(crate) fn replace(self, content: &[u8]) -> Result<(), FileError> {
        let temporary = self.write_temporary(content)?;
        if let Err(error) = fs::rename(&temporary, self.path) {
            let _ = fs::remove_file(&temporary);
            return Err(failed("replace", self.path, error));
        }
        self.sync_directory()
    }

    /// The directory the file is in.
    pub(crate) fn directory(self) -> &'a Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    fn write_temporary(self, content: &[u8]) -> Result<PathBuf, FileError> {
        let mut name = std::ffi::OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(format!(".{:016x}.tmp", rand::random::<u64>()));
        let temporary = self.directory().join(name);

        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file =
            options.open(&temporary).map_err(|error| failed("create", &temporary, error))?;
        if let Err(error) = file.write_all(content).and_then(|()| file.sync_all()) {
            let _ = fs::remove_file(&temporary);
            return Err(failed("write", &temporary, error));
        }
        Ok(temporary)
    }

    /// Makes a new name last over a power failure; only Unix lets a directory be opened for that.
    fn sync_directory(self) -> Result<(), FileError> {
        #[cfg(unix)]
        File::open(self.directory())
            .and_then(|directory| directory.sync_all())
            .map_err(|error| failed("sync", self.directory(), error))?;
        Ok(())
    }
}

/// Makes a directory and those above it that are missing, for their owner alone (0700).
/// Directories that exist stay as they are.
pub(crate) fn create_private_dir(path: &Path) -> Result<(), FileError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| failed("create", path, error))
}

/// Random bytes as a line of 64 hexadecimal digits, the way such files hold them.
pub(crate) fn hex_line(bytes: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
    // With room for all of it, so that no copy is left behind.
    let mut line = Zeroizing::new(Vec::with_capacity(65));
    line.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
    line.push(b'\n');
    line
}

/// The nine permission bits when any of them is for others than the owner.
#[cfg(unix)]
fn mode_for_others(meta: &fs::Metadata) -> Option<u32> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn mode_for_others(_: &fs::Metadata) -> Option<u32> {
    None
}

pub(crate) fn failed(action: &'static str, path: &Path, source: io::Error) -> FileError {
    FileError::Access { path: path.to_owned(), action, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn racing_creators_end_with_one_content_and_no_litter() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/secret");
        let barrier = std::sync::Barrier::new(8);
        let contents: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8u8)
                .map(|racer| {
                    let (path, barrier) = (&path, &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        let make = || Zeroizing::new(vec![racer; 4]);
                        PrivateFile::new(path).read_or_create(4, make).unwrap().to_vec()
                    })
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert!(contents.iter().all(|content| *content == fs::read(&path).unwrap()));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_long_file_is_refused_and_a_missing_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let file = PrivateFile::new(&path);
        assert!(file.read(3).unwrap().is_none());
        file.replace(b"1234").unwrap();
        assert!(matches!(file.read(3), Err(FileError::TooLarge { limit: 3, .. })));
        assert_eq!(**file.read(4).unwrap().as_ref().unwrap(), *b"1234");
    }

    #[cfg(unix)]
    #[test]
    fn modes_are_set_and_enforced() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("made/secret");
        PrivateFile::new(&path).read_or_create(9, || Zeroizing::new(b"x".to_vec())).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);

        for exposed in [0o640, 0o604, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(exposed)).unwrap();
            let error = PrivateFile::new(&path).read(9).unwrap_err();
            assert!(matches!(error, FileError::Exposed { mode, .. } if mode == exposed));
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }
}
