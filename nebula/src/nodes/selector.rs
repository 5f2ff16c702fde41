//! Which nodes a call is for, as an expression over their names and tags.
//!
//! Promise: a selector is a pure question with a yes or no for each node, so one that matches
//! nothing matches nothing; it never widens. The usual laws of `&`, `|` and `!` hold.
//!
//! Limits: none here, a selector built from code is as large as the code makes it. The text form
//! has its own, see [`parse`](super::parse()).
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeSet, btree_set};
use std::fmt;
use std::ops::{BitAnd, BitOr, Not};
use std::sync::Arc;

/// Which nodes are meant: `tag("db") & !node("backup")`, or `&db !@backup` in the short form.
///
/// `!` binds tighter than `&`, and `&` tighter than `|`, as everywhere in Rust. A clone is one
/// reference count. `Display` and `Debug` both print the canonical short form, which
/// [`parse`](super::parse()) reads back. Two selectors are equal if they are written alike, not
/// whenever they choose the same nodes.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Selector(Arc<Expr>);

/// The nodes that carry a tag, `&name` in the short form.
pub fn tag(name: impl Into<String>) -> Selector {
    Selector::from_expr(Expr::Tag(name.into()))
}

/// The nodes of a name, `@name` in the short form: a full name (`db-1@host`) means exactly the
/// node called so, a short one (`db-1`, the part before the `@`) every node that shares it.
pub fn node(name: impl Into<String>) -> Selector {
    Selector::from_expr(Expr::Node(name.into()))
}

impl Selector {
    /// Every node, `*` in the short form. `!Selector::any()` is no node at all.
    pub fn any() -> Self {
        Self::from_expr(Expr::Any)
    }

    /// Whether a node of this full name (`db-1@host`, or a name without any `@`) and these tags
    /// is meant.
    pub fn matches(&self, name: &str, tags: &BTreeSet<String>) -> bool {
        match &*self.0 {
            Expr::Any => true,
            Expr::Tag(tag) => tags.contains(tag),
            Expr::Node(wanted) => is_called(name, wanted),
            Expr::Not(inner) => !inner.matches(name, tags),
            Expr::All(clauses) => clauses.iter().all(|clause| clause.matches(name, tags)),
            Expr::Either(clauses) => clauses.iter().any(|clause| clause.matches(name, tags)),
        }
    }

    /// The first clause that removes the node, worded for an error (`lacks &db`, `excluded by
    /// !@backup`), or `None` if the node is meant.
    pub(crate) fn rejecting_clause(&self, name: &str, tags: &BTreeSet<String>) -> Option<String> {
        // No clause of an `All` is an `All`, so there is one level to look through.
        let clauses = match &*self.0 {
            Expr::All(clauses) => clauses,
            _ => std::slice::from_ref(self),
        };
        let clause = clauses.iter().find(|clause| !clause.matches(name, tags))?;
        Some(match &*clause.0 {
            Expr::Any | Expr::Tag(_) => format!("lacks {clause}"),
            Expr::Node(_) => format!("is not {clause}"),
            Expr::Not(_) => format!("excluded by {clause}"),
            Expr::All(_) | Expr::Either(_) => format!("matches none of {clause}"),
        })
    }

    /// The node names that are mentioned, excluded ones too, each once and sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.mentioned(|expr| match expr {
            Expr::Node(name) => Some(name),
            _ => None,
        })
    }

    /// The tags that are mentioned, excluded ones too, each once and sorted.
    pub(crate) fn tags(&self) -> impl Iterator<Item = &str> {
        self.mentioned(|expr| match expr {
            Expr::Tag(tag) => Some(tag),
            _ => None,
        })
    }

    fn from_expr(expr: Expr) -> Self {
        Self(Arc::new(expr))
    }

    fn mentioned(&self, leaf: fn(&Expr) -> Option<&String>) -> btree_set::IntoIter<&str> {
        let mut found = BTreeSet::new();
        let mut open = vec![self];
        while let Some(Self(expr)) = open.pop() {
            found.extend(leaf(expr).map(String::as_str));
            match &**expr {
                Expr::Any | Expr::Tag(_) | Expr::Node(_) => {}
                Expr::Not(inner) => open.push(inner),
                Expr::All(clauses) | Expr::Either(clauses) => open.extend(clauses),
            }
        }
        found.into_iter()
    }

    fn is_nothing(&self) -> bool {
        matches!(&*self.0, Expr::Not(inner) if *inner.0 == Expr::Any)
    }
}

impl BitAnd for Selector {
    type Output = Self;

    /// The nodes that both sides mean.
    fn bitand(self, other: Self) -> Self {
        if *self.0 == Expr::Any {
            return other;
        }
        if *other.0 == Expr::Any {
            return self;
        }
        let mut clauses = self.into_clauses();
        clauses.append(&mut other.into_clauses());
        Self::from_expr(Expr::All(clauses))
    }
}

impl BitOr for Selector {
    type Output = Self;

    /// The nodes that either side means.
    fn bitor(self, other: Self) -> Self {
        if self.is_nothing() {
            return other;
        }
        if other.is_nothing() {
            return self;
        }
        let mut sides = self.into_sides();
        sides.append(&mut other.into_sides());
        Self::from_expr(Expr::Either(sides))
    }
}

impl Not for Selector {
    type Output = Self;

    /// The nodes that are not meant.
    fn not(self) -> Self {
        match &*self.0 {
            Expr::Not(inner) => inner.clone(),
            _ => Self::from_expr(Expr::Not(self)),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Expr::Any => f.write_str("*"),
            Expr::Tag(tag) => write_name(f, '&', tag),
            Expr::Node(name) => write_name(f, '@', name),
            Expr::Not(inner) => match &*inner.0 {
                Expr::All(_) | Expr::Either(_) => write!(f, "!({inner})"),
                _ => write!(f, "!{inner}"),
            },
            Expr::All(clauses) => {
                write_joined(f, clauses, " ", |clause| matches!(clause, Expr::Either(_)))
            }
            Expr::Either(sides) => write_joined(f, sides, " | ", |_| false),
        }
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `All` never holds an `All` and `Either` never an `Either`, both hold two clauses or more, and
/// `Not` never holds a `Not`: what `&`, `|` and `!` build stays flat, so a long chain of one
/// operator is neither deep nor printed with parentheses.
#[derive(Eq, Hash, PartialEq)]
enum Expr {
    Any,
    Tag(String),
    Node(String),
    Not(Selector),
    All(Vec<Selector>),
    Either(Vec<Selector>),
}

impl Selector {
    /// What is joined by `&` at the top. Moves the list out if nobody else holds it, so a chain of
    /// n operators costs n steps.
    fn into_clauses(mut self) -> Vec<Selector> {
        match Arc::get_mut(&mut self.0) {
            Some(Expr::All(clauses)) => std::mem::take(clauses),
            _ => match &*self.0 {
                Expr::All(clauses) => clauses.clone(),
                _ => vec![self],
            },
        }
    }

    /// What is joined by `|` at the top.
    fn into_sides(mut self) -> Vec<Selector> {
        match Arc::get_mut(&mut self.0) {
            Some(Expr::Either(sides)) => std::mem::take(sides),
            _ => match &*self.0 {
                Expr::Either(sides) => sides.clone(),
                _ => vec![self],
            },
        }
    }
}

/// Whether `wanted` is the full name of a node, or its short one.
fn is_called(name: &str, wanted: &str) -> bool {
    name.strip_prefix(wanted)
        .is_some_and(|rest| rest.is_empty() || (rest.starts_with('@') && !wanted.contains('@')))
}

/// The part of a node's name before the `@`, or all of it.
pub(crate) fn short_name(name: &str) -> &str {
    name.split_once('@').map_or(name, |(short, _)| short)
}

/// Whether a character may stand in a name that is written without quotes.
pub(crate) fn is_bare(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '"' | '\'' | '&' | '|' | '!' | '@' | '(' | ')' | ',' | ';')
}

fn write_name(f: &mut fmt::Formatter<'_>, sigil: char, name: &str) -> fmt::Result {
    if !name.is_empty() && name.chars().all(is_bare) {
        return write!(f, "{sigil}{name}");
    }
    write!(f, "{sigil}\"")?;
    for c in name.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            _ => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

fn write_joined(
    f: &mut fmt::Formatter<'_>,
    clauses: &[Selector],
    separator: &str,
    parentheses: impl Fn(&Expr) -> bool,
) -> fmt::Result {
    for (i, clause) in clauses.iter().enumerate() {
        if i > 0 {
            f.write_str(separator)?;
        }
        match parentheses(&clause.0) {
            true => write!(f, "({clause})")?,
            false => write!(f, "{clause}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The naive reading of a selector, kept apart from the real one.
    #[derive(Clone, Debug)]
    pub(crate) enum Naive {
        Any,
        Tag(String),
        Node(String),
        Not(Box<Naive>),
        And(Box<Naive>, Box<Naive>),
        Or(Box<Naive>, Box<Naive>),
    }

    impl Naive {
        pub(crate) fn build(&self) -> Selector {
            match self {
                Self::Any => Selector::any(),
                Self::Tag(name) => tag(name),
                Self::Node(name) => node(name),
                Self::Not(inner) => !inner.build(),
                Self::And(a, b) => a.build() & b.build(),
                Self::Or(a, b) => a.build() | b.build(),
            }
        }

        fn eval(&self, name: &str, tags: &BTreeSet<String>) -> bool {
            match self {
                Self::Any => true,
                Self::Tag(tag) => tags.iter().any(|have| have == tag),
                Self::Node(wanted) => {
                    let short: String = name.chars().take_while(|c| *c != '@').collect();
                    *wanted == name || *wanted == short
                }
                Self::Not(inner) => !inner.eval(name, tags),
                Self::And(a, b) => a.eval(name, tags) & b.eval(name, tags),
                Self::Or(a, b) => a.eval(name, tags) | b.eval(name, tags),
            }
        }
    }

    pub(crate) fn selectors() -> impl Strategy<Value = Naive> {
        let leaf = prop_oneof![
            1 => Just(Naive::Any),
            4 => "[abc]".prop_map(Naive::Tag),
            2 => "[xy]".prop_map(Naive::Node),
            2 => "[xy]@h[12]".prop_map(Naive::Node),
        ];
        leaf.prop_recursive(5, 40, 2, |inner| {
            let pair = (inner.clone(), inner.clone());
            prop_oneof![
                inner.prop_map(|a| Naive::Not(Box::new(a))),
                pair.clone().prop_map(|(a, b)| Naive::And(Box::new(a), Box::new(b))),
                pair.prop_map(|(a, b)| Naive::Or(Box::new(a), Box::new(b))),
            ]
        })
    }

    /// All nodes the leaves of `selectors` can tell apart.
    pub(crate) fn universe() -> Vec<(String, BTreeSet<String>)> {
        let mut all = Vec::new();
        for name in ["x@h1", "x@h2", "y@h1", "x", "y", "z@h1"] {
            for bits in 0..8 {
                let tags = ["a", "b", "c"].iter().enumerate();
                let tags = tags.filter(|(i, _)| bits >> i & 1 == 1).map(|(_, t)| t.to_string());
                all.push((name.to_owned(), tags.collect()));
            }
        }
        all
    }

    pub(crate) fn chosen(selector: &Selector) -> Vec<usize> {
        let nodes = universe().into_iter().enumerate();
        nodes.filter(|(_, (name, tags))| selector.matches(name, tags)).map(|(i, _)| i).collect()
    }

    fn tags<const N: usize>(tags: [&str; N]) -> BTreeSet<String> {
        tags.map(str::to_owned).into()
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_reading(naive in selectors()) {
            let selector = naive.build();
            for (name, tags) in universe() {
                let (expected, found) = (naive.eval(&name, &tags), selector.matches(&name, &tags));
                prop_assert_eq!(found, expected, "{} on {}", selector, name);
                prop_assert_eq!(selector.rejecting_clause(&name, &tags).is_none(), expected);
            }
        }

        #[test]
        fn the_laws_of_boolean_algebra_hold(a in selectors(), b in selectors(), c in selectors()) {
            let (a, b, c) = (a.build(), b.build(), c.build());
            let and_over_or = a.clone() & b.clone() | a.clone() & c.clone();
            let or_over_and = (a.clone() | b.clone()) & (a.clone() | c.clone());
            let pairs = [
                (!!a.clone(), a.clone()),
                (!(a.clone() & b.clone()), !a.clone() | !b.clone()),
                (!(a.clone() | b.clone()), !a.clone() & !b.clone()),
                (a.clone() & b.clone(), b.clone() & a.clone()),
                (a.clone() | b.clone(), b.clone() | a.clone()),
                (a.clone() & (b.clone() | c.clone()), and_over_or),
                (a.clone() | b.clone() & c.clone(), or_over_and),
                (a.clone() & Selector::any(), a.clone()),
                (a.clone() | !Selector::any(), a.clone()),
                (a.clone() & !a.clone(), !Selector::any()),
                (a.clone() | !a.clone(), Selector::any()),
            ];
            for (left, right) in pairs {
                prop_assert_eq!(chosen(&left), chosen(&right), "{} against {}", left, right);
            }
        }
    }

    #[test]
    fn a_short_name_matches_all_that_share_it_and_a_full_name_one() {
        let none = BTreeSet::new();
        assert!(node("db").matches("db@h1", &none) && node("db").matches("db@h2", &none));
        assert!(node("db").matches("db", &none));
        assert!(node("db@h1").matches("db@h1", &none));
        assert!(!node("db@h1").matches("db@h2", &none));
        assert!(!node("db@h1").matches("db", &none));
        assert!(!node("h1").matches("db@h1", &none));
        assert!(!node("").matches("db@h1", &none));
    }

    #[test]
    fn prints_the_short_form() {
        let shown = |selector: Selector| {
            assert_eq!(format!("{selector:?}"), selector.to_string());
            selector.to_string()
        };
        assert_eq!(shown(tag("db") & !node("backup")), "&db !@backup");
        assert_eq!(shown(tag("a") & (tag("b") | node("c"))), "&a (&b | @c)");
        assert_eq!(shown(tag("a") & tag("b") | node("c@h")), "&a &b | @\"c@h\"");
        assert_eq!(shown(!(tag("a") & tag("b")) & tag("c") & tag("d")), "!(&a &b) &c &d");
        assert_eq!(shown(!!tag("a")), "&a");
        assert_eq!(shown(!Selector::any()), "!*");
        assert_eq!(shown(Selector::any() & tag("a")), "&a");
        assert_eq!(shown(!Selector::any() | tag("a")), "&a");
        assert_eq!(shown(tag("two words") & node("a\"\\")), r#"&"two words" @"a\"\\""#);
    }

    #[test]
    fn a_long_chain_is_flat() {
        let chain = |join: fn(Selector, Selector) -> Selector| {
            (0..100_000).map(|i| tag(i.to_string())).reduce(join).unwrap()
        };
        assert!(chain(|a, b| a | b).matches("x", &tags(["99999"])));
        assert!(!chain(|a, b| a & b).matches("x", &tags(["99999"])));
    }

    #[test]
    fn a_shared_side_is_not_changed_by_its_user() {
        let both = tag("a") & tag("b");
        let three = both.clone() & tag("c");
        assert_eq!((both.to_string(), three.to_string()), ("&a &b".into(), "&a &b &c".into()));
    }

    #[test]
    fn the_clause_that_removed_a_node_is_named() {
        let selector = tag("db") & !node("backup") & (tag("eu") | tag("us"));
        let why = |name, tags| selector.rejecting_clause(name, &tags);
        assert_eq!(why("db@h", tags(["db", "eu"])), None);
        assert_eq!(why("db@h", tags(["eu"])).unwrap(), "lacks &db");
        assert_eq!(why("backup@h", tags(["db", "eu"])).unwrap(), "excluded by !@backup");
        assert_eq!(why("db@h", tags(["db"])).unwrap(), "matches none of &eu | &us");
        let only = node("db");
        assert_eq!(only.rejecting_clause("web", &tags([])).unwrap(), "is not @db");
        let nothing = !Selector::any();
        assert_eq!(nothing.rejecting_clause("web", &tags([])).unwrap(), "excluded by !*");
    }

    #[test]
    fn what_is_mentioned_is_listed_once() {
        let selector = tag("b") & !tag("a") | !(node("y@h") & tag("b") & node("x"));
        assert_eq!(selector.tags().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(selector.names().collect::<Vec<_>>(), ["x", "y@h"]);
    }
}
