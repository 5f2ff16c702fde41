//! The Cargo features of the crate that is being compiled: what roles of a build are.
//!
//! A role that is no feature would silently leave code out of every build, and rustc only warns.
//! So the names are looked up in the crate's `Cargo.toml`. Cargo compiles the crate anew when its
//! features change. Where there is no such file (another build system), nothing is refused here.

use std::collections::BTreeSet;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::topology::hint;

/// The features that may be named, or `None` if nobody knows.
pub(crate) struct Features(Option<BTreeSet<String>>);

impl Features {
    /// Of the crate that is being compiled.
    pub(crate) fn here() -> Self {
        let read = || {
            let folder = std::env::var_os("CARGO_MANIFEST_DIR")?;
            Self::declared(&std::fs::read_to_string(Path::new(&folder).join("Cargo.toml")).ok()?)
        };
        Self(read())
    }

    /// Of a crate that has these.
    #[cfg(test)]
    pub(crate) fn of<const N: usize>(names: [&str; N]) -> Self {
        Self(Some(names.map(str::to_owned).into()))
    }

    /// What keeps a name from being a role.
    pub(crate) fn fault(&self, name: &str) -> Option<String> {
        if !is_feature(name) {
            return Some(format!(
                "a role is a Cargo feature, and none can be called `{name}`: letters, digits, `-`, \
                 `_`, `+` and `.` only"
            ));
        }
        if name == "default" {
            return Some(
                "`default` is no role: it is the list of the features that a build has unless it \
                 is told otherwise"
                    .to_owned(),
            );
        }
        let known = self.0.as_ref().filter(|known| !known.contains(name))?;
        let all = || known.iter().map(String::as_str).filter(|name| *name != "default");
        let hint = hint(name, all(), "features", all()).replace("none are configured", "none");
        Some(format!(
            "this crate has no feature `{name}`{hint}; a role is a feature: write `{name} = []` \
             under `[features]` of its `Cargo.toml`, and add it to `default`"
        ))
    }

    /// The names in a `Cargo.toml`: features, and optional dependencies that are one.
    fn declared(manifest: &str) -> Option<BTreeSet<String>> {
        let document = DeTable::parse(manifest).ok()?;
        let document = document.get_ref();
        let mut names = BTreeSet::new();
        let mut hidden = BTreeSet::new();
        for (feature, enables) in entries(document, "features") {
            names.insert(feature.to_owned());
            let enables = enables.as_array().into_iter().flatten();
            let enables = enables.filter_map(|entry| entry.get_ref().as_str());
            // A dependency that is named by `dep:` is no feature of itself.
            hidden
                .extend(enables.filter_map(|entry| entry.strip_prefix("dep:")).map(str::to_owned));
        }
        let targets = entries(document, "target").filter_map(|(_, target)| target.as_table());
        for table in std::iter::once(document).chain(targets) {
            for kind in ["dependencies", "build-dependencies"] {
                let optional = entries(table, kind).filter(|(_, dependency)| {
                    let optional = dependency.get("optional");
                    optional.and_then(|optional| optional.get_ref().as_bool()) == Some(true)
                });
                names.extend(
                    optional.map(|(name, _)| name.to_owned()).filter(|name| !hidden.contains(name)),
                );
            }
        }
        Some(names)
    }
}

fn entries<'a>(
    table: &'a DeTable<'a>,
    key: &'a str,
) -> impl Iterator<Item = (&'a str, &'a DeValue<'a>)> {
    let of_key = table.iter().filter(move |(name, _)| name.get_ref() == key);
    let table = of_key.filter_map(|(_, value)| value.get_ref().as_table());
    table.flatten().map(|(name, value)| (name.get_ref().as_ref(), Spanned::get_ref(value)))
}

fn is_feature(name: &str) -> bool {
    name.chars().all(|c| c.is_alphanumeric() || "-_+.".contains(c))
        && name.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
        [package]
        name = "shop"
        [features]
        default = ["db", "web-1"]
        db = ["dep:sqlite"]
        web-1 = ["http"]
        [dependencies]
        sqlite = { version = "1", optional = true }
        http = { version = "1", optional = true }
        serde = "1"
        [target.'cfg(unix)'.dependencies]
        nix = { workspace = true, optional = true }
        tokio = { version = "1", optional = false }
    "#;

    fn features() -> Features {
        Features(Features::declared(MANIFEST))
    }

    #[test]
    fn features_and_optional_dependencies_are_known() {
        let known: Vec<_> = features().0.unwrap().into_iter().collect();
        assert_eq!(known, ["db", "default", "http", "nix", "web-1"]);
        assert!(Features::declared("[package").is_none());
        assert_eq!(features().fault("db"), None);
        assert_eq!(Features(None).fault("anything"), None);
        for features in [features(), Features(None)] {
            assert!(features.fault("default").unwrap().starts_with("`default` is no role"));
        }
    }

    #[test]
    fn faults_say_what_to_write() {
        let fault = features().fault("dbb").unwrap();
        assert!(fault.starts_with(
            "this crate has no feature `dbb`, did you mean `db`? (features: `db`, `http`, "
        ));
        assert!(fault.contains("write `dbb = []` under `[features]`"), "{fault}");
        let none = Features(Features::declared("")).fault("db").unwrap();
        assert!(none.starts_with("this crate has no feature `db` (features: none); "), "{none}");
        for name in ["a b", "", "-a", "a/b", "a@h"] {
            assert!(Features(None).fault(name).unwrap().contains("none can be called"), "{name}");
        }
    }

    #[test]
    fn this_crate_has_no_features() {
        assert!(Features::here().fault("db").is_some());
    }
}
