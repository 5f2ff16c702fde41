//! Calls through a node: whom to ask, and what to make of what comes back.
//!
//! [`roster`] finds the nodes that a call may be made to, and says why there is none, by what
//! [`reach`] makes of one moment and [`known`] remembers of it, and [`order`] says who is asked first;
//! [`leg`] makes one attempt on one of them; [`unicast`] goes from one to the next as the retry rule
//! allows; [`hedged`] does not wait for the first to fail; [`several`] makes one attempt on each,
//! and [`arguments`] encodes for all of them once. On the other side, `service::exported` hands
//! what arrives to the service.

pub(crate) mod arguments;
pub(crate) mod begun;
pub(crate) mod hedged;
pub(crate) mod known;
pub(crate) mod leg;
pub(crate) mod order;
mod others;
pub(crate) mod reach;
pub(crate) mod roster;
pub(crate) mod several;
pub(crate) mod straight;
pub(crate) mod unicast;
