//! Who a node is: its key, its TLS identity, and the proof that it belongs to the realm.

mod cookie;
mod file;
mod id;
mod key;
mod realm;
pub(crate) mod tls;

pub use file::FileError;
pub use id::{NodeId, ParseNodeIdError};
pub use key::{KeyError, SecretKey, next_generation};
pub use tls::TlsError;
