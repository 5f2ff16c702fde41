//! How the nodes of a realm that one user runs on one machine find each other.
//!
//! Each node keeps a file with its address in a directory that is the user's alone, and holds a
//! lock on it for as long as it lives. The kernel gives the lock back however the process ends, so
//! a file that is not locked belongs to the dead, and whoever comes across it removes it.
//!
//! Files are `<node id>.<random>.addr`: no name is used twice, so removing a dead node's file
//! cannot hit the file its successor has just written. A file gets that name when it is locked and
//! written; before, it ends in `.tmp`.
//!
//! Limits: 4096 files are looked at. What is found is a hint: the node may have died since. Where
//! locks keep readers out (Windows), nothing is found.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::identity::file::{create_private_dir, failed};
use crate::identity::realm::{RealmNameError, check_name};
use crate::identity::{FileError, NodeId};

/// How many files are looked at.
const ENTRY_LIMIT: usize = 4096;
/// The longest address, with a scope of ten digits, has 59 characters.
const FILE_LIMIT: u64 = 64;
/// How often a file may be taken for a dead node's while it is made.
const ATTEMPTS: usize = 16;

/// The directory where the nodes of one realm meet.
#[derive(Debug)]
pub(crate) struct LocalDirectory {
    path: PathBuf,
    published: Mutex<BTreeSet<NodeId>>,
}

/// A node's entry in the directory, until it is dropped.
#[derive(Debug)]
pub(crate) struct Published {
    path: PathBuf,
    /// Holds the lock.
    _file: File,
}

/// The directory cannot be used, so local nodes are not found; the rest of the mesh is not
/// concerned.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The realm's name is the directory's.
    #[error(transparent)]
    Realm(#[from] RealmNameError),
    /// The operating system refused. Nothing is published.
    #[error(transparent)]
    File(#[from] FileError),
    /// Others could plant addresses there. Nothing was changed.
    #[error(
        "`{}` {reason}, so others could plant addresses there: make it a directory of your own \
         with mode 700, or set MACULA_RUNTIME_DIR", path.display()
    )]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// What makes it unsafe.
        reason: &'static str,
    },
}

impl LocalDirectory {
    /// The directory `<base>/<realm>`, made if need be. Without a base it is `MACULA_RUNTIME_DIR`,
    /// else `macula` in `XDG_RUNTIME_DIR`, else `macula-<user id>` among the temporary files.
    pub(crate) fn open(base: Option<PathBuf>, realm: &str) -> Result<Self, LocalError> {
        check_name(realm)?;
        let uid = user_id()?;
        let base = Base::find(base, |name| env::var_os(name), &env::temp_dir(), uid);
        create_private_dir(&base.path)?;
        if base.ours {
            check_private(&base.path, uid)?;
        }
        let path = base.path.join(realm);
        create_private_dir(&path)?;
        check_private(&path, uid)?;
        Ok(Self { path, published: Mutex::default() })
    }

    /// Tells the others that `id` can be dialled at `addr`, until what is returned is dropped or
    /// the process ends.
    pub(crate) fn publish(&self, id: NodeId, addr: SocketAddr) -> Result<Published, LocalError> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        for _ in 0..ATTEMPTS {
            if let Some(published) = self.try_publish(id, addr)? {
                return Ok(published);
            }
        }
        Err(failed("keep a file in", &self.path, io::ErrorKind::WouldBlock.into()).into())
    }

    /// The nodes that others have published here and that live, by id. Removes the entries of
    /// those that do not.
    pub(crate) fn peers(&self) -> Result<Vec<(NodeId, SocketAddr)>, LocalError> {
        let entries =
            fs::read_dir(&self.path).map_err(|error| failed("list", &self.path, error))?;
        let own = self.published.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let found: BTreeSet<(NodeId, SocketAddr)> = entries
            .take(ENTRY_LIMIT)
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
            .filter_map(|entry| read_or_sweep(&entry.path()))
            .filter(|(id, _)| !own.contains(id))
            .collect();
        Ok(found.into_iter().collect())
    }

    /// `None` when the file was taken for a dead node's before it was locked.
    fn try_publish(&self, id: NodeId, addr: SocketAddr) -> Result<Option<Published>, FileError> {
        let unique = self.path.join(format!("{id}.{:016x}", rand::random::<u64>()));
        let [temporary, path] = ["tmp", "addr"].map(|kind| unique.with_added_extension(kind));

        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file =
            options.open(&temporary).map_err(|error| failed("create", &temporary, error))?;

        let finished = match file.try_lock() {
            Ok(()) => {
                writeln!(file, "{addr}").and_then(|()| fs::rename(&temporary, &path)).map(|()| true)
            }
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        };
        match finished {
            Ok(true) => return Ok(Some(Published { path, _file: file })),
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let _ = fs::remove_file(&temporary);
                return Err(failed("publish", &path, error));
            }
        }
        let _ = fs::remove_file(&temporary);
        Ok(None)
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        // While it is still locked; if it cannot be removed, the next reader does it.
        let _ = fs::remove_file(&self.path);
    }
}

/// Where the directories of the realms are.
#[derive(Debug, Eq, PartialEq)]
struct Base {
    path: PathBuf,
    /// Whether it is for us alone, rather than chosen by a person who answers for it.
    ours: bool,
}

impl Base {
    fn find(
        given: Option<PathBuf>,
        var: impl Fn(&str) -> Option<OsString>,
        temporary: &Path,
        uid: u32,
    ) -> Self {
        let var = |name| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = given.or_else(|| var("MACULA_RUNTIME_DIR")) {
            return Self { path, ours: false };
        }
        // The XDG base directory specification has relative paths ignored.
        let path = match var("XDG_RUNTIME_DIR").filter(|path| path.is_absolute()) {
            Some(directory) => directory.join("macula"),
            None => temporary.join(format!("macula-{uid}")),
        };
        Self { path, ours: true }
    }
}

/// The node that keeps this file. `None` when it keeps none, or the file is not one of these.
fn read_or_sweep(path: &Path) -> Option<(NodeId, SocketAddr)> {
    let (stem, kind) = path.file_name()?.to_str()?.rsplit_once('.')?;
    let id: NodeId = stem.split('.').next()?.parse().ok()?;
    if !["addr", "tmp"].contains(&kind) {
        return None;
    }
    let file = File::open(path).ok()?;
    // A shared lock, so that two readers do not take each other for the owner.
    match file.try_lock_shared() {
        Ok(()) => {
            let _ = fs::remove_file(path);
            return None;
        }
        Err(TryLockError::WouldBlock) if kind == "addr" => {}
        Err(_) => return None,
    }
    let mut text = Vec::new();
    file.take(FILE_LIMIT).read_to_end(&mut text).ok()?;
    Some((id, parse_address(&text)?))
}

pub(crate) fn parse_address(content: &[u8]) -> Option<SocketAddr> {
    std::str::from_utf8(content).ok()?.strip_suffix('\n')?.parse().ok()
}

/// The user this process acts as.
#[cfg(unix)]
fn user_id() -> Result<u32, FileError> {
    use std::os::unix::fs::MetadataExt;

    // This directory is root's, too, when the process may not be inspected by its own user.
    match fs::metadata("/proc/self").map(|meta| meta.uid()) {
        Ok(uid) if uid != 0 => Ok(uid),
        _ => {
            let name = format!(".macula-{:016x}", rand::random::<u64>());
            let path = env::temp_dir().join(name);
            let made = File::create_new(&path).and_then(|file| file.metadata());
            let _ = fs::remove_file(&path);
            made.map(|meta| meta.uid()).map_err(|error| failed("create", &path, error))
        }
    }
}

#[cfg(not(unix))]
fn user_id() -> Result<u32, FileError> {
    // Temporary files are each user's own there.
    Ok(0)
}

#[cfg(unix)]
fn check_private(path: &Path, uid: u32) -> Result<(), LocalError> {
    use std::os::unix::fs::MetadataExt;

    let meta = fs::symlink_metadata(path).map_err(|error| failed("inspect", path, error))?;
    let reason = if meta.is_symlink() {
        "is a symbolic link"
    } else if meta.uid() != uid {
        "belongs to another user"
    } else if meta.mode() & 0o077 != 0 {
        "is open to other users"
    } else {
        return Ok(());
    };
    Err(LocalError::Unsafe { path: path.to_owned(), reason })
}

#[cfg(not(unix))]
fn check_private(_: &Path, _: u32) -> Result<(), LocalError> {
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn id(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn open(base: &Path) -> LocalDirectory {
        LocalDirectory::open(Some(base.to_owned()), "r").unwrap()
    }

    fn files(directory: &LocalDirectory) -> usize {
        fs::read_dir(&directory.path).unwrap().count()
    }

    #[test]
    fn the_living_see_each_other_and_not_themselves() {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path().join("new");
        let (a, b) = (open(&base), open(&base));
        let published_a = a.publish(id(1), addr(1)).unwrap();
        let _published_b = b.publish(id(2), "[fe80::1%4294967295]:65535".parse().unwrap()).unwrap();
        assert_eq!(b.peers().unwrap(), [(id(1), addr(1))]);
        assert_eq!(a.peers().unwrap()[0].0, id(2));
        let elsewhere = LocalDirectory::open(Some(base), "other").unwrap();
        assert_eq!(elsewhere.peers().unwrap(), []);

        drop(published_a);
        assert_eq!(b.peers().unwrap(), []);
        assert_eq!(files(&b), 1);
    }

    #[test]
    fn the_dead_are_swept_and_the_living_kept() {
        let temp = tempfile::tempdir().unwrap();
        let directory = open(temp.path());
        // As left by a process that was killed, before and after its file got its name.
        for name in [format!("{}.0123.addr", id(1)), format!("{}.0123.tmp", id(2))] {
            fs::write(directory.path.join(name), "127.0.0.1:1\n").unwrap();
        }
        let successor = open(temp.path());
        let _published = successor.publish(id(1), addr(2)).unwrap();
        assert_eq!(files(&directory), 3);
        assert_eq!(directory.peers().unwrap(), [(id(1), addr(2))]);
        assert_eq!(files(&directory), 1);
        assert_eq!(directory.peers().unwrap(), [(id(1), addr(2))]);
    }

    #[test]
    fn what_is_malformed_is_skipped() {
        let temp = tempfile::tempdir().unwrap();
        let directory = open(temp.path());
        let contents: [&[u8]; 5] =
            [b"", b"127.0.0.1:1", b"nowhere:1\n", b"\xff\n", &[b'1'; 1 << 12]];
        let _locked: Vec<File> = (0..)
            .zip(contents)
            .map(|(n, content)| {
                let path = directory.path.join(format!("{}.0.addr", id(n)));
                fs::write(&path, content).unwrap();
                let file = File::open(&path).unwrap();
                file.lock().unwrap();
                file
            })
            .collect();
        for name in ["notes", "x.addr", &format!("{}.0.txt", id(8))] {
            fs::write(directory.path.join(name), "127.0.0.1:1\n").unwrap();
        }
        symlink("notes", directory.path.join(format!("{}.0.addr", id(9)))).unwrap();
        fs::create_dir(directory.path.join(format!("{}.0.addr", id(10)))).unwrap();
        assert_eq!(directory.peers().unwrap(), []);
        assert_eq!(files(&directory), 10, "what is not the dead's stays");
    }

    #[test]
    fn nobody_is_swept_while_they_publish() {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path();
        let kept: Vec<Published> = std::thread::scope(|scope| {
            let publishers: Vec<_> = (0..4)
                .map(|n| {
                    scope.spawn(move || {
                        let directory = open(base);
                        let publish = |_| directory.publish(id(n), addr(n.into())).unwrap();
                        // All but the last are dropped again.
                        (0..50).map(publish).last().unwrap()
                    })
                })
                .collect();
            let reader = open(base);
            while !publishers.iter().all(|publisher| publisher.is_finished()) {
                reader.peers().unwrap();
            }
            publishers.into_iter().map(|publisher| publisher.join().unwrap()).collect()
        });
        let expected: Vec<_> = (0..4).map(|n| (id(n), addr(n.into()))).collect();
        assert_eq!(open(base).peers().unwrap(), expected);
        drop(kept);
        assert_eq!(files(&open(base)), 0);
    }

    #[test]
    fn a_directory_that_others_could_use_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let open = || LocalDirectory::open(Some(temp.path().to_owned()), "r");
        let path = open().unwrap().path;
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let reason = || match open() {
            Err(LocalError::Unsafe { reason, .. }) => reason,
            other => panic!("{other:?}"),
        };
        for mode in [0o710, 0o704, 0o722] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(reason(), "is open to other users");
        }
        fs::remove_dir(&path).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        symlink(elsewhere.path(), &path).unwrap();
        assert_eq!(reason(), "is a symbolic link");

        fs::remove_file(&path).unwrap();
        let path = open().unwrap().path;
        let uid = user_id().unwrap();
        assert!(check_private(&path, uid).is_ok());
        let another = check_private(&path, uid + 1);
        assert!(matches!(
            another,
            Err(LocalError::Unsafe { reason: "belongs to another user", .. })
        ));
        assert!(matches!(LocalDirectory::open(None, "../r"), Err(LocalError::Realm(_))));
    }

    #[test]
    fn the_base_follows_the_environment() {
        let base = |given: Option<&str>, vars: &[(&str, &str)]| {
            let value = |name: &str| vars.iter().find(|(n, _)| *n == name);
            let var = |name: &str| value(name).map(|(_, value)| OsString::from(value));
            let base = Base::find(given.map(PathBuf::from), var, Path::new("/tmp"), 7);
            (base.path.to_str().unwrap().to_owned(), base.ours)
        };
        let vars = [("MACULA_RUNTIME_DIR", "/m"), ("XDG_RUNTIME_DIR", "/x")];
        assert_eq!(base(Some("/g"), &vars), ("/g".into(), false));
        assert_eq!(base(None, &vars), ("/m".into(), false));
        assert_eq!(base(None, &vars[1..]), ("/x/macula".into(), true));
        assert_eq!(base(None, &[("XDG_RUNTIME_DIR", "x")]), ("/tmp/macula-7".into(), true));
        assert_eq!(base(None, &[("MACULA_RUNTIME_DIR", "")]), ("/tmp/macula-7".into(), true));
    }
}
