//! Storms over a network in memory, on a paused clock: callers that give up at any moment, twice the
//! load that a service can bear, links that lose a tenth of all packets, and links that are worse.
//!
//! `CHAOS_CANCELS`, `CHAOS_STOPS`, `CHAOS_CALLS`, `CHAOS_LADDER` and `CHAOS_SECONDS` make them longer.
//! Each test prints its figures as a row of a table; times are those of the paused clock, which says
//! what waits for what, not how fast a processor is.

#[path = "storms/keeper.rs"]
mod keeper;
#[path = "storms/site.rs"]
mod site;

#[path = "storms/cancels.rs"]
mod cancels;
#[path = "storms/ladder.rs"]
mod ladder;
#[path = "storms/loss.rs"]
mod loss;
#[path = "storms/overload.rs"]
mod overload;
