//! What a node bears from peers that are broken or mean: first strangers, then members of the
//! realm. Whatever they do, no handler runs for them that should not, and an honest client is
//! served afterwards. Everything runs on a network in memory and a paused clock.

#[path = "hostile/frames.rs"]
mod frames;
#[path = "hostile/gossip.rs"]
mod gossip;
#[path = "hostile/liars.rs"]
mod liars;
#[path = "hostile/listeners.rs"]
mod listeners;
#[path = "hostile/members.rs"]
mod members;
#[path = "hostile/partings.rs"]
mod partings;
#[path = "hostile/replays.rs"]
mod replays;
#[path = "hostile/rude.rs"]
mod rude;
#[path = "hostile/storms.rs"]
mod storms;
#[path = "hostile/strangers.rs"]
mod strangers;
#[path = "hostile/victim.rs"]
#[allow(dead_code)]
mod victim;
