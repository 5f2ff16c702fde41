#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! What every node asked said.

use std::convert::Infallible;

use macula::identity::NodeId;
use macula::rpc::Headers;

use super::error::CallError;
use super::reply::{Entry, NodeRef, SentBack};

/// Exactly one entry for each node asked, in the order of the targets.
///
/// A node that said nothing until the deadline is in it as [`CallError::Deadline`]; one that was
/// not waited for any longer, because the result was decided, as [`CallError::Cancelled`].
#[derive(Clone, Debug)]
#[must_use = "each node's failure is in here"]
pub struct Replies<T, E = Infallible> {
    entries: Vec<Entry<T, E>>,
    tally: Option<Tally>,
    sent_back: SentBack,
}

/// How many successes were wanted, and how many there were.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    pub(crate) required: usize,
    pub(crate) successes: usize,
}

impl<T, E> Replies<T, E> {
    pub(crate) fn new(entries: Vec<Entry<T, E>>, tally: Option<Tally>) -> Self {
        Self { entries, tally, sent_back: SentBack::default() }
    }

    /// The same, beside which this went back.
    pub(crate) fn with(self, sent_back: SentBack) -> Self {
        Self { sent_back, ..self }
    }

    pub(crate) fn tally(&self) -> Option<Tally> {
        self.tally
    }

    /// How many nodes were asked.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no node was asked.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// One entry a node, in the order of the targets.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry<T, E>> {
        self.entries.iter()
    }

    /// The values of the nodes that answered, in the order of the targets.
    pub fn ok(&self) -> impl Iterator<Item = &T> {
        self.iter().filter_map(|entry| entry.result.as_ref().ok())
    }

    /// The nodes that failed, and how, in the order of the targets.
    pub fn failures(&self) -> impl Iterator<Item = (&NodeRef, &CallError<E>)> {
        self.iter().filter_map(|entry| Some((&entry.node, entry.result.as_ref().err()?)))
    }

    /// What this node [sent back](crate::Context::reply_header) beside what its method returned, also
    /// beside the method's own error ([`CallError::App`]); none if it said nothing. It is what that
    /// node says, and bounded as [`Headers`] are.
    pub fn headers(&self, node: NodeId) -> Option<&Headers> {
        self.sent_back.of(node)
    }

    /// Whether every node answered.
    pub fn all_ok(&self) -> bool {
        self.iter().all(|entry| entry.result.is_ok())
    }

    /// The entry of a node by its name: the whole of it (`db@h1`), else the part before the `@`
    /// if only one node has it.
    pub fn get(&self, name: &str) -> Option<&Entry<T, E>> {
        if let Some(entry) = self.iter().find(|entry| &*entry.node.name == name) {
            return Some(entry);
        }
        let short = |entry: &&Entry<T, E>| {
            entry.node.name.split_once('@').is_some_and(|(short, _)| short == name)
        };
        let mut found = self.iter().filter(short);
        let only = found.next()?;
        found.next().is_none().then_some(only)
    }
}

impl<T, E> IntoIterator for Replies<T, E> {
    type Item = Entry<T, E>;
    type IntoIter = std::vec::IntoIter<Entry<T, E>>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'a, T, E> IntoIterator for &'a Replies<T, E> {
    type Item = &'a Entry<T, E>;
    type IntoIter = std::slice::Iter<'a, Entry<T, E>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::log::Log;
    use super::super::reply::tests::node;
    use super::*;

    fn entry(name: &str, result: Result<u8, CallError>) -> Entry<u8> {
        Entry {
            node: NodeRef { name: name.into(), ..node(1) },
            result,
            elapsed: Duration::from_millis(1),
        }
    }

    #[test]
    fn values_and_failures_in_order() {
        let silent = CallError::Deadline(Log::default());
        let replies = Replies::new(
            vec![entry("a@x", Ok(1)), entry("b@x", Err(silent.clone())), entry("c@x", Ok(3))],
            None,
        );
        assert_eq!((replies.len(), replies.is_empty(), replies.all_ok()), (3, false, false));
        assert_eq!(replies.ok().collect::<Vec<_>>(), [&1, &3]);
        let failed: Vec<_> = replies.failures().map(|(n, e)| (n.to_string(), e.clone())).collect();
        assert_eq!(failed, [("b@x".to_owned(), silent)]);
        let names: Vec<_> = (&replies).into_iter().map(|entry| entry.node.to_string()).collect();
        assert_eq!(names, ["a@x", "b@x", "c@x"]);
        assert_eq!(replies.into_iter().filter(|entry| entry.result.is_ok()).count(), 2);
    }

    #[test]
    fn found_by_whole_name_or_unmistakable_short_one() {
        let replies = Replies::new(
            vec![entry("db@x", Ok(1)), entry("db@y", Ok(2)), entry("web@x", Ok(3))],
            None,
        );
        let get = |name| replies.get(name).map(|entry| entry.result.clone().unwrap());
        assert_eq!(get("db@y"), Some(2));
        assert_eq!(get("web"), Some(3));
        assert_eq!((get("db"), get("x"), get("we")), (None, None, None));
        assert!(replies.all_ok());
    }
}
