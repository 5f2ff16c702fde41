//! One surface for every call.

pub(crate) mod all;
pub(crate) mod error;
pub(crate) mod fanout;
pub(crate) mod first;
pub(crate) mod quorum;
pub(crate) mod reply;
pub(crate) mod retry;
