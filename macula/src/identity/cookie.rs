use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use rand::TryRng;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use super::file::{FileError, PrivateFile, hex_line};
use super::realm::{RealmNameError, check_name};

/// The secret that the nodes of a realm share: 1 to 4096 bytes.
///
/// It never leaves the node. It is wiped from memory on drop and never printed. What a person
/// makes up can be guessed by whoever gets a node to connect to them, so prefer
/// [`Cookie::generate`].
#[derive(Clone)]
pub struct Cookie(Zeroizing<Vec<u8>>);

/// There is no cookie to be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CookieError {
    /// Nothing is left of it without its line end.
    #[error("the cookie is empty: give it at least one byte, or leave it out to have one made")]
    Empty,
    /// It is too long.
    #[error("the cookie is {len} bytes long, but {} are the most", Cookie::LIMIT)]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The realm's name is part of the file's.
    #[error(transparent)]
    Realm(#[from] RealmNameError),
    /// The file could not be read or written, or others may read it. It is as it was.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file holds no cookie. It was left as it is.
    #[error("`{}` holds no cookie: write one there, or remove it to have one made", path.display())]
    EmptyFile {
        /// The cookie file.
        path: PathBuf,
    },
    /// There is neither a cookie nor a place to keep one.
    #[error(
        "no cookie is given and there is no directory to keep one in: set MACULA_COOKIE, \
         MACULA_CONFIG_DIR or HOME"
    )]
    NoDirectory,
}

impl Cookie {
    /// The most bytes a cookie has.
    const LIMIT: usize = 4096;

    /// These bytes, without the line ends behind them.
    ///
    /// # Errors
    ///
    /// [`CookieError::Empty`] and [`CookieError::TooLong`], over 4096 bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, CookieError> {
        Self::trimmed(Zeroizing::new(bytes.into()))
    }

    /// A new cookie: 256 bits of the operating system's randomness, as 64 hexadecimal digits.
    ///
    /// # Panics
    ///
    /// When the operating system has no randomness to give: no node can be safe there.
    pub fn generate() -> Self {
        let mut random = Zeroizing::new([0u8; 32]);
        SysRng.try_fill_bytes(&mut *random).expect("the operating system gives randomness");
        let mut digits = hex_line(&random);
        digits.pop();
        Self(digits)
    }

    /// The cookie of the realm, from the first of these that there is:
    ///
    /// 1. `explicit`, which the program gave;
    /// 2. `env`, the value of `MACULA_COOKIE`;
    /// 3. the file `<dir>/<realm>.cookie`, which only its owner may read (mode 0600);
    /// 4. a new one, kept in that file. Of nodes that do this at the same time all get the same.
    ///
    /// # Errors
    ///
    /// What is there but no good is an error, never passed over: see [`CookieError`].
    pub fn resolve(
        explicit: Option<Cookie>,
        realm: &str,
        env: Option<String>,
        dir: Option<&Path>,
    ) -> Result<Self, CookieError> {
        if let Some(cookie) = explicit {
            return Ok(cookie);
        }
        if let Some(value) = env {
            return Self::new(value);
        }
        check_name(realm)?;
        let path = dir.ok_or(CookieError::NoDirectory)?.join(format!("{realm}.cookie"));
        let generate = || {
            let Self(mut line) = Self::generate();
            line.push(b'\n');
            line
        };
        // Two more than the limit, for the line end.
        let line = PrivateFile::new(&path).read_or_create(Self::LIMIT + 2, generate)?;
        Self::trimmed(line).map_err(|error| match error {
            CookieError::Empty => CookieError::EmptyFile { path },
            other => other,
        })
    }

    /// Whether it may be guessed: it has fewer than 16 bytes.
    pub(crate) fn is_short(&self) -> bool {
        self.0.len() < 16
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn trimmed(mut bytes: Zeroizing<Vec<u8>>) -> Result<Self, CookieError> {
        while let Some(b'\n' | b'\r') = bytes.last() {
            bytes.pop();
        }
        match bytes.len() {
            0 => Err(CookieError::Empty),
            len if len > Self::LIMIT => Err(CookieError::TooLong { len }),
            _ => Ok(Self(bytes)),
        }
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie(..)")
    }
}

/// Where the files of this user's nodes are: `$MACULA_CONFIG_DIR`, else `macula` in
/// `$XDG_CONFIG_HOME`, else in `$HOME/.config`.
pub(crate) fn default_config_dir() -> Option<PathBuf> {
    config_dir(|name| env::var_os(name))
}

fn config_dir(var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let var = |name| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // The XDG base directory specification has relative paths ignored.
    let xdg = || var("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let home = || var("HOME").map(|home| home.join(".config"));
    var("MACULA_CONFIG_DIR").or_else(|| Some(xdg().or_else(home)?.join("macula")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn line_ends_are_trimmed_and_bounds_kept() {
        assert_eq!(Cookie::new("secret\r\n").unwrap().as_bytes(), b"secret");
        assert_eq!(Cookie::new(" s \0").unwrap().as_bytes(), b" s \0");
        assert!(
            Cookie::new([1; 15]).unwrap().is_short() && !Cookie::new([1; 16]).unwrap().is_short()
        );
        assert!(matches!(Cookie::new(""), Err(CookieError::Empty)));
        assert!(matches!(Cookie::new("\n\n"), Err(CookieError::Empty)));
        assert!(Cookie::new(vec![1; 4096]).is_ok());
        assert!(matches!(Cookie::new(vec![1; 4097]), Err(CookieError::TooLong { len: 4097 })));
    }

    #[test]
    fn generated_cookies_differ_and_debug_hides_them() {
        let (a, b) = (Cookie::generate(), Cookie::generate());
        assert_ne!(a.as_bytes(), b.as_bytes());
        assert!(a.as_bytes().len() == 64 && a.as_bytes().iter().all(u8::is_ascii_hexdigit));
        assert_eq!(format!("{:?}", Cookie::new("secret").unwrap()), "Cookie(..)");
    }

    #[test]
    fn the_first_source_there_is_wins() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("macula");
        let explicit = || Some(Cookie::new("builder").unwrap());
        let env = || Some("env".to_owned());
        let resolve = |explicit, env| Cookie::resolve(explicit, "r", env, Some(&dir)).unwrap();
        assert_eq!(resolve(explicit(), env()).as_bytes(), b"builder");
        assert_eq!(resolve(None, env()).as_bytes(), b"env");
        assert!(!dir.exists(), "nothing is kept that nobody needs");

        let made = resolve(None, None);
        assert_eq!(resolve(None, None).as_bytes(), made.as_bytes());
        let kept = fs::read(dir.join("r.cookie")).unwrap();
        assert_eq!(kept, [made.as_bytes(), b"\n"].concat());
        let other = Cookie::resolve(None, "other", None, Some(&dir)).unwrap();
        assert_ne!(other.as_bytes(), made.as_bytes());
    }

    #[test]
    fn what_is_no_good_is_not_passed_over() {
        let temp = tempfile::tempdir().unwrap();
        let resolve = |realm, env: Option<&str>| {
            Cookie::resolve(None, realm, env.map(str::to_owned), Some(temp.path())).unwrap_err()
        };
        assert!(matches!(resolve("r", Some("")), CookieError::Empty));
        assert!(matches!(resolve("../r", None), CookieError::Realm(_)));

        let path = temp.path().join("r.cookie");
        PrivateFile::new(&path).replace(b"\n").unwrap();
        assert!(matches!(resolve("r", None), CookieError::EmptyFile { .. }));
        PrivateFile::new(&path).replace(&[b'x'; 4097]).unwrap();
        assert!(matches!(resolve("r", None), CookieError::TooLong { len: 4097 }));
        PrivateFile::new(&path).replace(&[b'x'; 9000]).unwrap();
        assert!(matches!(resolve("r", None), CookieError::File(FileError::TooLarge { .. })));

        let nowhere = Cookie::resolve(None, "r", None, None).unwrap_err();
        assert!(matches!(nowhere, CookieError::NoDirectory));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_remedy() {
        use std::os::unix::fs::PermissionsExt;

        let temp = tempfile::tempdir().unwrap();
        Cookie::resolve(None, "r", None, Some(temp.path())).unwrap();
        let path = temp.path().join("r.cookie");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = Cookie::resolve(None, "r", None, Some(temp.path())).unwrap_err().to_string();
        assert!(error.contains(&format!("chmod 600 '{}'", path.display())), "{error}");
    }

    #[test]
    fn nodes_that_race_end_with_one_cookie() {
        let temp = tempfile::tempdir().unwrap();
        let cookies: Vec<Cookie> = std::thread::scope(|scope| {
            let resolve = || Cookie::resolve(None, "r", None, Some(temp.path())).unwrap();
            let racers: Vec<_> = (0..8).map(|_| scope.spawn(resolve)).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert!(cookies.iter().all(|cookie| cookie.as_bytes() == cookies[0].as_bytes()));
    }

    #[test]
    fn the_directory_follows_the_environment() {
        let dir = |vars: &[(&str, &str)]| {
            let value = |name: &str| vars.iter().find(|(n, _)| *n == name);
            config_dir(|name| value(name).map(|(_, value)| OsString::from(value)))
        };
        let all = [("MACULA_CONFIG_DIR", "/m"), ("XDG_CONFIG_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(dir(&all), Some("/m".into()));
        assert_eq!(dir(&all[1..]), Some("/x/macula".into()));
        assert_eq!(dir(&all[2..]), Some("/h/.config/macula".into()));
        assert_eq!(dir(&[("XDG_CONFIG_HOME", "x"), all[2]]), Some("/h/.config/macula".into()));
        assert_eq!(dir(&[("MACULA_CONFIG_DIR", ""), all[2]]), Some("/h/.config/macula".into()));
        assert_eq!(dir(&[]), None);
    }
}
