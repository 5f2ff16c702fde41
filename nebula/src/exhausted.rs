#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Why a call got no more time.

use macula::rpc::NotExtended;

/// [`Context::extend`](crate::Context::extend) granted nothing: the deadline is where it was, and
/// none of the call's extensions was spent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Exhausted {
    /// The call was extended as often as it may be.
    #[error(
        "the call was extended as often as it may be: ask for more time at once, or raise its \
         `max_extensions`"
    )]
    Spent,
    /// The deadline is as late as it may be.
    #[error(
        "the deadline of the call is as late as it may be: raise the call's timeout or its \
         `max_extensions`, whose product bounds it, or the deadline of the call around it"
    )]
    Latest,
    /// The call has ended, its deadline has passed, or its caller has gone.
    #[error("the call is over, and nobody waits for it: stop working on it")]
    Over,
    /// Less than a microsecond was asked for.
    #[error("no time was asked for: ask for a microsecond or more")]
    Nothing,
    /// The context was lent to a thread that does not run the handler.
    #[error(
        "the context was lent to a thread that does not run the handler: clone it in the handler, \
         and extend the call with the clone"
    )]
    Elsewhere,
}

impl From<NotExtended> for Exhausted {
    fn from(refused: NotExtended) -> Self {
        match refused {
            NotExtended::Spent => Self::Spent,
            NotExtended::Latest => Self::Latest,
            NotExtended::Over => Self::Over,
            NotExtended::Nothing => Self::Nothing,
        }
    }
}
