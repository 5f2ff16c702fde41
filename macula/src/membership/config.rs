//! How SWIM is set for a cluster of a size.

use std::num::{NonZeroU8, NonZeroU32, NonZeroUsize};
use std::time::Duration;

use foca::{Config, PeriodicParams};

use crate::limits;

/// Each piece of news is passed on at least this often by each node that hears of it.
const LEAST_TRANSMISSIONS: u8 = 10;
/// How long a node whose time to refute a suspicion is over has to answer on its connection before
/// it is declared dead: longer than a path is bad for a moment.
pub(crate) const LAST_WORD: Duration = Duration::from_millis(1500);
/// How long a node that others say to be dead has to answer, or six round trips if that is more.
pub(crate) const ANSWER: Duration = Duration::from_millis(400);
/// What of the time that SWIM gives a suspect is spent on asking it: the one that suspects it, and
/// then those that are told, who tell others; most hear of a death from the second.
const ASKING: Duration = LAST_WORD.saturating_add(ANSWER.saturating_mul(2));
/// How often a random node is asked for all members that it knows.
const CATCH_UP: Duration = Duration::from_secs(20);
/// How often one of the members that are down is looked for.
pub(super) const SEEK: Duration = Duration::from_secs(15);

pub(super) fn config_for(size: u32) -> Config {
    let mut config = Config::new_lan(NonZeroU32::new(size).unwrap_or(NonZeroU32::MIN));
    config.max_packet_size = packet_size();
    config.suspect_to_down_after = config.suspect_to_down_after.saturating_sub(ASKING);
    // Each node passes a piece of news on so many times, to random others: e to the power of minus
    // that is the share of nodes that nobody tells. Four times the decimal logarithm leaves out one
    // of a hundred nodes in three deaths of a hundred, and who was not told of a death keeps the
    // dead until its own probe finds it.
    let transmissions = config.max_transmissions.get().saturating_mul(2).max(LEAST_TRANSMISSIONS);
    config.max_transmissions = NonZeroU8::new(transmissions).unwrap_or(NonZeroU8::MAX);
    // What was missed all the same of who is alive is caught up with by asking one node for that.
    config.periodic_announce =
        Some(PeriodicParams { frequency: CATCH_UP, num_members: NonZeroUsize::MIN });
    // These packets reach those alone that we are connected to; the others are dialled.
    config.periodic_announce_to_down_members =
        Some(PeriodicParams { frequency: SEEK, num_members: NonZeroUsize::MIN });
    config
}

/// One byte of each datagram says what it carries.
fn packet_size() -> NonZeroUsize {
    NonZeroUsize::new(limits::DATAGRAM - 1).unwrap_or(NonZeroUsize::MIN)
}
