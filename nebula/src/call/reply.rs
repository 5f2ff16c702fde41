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
    /// What [went back](crate::Context::reply_header) beside what the method returned, also beside its
    /// own error ([`CallError::App`]); none of a call that failed for another reason. It is what that
    /// node says, and bounded as [`Headers`] are.
    pub headers: Headers,
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
    /// What [went back](crate::Context::reply_header) beside it. It is what that node says, and bounded
    /// as [`Headers`] are.
    pub headers: Headers,
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
    fn from(Reply { node, value, elapsed, headers }: Reply<T>) -> Self {
        Self { node, result: Ok(value), elapsed, headers }
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
        let (elapsed, said) = (Duration::from_millis(3), headers.clone());
        let reply = Reply { node: node(1), value: 7, elapsed, headers };
        assert_eq!(reply.node.to_string(), "n1@h");
        let entry: Entry<i32> = reply.into();
        assert_eq!((entry.node, entry.result), (node(1), Ok(7)));
        assert_eq!((entry.elapsed, entry.headers), (elapsed, said));
    }
}
