//! The way from the top of a configuration to one of its values.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::fmt;

/// How many characters of a key are shown.
const SHOWN: usize = 64;

/// A path of keys, as a list that lives on the stack of whoever walks down.
///
/// `Display` writes it as TOML does: `pool.sizes[2]`, `plugins."rate limit"`.
#[derive(Clone, Copy)]
pub(super) enum Key<'a> {
    Top,
    Field(&'a Key<'a>, &'a str),
    Index(&'a Key<'a>, usize),
}

impl Key<'_> {
    pub(super) fn field<'a>(&'a self, name: &'a str) -> Key<'a> {
        Key::Field(self, name)
    }

    pub(super) fn index(&self, index: usize) -> Key<'_> {
        Key::Index(self, index)
    }

    /// Whether what stands here is kept out of messages.
    ///
    /// So it is if any key on the way sounds like it: after `_` and `-` are taken out, it ends in
    /// `key` or has one of the words of [`HIDDEN`] in it.
    pub(super) fn is_secret(&self) -> bool {
        match self {
            Self::Top => false,
            Self::Index(parent, _) => parent.is_secret(),
            Self::Field(parent, name) => sounds_secret(name) || parent.is_secret(),
        }
    }
}

/// Whether a path as messages write it leads to something secret.
pub(super) fn is_secret_path(path: &str) -> bool {
    path.split(['.', '[']).any(sounds_secret)
}

/// Words of keys whose values are not shown.
const HIDDEN: [&str; 8] =
    ["auth", "cookie", "credential", "passphrase", "passwd", "password", "secret", "token"];

fn sounds_secret(name: &str) -> bool {
    let name: String =
        name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect();
    name.ends_with("key") || HIDDEN.iter().any(|word| name.contains(word))
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => Ok(()),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Self::Field(parent, name) => {
                if !matches!(parent, Key::Top) {
                    write!(f, "{parent}.")?;
                }
                let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
                if !name.is_empty() && name.chars().all(bare) {
                    write!(f, "{name:.SHOWN$}")
                } else {
                    write!(f, "{:?}", name.chars().take(SHOWN).collect::<String>())
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_in_toml() {
        let pool = Key::Top.field("pool");
        assert_eq!(pool.field("sizes").index(2).field("max").to_string(), "pool.sizes[2].max");
        assert_eq!(pool.field("rate limit").to_string(), r#"pool."rate limit""#);
        assert_eq!(pool.field("").to_string(), r#"pool."""#);
        assert_eq!(pool.field("a\u{1b}[2J").to_string(), r#"pool."a\u{1b}[2J""#);
        assert_eq!(Key::Top.field(&"x".repeat(1000)).to_string(), "x".repeat(64));
    }

    #[test]
    fn secrets_sound_like_it() {
        for secret in
            ["password", "DB_PASSWORD", "api_key", "apiKey", "key", "private-key", "authToken"]
        {
            assert!(Key::Top.field(secret).is_secret(), "{secret}");
            assert!(Key::Top.field(secret).field("x").index(1).is_secret(), "{secret}");
        }
        for open in ["per_second", "keys_per_page", "pass_count", "name", ""] {
            assert!(!Key::Top.field(open).is_secret(), "{open}");
        }
    }
}
