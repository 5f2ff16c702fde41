use std::collections::BTreeMap;

use crate::identity::NodeId;
use crate::membership::Member;

/// The highest generation of a node that another has seen, and whether that is over.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Highest {
    generation: u64,
    over: bool,
}

/// A life that has ended, or been replaced, in somebody's eyes never comes back there.
pub(in super::super) fn rises(
    seen: &mut BTreeMap<NodeId, Highest>,
    up: &Member,
) -> Result<(), String> {
    let generation = up.generation;
    let before = seen.insert(up.id, Highest { generation, over: false });
    match before {
        Some(before)
            if generation < before.generation || generation == before.generation && before.over =>
        {
            Err(format!("generation {generation} of {} came back after {before:?}", up.addr))
        }
        _ => Ok(()),
    }
}

/// A life has ended in somebody's eyes.
pub(in super::super) fn is_over(seen: &mut BTreeMap<NodeId, Highest>, down: &Member) {
    let generation = down.generation;
    seen.insert(down.id, Highest { generation, over: true });
}
