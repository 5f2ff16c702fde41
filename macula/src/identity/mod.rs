//! Who a node is: its key, its TLS identity, and the proof that it belongs to the realm.

mod cookie;
mod id;
mod key;
mod realm;
mod tls;

pub use id::{NodeId, ParseNodeIdError};
