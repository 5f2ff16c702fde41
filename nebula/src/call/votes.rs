#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! What a quorum that was reached rests on.

use std::convert::Infallible;

use macula::identity::NodeId;
use macula::rpc::Headers;

use super::reply::{Entry, Reply, SentBack};

/// A quorum that was reached: the successes, at least as many as required, each from another
/// node, and what else had come in by then.
///
/// Nodes that had not answered when the quorum was reached are not in it. Iterating by value
/// gives the successes first, then the rest.
#[derive(Clone, Debug)]
pub struct Votes<T, E = Infallible> {
    successes: Vec<Reply<T>>,
    failures: Vec<Entry<T, E>>,
    required: usize,
    sent_back: SentBack,
}

impl<T, E> Votes<T, E> {
    pub(crate) fn new(
        successes: Vec<Reply<T>>,
        failures: Vec<Entry<T, E>>,
        required: usize,
        sent_back: SentBack,
    ) -> Self {
        Self { successes, failures, required, sent_back }
    }

    /// The answers that count, in the order of their arrival; never empty.
    pub fn successes(&self) -> &[Reply<T>] {
        &self.successes
    }

    /// What did not count, in the order of its arrival: failed calls, and answers that
    /// `.success(..)` turned down (`Ok` in their entry).
    pub fn failures(&self) -> &[Entry<T, E>] {
        &self.failures
    }

    /// What this node [sent back](crate::Context::reply_header) beside what its method returned; none if
    /// it said nothing. It is what that node says, and bounded as [`Headers`] are.
    pub fn headers(&self, node: NodeId) -> Option<&Headers> {
        self.sent_back.of(node)
    }

    /// How many successes were needed.
    pub fn required(&self) -> usize {
        self.required
    }

    /// How many results came in: successes and failures.
    pub fn len(&self) -> usize {
        self.successes.len() + self.failures.len()
    }

    /// Always false: a quorum rests on one success at least.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T, E> IntoIterator for Votes<T, E> {
    type Item = Entry<T, E>;
    type IntoIter = std::vec::IntoIter<Entry<T, E>>;

    fn into_iter(self) -> Self::IntoIter {
        let mut entries: Vec<_> = self.successes.into_iter().map(Entry::from).collect();
        entries.extend(self.failures);
        entries.into_iter()
    }
}
