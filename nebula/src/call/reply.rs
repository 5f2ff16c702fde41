#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! What one node of several said.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use macula::identity::NodeId;
use macula::rpc::Headers;
use macula::text::Safe;

use super::error::CallError;

/// A node that was asked. `Display` is its name.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeRef {
    /// Its identity.
    pub id: NodeId,
    /// Its name, for people: `db@h1`. Two nodes may share one.
    pub name: Arc<str>,
}

impl fmt::Display for NodeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Safe(&self.name).fmt(f)
    }
}

/// What became of the call on one of the nodes asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry<T, E = Infallible> {
    /// The node.
    pub node: NodeRef,
    /// Its answer, or how the call to it failed.
    pub result: Result<T, CallError<E>>,
    /// From the start of the whole call to this result.
    pub elapsed: Duration,
}

/// An answer that counts, and who gave it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply<T> {
    /// The node.
    pub node: NodeRef,
    /// What the method returned; for a method that returns a `Result`, its `Ok`.
    pub value: T,
    /// From the start of the whole call to this answer.
    pub elapsed: Duration,
}

/// An answer, who gave it, and what went back beside it: see [`Call::reply`](crate::Call::reply).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FullReply<T> {
    /// The node.
    pub node: NodeRef,
    /// What the method returned; for a method that returns a `Result`, its `Ok`.
    pub value: T,
    /// From the start of the whole call to this answer.
    pub elapsed: Duration,
    /// What [went back](crate::Context::reply_header) beside it. It is what that node says, and bounded
    /// as [`Headers`] are.
    pub headers: Headers,
}

impl<T> From<FullReply<T>> for Reply<T> {
    fn from(FullReply { node, value, elapsed, .. }: FullReply<T>) -> Self {
        Self { node, value, elapsed }
    }
}

/// What went back beside the answers of several nodes, from those that said something.
#[derive(Clone, Debug, Default)]
pub(crate) struct SentBack(Vec<(NodeId, Headers)>);

impl SentBack {
    pub(crate) fn put(&mut self, node: NodeId, headers: Headers) {
        if !headers.is_empty() {
            self.0.push((node, headers));
        }
    }

    pub(crate) fn of(&self, node: NodeId) -> Option<&Headers> {
        self.0.iter().find(|(known, _)| *known == node).map(|(_, headers)| headers)
    }
}

/// What is known of an answer beside what it says.
#[derive(Clone, Debug)]
pub(crate) struct Beside {
    /// From the start of the whole call to the answer.
    pub(crate) elapsed: Duration,
    /// What went back with it.
    pub(crate) headers: Headers,
}

impl From<Duration> for Beside {
    fn from(elapsed: Duration) -> Self {
        Self { elapsed, headers: Headers::new() }
    }
}

impl<T, E> From<Reply<T>> for Entry<T, E> {
    fn from(Reply { node, value, elapsed }: Reply<T>) -> Self {
        Self { node, result: Ok(value), elapsed }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A node whose name and identity follow from a number.
    pub(crate) fn node(number: u8) -> NodeRef {
        NodeRef { id: NodeId::from_bytes([number; 32]), name: format!("n{number}@h").into() }
    }

    #[test]
    fn a_reply_is_an_entry() {
        let mut headers = Headers::new();
        headers.insert("rows", "7").unwrap();
        let elapsed = Duration::from_millis(3);
        let full = FullReply { node: node(1), value: 7, elapsed, headers };
        let reply = Reply::from(full);
        assert_eq!(reply.node.to_string(), "n1@h");
        let entry: Entry<i32> = reply.into();
        assert_eq!((entry.node, entry.result), (node(1), Ok(7)));
        assert_eq!(entry.elapsed, elapsed);
    }

    #[test]
    fn what_went_back_is_found_by_its_node() {
        let mut headers = Headers::new();
        headers.insert("rows", "7").unwrap();
        let mut sent = SentBack::default();
        sent.put(node(1).id, Headers::new());
        sent.put(node(2).id, headers.clone());
        assert_eq!((sent.of(node(1).id), sent.of(node(2).id)), (None, Some(&headers)));
    }
}
