//! Names that are known when a program is compiled: what the constants of
//! [`topology!`](crate::topology!) are.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;
use std::ops::{BitAnd, BitOr, Not};

use super::selector::{Selector, node, tag};
use super::topology::Topology;

/// A tag that is known when the program is compiled. It is a selector where one is taken, and makes
/// one with `&`, `|` and `!`.
///
/// ```
/// use nebula::nodes::{NodeName, Tag};
///
/// const DB: Tag = Tag::new("db");
/// const BACKUP: NodeName = NodeName::new("backup");
/// assert_eq!((DB & !BACKUP).to_string(), "&db !@backup");
/// ```
///
/// The constants of [`topology!`](crate::topology!) are in the topology file; one that is made with
/// [`new`](Self::new) is whatever the program says.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tag(&'static str);

/// The name of a node that is known when the program is compiled, full (`db-1@h1`) or short
/// (`db-1`, which means every node called so). Otherwise as [`Tag`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeName(&'static str);

/// What `on` takes: a [`Selector`], or what becomes one, as [`Tag`] and [`NodeName`] do.
///
/// Implemented for everything that is `Into<Selector>`; it is there for what the compiler says of
/// everything else.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a selector",
    label = "does not say which nodes are meant",
    note = "write `tag(\"db\")`, `node(\"web\")` or `sel!(&db !@web)`, and for text that comes from \
            elsewhere `text.parse::<Selector>()?`"
)]
pub trait IntoSelector {
    /// The selector.
    fn into_selector(self) -> Selector;
}

#[diagnostic::do_not_recommend]
impl<S: Into<Selector>> IntoSelector for S {
    fn into_selector(self) -> Selector {
        self.into()
    }
}

impl From<Tag> for Selector {
    /// The nodes that carry the tag.
    fn from(name: Tag) -> Self {
        tag(name.0)
    }
}

impl From<&Selector> for Selector {
    /// A clone, which is one reference count.
    fn from(selector: &Selector) -> Self {
        selector.clone()
    }
}

impl From<NodeName> for Selector {
    /// The nodes of the name.
    fn from(name: NodeName) -> Self {
        node(name.0)
    }
}

macro_rules! name {
    ($name:ident) => {
        impl $name {
            /// The name, as it is written in a topology.
            pub const fn new(name: &'static str) -> Self {
                Self(name)
            }

            /// As text.
            pub const fn as_str(self) -> &'static str {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.0
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }

        impl Not for $name {
            type Output = Selector;

            /// The nodes that are not meant.
            fn not(self) -> Selector {
                !Selector::from(self)
            }
        }

        impl<S: Into<Selector>> BitAnd<S> for $name {
            type Output = Selector;

            /// The nodes that both sides mean.
            fn bitand(self, other: S) -> Selector {
                Selector::from(self) & other.into()
            }
        }

        impl<S: Into<Selector>> BitOr<S> for $name {
            type Output = Selector;

            /// The nodes that either side means.
            fn bitor(self, other: S) -> Selector {
                Selector::from(self) | other.into()
            }
        }

        impl BitAnd<$name> for Selector {
            type Output = Self;

            /// The nodes that both sides mean.
            fn bitand(self, other: $name) -> Self {
                self & Self::from(other)
            }
        }

        impl BitOr<$name> for Selector {
            type Output = Self;

            /// The nodes that either side means.
            fn bitor(self, other: $name) -> Self {
                self | Self::from(other)
            }
        }
    };
}

name!(Tag);
name!(NodeName);

/// The topology that a macro has read already: `name tag tag`, a line for each node.
///
/// # Panics
///
/// If it is none after all, which says that the macro and this crate are not of one release.
pub fn topology(known: &'static str) -> Topology {
    let read = known.lines().try_fold(Topology::new(), |topology, line| {
        let mut words = line.split(' ');
        topology.node(words.next().unwrap_or_default(), words)
    });
    match read {
        Ok(topology) => topology,
        Err(error) => panic!("the topology was one when it was compiled: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DB: Tag = Tag::new("db");
    const EU: Tag = Tag::new("eu");
    const BACKUP: NodeName = NodeName::new("backup");

    #[test]
    fn names_and_selectors_combine_in_any_order() {
        for (selector, shown) in [
            (DB.into(), "&db"),
            (BACKUP.into(), "@backup"),
            (!DB, "!&db"),
            (DB & EU, "&db &eu"),
            (DB | BACKUP, "&db | @backup"),
            (BACKUP & DB, "@backup &db"),
            (DB & !BACKUP, "&db !@backup"),
            (!BACKUP & DB, "!@backup &db"),
            ((DB | EU) & BACKUP, "(&db | &eu) @backup"),
            (tag("x") | DB, "&x | &db"),
            (DB & node("y") & EU, "&db @y &eu"),
        ] {
            assert_eq!(Selector::to_string(&selector), shown);
        }
    }

    #[test]
    fn names_are_text_where_text_is_wanted() {
        assert_eq!(format!("{DB} {BACKUP:>8}"), "db   backup");
        assert_eq!((String::from(DB), BACKUP.as_ref()), ("db".to_owned(), "backup"));
        assert_eq!(tag(DB), Selector::from(DB));
        const { assert!(DB.as_str().len() == 2) };
    }

    #[test]
    fn what_the_macro_read_is_the_topology() {
        let read = topology("a\ndb-1@h1 db eu\n");
        let made = Topology::new().node("a", [""; 0]).unwrap();
        assert_eq!(read, made.node("db-1@h1", ["eu", "db"]).unwrap());
        assert_eq!(topology(""), Topology::new());
    }
}
