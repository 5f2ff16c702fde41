//! Callers and servers in one thread, with a time of their own: what decides where and how often a
//! call goes, driven many times over.
//!
//! The machines are the real ones: policies, choices, the nodes that are passed over, the retry
//! rule and its budget, the usual time of a hedge, the strategies of calls to several nodes, and
//! the gate of each server. Everything follows from one seed, bit for bit. A scenario hurts its
//! servers first and heals them then. All along, what may never be is looked for (`invariants`),
//! and what callers are told is joined with what servers ran. A failure prints the one line that
//! replays it. Which seeds: `SEED` names one, `SIM_SEEDS` says how many; otherwise a few, for
//! seconds.
//!
//! Limits: a path carries everything in order, after a time of its own. That a peer is silent is
//! noticed after half a second, as links do it, and asked once a second. All servers are known to
//! all callers at all times: who is alive is a matter of membership.

mod ask;
mod caller;
mod calling;
mod cluster;
mod figures;
mod invariants;
mod leases;
mod scenarios;
mod seeds;
mod server;
mod serving;
mod several;
mod unicast;
mod world;
