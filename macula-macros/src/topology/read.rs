//! The topology file, read by the compiler: the rules and the words of nebula's own reader
//! (`nodes/topology.rs`), which a macro cannot call. `testdata/topologies.txt` holds texts on which
//! both are tested.
//!
//! Limits: a file is at most 1 MiB, names are at most 255 bytes and tags 64, and a node has at most
//! 64 tags.

use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::hidden::{is_hidden, safe};
use super::known::Known;

/// The largest file, in bytes.
pub(crate) const MAX_FILE: u64 = 1 << 20;

const MAX_NAME: usize = 255;
const MAX_TAG: usize = 64;
const MAX_TAGS: usize = 64;
const TOO_LARGE: &str = "the configuration of the nodes may be 1 MiB at most";
const NOT_A_TABLE: &str = "`nodes` must be a table with a line for each node, such as \
                           `\"db-1@h1\" = [\"db\"]`";

/// The nodes in a text.
///
/// # Errors
///
/// What is wrong with it, with its line.
pub(crate) fn read(text: &str) -> Result<Known, String> {
    if text.len() as u64 > MAX_FILE {
        return Err(TOO_LARGE.to_owned());
    }
    let at = |offset, fault: String| {
        let before = text.get(..offset).unwrap_or(text);
        format!("line {}: {fault}", before.matches('\n').count() + 1)
    };
    let document = DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or_default();
        let place = text.get(span.clone()).unwrap_or_default().trim();
        let reason = match place.is_empty() {
            true => error.message().to_owned(),
            false => format!("{} at `{:.80}`", error.message(), place),
        };
        at(span.start, reason)
    })?;
    let mut known = Known::default();
    for (key, value) in document.get_ref() {
        if key.get_ref() != "nodes" {
            let fault = format!(
                "the key `{}` is not known: the nodes are in the table `[nodes]`",
                key.get_ref()
            );
            return Err(at(key.span().start, fault));
        }
        let DeValue::Table(nodes) = value.get_ref() else {
            return Err(at(value.span().start, NOT_A_TABLE.to_owned()));
        };
        for (name, tags) in nodes {
            let text = name.get_ref().as_ref();
            let tags = node(text, tags).map_err(|fault| at(name.span().start, fault))?;
            known.nodes.insert(text.to_owned(), tags);
        }
    }
    Ok(known)
}

/// The tags of one node.
fn node(name: &str, value: &Spanned<DeValue<'_>>) -> Result<BTreeSet<String>, String> {
    let refuse = |found: &DeValue<'_>| {
        let found = found.type_str();
        format!("the tags of `{name}` must be a string or a list of strings, not {found}")
    };
    let word = |value: &DeValue<'_>| match value {
        DeValue::String(tag) => Ok(tag.to_string()),
        other => Err(refuse(other)),
    };
    let tags: Vec<String> = match value.get_ref() {
        DeValue::Array(tags) => tags.iter().map(|tag| word(tag.get_ref())).collect(),
        one => word(one).map(|tag| vec![tag]),
    }?;
    if let Some(why) = name_fault(name) {
        return Err(format!("a node cannot be called `{}`: {why}", safe(name)));
    }
    if let Some((tag, why)) = tags.iter().find_map(|tag| Some((tag, tag_fault(tag)?))) {
        return Err(format!("the node `{name}` cannot have the tag `{}`: {why}", safe(tag)));
    }
    let tags: BTreeSet<_> = tags.into_iter().collect();
    if tags.len() > MAX_TAGS {
        let count = tags.len();
        return Err(format!(
            "the node `{name}` has {count} tags, and a node has at most {MAX_TAGS}"
        ));
    }
    Ok(tags)
}

fn name_fault(name: &str) -> Option<&'static str> {
    if name.len() > MAX_NAME {
        return Some("it is longer than 255 bytes");
    }
    match name.split_once('@') {
        None => word_fault(name),
        Some((_, host)) if host.contains('@') => Some("it has more than one `@`"),
        Some((short, host)) => word_fault(short).or_else(|| word_fault(host)),
    }
}

fn tag_fault(tag: &str) -> Option<&'static str> {
    if tag.len() > MAX_TAG {
        return Some("it is longer than 64 bytes");
    }
    word_fault(tag)
}

fn word_fault(word: &str) -> Option<&'static str> {
    if word.is_empty() {
        return Some("a part of it is empty");
    }
    if word.chars().any(|c| c.is_whitespace() || is_hidden(c) || "\"'&|!@(),;".contains(c)) {
        return Some("white space, quotes, hidden characters and any of `&|!@(),;` are kept out");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a text of the corpus should give: the nodes with their tags, a line each, or the words
    /// in which it is refused.
    enum Expected<'a> {
        Nodes(&'a str),
        Fault(&'a str),
    }

    fn corpus() -> Vec<(&'static str, Expected<'static>)> {
        let all = include_str!("../../testdata/topologies.txt");
        let cases = all.split("=====\n").skip(1).map(|case| {
            let (text, outcome) = case.split_once("-----\n").expect(case);
            let expected = match outcome.strip_prefix("refused: ") {
                Some(words) => Expected::Fault(words.trim_end()),
                None => Expected::Nodes(outcome),
            };
            (text, expected)
        });
        cases.collect()
    }

    #[test]
    fn reads_and_refuses_what_the_library_does() {
        let corpus = corpus();
        assert!(corpus.len() > 20);
        for (text, expected) in corpus {
            match (read(text), expected) {
                (Ok(known), Expected::Nodes(nodes)) => assert_eq!(known.compact(), nodes, "{text}"),
                (Err(fault), Expected::Fault(words)) => assert_eq!(fault, words, "{text}"),
                (Ok(known), Expected::Fault(words)) => panic!("{words}\n{text}\n{known:?}"),
                (Err(fault), Expected::Nodes(_)) => panic!("{fault}\n{text}"),
            }
        }
    }

    #[test]
    fn the_size_is_bounded() {
        let large = format!("[nodes]\n#{}", "x".repeat(1 << 20));
        assert_eq!(read(&large).unwrap_err(), TOO_LARGE);
    }
}
