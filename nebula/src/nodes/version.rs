//! Which versions of a service a client takes.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use macula::text::Safe;
use semver::{Version, VersionReq};

/// How much of a text that is no requirement is repeated in the error, in bytes.
const REPEATED: usize = 64;

/// Which versions of a service are taken: `>=1.2`, `^1.4`, `>=1.2, <2`.
///
/// It is read as Cargo reads the versions of dependencies: `1.2` is `^1.2`, and a version before a
/// release, such as `2.0.0-rc.1`, is taken only where a requirement names one of the same release.
/// A clone is one reference count.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VersionRequirement(Arc<VersionReq>);

impl VersionRequirement {
    /// Whether it takes this version, which must have its three numbers: `1.4.0`.
    pub fn takes(&self, version: &str) -> bool {
        Version::parse(version).is_ok_and(|version| self.0.matches(&version))
    }

    /// Why it does not take the version that a node serves, if it does not.
    pub(crate) fn refusal(&self, version: &str) -> Option<String> {
        match Version::parse(version) {
            Ok(known) if self.0.matches(&known) => None,
            Ok(_) => Some(format!("serves version {version}, and `{self}` is required")),
            Err(_) if version.is_empty() => {
                Some(format!("serves no version of it, and `{self}` is required"))
            }
            Err(_) => Some(format!(
                "serves version `{version}`, which is none with three numbers, and `{self}` is \
                 required"
            )),
        }
    }
}

/// Whether a requirement may take this version.
pub(crate) fn is_version(text: &str) -> bool {
    Version::parse(text).is_ok()
}

impl fmt::Display for VersionRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for VersionRequirement {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        match text.parse() {
            Ok(requirement) => Ok(Self(Arc::new(requirement))),
            Err(error) => Err(BadVersion {
                text: text[..text.floor_char_boundary(REPEATED)].to_owned(),
                reason: semver::Error::to_string(&error),
            }),
        }
    }
}

/// A text that is no [`VersionRequirement`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{}` is no version requirement ({}): write one such as `>=1.2`, `^1.4` or `>=1.2, <2`",
    Safe(.text),
    Safe(.reason)
)]
pub struct BadVersion {
    text: String,
    reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirement(text: &str) -> VersionRequirement {
        text.parse().unwrap()
    }

    #[test]
    fn a_version_is_taken_or_a_reason_is_given() {
        let from = requirement(">=1.2");
        assert!(from.takes("1.2.0") && from.takes("2.0.0"));
        assert_eq!(from.refusal("1.2.0"), None);
        for (version, reason) in [
            ("1.1.9", "serves version 1.1.9, and `>=1.2` is required"),
            ("", "serves no version of it, and `>=1.2` is required"),
            (
                "1.2",
                "serves version `1.2`, which is none with three numbers, and `>=1.2` is required",
            ),
        ] {
            assert!(!from.takes(version));
            assert_eq!(from.refusal(version).as_deref(), Some(reason));
        }
        assert!(!from.takes("1.3.0-rc.1") && requirement(">=1.3.0-rc.1").takes("1.3.0-rc.2"));
        assert!(requirement("1.2").takes("1.9.0") && !requirement("1.2").takes("2.0.0"));
        assert!(requirement("*").takes("0.0.1") && !requirement("*").takes("x"));
    }

    #[test]
    fn a_text_that_is_none_says_how_to_write_one() {
        let error = ">=x".parse::<VersionRequirement>().unwrap_err().to_string();
        assert!(error.starts_with("`>=x` is no version requirement (unexpected"), "{error}");
        assert!(error.ends_with("write one such as `>=1.2`, `^1.4` or `>=1.2, <2`"), "{error}");
        let long = "é".repeat(100).parse::<VersionRequirement>().unwrap_err();
        assert_eq!(long.text.len(), REPEATED);
    }
}
