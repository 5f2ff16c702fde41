//! One surface for every call.
//!
//! A call is written with [`Call`] and made by awaiting it, or [`All`], [`First`] or [`Quorum`] of
//! it. What is merged and fixed once, before any attempt, is an `Ask` (in `unicast`); `local`
//! answers it in this process, `engine` through the mesh. What to make of several answers is
//! decided by the state machines in `all`, `first`, `quorum` and `retry`, driven by `several`.

pub(crate) mod all;
mod api_key;
pub(crate) mod ask;
pub(crate) mod attempt;
pub(crate) mod background;
pub(crate) mod cast;
pub(crate) mod engine;
pub(crate) mod error;
pub(crate) mod fanout;
pub(crate) mod first;
pub(crate) mod handle;
pub(crate) mod heard;
pub(crate) mod hedged;
pub(crate) mod inspect;
pub(crate) mod local;
pub(crate) mod log;
pub(crate) mod options;
pub(crate) mod quorum;
#[cfg(feature = "json")]
pub(crate) mod raw;
pub(crate) mod replies;
pub(crate) mod reply;
mod replying;
pub(crate) mod retry;
pub(crate) mod several;
mod spawned;
#[cfg(test)]
mod strategy_tests;
pub(crate) mod targets;
pub(crate) mod threshold;
pub(crate) mod times;
pub(crate) mod unary;
pub(crate) mod unicast;
pub(crate) mod unmet;
pub(crate) mod usual;
pub(crate) mod votes;
pub(crate) mod why;
pub(crate) mod written;

pub use api_key::ApiKey;
pub use attempt::{Attempt, Executed, Outcome, Path, Phase};
pub use cast::Cast;
pub use cast::counts::CastCounts;
pub use error::CallError;
pub use hedged::Hedged;
pub use log::Log;
pub use options::Options;
#[cfg(feature = "json")]
pub use raw::RawCall;
pub use replies::Replies;
pub use reply::{Entry, FullReply, NodeRef, Reply};
pub use replying::Replying;
pub use several::{All, First, Quorum};
pub use targets::{Chosen, Configured, Unsaid};
pub use threshold::{
    AtLeast, AvailableMajority, Majority, Threshold, at_least, available_majority, majority,
};
pub use unary::Call;
pub use unicast::Unicast;
pub use unmet::{FirstError, QuorumError};
pub use votes::Votes;
pub use why::{NoTarget, Why};

#[cfg(test)]
pub(crate) use log::tests;
