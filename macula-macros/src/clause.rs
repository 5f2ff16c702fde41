//! A selector that was read: whom it means, and where its names stand in the source.
//!
//! Promise: [`matches`](Clause::matches) answers as nebula's `Selector::matches` does, and
//! [`predicate`](Clause::predicate) is the same expression over Cargo features.

use std::collections::BTreeSet;

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Error, LitStr};

/// A selector, or a part of one.
#[derive(Debug)]
pub(crate) enum Clause {
    Any,
    Tag(Name),
    Node(Name),
    Not(Box<Clause>),
    /// Never empty.
    All(Vec<Clause>),
    /// Never empty.
    Either(Vec<Clause>),
}

/// The name of a tag or of a node, with its place.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) text: String,
    /// The sigil.
    pub(crate) from: Span,
    /// The last token.
    pub(crate) to: Span,
}

impl Name {
    /// A fault under the whole name.
    pub(crate) fn fault(&self, message: impl std::fmt::Display) -> Error {
        between(self.from, self.to, message)
    }
}

/// A fault under everything from one token to another.
pub(crate) fn between(from: Span, to: Span, message: impl std::fmt::Display) -> Error {
    let mut tokens = quote_spanned!(from=> x);
    tokens.extend(quote_spanned!(to=> x));
    Error::new_spanned(tokens, message)
}

/// The part of a node's name before the `@`, or all of it.
pub(crate) fn short_name(name: &str) -> &str {
    name.split_once('@').map_or(name, |(short, _)| short)
}

impl Clause {
    /// Whether a node of this full name and these tags is meant.
    pub(crate) fn matches(&self, node: &str, tags: &BTreeSet<String>) -> bool {
        match self {
            Self::Any => true,
            Self::Tag(tag) => tags.contains(&tag.text),
            Self::Node(name) => name.text == node || name.text == short_name(node),
            Self::Not(inner) => !inner.matches(node, tags),
            Self::All(clauses) => clauses.iter().all(|clause| clause.matches(node, tags)),
            Self::Either(sides) => sides.iter().any(|side| side.matches(node, tags)),
        }
    }

    /// The names of tags, in the order of the source.
    pub(crate) fn tags(&self) -> Vec<&Name> {
        self.leaves(|clause| match clause {
            Self::Tag(name) => Some(name),
            _ => None,
        })
    }

    /// The names of nodes, in the order of the source.
    pub(crate) fn nodes(&self) -> Vec<&Name> {
        self.leaves(|clause| match clause {
            Self::Node(name) => Some(name),
            _ => None,
        })
    }

    /// As a predicate of `#[cfg(..)]`: a tag or a node is the Cargo feature of its name.
    pub(crate) fn predicate(&self) -> TokenStream {
        let joined = |all: &[Self]| {
            let all = all.iter().map(Self::predicate);
            quote!(#(#all),*)
        };
        match self {
            Self::Any => quote!(all()),
            Self::Tag(name) | Self::Node(name) => {
                let feature = LitStr::new(&name.text, name.to);
                quote!(feature = #feature)
            }
            Self::Not(inner) => {
                let inner = inner.predicate();
                quote!(not(#inner))
            }
            Self::All(clauses) | Self::Either(clauses) if clauses.len() == 1 => joined(clauses),
            Self::All(clauses) => {
                let clauses = joined(clauses);
                quote!(all(#clauses))
            }
            Self::Either(sides) => {
                let sides = joined(sides);
                quote!(any(#sides))
            }
        }
    }

    fn leaves<'a>(&'a self, leaf: fn(&'a Self) -> Option<&'a Name>) -> Vec<&'a Name> {
        let mut found = Vec::new();
        let mut open = vec![self];
        while let Some(clause) = open.pop() {
            found.extend(leaf(clause));
            match clause {
                Self::Any | Self::Tag(_) | Self::Node(_) => {}
                Self::Not(inner) => open.push(inner),
                Self::All(clauses) | Self::Either(clauses) => open.extend(clauses.iter().rev()),
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selector;

    fn clause(source: &str) -> Clause {
        selector::from_tokens(source.parse().unwrap()).unwrap().clause
    }

    #[test]
    fn means_the_nodes_that_the_library_means() {
        let nodes = [
            ("nebula@host1", "db"),
            ("storage@host2", "storage"),
            ("search@host3", "db search"),
            ("full@host4", "db storage search"),
        ];
        for (source, expected) in [
            ("*", "nebula storage search full"),
            ("&db", "nebula search full"),
            ("&db &search", "search full"),
            ("!&db", "storage"),
            ("!&db !&storage", ""),
            ("@\"search@host3\"", "search"),
            ("@search | @\"full@host4\"", "search full"),
            ("(@search) @full", ""),
            ("!(@nebula | &storage)", "search"),
            ("!*", ""),
            ("&db (@nebula | !&storage)", "nebula search"),
        ] {
            let clause = clause(source);
            let meant = nodes.iter().filter(|(name, tags)| {
                clause.matches(name, &tags.split(' ').map(str::to_owned).collect())
            });
            let meant: Vec<_> = meant.map(|(name, _)| short_name(name)).collect();
            assert_eq!(meant.join(" "), expected, "{source}");
        }
    }

    #[test]
    fn names_come_in_the_order_of_the_source() {
        let clause = clause("&b (@y | !&a) !(&c &b) @x");
        let texts = |names: Vec<&Name>| {
            names.into_iter().map(|name| name.text.as_str()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(texts(clause.tags()), "b a c b");
        assert_eq!(texts(clause.nodes()), "y x");
    }

    #[test]
    fn features_take_the_place_of_names() {
        for (source, predicate) in [
            ("&db", "feature = \"db\""),
            ("@web-1", "feature = \"web-1\""),
            ("&db !@backup", "all (feature = \"db\" , not (feature = \"backup\"))"),
            ("&a | &b &c", "any (feature = \"a\" , all (feature = \"b\" , feature = \"c\"))"),
            ("*", "all ()"),
            ("!(*)", "not (all ())"),
        ] {
            assert_eq!(clause(source).predicate().to_string(), predicate, "{source}");
        }
    }
}
