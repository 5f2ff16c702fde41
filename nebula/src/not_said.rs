#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Why a header does not go beside a reply.

use macula::rpc::HeaderError;

/// [`Context::reply_header`](crate::Context::reply_header) changed nothing: what went back beside the
/// reply still does.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NotSaid {
    /// The key or the value cannot be sent, or there is no room for it beside the others.
    #[error("{0}")]
    Bounds(#[from] HeaderError),
    /// The call has ended, its caller has gone, or the method was given up and a plugin answers.
    #[error(
        "nothing that is said here goes back any more, since the call is over or its method was \
         given up: say it before the method returns"
    )]
    Over,
    /// The context was lent to a thread that does not run the handler.
    #[error(
        "the context was lent to a thread that does not run the handler: clone it in the handler, \
         and say it with the clone"
    )]
    Elsewhere,
}
