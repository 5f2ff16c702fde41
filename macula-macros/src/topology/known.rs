//! The configured nodes, as the compiler knows them, and selectors checked against them.
//!
//! Promise: a selector is refused for what `nebula::Topology::check` refuses it for, in its words.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Span, TokenStream};
use syn::Error;

use crate::clause::{between, short_name};
use crate::selector::{self, Selector};

/// How many names an error lists.
const LISTED: usize = 20;

/// The nodes and their tags.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) nodes: BTreeMap<String, BTreeSet<String>>,
}

impl Known {
    /// The form in which it is handed on: `name tag tag`, a line for each node. No name holds
    /// white space.
    pub(crate) fn compact(&self) -> String {
        let mut text = String::new();
        for (name, tags) in &self.nodes {
            text.push_str(name);
            for tag in tags {
                text.push(' ');
                text.push_str(tag);
            }
            text.push('\n');
        }
        text
    }

    /// What [`compact`](Self::compact) wrote.
    pub(crate) fn from_compact(text: &str) -> Self {
        let node = |line: &str| {
            let mut words = line.split(' ').map(str::to_owned);
            Some((words.next()?, words.collect()))
        };
        Self { nodes: text.lines().filter_map(node).collect() }
    }

    /// All tags.
    pub(crate) fn tags(&self) -> BTreeSet<&str> {
        self.nodes.values().flatten().map(String::as_str).collect()
    }

    /// Reads a selector whose tags and nodes must all be known, and which some node satisfies.
    /// Every unknown name is reported.
    pub(crate) fn select(&self, tokens: TokenStream) -> syn::Result<Selector> {
        let ends = ends(&tokens);
        let selector = selector::from_tokens(tokens)?;
        let mut faults: Option<Error> = None;
        let mut add = |fault: Error| match &mut faults {
            Some(faults) => faults.combine(fault),
            None => faults = Some(fault),
        };
        let tags = self.tags();
        for tag in selector.clause.tags() {
            if !tags.contains(tag.text.as_str()) {
                let hint = hint(&tag.text, tags.iter().copied(), "tags", tags.iter().copied());
                add(tag.fault(format!("no configured node has the tag `{}`{hint}", tag.text)));
            }
        }
        let names = || self.nodes.keys().map(String::as_str);
        for name in selector.clause.nodes() {
            let spellings = || names().chain(names().map(short_name));
            if spellings().all(|known| known != name.text) {
                let hint = hint(&name.text, spellings(), "nodes", names());
                add(name.fault(format!("no configured node is called `{}`{hint}", name.text)));
            }
        }
        if let Some(faults) = faults {
            return Err(faults);
        }
        if !self.nodes.iter().any(|(name, tags)| selector.clause.matches(name, tags)) {
            let (from, to) = ends.unwrap_or((Span::call_site(), Span::call_site()));
            let fault = format!("no configured node matches `{}`", selector.text);
            return Err(between(from, to, fault));
        }
        Ok(selector)
    }
}

fn ends(tokens: &TokenStream) -> Option<(Span, Span)> {
    let mut all = tokens.clone().into_iter();
    let first = all.next()?.span();
    Some((first, all.last().map_or(first, |last| last.span())))
}

/// What may have been meant, and what there is.
pub(crate) fn hint<'a>(
    word: &str,
    spellings: impl Iterator<Item = &'a str>,
    kind: &str,
    known: impl Iterator<Item = &'a str>,
) -> String {
    let close = closest(word, spellings).map(|close| format!(", did you mean `{close}`?"));
    let known: Vec<_> = known.collect();
    let mut list: Vec<_> = known.iter().take(LISTED).map(|word| format!("`{word}`")).collect();
    if known.len() > LISTED {
        list.push(format!("{} more", known.len() - LISTED));
    }
    let list = if list.is_empty() { "none are configured".to_owned() } else { list.join(", ") };
    format!("{} ({kind}: {list})", close.unwrap_or_default())
}

/// The candidate that is at most two edits from the word, and so few that something of the word is
/// left. The nearest, then the first in the alphabet.
fn closest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let most = word.chars().count().saturating_sub(1).min(2);
    let near = known.map(|other| (distance(word, other), other));
    near.filter(|(far, _)| *far <= most).min().map(|(_, other)| other)
}

/// How many letters must be put in, taken out or changed to make one word of the other
/// (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    // `row` holds the distances of what was read of `a` to each beginning of `b`.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (read, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = read + 1;
        for (at, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[at + 1];
            row[at + 1] = changed.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn four() -> Known {
        let text = "full@host4 db search storage\nnebula@host1 db\nsearch@host3 db search\n\
                    storage@host2 storage\n";
        let known = Known::from_compact(text);
        assert_eq!(known.compact(), text);
        known
    }

    fn faults(source: &str) -> Vec<String> {
        match four().select(source.parse().unwrap()) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.into_iter().map(|fault| fault.to_string()).collect(),
        }
    }

    #[test]
    fn known_selectors_pass() {
        for source in ["&db", "@nebula", "@\"nebula@host1\"", "*", "!&search", "!@nebula &db"] {
            assert_eq!(faults(source), [""; 0], "{source}");
        }
    }

    #[test]
    fn unknown_names_are_all_told_with_what_may_have_been_meant() {
        let tags = "(tags: `db`, `search`, `storage`)";
        let nodes = "(nodes: `full@host4`, `nebula@host1`, `search@host3`, `storage@host2`)";
        let serach =
            format!("no configured node has the tag `serach`, did you mean `search`? {tags}");
        let cache = format!("no configured node has the tag `cache` {tags}");
        let nebul = format!("no configured node is called `nebul`, did you mean `nebula`? {nodes}");
        assert_eq!(faults("&db &serach"), [serach.as_str()]);
        assert_eq!(faults("!&cache | (&serach !@nebul)"), [cache, serach, nebul]);
        assert_eq!(
            faults("@\"full@host9\""),
            [format!(
                "no configured node is called `full@host9`, did you mean `full@host4`? {nodes}"
            )]
        );
    }

    #[test]
    fn what_means_nobody_is_refused() {
        for source in ["&db !&db", "@nebula &search", "!*"] {
            assert_eq!(faults(source), [format!("no configured node matches `{source}`")]);
        }
        let none = Known::default().select("&db".parse().unwrap()).unwrap_err().to_string();
        assert_eq!(none, "no configured node has the tag `db` (tags: none are configured)");
    }

    #[test]
    fn the_nearest_word_is_offered() {
        let offered = |word| closest(word, ["cache", "cached", "db", "web"].into_iter());
        assert_eq!(offered("cahce"), Some("cache"));
        assert_eq!(offered("caches"), Some("cache"));
        assert_eq!(offered("dc"), Some("db"));
        assert_eq!(offered("xy"), None);
        assert_eq!(offered("storage"), None);
    }

    #[test]
    fn long_lists_are_cut() {
        let known: Vec<_> = (10..40).map(|number| number.to_string()).collect();
        let known = || known.iter().map(String::as_str);
        let text = hint("x", known(), "tags", known());
        assert!(text.starts_with(" (tags: `10`, `11`, ") && text.ends_with("`29`, 10 more)"));
    }
}
