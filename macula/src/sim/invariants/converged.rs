use std::collections::{BTreeMap, BTreeSet};

use crate::identity::NodeId;
use crate::membership::Member;

/// Each node takes all others that run to be alive, under the names they live under, and nobody
/// else.
pub(in super::super) fn views_are<'a>(
    running: impl Iterator<Item = (Member, &'a BTreeMap<NodeId, Member>)> + Clone,
) -> Result<(), String> {
    let all: BTreeSet<_> = running.clone().map(|(me, _)| (me.id, me.generation)).collect();
    for (me, alive) in running {
        let known = alive.values().map(|member| (member.id, member.generation));
        let known: BTreeSet<_> = known.chain([(me.id, me.generation)]).collect();
        if known != all {
            let name = |(id, generation): &(NodeId, u64)| {
                format!(
                    "{}.{generation}",
                    u16::from_be_bytes([id.as_bytes()[30], id.as_bytes()[31]])
                )
            };
            return Err(format!(
                "{} lacks {:?} and has {:?} beside",
                me.addr.port(),
                all.difference(&known).map(name).collect::<Vec<_>>(),
                known.difference(&all).map(name).collect::<Vec<_>>(),
            ));
        }
    }
    Ok(())
}
