//! Waiting until the nodes of a cluster agree, woken by their news.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::select_all;
use macula::identity::NodeId;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::node::Node;

/// How long the nodes may take, in virtual time. Membership finds the dead in seconds, and goes
/// back to the lost at least every 15.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a suspicion may take to be told or refuted, in a cluster of up to nine nodes: two
/// probes of a second each, four seconds of patience, and as long again as a probe.
const DOUBT: Duration = Duration::from_secs(8);

/// The running nodes at one moment.
pub(super) struct Observed {
    pub(super) nodes: Vec<Node>,
    /// Whether one node and another exchange packets directly.
    pub(super) reach: Vec<Vec<bool>>,
}

/// Waits until nobody lacks anything; if `doubtful`, until that has been so for as long as a
/// suspicion may last.
///
/// # Errors
/// Who lacks what, a line each, when the time is over.
pub(super) async fn settle(
    observe: impl Fn() -> Observed,
    changed: &mut watch::Receiver<()>,
    doubtful: bool,
) -> Result<(), String> {
    let late = Instant::now() + PATIENCE;
    let mut settled = None;
    loop {
        changed.mark_unchanged();
        let observed = observe();
        // Subscribed before the look, so that no news falls between the two.
        let mut views: Vec<_> =
            observed.nodes.iter().map(|node| node.mesh().watch_view()).collect();
        let mut shown: Vec<_> =
            observed.nodes.iter().map(|node| node.live().refreshed.subscribe()).collect();
        let lacks = lacks(&observed);
        let mut wake = late;
        if lacks.is_empty() {
            // Suspicions last longer the more digits the number of nodes has.
            let digits = observed.nodes.len().checked_ilog10().unwrap_or(0) + 1;
            let doubt = if doubtful { DOUBT * digits } else { Duration::ZERO };
            wake = *settled.get_or_insert_with(Instant::now) + doubt;
            if wake <= Instant::now() {
                return Ok(());
            }
        } else {
            settled = None;
        }
        let views = views.iter_mut().map(|view| news(view.changed()));
        let shown = shown.iter_mut().map(|shown| news(shown.changed()));
        let any = select_all(views.chain(shown).chain([news(changed.changed())]));
        if timeout_at(wake, any).await.is_err() && settled.is_none() {
            return Err(table(&lacks));
        }
    }
}

/// A piece of news, or the end of its node.
fn news<'a, T>(
    of: impl Future<Output = T> + Send + 'a,
) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
    Box::pin(async {
        of.await;
    })
}

/// What each node lacks, by name; nodes that lack nothing are left out.
fn lacks(observed: &Observed) -> Vec<(String, Vec<String>)> {
    let groups = groups(&observed.reach);
    let pictures: Vec<_> = observed.nodes.iter().map(picture).collect();
    let of_each = pictures.iter().zip(&groups).map(|(mine, group)| {
        let reached = pictures.iter().zip(&groups).filter(|(_, other)| *other == group);
        let reached: Vec<_> = reached.map(|(picture, _)| picture).collect();
        (mine.name.clone(), differences(mine, &reached))
    });
    of_each.filter(|(_, lacks)| !lacks.is_empty()).collect()
}

fn table(lacks: &[(String, Vec<String>)]) -> String {
    let mut table = format!("the cluster has not settled within {PATIENCE:?} of virtual time:\n");
    for (name, lacks) in lacks {
        let _ = writeln!(table, "  {name:<20} {}", lacks.join(", "));
    }
    table
}

/// Numbers the nodes so that those which reach each other, directly or through others, have the
/// same number.
fn groups(reach: &[Vec<bool>]) -> Vec<usize> {
    let mut groups: Vec<usize> = (0..reach.len()).collect();
    for (from, row) in reach.iter().enumerate() {
        for (to, open) in row.iter().enumerate() {
            if *open && groups[from] != groups[to] {
                let (kept, gone) = (groups[from], groups[to]);
                groups.iter_mut().filter(|group| **group == gone).for_each(|group| *group = kept);
            }
        }
    }
    groups
}

/// The life and the version of a record.
type Version = (u64, u64);

/// What a node says of itself and knows of the others.
#[derive(Clone, Debug)]
struct Picture {
    id: NodeId,
    name: String,
    says: Option<Version>,
    /// The members with the newest records it has of them.
    members: BTreeMap<NodeId, Option<Version>>,
    /// Names that it knows of those members.
    names: BTreeMap<NodeId, String>,
    /// Who is in its snapshot.
    shown: BTreeSet<NodeId>,
}

fn picture(node: &Node) -> Picture {
    let view = node.mesh().view();
    let records = || view.nodes().iter().map(|node| (node.id, node.record.as_deref()));
    let version = |record: &macula::directory::NodeRecord| (record.incarnation, record.version);
    let members: BTreeMap<_, _> = records().map(|(id, record)| (id, record.map(version))).collect();
    Picture {
        id: node.id(),
        name: node.name().to_owned(),
        says: node.mesh().record(&node.id()).map(|record| version(&record)),
        members,
        names: records().filter_map(|(id, record)| Some((id, record?.name.clone()))).collect(),
        shown: node.nodes().iter().map(|node| node.id()).collect(),
    }
}

/// What a node lacks of those that it reaches, itself among them.
fn differences(mine: &Picture, reached: &[&Picture]) -> Vec<String> {
    let mut found = Vec::new();
    for other in reached {
        match mine.members.get(&other.id) {
            None => found.push(format!("does not know {}", other.name)),
            Some(None) => found.push(format!("has no record of {}", other.name)),
            Some(known) if *known != other.says => {
                found.push(format!("has an old record of {}", other.name));
            }
            Some(_) if !mine.shown.contains(&other.id) => {
                found.push(format!("does not show {}", other.name));
            }
            Some(_) => {}
        }
    }
    let reached: BTreeSet<_> = reached.iter().map(|other| other.id).collect();
    let members = mine.members.keys().collect::<BTreeSet<_>>();
    for id in mine.members.keys().chain(&mine.shown).collect::<BTreeSet<_>>() {
        let name = || mine.names.get(id).cloned().unwrap_or_else(|| id.short());
        match (reached.contains(id), members.contains(id)) {
            (true, _) => {}
            (false, true) => found.push(format!("still knows {}", name())),
            (false, false) => found.push(format!("still shows {}", name())),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> NodeId {
        NodeId::from_bytes([number; 32])
    }

    /// A node that knows these members in their first version.
    fn knows(number: u8, members: &[u8]) -> Picture {
        Picture {
            id: id(number),
            name: format!("n{number}"),
            says: Some((1, 1)),
            members: members.iter().map(|member| (id(*member), Some((1, 1)))).collect(),
            names: members.iter().map(|member| (id(*member), format!("n{member}"))).collect(),
            shown: members.iter().map(|member| id(*member)).collect(),
        }
    }

    #[test]
    fn nodes_reach_each_other_through_others() {
        let reach = |pairs: &[(usize, usize)]| -> Vec<Vec<bool>> {
            let open = |a, b| pairs.contains(&(a, b)) || pairs.contains(&(b, a));
            (0..5).map(|a| (0..5).map(|b| open(a, b)).collect()).collect()
        };
        assert_eq!(groups(&reach(&[])), [0, 1, 2, 3, 4]);
        let chain = groups(&reach(&[(0, 4), (4, 2), (1, 3)]));
        assert_eq!((chain[0], chain[4], chain[1]), (chain[4], chain[2], chain[3]));
        assert_ne!(chain[0], chain[1]);
        assert_eq!(groups(&[]), Vec::<usize>::new());
    }

    #[test]
    fn each_thing_that_is_lacking_has_a_word() {
        let (one, two) = (knows(1, &[1, 2]), knows(2, &[1, 2]));
        assert!(differences(&one, &[&one, &two]).is_empty());
        assert_eq!(differences(&one, &[&one]), ["still knows n2"]);
        assert_eq!(differences(&one, &[&one, &two, &knows(3, &[])]), ["does not know n3"]);
        let newer = Picture { says: Some((1, 2)), ..two.clone() };
        assert_eq!(differences(&one, &[&one, &newer]), ["has an old record of n2"]);
        let mut lacking = one.clone();
        lacking.members.insert(id(2), None);
        assert_eq!(differences(&lacking, &[&one, &two]), ["has no record of n2"]);
        let mut slow = one.clone();
        slow.shown.remove(&id(2));
        slow.shown.insert(id(9));
        let words = differences(&slow, &[&one, &two]);
        assert_eq!(words[0], "does not show n2");
        assert!(words[1].starts_with("still shows "), "{words:?}");
    }
}
