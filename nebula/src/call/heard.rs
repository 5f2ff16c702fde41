//! What is heard of the answer of a call to one node, beside what it says.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use macula::identity::NodeId;
use macula::rpc::Headers;

use super::local::ALONE;
use super::reply::{FullReply, NodeRef};
use crate::node::Node;

/// Where the attempt of a call to one node that brings what the method returned says who answered, and
/// what went back beside it. All clones are of one call.
///
/// It goes along with those calls of which somebody asks for it. Such an attempt is the last of its
/// call, so that it is said once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard(Arc<OnceLock<(NodeRef, Headers)>>);

impl Heard {
    /// This node has answered.
    pub(crate) fn answered(&self, node: NodeRef, headers: Headers) {
        // No second answer is taken, whoever gives it.
        let _ = self.0.set((node, headers));
    }

    /// What it sent back under this key.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get()?.1.get(key)
    }

    /// All of an answer with this value, which came after this time.
    pub(crate) fn reply<T>(&self, value: T, elapsed: Duration) -> FullReply<T> {
        let heard = self.0.get().cloned();
        let (node, headers) = heard.unwrap_or_else(|| (itself(None), Headers::new()));
        FullReply { node, value, elapsed, headers }
    }
}

/// The node on which a service of this process is called; one without a key for a client that has none.
pub(crate) fn itself(node: Option<&Node>) -> NodeRef {
    match node {
        None => NodeRef { id: NodeId::from_bytes([0; 32]), name: ALONE.into() },
        Some(node) => NodeRef { id: node.id(), name: node.name().into() },
    }
}
