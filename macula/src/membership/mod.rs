//! Who is alive: SWIM with suspicion (by [`foca`]) over QUIC datagrams.
//!
//! Promise: a node that answers its peers stays a member; one that stops is reported down within
//! a few probe periods; a node that restarts is told from its former life by its generation,
//! which rises. Views of different nodes may differ for as long as the news takes to travel. What
//! a member says of a third party is checked before it is believed (see `hearsay`).

mod config;
mod driver;
mod gossip;
mod hearsay;
mod machine;
mod member;
mod news;

pub(crate) use config::{ANSWER, LAST_WORD};
pub(crate) use driver::Membership;
#[cfg(feature = "fuzzing")]
pub(crate) use driver::feed;
pub(crate) use gossip::Hint;
#[cfg(feature = "fuzzing")]
pub(crate) use hearsay::Claim;
pub(crate) use hearsay::Packet;
#[cfg(test)]
pub(crate) use machine::Machine;
pub(crate) use member::Member;
pub(crate) use news::{MembershipInput, MembershipNews};
