use std::io;
use std::net::SocketAddr;

use crate::directory::RecordError;
use crate::identity::{CookieError, KeyError, RealmNameError};
use crate::join::{LocalError, SeedError};
use crate::text::Safe;

/// Why a node did not start. Nothing of it is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address to listen on is taken or not of this machine.
    #[error("cannot listen on {addr}: {source}; choose another address, or port 0 for any")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The identity file.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The cookie.
    #[error(transparent)]
    Cookie(#[from] CookieError),
    /// The realm's name.
    #[error(transparent)]
    Realm(#[from] RealmNameError),
    /// The runtime directory.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// What the node says of itself.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// TLS could not be set up.
    #[error("TLS cannot be set up: {reason}")]
    Crypto {
        /// What the TLS library said.
        reason: String,
    },
    /// The services.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The thread of the node's I/O, see [`Io::Thread`](crate::Io::Thread).
    #[error(
        "cannot start a thread for I/O: {source}; raise the limits of this process, or share the runtime"
    )]
    Thread {
        /// What the system said.
        source: io::Error,
    },
    /// The seeds.
    #[error(transparent)]
    Seed(#[from] SeedError),
}

/// Why a node does not offer a service, or not as it was told to. Nothing has changed then.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Two services have one name.
    #[error("two services named `{0}` on one node: give one of them another name")]
    DuplicateService(String),
    /// Two methods have one wire id.
    #[error("`{0}` and `{1}` have the same wire id: rename one of them")]
    MethodCollision(String, String),
    /// There is no service of this name.
    #[error("no service named `{}` on this node: offer it first", Safe(.0))]
    UnknownService(String),
    /// What the node would have to say of itself.
    #[error(transparent)]
    Record(#[from] RecordError),
}
