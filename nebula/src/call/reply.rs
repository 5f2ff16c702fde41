#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! What one node of several said.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use macula::identity::NodeId;
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
        let reply = Reply { node: node(1), value: 7, elapsed: Duration::from_millis(3) };
        assert_eq!(reply.node.to_string(), "n1@h");
        let entry: Entry<i32> = reply.into();
        assert_eq!((entry.node, entry.result), (node(1), Ok(7)));
        assert_eq!(entry.elapsed, Duration::from_millis(3));
    }
}
