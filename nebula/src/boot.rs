//! Whether a build may run as the node that it is started as: one pure question.
//!
//! Promise: a build never runs in silence as a node whose work it cannot do.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeSet;
use std::fmt;

use crate::nodes::selector::short_name;

/// The roles of a program, and which of them this build carries. Made by
/// [`roles!`](crate::roles!); for [`NodeBuilder::roles`](crate::NodeBuilder::roles).
///
/// ```
/// use nebula::Roles;
///
/// // What `nebula::roles![db, web]` gives when built with `--no-default-features --features db`.
/// const ROLES: Roles = Roles::new(&[("db", true), ("web", false)]);
/// assert!(ROLES.carries("db") && !ROLES.is_whole());
/// assert_eq!(ROLES.left_out().collect::<Vec<_>>(), ["web"]);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Roles(&'static [(&'static str, bool)]);

impl Roles {
    /// Each role once, with whether this build carries it: `cfg!(feature = "db")`.
    pub const fn new(roles: &'static [(&'static str, bool)]) -> Self {
        Self(roles)
    }

    /// Whether this build carries the role. False for one that was not named.
    pub fn carries(&self, role: &str) -> bool {
        self.carried().any(|carried| carried == role)
    }

    /// The roles that this build carries, in the order in which they were named.
    pub fn carried(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.0.iter().filter(|(_, carried)| *carried).map(|(role, _)| *role)
    }

    /// The roles that this build leaves out, in the order in which they were named.
    pub fn left_out(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.0.iter().filter(|(_, carried)| !*carried).map(|(role, _)| *role)
    }

    /// Whether nothing is left out.
    pub fn is_whole(&self) -> bool {
        self.left_out().next().is_none()
    }
}

/// What becomes of a node at its start.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Boot {
    /// It serves what it was given.
    Serve,
    /// It serves nothing, and makes all calls to others.
    Generic { why: Mismatch },
    /// It does not start.
    Refuse { why: Mismatch },
}

/// Why a build cannot do the work of a node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mismatch {
    node: String,
    /// The roles that the node has and the build does not. Without any, the node has no role at
    /// all.
    missing: Vec<&'static str>,
    carried: Vec<&'static str>,
}

/// Decides. A node has the roles that are its tags or its short name; `roles` are those of the
/// build, `None` for one that carries everything.
pub(crate) fn boot(
    roles: Option<Roles>,
    name: &str,
    tags: &[String],
    generic_on_mismatch: bool,
) -> Boot {
    let Some(roles) = roles.filter(|roles| !roles.is_whole()) else { return Boot::Serve };
    let own: BTreeSet<&str> = tags.iter().map(String::as_str).chain([short_name(name)]).collect();
    let missing: Vec<_> = roles.left_out().filter(|role| own.contains(role)).collect();
    if missing.is_empty() && roles.carried().any(|role| own.contains(role)) {
        return Boot::Serve;
    }
    let why = Mismatch { node: name.to_owned(), missing, carried: roles.carried().collect() };
    match generic_on_mismatch {
        true => Boot::Generic { why },
        false => Boot::Refuse { why },
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |roles: &[&str]| {
            roles.iter().map(|role| format!("`{role}`")).collect::<Vec<_>>().join(", ")
        };
        let carried = match self.carried.as_slice() {
            [] => "for none of its roles".to_owned(),
            roles => format!("for {}", list(roles)),
        };
        write!(f, "this program was built {carried}, and started as the node `{}`", self.node)?;
        if self.missing.is_empty() {
            return write!(
                f,
                ", which has none of these as a tag or a name: give it one, or use the \
                 default features"
            );
        }
        write!(
            f,
            " with the role {}: add `--features {}` to the build, or use the default features",
            list(&self.missing),
            self.missing.join(","),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    enum Ends {
        Serves,
        Mismatch,
    }
    use Ends::{Mismatch, Serves};

    const DB: Roles = Roles::new(&[("db", true), ("web", false), ("w1", false)]);
    const WORKER: Roles = Roles::new(&[("worker", true), ("api", false)]);
    const NONE: Roles = Roles::new(&[("db", false), ("web", false)]);
    const WHOLE: Roles = Roles::new(&[("db", true), ("web", true)]);

    /// The cases of NebulaAPI that can be written here. A build is for roles and not for a name,
    /// and a node always has a name, so those about nameless machines cannot: BOOT-10 (the
    /// reserved name), BOOT-11 and BOOT-12 (nameless builds). BOOT-04 is about a build for nobody,
    /// which is one that carries no role. In BOOT-06 no identity was recorded; here that is a build
    /// that carries everything, which may run as any node. BOOT-07 and BOOT-08 go through nodes:
    /// `tests/roles.rs`. BOOT-09, that only `1` turns the switch, is the program's own: the library
    /// reads no variable.
    #[test]
    fn the_build_must_fit_the_node() {
        for (case, roles, name, tags, ends) in [
            ("BOOT-01", Some(WORKER), "worker@w1", "", Serves),
            ("BOOT-01", Some(WORKER), "w1", "worker", Serves),
            ("BOOT-02", Some(WORKER), "api@host", "", Mismatch),
            ("BOOT-02", Some(WORKER), "x@host", "api", Mismatch),
            ("BOOT-02", Some(WORKER), "x@host", "", Mismatch),
            ("BOOT-02", Some(WORKER), "x@host", "worker api", Mismatch),
            ("BOOT-02", Some(WORKER), "x@worker", "", Mismatch),
            ("BOOT-04", Some(NONE), "db@host", "", Mismatch),
            ("BOOT-04", Some(NONE), "client", "", Mismatch),
            ("BOOT-06", None, "anything", "db web", Serves),
            ("BOOT-06", Some(WHOLE), "anything", "", Serves),
            ("BOOT-06", Some(WHOLE), "anything", "db web", Serves),
            ("several", Some(DB), "x", "db eu", Serves),
            ("several", Some(DB), "w1@h", "db", Mismatch),
        ] {
            let tags: Vec<_> = tags.split_whitespace().map(str::to_owned).collect();
            for switch in [false, true] {
                let found = match boot(roles, name, &tags, switch) {
                    Boot::Serve => Serves,
                    Boot::Generic { .. } if switch => Mismatch,
                    Boot::Refuse { .. } if !switch => Mismatch,
                    other => panic!("{case} with {switch}: {other:?}"),
                };
                assert_eq!(found, ends, "{case}: {name} {tags:?} with {switch}");
            }
        }
    }

    fn told(roles: Roles, name: &str, tags: &[&str]) -> String {
        let tags: Vec<_> = tags.iter().map(|tag| tag.to_string()).collect();
        match boot(Some(roles), name, &tags, false) {
            Boot::Refuse { why } => why.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_mismatch_says_how_to_build() {
        assert_eq!(
            told(DB, "w1@h", &["web"]),
            "this program was built for `db`, and started as the node `w1@h` with the role \
             `web`, `w1`: add `--features web,w1` to the build, or use the default features"
        );
        assert_eq!(
            told(DB, "x", &["eu"]),
            "this program was built for `db`, and started as the node `x`, which has none of these \
             as a tag or a name: give it one, or use the default features"
        );
        assert!(told(NONE, "x", &[]).starts_with("this program was built for none of its roles, "));
    }
}
