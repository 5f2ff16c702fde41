//! Who is alive: SWIM with suspicion (by [`foca`]) over QUIC datagrams.
//!
//! Promise: a node that answers its peers stays a member; one that stops is reported down within
//! a few probe periods; a node that restarts is told from its former life by its generation,
//! which rises. Views of different nodes may differ for as long as the news takes to travel.

mod driver;
mod gossip;
mod machine;
mod member;

pub(crate) use driver::Membership;
pub(crate) use gossip::Hint;
#[cfg(test)]
pub(crate) use machine::Machine;
pub(crate) use machine::{MembershipInput, MembershipNews};
pub(crate) use member::Member;
