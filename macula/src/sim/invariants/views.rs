use std::collections::BTreeMap;

use crate::identity::NodeId;
use crate::membership::{Machine, Member};

/// What the rest of a node takes to be alive is what its membership does.
pub(in super::super) fn views_agree<'a>(
    nodes: impl Iterator<Item = (&'a Machine, &'a BTreeMap<NodeId, Member>)>,
) -> Result<(), String> {
    for (machine, alive) in nodes {
        let (me, known) = machine.view();
        let known: BTreeMap<_, _> = known.map(|member| (member.id, member)).collect();
        if known != *alive {
            let differ = known.values().filter(|member| alive.get(&member.id) != Some(member));
            let extra = alive.values().filter(|member| known.get(&member.id) != Some(member));
            let names = |one: &Member| format!("{}.{}", one.addr.port(), one.generation);
            return Err(format!(
                "{} has told of {:?} where it knows {:?}",
                names(&me),
                extra.map(names).collect::<Vec<_>>(),
                differ.map(names).collect::<Vec<_>>(),
            ));
        }
    }
    Ok(())
}
