//! Who a node is: its key, its TLS identity, and the proof that it belongs to the realm.

pub(crate) mod cookie;
pub(crate) mod file;
mod id;
pub(crate) mod key;
pub(crate) mod realm;
pub(crate) mod tls;

pub use cookie::{Cookie, CookieError};
pub use file::FileError;
pub use id::{NodeId, ParseNodeIdError};
pub use key::{KeyError, SecretKey, next_generation};
pub use realm::{Realm, RealmNameError};
pub use tls::TlsError;
