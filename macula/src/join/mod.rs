//! How nodes find each other: seeds, and the runtime directory of one machine.
//!
//! # Promise
//! A node asks its seeds until it meets somebody, and for as long as it lives it asks those places
//! among them where no member is. So a cluster that was cut in two becomes one again, however long
//! the cut lasted, if a node of one part has a seed in the other. A seed that does not answer, and
//! a name that is not found, are no errors; a member is not asked; no seeds at all are well.
//!
//! # Protocol
//! - **Names** are looked up anew each time that they are asked. `host:port` is dialled at the
//!   addresses of the host. `name@host` is dialled at the hosts and ports that the records
//!   `_name._udp.host` of DNS give, in the order of RFC 2782, and a `host` alone at those of
//!   `_macula._udp.host`; where there are no such records, at the addresses of the host and port
//!   9443. While a name cannot be looked up, the addresses count that it had.
//! - **Addresses** of one seed are dialled in turn, each a quarter of a second after the one before
//!   if that has not answered by then, until somebody does who was no member when that began.
//! - **Where nobody is met** at any address of a seed, it is asked again after a pause that grows to
//!   15 s. Where somebody is, those of its other addresses that belong to no member are asked every
//!   15 to 30 s. Pauses are drawn at random, so that nodes do not ask in step.
//!
//! # Limits
//! 1024 seeds, 64 addresses of each, 64 seeds and neighbours at once; five seconds for a lookup, eight
//! hosts of a service at once, 64 hosts in all, and no host again before the system has answered, which
//! it does for all seeds of that host; an answer that comes too late for all of them is for the one that
//! asks next, within a minute; seed files of 256 KiB, read every five seconds. Records of
//! services need the feature `dns`; without it there are none. Two parts of a cluster of which neither
//! has a seed in the other remember their lost members for a day, and do not find each other after
//! that.

mod ask;
mod attempt;
#[cfg(feature = "dns")]
mod dns;
mod driver;
pub(crate) mod list;
pub(crate) mod local;
mod lookups;
pub(crate) mod resolve;
mod seed;
mod srv;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;

pub use driver::{Joining, Tried};
pub use local::LocalError;
pub use seed::{DEFAULT_PORT, SeedError};

pub(crate) use driver::{Ways, join};
pub(crate) use seed::Seed;
